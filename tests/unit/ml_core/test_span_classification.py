"""Texts with marked stretches in, a label for each stretch out."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_core_helpers import COMMON, WORDS
from serving_models import running

from ml_core.data import DataError, parse_row, read_rows, write_rows
from ml_core.data.rows import RowError
from ml_core.data.spans import parse_spans
from ml_core.models.spans import SpanEncoder
from ml_core.registry import Artifact
from ml_core.serving.protocol import PredictRequest
from ml_core.tasks import evaluate_artifact, predictor_class
from ml_core.training import TrainConfig, train

TASK = "span-classification"
LABELS = ("negative", "positive")


def make_spans(count: int, *, seed: int = 0, filler: int = 6) -> list[dict[str, Any]]:
    """Texts of one to three stretches, each told by its own word, among words that say nothing."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        text, spans, labels = "", [], []
        for part in range(generator.randint(1, 3)):
            text += " ".join(generator.choices(COMMON, k=generator.randint(1, filler))) + " "
            label = LABELS[(number + part) % 2]
            mention = f"{generator.choice(COMMON)} {generator.choice(WORDS[label])}"
            spans.append([len(text), len(text) + len(mention)])
            labels.append(label)
            text += mention + " "
        rows.append({"text": text.strip(), "spans": spans, "labels": labels})
    return rows


@pytest.fixture(scope="module")
def spans_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spans") / "train.jsonl"
    write_rows(path, make_spans(160))
    return path


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory, spans_file: Path, tiny_base: Path) -> Artifact:
    return train(
        TrainConfig(
            task=TASK,
            train=spans_file,
            base=str(tiny_base),
            max_length=32,
            learning_rate=5e-3,
            epochs=5,
            batch_size=16,
            languages=("en",),
            device="cpu",
            out=tmp_path_factory.mktemp("judges") / "tiny",
        )
    )


def test_labels_stand_in_the_spans_or_beside_them() -> None:
    beside = {
        "text": "Acme rises, Bolt falls",
        "spans": [[0, 4], [12, 16]],
        "labels": ["up", "down"],
    }
    inside = {
        "text": "Acme rises, Bolt falls",
        "spans": [
            {"start": 0, "end": 4, "label": "up"},
            {"start": 12, "end": 16, "label": "down"},
        ],
    }

    assert parse_row(TASK, beside).content == parse_row(TASK, inside).content == beside


@pytest.mark.parametrize(
    ("spans", "problem"),
    [
        ([[0, 5]], "not within the text of 4"),
        ([[3, 3]], "not within"),
        ([[-1, 2]], "not within"),
        ([[0, 2], [0, 2]], "twice"),
        ([[0]], "neither"),
        ([["0", 2]], "neither"),
        ([[0, True]], "neither"),
        ("no json", "not a JSON list"),
        ([], "empty"),
        (None, "missing"),
    ],
)
def test_places_outside_a_text_are_refused(spans: Any, problem: str) -> None:
    with pytest.raises(RowError, match=problem):
        parse_row(TASK, {"text": "Acme", "spans": spans, "labels": ["up"]}, require_answer=False)


def test_each_span_needs_its_label() -> None:
    with pytest.raises(RowError, match="1 labels for 2 spans"):
        parse_row(TASK, {"text": "A B", "spans": [[0, 1], [2, 3]], "labels": ["up"]})
    with pytest.raises(RowError, match="missing"):
        parse_row(TASK, {"text": "A B", "spans": [{"start": 0, "end": 1, "label": "up"}, [2, 3]]})


@given(st.text(min_size=1), st.lists(st.tuples(st.integers(-2, 12), st.integers(-2, 12))))
def test_spans_are_read_or_refused(text: str, spans: list[tuple[int, int]]) -> None:
    try:
        found, _ = parse_spans([list(span) for span in spans], text)
    except RowError:
        return
    assert all(text[start:end].strip() for start, end in found)


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_rows_are_read_back_as_they_were_written(tmp_path: Path, kind: str) -> None:
    rows = make_spans(10)
    write_rows(tmp_path / f"rows.{kind}", rows, task=TASK)

    assert [row.content for row in read_rows(tmp_path / f"rows.{kind}", TASK)] == rows


def test_every_span_of_a_long_text_is_in_a_window(tiny_base: Path) -> None:
    encode = SpanEncoder.from_file(tiny_base / "tokenizer.json", max_length=16)
    text = " ".join(f"the company {WORDS['positive'][n % 6]}" for n in range(40))
    spans = [
        [at, at + len(word)]
        for word in ("record",)
        for at in range(len(text))
        if text.startswith(word, at)
    ]
    spans.append([0, len(text)])

    [windows] = encode([text], [spans])

    assert sorted(place for window in windows for place in window.spans) == list(range(len(spans)))
    piece = encode._tokenizer.encode("record", add_special_tokens=False).ids
    for window in windows:
        assert len(window.ids) <= 16
        for place, (begin, end) in zip(window.spans, window.ranges, strict=True):
            assert 0 < begin < end <= len(window.ids)
            if place < len(spans) - 1:
                assert window.ids[begin:end] == piece


def test_a_text_within_a_window_is_read_as_a_classifier_reads_it(tiny_base: Path) -> None:
    from ml_core.models.tokenise import TextEncoder

    path = tiny_base / "tokenizer.json"
    texts = [row["text"] for row in make_spans(20, filler=20)]
    plain = TextEncoder.from_file(path, max_length=16)(texts)
    windows = SpanEncoder.from_file(path, max_length=16)(texts, [[[0, 3]]] * len(texts))

    assert [own[0].ids for own in windows] == plain


def test_two_spans_of_one_text_get_labels_of_their_own(judge: Artifact, tmp_path: Path) -> None:
    test = tmp_path / "test.jsonl"
    write_rows(test, make_spans(60, seed=1, filler=30))

    report: Any = evaluate_artifact(judge, test)

    assert report.accuracy > 0.9
    assert {part.value for part in report.slices} >= {"one", "several"}
    text = "the company rises today of a bank falls"
    [found] = (
        predictor_class(TASK)
        .load(judge)
        .predict_rows([{"text": text, "spans": [[0, 17], [29, 39]]}])
    )
    assert found["labels"] == ["positive", "negative"]
    assert [span["text"] for span in found["spans"]] == ["the company rises", "bank falls"]


def test_a_label_that_the_model_does_not_know_is_told_with_its_line(
    judge: Artifact, tmp_path: Path
) -> None:
    test = tmp_path / "test.jsonl"
    rows = make_spans(3)
    rows[1]["labels"][0] = "sideways"
    write_rows(test, rows)

    with pytest.raises(DataError, match=r"line 2.*sideways"):
        evaluate_artifact(judge, test)


@pytest.mark.asyncio
async def test_the_engine_says_what_the_predictor_says(judge: Artifact) -> None:
    rows = [
        {"text": row["text"], "spans": row["spans"]} for row in make_spans(30, seed=2, filler=20)
    ]
    said = predictor_class(TASK).load(judge, device="cpu").predict_rows(rows)

    async with running(judge.path.parent) as engine:
        [result] = await engine.predict([PredictRequest("tiny", rows)])

    for served, own in zip(result.outputs, said, strict=True):
        assert [span["label"] for span in served["spans"]] == own["labels"]
        for span, expected in zip(served["spans"], own["spans"], strict=True):
            assert span["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
    json.dumps(result.outputs)
