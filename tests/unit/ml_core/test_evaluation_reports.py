"""Every report keeps the contract, and its Markdown cannot be broken by data."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import numpy as np
import pytest
from markdown_it import MarkdownIt
from sklearn import metrics as reference

from ml_core.evaluation import (
    Report,
    build_classification_report,
    build_generation_report,
    build_language_model_report,
    build_multi_label_report,
    build_pairs_report,
    build_ranking_report,
    build_retrieval_report,
    build_scored_ranking_report,
    build_tagging_report,
    render,
    robustness_report,
)

NASTY = "a|b\n# <script>alert(1)</script> `x` *y* [z](http://e.vil) \\"


def classification() -> Report:
    return build_classification_report(
        [NASTY, "b", "b"],
        np.array([[0.3, 0.7], [0.2, 0.8], [0.6, 0.4]]),
        [NASTY, "b"],
        texts=[NASTY, "two", "three"],
        lines=[2, 3, 4],
        columns={"source": [NASTY, NASTY, "mail"]},
    )


def single_label() -> Report:
    return build_classification_report(["a"], np.array([[1.0]]), ["a"])


def multi_label() -> Report:
    return build_multi_label_report(
        [["a", NASTY], [], ["a"]],
        np.array([[0.9, 0.2], [0.8, 0.1], [0.4, 0.3]]),
        ["a", NASTY],
        texts=[NASTY, "two", "three"],
    )


def tagging() -> Report:
    tokens = [["Ann", NASTY]]
    return build_tagging_report([["B-PER", "O"]], [["B-PER", "B-LOC"]], tokens=tokens)


def pairs() -> Report:
    return build_pairs_report([0.1, 0.4, 0.3, 0.9], [0, 0, 1, 1], texts=[(NASTY, "x")] * 4)


def constant_pairs() -> Report:
    return build_pairs_report([0.5, 0.5], [0.2, 0.9])


def ranking() -> Report:
    return build_ranking_report([["x", NASTY], ["y"]], [[NASTY], ["z"]], queries=[NASTY, "q"])


def generation() -> Report:
    return build_generation_report(
        [NASTY, ""], ["hello there", "good bye"], prompts=["p", NASTY], log_likelihood=-2.0
    )


def language_model() -> Report:
    return build_language_model_report([-6.0, -4.0, 0.0], [3, 2, 0], right=[1, 2, 0], characters=20)


def robustness() -> Report:
    return robustness_report(lambda texts: ["a"] * len(texts), ["Hello there friend"], ["a"])


REPORTS = [
    classification, single_label, multi_label, tagging, pairs, constant_pairs, ranking, generation,
    language_model, robustness,
]  # fmt: skip
KINDS = {
    "classification", "multi-label", "tagging", "pairs", "ranking", "generation", "language-model",
    "robustness",
}  # fmt: skip


@pytest.mark.parametrize("make", REPORTS)
def test_every_report_keeps_the_contract(make: Callable[[], Report]) -> None:
    report = make()
    values = report.to_dict()
    json.dumps(values, allow_nan=False)
    assert values["kind"] in KINDS
    assert values["headline"] in values
    assert values["count"] >= 1
    if not math.isnan(report.score):
        assert values[values["headline"]] == pytest.approx(report.score, abs=1e-6)
    for low, high in values["intervals"].values():
        assert low <= high
    assert values["intervals"].keys() <= values.keys()
    summary = report.summary()
    assert {"kind", "headline", "count", "intervals", values["headline"]} <= summary.keys()
    assert not {"worst_errors", "confusion", "slices"} & summary.keys()


@pytest.mark.parametrize("make", REPORTS)
def test_markdown_cannot_be_broken_by_data(make: Callable[[], Report]) -> None:
    report = make()
    for values in (report.to_dict(), report.summary()):
        text = render(values, level=3)
        assert not text.endswith("\n")
        tokens = MarkdownIt("commonmark").enable("table").parse(text)
        headings = [token.tag for token in tokens if token.type == "heading_open"]
        assert set(headings) <= {"h3"}
        inside = [child.type for token in tokens for child in token.children or []]
        assert not {"html_inline", "link_open", "code_inline", "image"} & set(inside)
        assert "<script>" not in MarkdownIt("commonmark").enable("table").render(text)
        rows = [line for line in text.splitlines() if line.startswith("|")]
        assert rows
        # A cell that were not escaped would make a row of another length, of which none is cut off.
        for line in rows:
            assert line.endswith("|")


def test_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    html = MarkdownIt("commonmark").enable("table").render(render(classification().to_dict()))
    for table in html.split("<table>")[1:]:
        head = table.count("<th")
        body = table.split("</table>")[0].split("<tbody>")[1]
        head -= table.count("<thead")
        for row in body.split("<tr>")[1:]:
            assert row.count("<td") == head
    assert "alert(1)" in html, "the text is shown, only without effect"


def test_multi_label_scores_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(3)
    truth = generator.integers(0, 2, (60, 4))
    probabilities = np.clip(0.4 * truth + 0.7 * generator.random((60, 4)), 0, 1)
    labels = ["a", "b", "c", "d"]
    names = [[labels[at] for at in np.flatnonzero(row)] for row in truth]
    report = build_multi_label_report(names, probabilities, labels, thresholds=0.6)
    predicted = probabilities >= 0.6
    for average in ("micro", "macro", "weighted"):
        expected = reference.f1_score(truth, predicted, average=average)
        assert getattr(report, f"{average}_f1") == pytest.approx(expected)
    expected = reference.f1_score(truth, predicted, average="samples", zero_division=1)
    assert report.samples_f1 == pytest.approx(expected)
    assert report.subset_accuracy == pytest.approx(reference.accuracy_score(truth, predicted))
    assert report.hamming_loss == pytest.approx(reference.hamming_loss(truth, predicted))
    assert report.auroc == pytest.approx(reference.roc_auc_score(truth, probabilities))
    assert report.mean_average_precision == pytest.approx(
        reference.average_precision_score(truth, probabilities)
    )
    assert report.intervals["micro_f1"].low < report.micro_f1 < report.intervals["micro_f1"].high


def test_an_empty_set_of_labels_is_an_answer() -> None:
    report = build_multi_label_report([[], []], np.array([[0.1], [0.2]]), ["a"])
    assert report.subset_accuracy == report.samples_f1 == 1
    assert report.to_dict()["auroc"] is None
    assert report.worst_errors == ()


def test_pairs_with_a_graded_truth_are_judged_by_order() -> None:
    report = build_pairs_report([0.1, 0.5, 0.9, 0.7], [0.0, 0.4, 1.0, 0.9])
    assert (report.headline, report.spearman) == ("spearman", pytest.approx(1.0))
    assert report.to_dict()["best_f1"] is None
    binary = build_pairs_report([0.1, 0.5, 0.9, 0.7], [0, 0, 1, 1])
    assert binary.headline == "average_precision"
    assert (binary.score, binary.best_f1, binary.best_accuracy) == (1, 1, 1)
    assert 0.5 < binary.best_threshold <= 0.7
    with pytest.raises(ValueError, match="not finite"):
        build_pairs_report([np.nan], [1])


def test_ranking_reports_by_hand() -> None:
    report = build_ranking_report(
        [["a", "b"], ["c", "d"], ["e"]], [{"a": 1.0}, ["d"], []], queries=["q", "r", "s"]
    )
    assert (report.count, report.without_relevant) == (2, 1)
    values = report.to_dict()
    assert values["mrr_at_10"] == pytest.approx(0.75)
    assert values["hit_at_1"] == 0.5
    assert values["ndcg_at_10"] == pytest.approx((1 + 1 / math.log2(3)) / 2, abs=1e-6)
    (error,) = report.worst_errors
    assert (error.query, error.place) == ("r", 2)
    with pytest.raises(ValueError, match="no query has a relevant"):
        build_ranking_report([["a"]], [[]])


def test_a_ranker_that_scores_everything_alike_gains_nothing() -> None:
    report = build_scored_ranking_report(["q"] * 4, ["a", "b", "c", "d"], [0.5] * 4, [1, 0, 0, 0])
    assert report.metrics["mrr_at_10"] == 0.25
    retrieval = build_retrieval_report(np.zeros((3, 3)), [0, 1, 2])
    assert retrieval.metrics["hit_at_1"] == 0
    perfect = build_retrieval_report(np.eye(3), [0, 1, 2], documents=["x", "y", "z"])
    assert perfect.score == 1
    assert perfect.worst_errors == ()
    with pytest.raises(ValueError, match="not one of the 3 columns"):
        build_retrieval_report(np.eye(3), [0, 1, 3])


def test_generated_texts() -> None:
    report = build_generation_report(["good bye", "x"], ["good bye", "hello there"])
    assert report.exact_match == 0.5
    (error,) = report.worst_errors
    assert error.reference == "hello there"
    assert report.to_dict()["perplexity"] is None
    with pytest.raises(ValueError, match="references: 1 values for 2"):
        build_generation_report(["a", "b"], ["a"])


def test_a_language_model() -> None:
    report = language_model()
    values = report.to_dict()
    assert values["log_likelihood"] == pytest.approx(-2)
    assert values["perplexity"] == pytest.approx(math.exp(2), abs=1e-5)
    assert values["token_accuracy"] == pytest.approx(3 / 5)
    assert values["bits_per_character"] == pytest.approx(10 / math.log(2) / 20, abs=1e-6)
    hopeless = build_language_model_report([-1e9], [1])
    assert hopeless.perplexity < 1e25, "still a number"
    for sums, tokens, message in (([-1.0], [0], "no token"), ([1.0], [1], "above 0")):
        with pytest.raises(ValueError, match=message):
            build_language_model_report(sums, tokens)


def test_bad_input_is_named() -> None:
    table = np.array([[0.5, 0.5]])
    with pytest.raises(ValueError, match="'c' is not one of the 2 labels"):
        build_classification_report(["c"], table, ["a", "b"])
    with pytest.raises(ValueError, match="not all finite"):
        build_classification_report(["a"], table * np.nan, ["a", "b"])
    with pytest.raises(ValueError, match="no examples"):
        build_classification_report([], np.zeros((0, 2)), ["a", "b"])
    with pytest.raises(ValueError, match="shape"):
        build_classification_report(["a"], table, ["a"])
    with pytest.raises(ValueError, match="texts: 2 values for 1"):
        build_classification_report(["a"], table, ["a", "b"], texts=["x", "y"])
    with pytest.raises(ValueError, match="'c' is not one of"):
        build_multi_label_report([["c"]], table, ["a", "b"])
