from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.data import DataError
from ml_core.knowledge import (
    LabelModel,
    PhraseMatcher,
    Rule,
    RuleError,
    RuleGuide,
    RuleMatcher,
    majority_vote,
    read_knowledge,
)

LABELS = ["exchange", "lost", "other"]
YAML = """\
rules:
  - name: stolen
    label: lost
    phrases: [stole my card, 银行卡丢了]
    strength: hard
  - label: exchange
    regex: "exchange (rate|fee)s?"
gazetteer:
  ORG: [Goldman Sachs, 贵州茅台]
"""


def write(path: Path, content: str) -> Path:
    path.write_text(content, encoding="utf-8")
    return path


def toy(count: int, *, seed: int = 0) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, labels and the logits of a model that is right about two times in three.

    "good" is in all texts of the label 1 and "tempting" in texts of any label but 1; "coin" is in
    a random half of them.
    """
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, count)
    logits = generator.normal(size=(count, 3))
    logits[np.arange(count), truth] += 1.2
    texts = []
    for label in truth:
        words = ["some", "words"]
        if label == 1:
            words.append("good")
        elif generator.random() < 0.5:
            words.append("tempting")
        if generator.random() < 0.5:
            words.append("coin")
        texts.append(" ".join(words))
    return texts, truth, logits


RIGHT = Rule("lost", phrases=("good",), name="right")
WRONG = Rule("lost", phrases=("tempting",), name="wrong")
COIN = Rule("lost", phrases=("coin",), name="coin")
NEVER = Rule("lost", phrases=("absent",), name="never")


def test_a_right_rule_helps_and_the_others_weigh_nothing() -> None:
    texts, truth, logits = toy(400)
    guide = RuleGuide([RIGHT, WRONG, COIN, NEVER], LABELS).fit(texts, truth, logits)
    right, wrong, coin, never = guide.weights
    assert right > 1.5
    assert wrong == 0.0
    assert coin < 0.1
    assert never == 0.0
    new_texts, new_truth, new_logits = toy(400, seed=1)
    before = (new_logits.argmax(1) == new_truth).mean()
    after = (guide.adjust(new_logits, new_texts).argmax(1) == new_truth).mean()
    assert after > before + 0.05


def test_useless_rules_are_left_out_in_all_but_few_cases() -> None:
    kept = 0
    for seed in range(40):
        texts, truth, logits = toy(200, seed=seed)
        kept += bool(RuleGuide([COIN], LABELS).fit(texts, truth, logits).weights[0] > 0.05)
    # Five in a hundred are expected by chance.
    assert kept <= 6


def test_what_the_model_knows_already_weighs_nothing() -> None:
    texts, truth, _ = toy(200)
    sure = np.full((200, 3), -9.0)
    sure[np.arange(200), truth] = 9.0
    assert RuleGuide([RIGHT], LABELS).fit(texts, truth, sure).weights[0] == 0.0


def test_the_report_says_what_each_rule_did() -> None:
    texts, truth, logits = toy(300)
    guide = RuleGuide([RIGHT, WRONG, NEVER], LABELS).fit(texts, truth, logits)
    right, wrong, never = guide.report(texts, truth, logits)
    assert right.accuracy == 1.0
    assert right.fired == int((truth == 1).sum())
    assert right.coverage == pytest.approx(right.fired / 300)
    assert right.changed == right.mended > 0
    assert right.broken == 0
    assert wrong.accuracy == 0.0
    assert (wrong.changed, wrong.weight) == (0, 0.0)
    assert (never.fired, never.accuracy) == (0, None)
    json.dumps(right.to_dict())


def test_a_hard_rule_decides_and_the_first_wins() -> None:
    rules = [
        Rule("lost", phrases=("stolen",), strength="hard"),
        Rule("exchange", phrases=("stolen abroad",), strength="hard"),
    ]
    guide = RuleGuide(rules, LABELS)
    logits = np.array([[5.0, -5.0, 50.0], [5.0, -5.0, 0.0]])
    adjusted = guide.adjust(logits, ["my card was stolen abroad", "nothing"])
    assert adjusted.argmax(1).tolist() == [1, 0]
    assert np.array_equal(adjusted[1], logits[1])
    assert logits[0, 1] == -5.0
    report = guide.report(["card stolen", "stolen abroad"], np.array([1, 0]), logits)
    assert report[0].weight is None
    assert (report[0].mended, report[0].broken) == (1, 1)


def test_multi_label_rules_move_only_their_label() -> None:
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 2, (300, 3))
    logits = generator.normal(size=(300, 3))
    texts = ["good" if row[1] else "plain" for row in truth]
    guide = RuleGuide([RIGHT], LABELS, multi_label=True).fit(texts, truth, logits)
    assert guide.weights[0] > 1
    adjusted = guide.adjust(logits, texts)
    assert np.array_equal(adjusted[:, [0, 2]], logits[:, [0, 2]])
    [report] = guide.report(texts, truth, logits)
    assert report.accuracy == 1.0
    assert report.mended == 0 or report.changed >= report.mended
    hard = RuleGuide([Rule("other", regex="plain", strength="hard")], LABELS, multi_label=True)
    assert (hard.adjust(logits, ["plain"] * 300)[:, 2] > 0).all()


def test_a_guide_is_kept_as_json() -> None:
    texts, truth, logits = toy(200)
    guide = RuleGuide([RIGHT, Rule("exchange", regex="w.rds")], LABELS).fit(texts, truth, logits)
    again = RuleGuide.from_dict(json.loads(json.dumps(guide.to_dict())))
    assert np.array_equal(again.adjust(logits, texts), guide.adjust(logits, texts))
    assert [rule.name for rule in again.matching("all good")] == ["right"]


def test_shapes_and_labels_that_do_not_fit() -> None:
    with pytest.raises(RuleError, match="'lots' is unknown to the model; did you mean 'lost'"):
        RuleGuide([Rule("lots", phrases=("x",))], LABELS)
    with pytest.raises(ValueError, match="2 texts and 3 labels"):
        RuleGuide([RIGHT], LABELS).adjust(np.zeros((1, 3)), ["a", "b"])


def test_yaml_with_rules_and_gazetteer(tmp_path: Path) -> None:
    knowledge = read_knowledge(write(tmp_path / "k.yaml", YAML), labels=LABELS)
    stolen, exchange = knowledge.rules
    assert stolen.strength == "hard"
    assert stolen.fires("They STOLE my card!")
    assert stolen.fires("我的银行卡丢了怎么办")
    assert not stolen.fires("stole my cards")
    assert exchange.fires("What are the Exchange Rates today")
    assert (exchange.strength, exchange.line) == ("soft", 7)
    assert [(entry.surface, entry.type) for entry in knowledge.entries] == [
        ("Goldman Sachs", "ORG"),
        ("贵州茅台", "ORG"),
    ]


def test_csv_rows_of_one_name_are_one_rule(tmp_path: Path) -> None:
    path = write(
        tmp_path / "k.csv",
        "name,label,pattern,kind,strength\n"
        'stolen,lost,"stolen, gone",,\nstolen,lost,missing,phrase,soft\n'
        ",exchange,fx\\d+,regex,hard\n",
    )
    stolen, exchange = read_knowledge(path).rules
    assert stolen.phrases == ("stolen, gone", "missing")
    assert exchange.fires("FX12")
    gazetteer = write(tmp_path / "g.csv", "surface,type\n上海,LOC\nBerlin,LOC\n")
    assert [entry.surface for entry in read_knowledge(gazetteer).entries] == ["上海", "Berlin"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rules:\n  - label: lost\n    regex: '(a'\n", r"line 3: regex '\(a': missing \)"),
        ("rules:\n  - label: lost\n    regex: '(?=a)b'\n", "line 3: .*look-around"),
        ("rules:\n  - label: lost\n    regex: 'a*'\n", "line 3: .*every text"),
        ("rules:\n\n  - label: lots\n    phrases: [x]\n", "line 3: .*did you mean 'lost'"),
        ("rules:\n  - label: lost\n", "line 2: a rule has either phrases or a regex"),
        ("rules:\n  - phrases: [x]\n", "line 2: the rule has no label"),
        ("rules:\n  - label: lost\n    phrase: [x]\n", "line 3: key 'phrase' .*'phrases'"),
        ("rules:\n  - label: lost\n    phrases: x\n", "line 3: phrases must be a list"),
        ("rules:\n  - label: lost\n    phrases: [x]\n    strength: weak\n", "line 2: strength 'weak'"),
        ("rules:\n  - label: lost\n    phrases: [x]\n    label: other\n", "line 4: 'label' is there twice"),
        ("rules: [\n  {label: lost\n", "not valid YAML"),
        ("rules: 3\n", "line 1: rules must be a list"),
        ("- a\n", "line 1: the file must be keys"),
        ("", "no rules and no gazetteer entries"),
        ("gazetteer:\n  ORG: [Paris]\n  LOC:\n    - paris\n", "line 4: 'paris' is LOC here and ORG on line 2"),
        ("rules:\n  - {label: lost, phrases: [x], name: a}\n  - {label: lost, phrases: [y], name: a}\n",
         "line 3: a rule 'a' is already on line 2"),
    ],
)  # fmt: skip
def test_yaml_faults_come_with_their_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_knowledge(write(tmp_path / "k.yaml", content), labels=LABELS)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "line 1: the header must be"),
        ("label,pattern\nlost\n", "line 2: 1 fields where the header has 2"),
        ("label,pattern,kind\nlost,x,glob\n", "line 2: kind 'glob'"),
        ("label,pattern\nlost,x\nlost,\n", "line 3, column 'pattern': is empty"),
        ("label,pattern,name\nlost,x,a\nother,y,a\n", "line 3: rule 'a' of line 2 has another"),
        ("surface,type\nx,\n", "line 2, column 'type': is empty"),
        ('label,pattern\nlost,"x\n', "unexpected end of data"),
    ],
)
def test_csv_faults_come_with_their_line(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_knowledge(write(tmp_path / "k.csv", content))


def test_labels_that_yaml_would_turn_into_something_else(tmp_path: Path) -> None:
    path = write(tmp_path / "k.yml", "rules:\n  - label: no\n    phrases: [1.0, yes]\n")
    [rule] = read_knowledge(path, labels=["no"]).rules
    assert (rule.label, rule.phrases) == ("no", ("1.0", "yes"))


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.text(max_size=120),
        st.lists(
            st.sampled_from(
                ["rules:", "\n", "  - ", "label: lost", "regex: ", "'a+'", "phrases: [x, y]",
                 "gazetteer:", "ORG: [a]", "&a ", "*a", "? ", "{", "]", "!!python/object:os.x"]
            ),
            max_size=15,
        ).map("".join),
    )
)  # fmt: skip
def test_any_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        knowledge = read_knowledge(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert knowledge.rules or knowledge.entries


def test_no_pattern_is_catastrophic() -> None:
    # A backtracking engine would not be done before the test's time limit, nor this century.
    rule = Rule("lost", regex="^(([a-z])+.)+[A-Z]([a-z])+$")
    assert not rule.fires("a1" * 20_000 + "!")


def test_the_longest_phrase_wins_and_words_stay_whole() -> None:
    matcher = PhraseMatcher(["New York", "new york times", "york", "上海", "上海银行"])
    assert [tuple(match) for match in matcher.find("The NEW  York, New York Times")] == [
        (9, 13, 2),
        (15, 29, 1),
    ]
    assert [match.phrase for match in matcher.find("在上海银行和上海")] == [4, 3]
    assert matcher.find("Yorkshire") == []
    assert [match.phrase for match in matcher.find("ＹＯＲＫ")] == [2]
    with pytest.raises(ValueError, match="phrase 2 is empty"):
        PhraseMatcher(["a", "  "])


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.text("ab 上海", min_size=1, max_size=4).filter(str.strip), min_size=1, max_size=6),
    st.text("ab 上海", max_size=30),
)
def test_matches_are_phrases_and_do_not_overlap(phrases: list[str], text: str) -> None:
    matcher = PhraseMatcher(phrases)
    matches = matcher.find(text)
    end = 0
    for match in matches:
        assert match.start >= end
        assert text[match.start : match.end] == " ".join(phrases[match.phrase].split())
        end = match.end
    assert {match.phrase for match in matches} <= matcher.occurring(text)
    assert bool(matches) == bool(matcher.occurring(text))


def test_firing_is_a_table_of_texts_and_rules() -> None:
    rules = [RIGHT, WRONG, Rule("other", phrases=("good", "x")), Rule("other", regex="^goo")]
    fires = RuleMatcher(rules).fires(["good", "tempting and good", "goods"])
    assert fires.tolist() == [
        [True, False, True, True],
        [True, True, True, False],
        [False, False, False, True],
    ]


def test_weak_labels_follow_the_accuracy_of_the_rules() -> None:
    texts, truth, _ = toy(300)
    model = LabelModel([RIGHT, WRONG, COIN, NEVER], LABELS, texts, truth)
    right, wrong, coin, never = model.accuracies
    assert right > 0.95
    assert coin == pytest.approx(model.prior[1], abs=0.1)
    assert wrong == pytest.approx(model.prior[1])
    assert never == pytest.approx(model.prior[1])
    new_texts, new_truth, _ = toy(200, seed=1)
    weak = model.label(new_texts, minimum=0.8)
    assert len(weak) == int((new_truth == 1).sum())
    assert (weak.labels == new_truth[weak.rows]).all()
    assert (weak.weights >= 0.8).all()
    probabilities, votes = model.posterior(["nothing here"])
    assert votes.tolist() == [0]
    assert probabilities[0] == pytest.approx(model.prior)


def test_labels_that_rules_contradict_weigh_less() -> None:
    texts, truth, _ = toy(300)
    model = LabelModel([RIGHT], LABELS, texts, truth)
    weights = model.row_weights(["good", "good", "none"], np.array([1, 0, 0]))
    assert weights[0] == 2.0
    assert weights[1] == 0.5
    assert weights[2] == 1.0


def test_majority_vote_abstains_on_ties() -> None:
    rules = [RIGHT, Rule("other", phrases=("bad",)), Rule("other", phrases=("awful",))]
    votes = majority_vote(rules, LABELS, ["good", "good bad", "good bad awful", "x"])
    assert votes.tolist() == [1, -1, 2, -1]


def test_the_same_rules_label_better_than_the_vote() -> None:
    texts, truth, _ = toy(400)
    rules = [RIGHT, Rule("exchange", phrases=("coin",)), Rule("exchange", phrases=("some",))]
    model = LabelModel(rules, LABELS, texts, truth)
    good = [place for place, label in enumerate(truth) if label == 1]
    labelled = model.posterior([texts[place] for place in good])[0].argmax(1)
    voted = majority_vote(rules, LABELS, [texts[place] for place in good])
    assert (labelled == 1).mean() > (voted == 1).mean()
