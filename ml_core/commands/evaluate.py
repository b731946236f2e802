"""``evaluate``: score an artefact on labelled rows."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ml_core.commands.console import add_markdown, print_report
from ml_core.commands.rows import FLAT_TEXTS, add_artifact_and_data
from ml_core.evaluation.reports.common import json_value
from ml_core.registry import Artifact
from ml_core.tasks import evaluate_artifact
from ml_core.training import ConfigError


def add(commands: Any) -> None:
    """Add the parser of ``evaluate``."""
    command = commands.add_parser("evaluate", help="score an artefact on labelled texts")
    command.set_defaults(run=run)
    add_artifact_and_data(command)
    command.add_argument("--label-column", default="label", help="column of the label")
    command.add_argument(
        "--out-of-scope",
        type=Path,
        metavar="FILE",
        help="texts that fit no label: how well a text classifier tells them from those of --data",
    )
    command.add_argument(
        "--answers",
        type=Path,
        metavar="FILE",
        help="write what was answered to each row (.jsonl.gz); no file for tasks without an answer a row",
    )
    add_markdown(command)


def run(options: argparse.Namespace) -> int:
    """Print the report of an artefact on a file of rows."""
    artifact = Artifact.open(options.artifact)
    flat = artifact.manifest.task in FLAT_TEXTS
    columns = {"text": options.text_column, "label": options.label_column} if flat else {}
    report = evaluate_artifact(artifact, options.data, device=options.device, **columns)
    found = report.to_dict()
    if options.answers is not None and report.answers is not None:
        report.answers.write(options.answers)
    if options.out_of_scope is not None:
        if artifact.manifest.task != "text-classification":
            raise ConfigError("--out-of-scope: is for text-classification")
        from ml_core.tasks.out_of_scope import evaluate_out_of_scope, scores_dict

        scores = evaluate_out_of_scope(
            artifact, options.data, options.out_of_scope, options.device, **columns
        )
        found["out_of_scope"] = json_value(scores_dict(scores))
    print_report(found, markdown=options.markdown)
    return 0
