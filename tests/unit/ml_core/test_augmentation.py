from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_core.augmentation import (
    METHODS,
    AugmentationError,
    CedictSynonyms,
    EmbeddingSynonyms,
    FileSynonyms,
    JoinedSynonyms,
    add_typos,
    augment,
)
from ml_core.augmentation.pieces import KEPT, join_pieces, split_pieces
from ml_core.data import DataError

REPOSITORY = Path(__file__).resolve().parents[3]
TEXTS = [
    "How quickly can I transfer money to a friend abroad?",
    "My card was stolen and I need some help today",
    "The payment of 250.00 EUR did not arrive, reference AB-1234",
]
LABELS = ["transfer", "stolen", "payment"]


@pytest.fixture(scope="module")
def synonyms(tmp_path_factory: pytest.TempPathFactory) -> FileSynonyms:
    path = tmp_path_factory.mktemp("synonyms") / "words.txt"
    path.write_text(
        "# bank words\nquickly, fast, rapidly\nmoney\tcash\tfunds\n\nhelp, assistance\n"
        "arrive, come\n办理, 申办\n资料，材料\n",
        encoding="utf-8",
    )
    return FileSynonyms(path)


def kept(text: str, language: str) -> list[str]:
    return [piece.text for piece in split_pieces(text, language) if piece.kind == KEPT]


def test_same_seed_same_rows_and_labels_stay(synonyms: FileSynonyms) -> None:
    first = augment(
        TEXTS, LABELS, language="en", methods=METHODS, per_example=4, synonyms=synonyms, seed=3
    )
    again = augment(
        TEXTS, LABELS, language="en", methods=METHODS, per_example=4, synonyms=synonyms, seed=3
    )
    other = augment(
        TEXTS, LABELS, language="en", methods=METHODS, per_example=4, synonyms=synonyms, seed=4
    )
    assert first == again
    assert first != other
    assert [label for _, label in first] == [label for label in LABELS for _ in range(4)]
    texts = [text for text, _ in first]
    assert len(set(texts)) == len(texts)
    assert not set(texts) & set(TEXTS)


def test_the_same_in_another_process() -> None:
    code = (
        "from ml_core.augmentation import augment; import sys\n"
        f"rows = augment({TEXTS!r}, {LABELS!r}, language='en', methods=('swap', 'typo'))\n"
        "assert 'torch' not in sys.modules\nprint(rows)"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_each_method_does_what_its_name_says(synonyms: FileSynonyms) -> None:
    text = TEXTS[0]

    def one(method: str) -> str:
        rows = augment([text], ["a"], language="en", methods=[method], synonyms=synonyms)
        return rows[0][0]

    before = Counter(text.split())
    replaced = Counter(one("synonym").split())
    assert set(replaced - before) <= {"fast", "rapidly", "cash", "funds"}
    assert replaced.total() == before.total()
    inserted = Counter(one("insertion").split())
    assert (inserted - before).total() == 1
    assert not before - inserted
    assert Counter(one("swap").rstrip("?").split()) == Counter(text.rstrip("?").split())
    deleted = Counter(one("deletion").replace("?", " ").split())
    assert not deleted - Counter(text.replace("?", " ").split())
    mistyped = one("typo").split()
    assert sum(a != b for a, b in zip(mistyped, text.split(), strict=True)) == 1


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        (
            "Buy $TSLA at 3.5% below $120, not AAPL, says Tim; see https://x.y/z?a=1",
            "en",
            ["$TSLA", "3.5%", "$120", "not", "AAPL", "Tim", "https://x.y/z?a=1"],
        ),
        ("Dear {name}, mail a.b@c.org or @desk about #fees <MASK>", "en",
         ["{name}", "a.b@c.org", "@desk", "#fees", "<MASK>"]),
        ("I can't pay", "en", ["can't"]),
        ("净利润同比增长12.5%,600519.SH不及预期", "zh", ["12.5%", "600519.SH", "不及"]),
        ("增长了百分之二十三", "zh", ["百分之二十三"]),
    ],
)  # fmt: skip
def test_what_is_protected(text: str, language: str, expected: list[str]) -> None:
    assert kept(text, language) == expected


