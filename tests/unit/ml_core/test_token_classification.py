"""Words in, tags and entities out."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
import pytest
from ml_core_helpers import COMMON, WORDS, run_cli
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from ml_core.data import DataError
from ml_core.models.bio import BioDecoder, bio_labels
from ml_core.models.words import WordEncoder, split_words
from ml_core.registry import Artifact
from ml_core.tasks.reading import read_data
from ml_core.training import TrainConfig, train

# An entity is one of the first three words of its type, perhaps with one of the others behind it.
NAMES = {"ORG": WORDS["positive"], "PER": WORDS["negative"]}


def make_sentences(
    count: int, *, seed: int = 0, longest: int = 14
) -> list[tuple[list[str], list[str]]]:
    generator = random.Random(seed)
    sentences = []
    for number in range(count):
        tokens, tags = [], []
        for _ in range(generator.randint(1, 3)):
            common = generator.choices(COMMON, k=generator.randint(1, longest // 3))
            kind = sorted(NAMES)[(number + generator.randint(0, 1)) % 2]
            first, second = NAMES[kind][:3], NAMES[kind][3:]
            name = [generator.choice(first), generator.choice(second)][: generator.randint(1, 2)]
            tokens += [*common, *name]
            tags += ["O"] * len(common) + [f"B-{kind}", f"I-{kind}"][: len(name)]
        sentences.append((tokens, tags))
    return sentences


def write_conll(path: Path, sentences: list[tuple[list[str], list[str]]]) -> Path:
    blocks = ("\n".join(map(" ".join, zip(*each, strict=True))) for each in sentences)
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tagger_options(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> dict[str, object]:
    directory = tmp_path_factory.mktemp("tagged")
    return {
        "task": "token-classification",
        "train": write_conll(directory / "train.conll", make_sentences(150)),
        "validation": write_conll(directory / "dev.conll", make_sentences(40, seed=1)),
        "base": str(tiny_base),
        "max_length": 32,
        "learning_rate": 5e-3,
        "epochs": 6,
        "batch_size": 8,
        "languages": ("en",),
        "device": "cpu",
    }


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory, tagger_options: dict[str, object]) -> Artifact:
    out = tmp_path_factory.mktemp("taggers") / "tiny"
    return train(TrainConfig(**tagger_options, out=out))


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> WordEncoder:
    return WordEncoder.from_file(tiny_base / "tokenizer.json", max_length=32)


# Words of a raw text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It's Apple's U.S. office.", ["It", "'s", "Apple", "'s", "U.S.", "office", "."]),
        (
            "Don't pay $12.30 (or 3.5%)!",
            ["Do", "n't", "pay", "$", "12.30", "(", "or", "3.5", "%", ")", "!"],
        ),
        ("@jane saw #sun at http://t.co/x1", ["@jane", "saw", "#sun", "at", "http://t.co/x1"]),
        ("AT&T's year-end call", ["AT&T", "'s", "year-end", "call"]),
        ("央行宣布iPhone涨价10%。", [*"央行宣布", "iPhone", *"涨价", "10", "%", "。"]),
        ("  \n", []),
    ],
)
def test_a_text_is_split_as_tagged_corpora_are(text: str, words: list[str]) -> None:
    found = split_words(text)

    assert [word.text for word in found] == words
    assert all(text[word.start : word.end] == word.text for word in found)


def test_no_character_of_a_text_is_lost() -> None:
    generator = random.Random(3)
    for _ in range(200):
        text = "".join(generator.choices("aB'’t s.,-&@#$/:5%央行\n😀\u200b", k=20))
        for by_character in (False, True):
            joined = "".join(word.text for word in split_words(text, by_character=by_character))
            assert joined == "".join(text.split())


def test_a_text_of_one_sign_takes_linear_time() -> None:
    assert len(split_words("+" * 200_000)) == 200_000


# Windows


def test_each_word_is_spoken_for_once_and_not_at_an_edge(encoder: WordEncoder) -> None:
    words = random.Random(1).choices([*COMMON, "unheard-of", "\u200b"], k=200)

    (windows,) = encoder([words])

    assert [word for window in windows for word in window.words] == list(range(200))
    assert len(windows) > 5
    for window in windows:
        assert len(window.ids) <= 32
        assert [window.pieces[place] for place in window.positions] == list(window.words)
        first = [window.pieces.index(word) for word in window.words]
        assert first == window.positions
    for before, after in itertools.pairwise(windows):
        assert max(before.pieces) > before.words[-1], "sees words behind those it speaks for"
        assert after.pieces[1] < after.words[0], "sees words before them"


def test_a_short_sentence_is_one_window_between_special_tokens(encoder: WordEncoder) -> None:
    (windows,) = encoder([["the", "bank", "gains"]])

    (window,) = windows
    assert window.pieces == [-1, 0, 1, 2, -1]
    assert window.positions == [1, 2, 3]
    assert encoder([[]]) == [[]]


def test_words_of_nothing_and_words_without_end_have_a_tag_too(encoder: WordEncoder) -> None:
    (windows,) = encoder([["the", "\u200b", "-" * 100_000, "bank"]])

    assert [word for window in windows for word in window.words] == [0, 1, 2, 3]
    assert all(len(window.positions) == len(window.words) for window in windows)


def test_a_byte_level_vocabulary_gets_the_blank_before_a_word() -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate([*alphabet, "Ġb"])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("Ġ", "b")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()

    (windows,) = WordEncoder(tokenizer, max_length=16)([["b", "b"]])

    assert windows[0].ids == [vocabulary["Ġb"]] * 2
    assert tokenizer.encode("b").ids == [vocabulary["b"]], "the other's tokenizer is left as it was"


# Decoding


def test_the_best_allowed_sequence_is_found() -> None:
    labels = bio_labels(["LOC", "PER"])
    decoder = BioDecoder(labels)
    generator = np.random.default_rng(0)

    def allowed(tags: tuple[str, ...]) -> bool:
        pairs = itertools.pairwise(("O", *tags))
        return all(tag[0] != "I" or before[1:] == tag[1:] for before, tag in pairs)

    possible = [tags for tags in itertools.product(labels, repeat=4) if allowed(tags)]
    for _ in range(50):
        table = np.log(generator.dirichlet(np.full(len(labels), 0.3), size=4))

        def score(tags: tuple[str, ...], table: np.ndarray = table) -> float:
            return sum(table[at, labels.index(tag)] for at, tag in enumerate(tags))

        assert score(tuple(decoder.tags(table))) == pytest.approx(max(map(score, possible)))
        assert allowed(tuple(decoder.tags(table)))


def test_the_probability_of_an_entity_is_of_exactly_its_words() -> None:
    labels = bio_labels(["PER"])
    assert labels == ("B-PER", "I-PER", "O")
    table = np.array([[0.9, 0.05, 0.05], [0.1, 0.8, 0.1], [0.1, 0.25, 0.65]])
    decoder = BioDecoder(labels)

    assert decoder.span_probability(("PER", 0, 2), table) == pytest.approx(0.9 * 0.8 * 0.75)
    assert decoder.span_probability(("PER", 0, 3), table) == pytest.approx(0.9 * 0.8 * 0.25)


# Rows


def config_for(train_file: Path, **options: object) -> TrainConfig:
    return TrainConfig(
        task="token-classification", train=train_file, out=train_file.parent / "out", **options
    )


@pytest.mark.parametrize(
    "tags",
    [
        ["I-PER", "I-PER", "O", "I-ORG", "B-ORG"],  # IOB1
        ["B-PER", "E-PER", "O", "S-ORG", "S-ORG"],  # BIOES
        ["B-PER", "I-PER", "O", "B-ORG", "B-ORG"],
    ],
)
def test_any_scheme_is_learned_as_bio(tmp_path: Path, tags: list[str]) -> None:
    sentence = (["Ann", "Lee", "at", "Acme", "Bond"], tags)

    data = read_data(config_for(write_conll(tmp_path / "a.conll", [sentence] * 4)))

    assert data.labels == ("B-ORG", "B-PER", "I-ORG", "I-PER", "O")
    assert len(data.train) == 3
    assert len(data.validation) == 1
    for row in (*data.train, *data.validation):
        assert row.content["tags"] == ["B-PER", "I-PER", "O", "B-ORG", "B-ORG"]


def test_conll_2003_columns_with_documents_are_read(tmp_path: Path) -> None:
    file = tmp_path / "eng.testa"
    file.write_text(
        "-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\nrejects VBZ B-VP O\n\nPeter NNP B-NP B-PER\n",
        encoding="utf-8",
    )

    data = read_data(config_for(file, validation=file))

    assert [row.content["tokens"] for row in data.train] == [["EU", "rejects"], ["Peter"]]


def test_what_cannot_be_learned_is_refused(tmp_path: Path) -> None:
    good = write_conll(tmp_path / "good.conll", [(["Ann", "ran"], ["B-PER", "O"])] * 3)
    plain = write_conll(tmp_path / "plain.conll", [(["it", "ran"], ["O", "O"])] * 3)
    other = write_conll(tmp_path / "other.conll", [(["it"], ["O"]), (["Rome"], ["B-LOC"])])
    single = write_conll(tmp_path / "single.conll", [(["Ann"], ["B-PER"])])

    with pytest.raises(DataError, match="none of the 3 sentences has an entity"):
        read_data(config_for(plain))
    with pytest.raises(DataError, match=r"line 3.*'LOC' is unknown to the training file.*PER"):
        read_data(config_for(good, validation=other))
    with pytest.raises(DataError, match="too few sentences with entities"):
        read_data(config_for(single))


def test_a_rare_type_is_in_both_parts(tmp_path: Path) -> None:
    common = [(["Ann", "ran"], ["B-PER", "O"])] * 60
    rare = [(["Ann", "in", "Rome"], ["B-PER", "O", "B-LOC"])] * 2
    file = write_conll(tmp_path / "a.conll", common + rare)

    data = read_data(config_for(file))

    for part in (data.train, data.validation):
        assert any("B-LOC" in row.content["tags"] for row in part)


# Training and prediction


def test_a_tagger_learns_and_its_report_has_tags_and_entities(tagger: Artifact) -> None:
    metrics = tagger.manifest.metrics

    assert metrics["kind"] == "tagging"
    assert metrics["headline"] == "f1"
    assert metrics["f1"] > 0.9
    assert set(metrics["per_label"]) == {"ORG", "PER"}
    tokens = metrics["tokens"]
    assert set(tokens["per_tag"]) == {"B-ORG", "B-PER", "I-ORG", "I-PER", "O"}
    assert set(tokens["averages"]) == {"micro", "macro", "weighted"}
    assert tagger.manifest.labels == ("B-ORG", "B-PER", "I-ORG", "I-PER", "O")


def test_entities_of_a_raw_text_have_their_places(tagger: Artifact) -> None:
    from ml_core.tasks.tagging import TokenClassificationPredictor

    text = "The bank today\n Gains strong  of the company lawsuit"
    (row,) = TokenClassificationPredictor.load(tagger, device="cpu").predict_rows([{"text": text}])

    found = [(entity["type"], entity["text"]) for entity in row["entities"]]
    assert found == [("ORG", "Gains strong"), ("PER", "lawsuit")]
    for entity in row["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert row["tags"][entity["first_token"]] == f"B-{entity['type']}"
        assert 0.5 < entity["score"] <= 1
    assert row["tokens"][0] == "The"
    assert 0.5 < row["confidence"] <= 1


def test_rows_of_tokens_and_empty_texts_are_tagged_too(tagger: Artifact) -> None:
    from ml_core.tasks.tagging import TokenClassificationPredictor

    predictor = TokenClassificationPredictor.load(tagger, device="cpu")
    rows = predictor.predict_rows([{"tokens": ["the", "record", "of"]}, {"text": " "}])

    assert rows[0]["tags"] == ["O", "B-ORG", "O"]
    assert rows[0]["text"] == "the record of"
    assert rows[0]["entities"][0]["start"] == 4
    assert rows[1]["tags"] == rows[1]["entities"] == []
    assert predictor.predict_rows([]) == []
    with pytest.raises(DataError, match=r"line 2.*tokens"):
        predictor.predict_rows([{"text": "a"}, {"label": "b"}])


def test_a_long_sentence_is_tagged_to_its_end(tagger: Artifact, tmp_path: Path) -> None:
    from ml_core.tasks.tagging import TokenClassificationPredictor

    parts = make_sentences(60, seed=5)
    long = ([t for tokens, _ in parts for t in tokens], [t for _, tags in parts for t in tags])
    assert len(long[0]) > 10 * tagger.manifest.max_length

    report = TokenClassificationPredictor.load(tagger, device="cpu").evaluate(
        write_conll(tmp_path / "long.conll", [long])
    )

    assert report.count == 1
    assert report.tokens.count == len(long[0])
    assert report.f1 > 0.9


def test_evaluation_refuses_a_type_that_the_model_has_not(tagger: Artifact, tmp_path: Path) -> None:
    from ml_core.tasks.tagging import TokenClassificationPredictor

    file = write_conll(tmp_path / "a.conll", [(["Rome"], ["B-LOC"])])

    with pytest.raises(DataError, match="'LOC' is unknown to the model, which has: ORG, PER"):
        TokenClassificationPredictor.load(tagger, device="cpu").evaluate(file)


def test_the_command_line_evaluates_a_column_file_and_tags_texts(
    tagger: Artifact, tagger_options: dict[str, object], tmp_path: Path
) -> None:
    texts = tmp_path / "texts.jsonl"
    texts.write_text('{"text": "The record of today"}\n', encoding="utf-8")

    report = run_cli("evaluate", tagger.path, "--data", tagger_options["validation"])
    predicted = run_cli("predict", tagger.path, "--data", texts)

    assert report.returncode == predicted.returncode == 0, report.stderr + predicted.stderr
    values = json.loads(report.stdout.splitlines()[-1])
    assert values["f1"] == pytest.approx(tagger.manifest.metrics["f1"], abs=1e-6)
    assert values["tokens"]["averages"]["weighted"]["f1"] > 0.9
    assert values["tokens"]["per_tag"]["B-PER"]["support"] > 0
    (entity,) = json.loads(predicted.stdout)["entities"]
    assert (entity["type"], entity["start"], entity["end"]) == ("ORG", 4, 10)


def test_case_tells_names_where_the_tokenizer_lowers_it(
    tmp_path: Path, tagger_options: dict[str, object]
) -> None:
    generator = random.Random(0)
    sentences = []
    for _ in range(150):
        tokens = generator.choices(COMMON, k=8)
        named = generator.randrange(8)
        tokens[named] = tokens[named].capitalize()
        tags = ["B-ORG" if at == named else "O" for at in range(8)]
        sentences.append((tokens, tags))
    file = write_conll(tmp_path / "cased.conll", sentences)
    scores = {}

    for case in ("auto", "off"):
        given = {**tagger_options, "train": file, "validation": None, "case_features": case}
        made = train(TrainConfig(**given, out=tmp_path / case))
        scores[case] = made.manifest.metrics["f1"]
        assert made.manifest.options["case_features"] is (case == "auto")

    assert scores["auto"] > 0.9 > scores["off"]


def test_a_gazetteer_tells_names_that_no_one_has_seen(
    tmp_path: Path, tagger_options: dict[str, object]
) -> None:
    from ml_core.tasks.tagging import TokenClassificationPredictor

    kinds = {f"xorg{number}": "ORG" for number in range(30)}
    kinds |= {f"xper{number}": "PER" for number in range(30)}
    generator = random.Random(0)
    sentences = []
    for name, kind in sorted(kinds.items()) * 3:
        tokens = generator.choices(COMMON, k=6)
        tokens[2] = name
        sentences.append((tokens, ["O", "O", f"B-{kind}", "O", "O", "O"]))
    train_file = write_conll(
        tmp_path / "a.conll", [each for each in sentences if "9" not in each[0][2]]
    )
    unseen = write_conll(tmp_path / "b.conll", [each for each in sentences if "9" in each[0][2]])
    names = tmp_path / "names.csv"
    names.write_text("surface,type\n" + "".join(f"{k},{v}\n" for k, v in kinds.items()))
    given = {**tagger_options, "train": train_file, "validation": unseen}

    scores = {}
    for gazetteer in (names, None):
        out = tmp_path / f"model-{gazetteer is not None}"
        scores[gazetteer] = train(
            TrainConfig(**given, gazetteer=gazetteer, out=out)
        ).manifest.metrics["f1"]
    names.unlink()  # the list is in the artefact
    predictor = TokenClassificationPredictor.load(tmp_path / "model-True", device="cpu")

    assert scores[names] > 0.9 > scores[None]
    assert predictor.evaluate(unseen).f1 == pytest.approx(scores[names], abs=1e-6)


def test_a_gazetteer_without_names_is_refused_before_training(
    tmp_path: Path, tagger_options: dict[str, object]
) -> None:
    file = tmp_path / "empty.csv"
    file.write_text("surface,type\n")

    with pytest.raises(DataError, match=r"empty.csv"):
        read_data(TrainConfig(**tagger_options, gazetteer=file, out=tmp_path / "out"))


def test_the_loss_of_a_batch_is_the_sum_over_its_words(
    tagger_options: dict[str, object], tmp_path: Path
) -> None:
    import torch

    from ml_core.tasks import task_class

    config = TrainConfig(**tagger_options, out=tmp_path, class_weighting="balanced")
    data = read_data(config)
    task = task_class(config.task)(config, data)
    task.model.eval()
    features = task.features(data.train[:4])
    together = task.collate(features)

    with torch.no_grad():
        total = float(task.loss(task.model, together).total)
        single = [float(task.loss(task.model, task.collate([each])).total) for each in features]

    assert total == pytest.approx(sum(single), rel=1e-5)
    assert task.items(together) == sum(len(row.content["tokens"]) for row in data.train[:4])


def test_chinese_characters_are_tokens(tmp_path: Path, tagger_options: dict[str, object]) -> None:
    from ml_core.tasks.tagging import TokenClassificationPredictor

    sentences = [
        (list("A股大涨"), ["O", "O", "O", "O"]),
        (list("央行AB"), ["B-ORG", "I-ORG", "O", "O"]),
    ]
    file = write_conll(tmp_path / "zh.conll", sentences * 10)
    given = {**tagger_options, "train": file, "validation": file, "epochs": 1}

    made = train(TrainConfig(**given, out=tmp_path / "zh"))
    (row,) = TokenClassificationPredictor.load(made, device="cpu").predict_rows(
        [{"text": "央行 AB"}]
    )

    assert row["tokens"] == ["央", "行", "A", "B"]


def test_the_same_run_gives_the_same_tagger(
    tagger: Artifact, tagger_options: dict[str, object], tmp_path: Path
) -> None:
    again = train(TrainConfig(**tagger_options, out=tmp_path / "again"))

    assert again.manifest.files["model.safetensors"] == tagger.manifest.files["model.safetensors"]
    assert json.dumps(again.manifest.metrics) == json.dumps(tagger.manifest.metrics)
