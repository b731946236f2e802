"""Perturbations and slices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ml_core_helpers import REPOSITORY

from ml_core.data import DataError
from ml_core.evaluation import (
    build_classification_report,
    language_column,
    length_column,
    perturb,
    perturbation_names,
    predicate_column,
    read_paraphrases,
    render,
    robustness_report,
    slice_scores,
    worst_slice,
)
from ml_core.evaluation.intervals import mean_of_sums

ENGLISH = "Please cancel my transfer of 1,250.50 dollars, it went wrong."
CHINESE = "我想查询我的Visa银行卡余额，请问怎么办？"


def test_every_perturbation_changes_english_or_chinese() -> None:
    unchanged = [
        name
        for name in perturbation_names()
        if perturb([ENGLISH], name) == [ENGLISH] and perturb([CHINESE], name) == [CHINESE]
    ]
    assert unchanged == []


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("upper-case", "Pay now", "PAY NOW"),
        ("no-punctuation", "Pay 3.50, now!", "Pay 3.50 now"),
        ("full-width", "付款Pay 1!", "付款Ｐａｙ １！"),
        ("full-width", "Pay 1!", "Pay 1!"),
        ("half-width", "你好，世界！", "你好,世界!"),
        ("exclamation", "Pay now.", "Pay now!!"),
        ("exclamation", "现在付款。", "现在付款！！"),
        ("joined-words", "Pay now", "Paynow"),
        ("look-alike", "买", "卖"),
        ("dropped-characters", "付款", "付款"),
        ("no-punctuation", "?!", "?!"),
    ],
)
def test_perturbations_by_hand(name: str, text: str, expected: str) -> None:
    assert perturb([text], name) == [expected]


@pytest.mark.parametrize("name", ["keyboard", "deletion", "insertion", "swap"])
def test_a_slip_keeps_first_letters_short_words_and_numbers(name: str) -> None:
    (changed,) = perturb([ENGLISH], name, rate=1.0)
    assert "1,250.50" in changed
    assert " my " in changed
    before, after = ENGLISH.split(), changed.split()
    assert [word[0] for word in before] == [word[0] for word in after]
    assert sum(a != b for a, b in zip(before, after, strict=True)) >= 4


@settings(deadline=None, max_examples=80)
@given(text=st.text(max_size=60), name=st.sampled_from(perturbation_names()))
def test_any_text_survives_any_perturbation(text: str, name: str) -> None:
    first, second = (perturb([text], name, rate=0.5) for _ in range(2))
    assert first == second
    assert bool(first[0].strip()) == bool(text.strip())


def test_the_same_in_every_process() -> None:
    program = (
        "from ml_core.evaluation import perturb, perturbation_names\n"
        f"print([perturb([{ENGLISH!r}, {CHINESE!r}], name) for name in perturbation_names()])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "7", "PATH": "", "PYTHONIOENCODING": "utf-8"},
    )
    here = [perturb([ENGLISH, CHINESE], name) for name in perturbation_names()]
    assert done.stdout.strip() == str(here)


def test_wrong_options_are_named() -> None:
    with pytest.raises(ValueError, match="no perturbation 'luck'"):
        perturb(["a"], "luck")
    with pytest.raises(ValueError, match="rate"):
        perturb(["a"], "swap", rate=0)


def by_capital(texts: list[str]) -> list[str]:
    return ["loud" if text.isupper() else "quiet" for text in texts]


def test_a_model_that_reads_capitals_is_found_out() -> None:
    texts = [f"please pay invoice {number}" for number in range(40)]
    report = robustness_report(by_capital, texts, ["quiet"] * 40)
    assert report.accuracy == 1
    assert report.worst == "upper-case"
    worst = report.perturbations["upper-case"]
    assert (worst.drop, worst.flip_rate, worst.changed) == (1.0, 1.0, 40)
    assert worst.flips[0].predicted == "loud"
    assert report.perturbations["swap"].drop == 0
    assert "homophones" not in report.perturbations, "it changes no English text"
    assert "upper-case" in render(report.to_dict())
    with pytest.raises(ValueError, match="none of the perturbations"):
        robustness_report(by_capital, texts, ["quiet"] * 40, perturbations=["homophones"])


def test_paraphrases_of_a_file_and_of_a_function(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(
        '{"text": "pay now", "paraphrase": "PAY AT ONCE"}\n'
        '{"text": "pay now", "paraphrase": "pay immediately"}\n'
    )
    pairs = read_paraphrases(path)
    assert pairs == {"pay now": ["PAY AT ONCE", "pay immediately"]}
    texts, truth = ["pay now", "stop it"], ["quiet", "quiet"]
    report = robustness_report(by_capital, texts, truth, perturbations=[], paraphrases=pairs)
    assert report.perturbations["paraphrase"].changed == 2
    assert report.perturbations["paraphrase"].flip_rate == 0.5
    report = robustness_report(
        by_capital,
        texts,
        truth,
        perturbations=[],
        paraphrase=lambda given: [text.upper() for text in given],
    )
    assert report.mean_drop == 1
    path.write_text('{"text": "pay now", "paraphrase": "pay now"}\n')
    with pytest.raises(DataError, match="text itself"):
        read_paraphrases(path)


def test_slices_show_the_part_that_is_served_badly() -> None:
    texts = ["short one"] * 60 + ["x" * 300] * 40 + ["你好吗，朋友"] * 5
    right = [1.0] * 60 + [0.5] * 40 + [0.0] * 5
    rows = np.column_stack([right, np.ones(len(right))])
    columns = {
        "length": length_column(texts),
        "language": language_column(texts),
        "one": predicate_column(texts, lambda text: "one" in text),
        "source": ["web"] * 100 + [""] * 5,
    }
    found = slice_scores(columns, rows, mean_of_sums, metric="accuracy")
    scores = {(part.column, part.value): part for part in found}
    assert scores["length", "251-1000"].score == 0.5
    assert scores["language", "zh"].score == 0
    assert not scores["language", "zh"].enough
    assert ("source", "") not in scores
    assert scores["one", "yes"].count == 60
    worst = worst_slice(found)
    assert worst is not None
    assert (worst.column, worst.value) == ("one", "no"), "five Chinese texts are too few to judge"
    assert worst_slice(()) is None
    with pytest.raises(ValueError, match="column 'a' has 1 values for 105"):
        slice_scores({"a": ["x"]}, rows, mean_of_sums, metric="accuracy")


def test_a_report_names_its_worst_slice() -> None:
    probabilities = np.array([[0.9, 0.1]] * 80)
    truth = ["a"] * 40 + ["b"] * 40
    report = build_classification_report(
        truth, probabilities, ["a", "b"], columns={"source": ["web"] * 40 + ["mail"] * 40}
    )
    values = report.to_dict()
    assert values["worst_slice"]["value"] == "mail"
    assert values["worst_slice"]["accuracy"] == 0
    assert [part["value"] for part in values["slices"]] == ["mail", "web"]
    assert "slices" not in report.summary()
    assert report.summary()["worst_slice"] == values["worst_slice"]