def test_capitals_mark_nothing_where_everything_is_capitalised() -> None:
    assert kept("MY CARD IS LOST", "en") == []
    assert kept("Oil Prices Rise On Strong Demand", "en") == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["card", "money", "quickly", "$TSLA", "12.5%", "not", "USD", "help", "the", "Bob", ",",
             "?", "x@y.org", "don't", "{id}", "Ünïcode", "🚀"]
        ),
        min_size=1,
        max_size=14,
    ).map(" ".join),
    st.integers(0, 3),
)  # fmt: skip
def test_protected_pieces_stay_in_their_order(text: str, seed: int) -> None:
    class Echo:
        def lookup(self, word: str) -> tuple[str, ...]:
            return ("banana", "pear")

    rows = augment(
        [text], ["a"], language="en", methods=METHODS, per_example=3, alpha=0.4, synonyms=Echo(),
        seed=seed, protect=["Bob"],
    )  # fmt: skip
    always = {"$TSLA", "12.5%", "not", "USD", "x@y.org", "don't", "{id}", "Bob"}
    for variant, _ in rows:
        words = [word for word in variant.split() if word in always]
        # The shouted "USD" is a code only beside words that are not.
        if "USD" not in kept(text, "en"):
            words = [word for word in words if word != "USD"]
            assert words == [w for w in text.split() if w in always - {"USD"}]
        else:
            assert words == [w for w in text.split() if w in always]


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["en", "zh"]))
def test_pieces_join_to_the_text_again(text: str, language: str) -> None:
    assert join_pieces(split_pieces(text, language)) == text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=40))
def test_any_text_can_be_augmented(text: str) -> None:
    rows = augment([text], ["a"], language="en", methods=("swap", "deletion", "typo"))
    assert all(variant.strip() and variant != text for variant, _ in rows)


def test_chinese_words_are_edited_as_words(synonyms: FileSynonyms) -> None:
    text = "我想办理信用卡，请问需要提供哪些资料？"
    rows = augment(
        [text], ["卡"], language="zh", methods=["synonym"], alpha=0.3, synonyms=synonyms,
        per_example=3,
    )  # fmt: skip
    assert "我想申办信用卡，请问需要提供哪些材料？" in [variant for variant, _ in rows]
    [(protected, _)] = augment(
        ["贵州茅台公布业绩"], ["a"], language="zh", methods=["swap"], protect=["贵州茅台"]
    )
    assert protected == "贵州茅台业绩公布"


def test_chinese_typos_sound_alike() -> None:
    from pypinyin import lazy_pinyin

    texts = ["这家酒店的服务非常好，房间很干净。", "市场预期公司利润不会下降3.5%"]
    noisy = add_typos(texts, language="zh", rate=0.5)
    assert noisy == add_typos(texts, language="zh", rate=0.5)
    assert all(a != b for a, b in zip(noisy, texts, strict=True))
    for before, after in zip(texts, noisy, strict=True):
        assert len(before) == len(after)
        different = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        same_sound = [lazy_pinyin(a) == lazy_pinyin(b) for a, b in different]
        # A word's reading in its context may differ from that of its characters alone.
        assert sum(same_sound) >= len(same_sound) - 1
    assert "3.5%" in noisy[1]
    assert "不会" in noisy[1]


def test_english_typos_are_one_slip_away() -> None:
    text = "please transfer everything tomorrow morning"
    [noisy] = add_typos([text], language="en", rate=1.0)
    for before, after in zip(text.split(), noisy.split(), strict=True):
        assert before != after
        assert before[0] == after[0]
        assert abs(len(before) - len(after)) <= 1
    assert add_typos(["an ox is 12345 USD"], language="en", rate=1.0) == ["an ox is 12345 USD"]


def test_a_synonym_that_labels_speak_against_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("stable, steady, falling\n", encoding="utf-8")
    texts = ["prices are falling"] * 4 + ["prices are stable"] * 4
    labels = ["down"] * 4 + ["flat"] * 4
    rows = augment(
        texts,
        labels,
        language="en",
        methods=["synonym"],
        per_example=2,
        synonyms=FileSynonyms(path),
    )
    assert {row for row in rows if row[1] == "flat"} == {("prices are steady", "flat")}
    assert ("prices are stable", "down") not in rows


def test_multi_label_rows_keep_their_lists(synonyms: FileSynonyms) -> None:
    rows = augment([TEXTS[0]], [["a", "b"]], language="en", synonyms=synonyms, per_example=2)
    assert [label for _, label in rows] == [["a", "b"]] * 2


