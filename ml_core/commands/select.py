"""``select``: choose the unlabelled texts whose label would teach the model most."""

from __future__ import annotations

import argparse
from typing import Any

from ml_core.commands.console import positive, print_json
from ml_core.commands.rows import add_artifact_and_data, unanswered_columns
from ml_core.data.rows import read_rows
from ml_core.models import Predictor
from ml_core.registry import Artifact


def add(commands: Any) -> None:
    """Add the parser of ``select``."""
    command = commands.add_parser(
        "select", help="choose the unlabelled texts whose label would teach the model most"
    )
    command.set_defaults(run=run)
    add_artifact_and_data(command)
    command.add_argument("--count", type=positive, default=50, metavar="N", help="rows to choose")
    command.add_argument(
        "--strategy",
        default="badge",
        choices=(
            "random",
            "entropy",
            "margin",
            "least-confidence",
            "core-set",
            "badge",
            "cluster-margin",
        ),
        help="how (default %(default)s: uncertain and unlike each other)",
    )
    command.add_argument("--seed", type=int, default=13, metavar="N")


def run(options: argparse.Namespace) -> int:
    """Print the chosen texts and their lines."""
    from ml_core.active_learning import select

    artifact = Artifact.open(options.artifact)
    predictor = Predictor.load(artifact, device=options.device)
    rows = list(
        read_rows(
            options.data,
            artifact.manifest.task,
            columns=unanswered_columns(artifact.manifest.task, options.text_column),
            require_answer=False,
        )
    )
    texts = [row.content["text"] for row in rows]
    chosen = select(
        predictor.probabilities(texts),
        predictor.embeddings(texts),
        options.count,
        strategy=options.strategy,
        seed=options.seed,
        multi_label=artifact.manifest.task == "multi-label-classification",
    )
    for place in chosen.tolist():
        print_json({"text": texts[place], "line": rows[place].line})
    return 0
