"""``drift``: compare the texts of a file with those a model was made for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.commands.console import print_json
from ml_core.data import DataError
from ml_core.data.rows import read_rows
from ml_core.detection.drift import (
    FALSE_ALARMS,
    WINDOW,
    DriftReference,
    DriftRows,
    DriftStream,
    DriftVerdict,
)
from ml_core.text import detect_language

_CLASSIFIER = "text-classification"


def add(commands: Any) -> None:
    """Add the parser of ``drift``."""
    command = commands.add_parser(
        "drift",
        help="have the texts of a file moved away from those of another? One JSON object a window",
    )
    command.set_defaults(run=run)
    for name, what in (("reference", "what is usual"), ("data", "what is asked now, in its order")):
        command.add_argument(
            f"--{name}", type=Path, required=True, metavar="FILE",
            help=f"{what}: .csv, .jsonl or .parquet",
        )  # fmt: skip
    command.add_argument("--text-column", default="text", help="column of the text")
    command.add_argument(
        "--model",
        type=Path,
        metavar="DIR",
        help="a text classifier: its vectors are compared, and its answers as well",
    )
    command.add_argument(
        "--base", default="packaged", metavar="NAME", help="whose vectors, without --model"
    )
    command.add_argument(
        "--window", type=int, default=WINDOW, metavar="N", help="rows that are judged together"
    )
    command.add_argument(
        "--false-alarms",
        type=float,
        default=FALSE_ALARMS,
        metavar="X",
        help="share of the windows without drift that may be reported",
    )
    command.add_argument("--seed", type=int, default=13, metavar="N")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(options: argparse.Namespace) -> int:
    """Print the verdict of every whole window, and of the rows after the last one if they reach a look."""
    if options.window < 50:
        raise DataError(f"--window: at least 50 rows, not {options.window}")
    if not 0 < options.false_alarms < 0.5:
        raise DataError(f"--false-alarms: above 0 and below 0.5, not {options.false_alarms}")
    describe = _describer(options)
    looks = sorted({round(options.window * part / 5) for part in range(1, 6)})
    reference = DriftReference.fit(
        describe(_texts(options.reference, options.text_column)),
        looks=looks,
        false_alarms=options.false_alarms,
        seed=options.seed,
    )
    newest: DriftVerdict | None = None
    drifted = windows = 0
    for verdict in DriftStream(reference).feed(describe(_texts(options.data, options.text_column))):
        if newest is not None and newest.number != verdict.number:
            newest = None
        # A window that was reported at an early look stays reported.
        newest = newest if newest is not None and newest.drifted else verdict
        if verdict.complete:
            windows, drifted = windows + 1, drifted + newest.drifted
            _print(newest)
            newest = None
    if newest is not None:
        windows, drifted = windows + 1, drifted + newest.drifted
        _print(newest)
    print_json({"windows": windows, "drifted": drifted, "critical_p": reference.critical})
    return 0


def _print(verdict: DriftVerdict) -> None:
    print_json(
        {
            "window": verdict.number,
            "rows": verdict.rows,
            "drifted": verdict.drifted,
            "signals": [asdict(signal) for signal in verdict.signals],
        }
    )


def _texts(path: Path, column: str) -> list[str]:
    columns = {"text": column, "label": ""}
    rows = read_rows(path, _CLASSIFIER, columns=columns, require_answer=False)
    return [row.content["text"] for row in rows]


def _describer(options: argparse.Namespace) -> Any:
    """What makes DriftRows of texts."""
    if options.model is None:
        from ml_core.models.embedding import EmbeddingPredictor

        embedder = EmbeddingPredictor.from_base(options.base, device=options.device)
        return lambda texts: _described(texts, embedder.embed(texts))
    from ml_core.models import Predictor

    predictor = Predictor.load(options.model, device=options.device)

    def describe(texts: Sequence[str]) -> DriftRows:
        return _described(texts, predictor.embeddings(texts), predictor.predict(texts))

    return describe


def _described(
    texts: Sequence[str], vectors: np.ndarray, answers: Sequence[Any] | None = None
) -> DriftRows:
    return DriftRows(
        vectors=vectors,
        lengths=np.array([len(text) for text in texts], dtype=float),
        languages=[detect_language(text) for text in texts],
        labels=None if answers is None else [answer.label for answer in answers],
        confidences=None
        if answers is None
        else np.array([answer.probabilities[answer.label] for answer in answers]),
    )