def test_short_texts_give_fewer_rows() -> None:
    assert augment(["ok"], ["a"], language="en", methods=["swap", "deletion"], per_example=5) == []
    rows = augment(["card lost"], ["a"], language="en", methods=["swap"], per_example=5)
    assert rows == [("lost card", "a")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"methods": ["backtranslation"]}, "'backtranslation' is unknown; use synonym"),
        ({"methods": []}, "no method"),
        ({"methods": ["synonym"]}, "need a source of synonyms"),
        ({"methods": ["swap"], "language": "fr"}, "'fr' is unknown; use auto, en, zh"),
        ({"methods": ["swap"], "alpha": 0.0}, "alpha"),
        ({"methods": ["swap"], "labels": ["a"]}, "3 texts but 1 labels"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(AugmentationError, match=message):
        augment(TEXTS, **{"labels": LABELS} | arguments)


def test_synonym_file_faults_come_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text("a, b\n\nlonely\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 3: a group needs two words"):
        FileSynonyms(path)
    path.write_text("# nothing\n", encoding="utf-8")
    with pytest.raises(DataError, match="no groups"):
        FileSynonyms(path)
    with pytest.raises(DataError, match="cannot be read"):
        FileSynonyms(tmp_path / "absent.txt")


def test_neighbours_leave_out_opposites_and_forms_of_the_word() -> None:
    words = ["rise", "rises", "climb", "fall", "soup", "unhappy", "happy", "glad"]
    angle = np.radians([0, 1, 2, 3, 120, 240, 241, 242])
    vectors = np.stack([np.cos(angle), np.sin(angle)], 1)
    source = EmbeddingSynonyms(words, vectors, minimum=0.9)
    assert source.lookup("rise") == ("climb",)
    assert source.lookup("Happy") == ("glad",)
    assert source.lookup("unknown") == ()


def test_synonyms_of_the_packaged_base_need_no_torch() -> None:
    source = EmbeddingSynonyms.from_base("packaged")
    assert {"cash", "funds"} <= set(source.lookup("money"))
    assert "expensive" not in source.lookup("cheap")


def test_a_base_without_embeddings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(AugmentationError, match=r"tokenizer\.json"):
        EmbeddingSynonyms.from_base(tmp_path)
    with pytest.raises(AugmentationError, match="download the model"):
        EmbeddingSynonyms.from_base("someone/some-model")


def test_encoder_vectors_are_computed_once(tmp_path: Path) -> None:
    calls = []

    def encode(words) -> np.ndarray:
        calls.append(list(words))
        return np.eye(len(words), 8) + [[1, *[0] * 7]] * len(words)

    cache = tmp_path / "vectors.npz"
    first = EmbeddingSynonyms.from_encoder(["a", "b", "c"], encode, cache=cache, minimum=-1)
    again = EmbeddingSynonyms.from_encoder(["a", "b", "c"], encode, cache=cache, minimum=-1)
    assert first.lookup("a") == again.lookup("a")
    assert len(calls) == 1
    EmbeddingSynonyms.from_encoder(["a", "b"], encode, cache=cache)
    assert len(calls) == 2
    assert [file.name for file in tmp_path.iterdir()] == ["vectors.npz"]


def test_cedict_words_of_one_meaning(tmp_path: Path) -> None:
    path = tmp_path / "cedict.txt"
    path.write_text(
        "# CC-CEDICT\n"
        "迅速 迅速 [xun4 su4] /rapid/speedy/fast/\n"
        "快速 快速 [kuai4 su4] /fast/rapid/\n"
        "銀行 银行 [yin2 hang2] /bank/CL:家[jia1],個|个[ge4]/\n"
        "堤岸 堤岸 [di1 an4] /embankment/bank/\n",
        encoding="utf-8",
    )
    source = CedictSynonyms(path, minimum_frequency=1)
    assert source.lookup("迅速") == ("快速",)
    assert source.lookup("银行") == ()
    joined = JoinedSynonyms([source, source])
    assert joined.lookup("快速") == ("迅速",)
    path.write_text("# x\nnot an entry\n", encoding="utf-8")
    with pytest.raises(DataError, match="line 2: not a CC-CEDICT entry"):
        CedictSynonyms(path)


@pytest.mark.data
def test_the_whole_dictionary() -> None:
    data = Path(os.environ.get("ROOTSTOCK_DATA", REPOSITORY.parent / "shared" / "data"))
    path = data / "cedict" / "cedict_1_0_ts_utf-8_mdbg.txt.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    source = CedictSynonyms(path)
    assert "快速" in source.lookup("迅速")
    assert "堤岸" not in source.lookup("银行")
