"""``predict``: apply an artefact to the rows of a file."""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from typing import Any

from ml_core.commands.console import print_json
from ml_core.commands.rows import add_artifact_and_data, unanswered_columns
from ml_core.data.rows import read_rows
from ml_core.evaluation.reports.common import json_value
from ml_core.registry import Artifact
from ml_core.tasks import predictor_class
from ml_core.tasks.tagged_rows import read_sentences

_PREDICT_CHUNK = 512


def add(commands: Any) -> None:
    """Add the parser of ``predict``."""
    command = commands.add_parser(
        "predict", help="apply an artefact to the rows of a file; one JSON object a line on stdout"
    )
    command.set_defaults(run=run)
    add_artifact_and_data(command)


def run(options: argparse.Namespace) -> int:
    """Print the row and what the model says about it, for each row."""
    artifact = Artifact.open(options.artifact)
    task = artifact.manifest.task
    columns = unanswered_columns(task, options.text_column)
    predictor: Any = predictor_class(task).load(artifact, device=options.device)
    if task == "image-classification":
        predictor.source = options.data  # its rows name images relative to it
    if task == "token-classification":
        rows = read_sentences(options.data, text_column=options.text_column)
    else:
        rows = read_rows(options.data, task, columns=columns, require_answer=False)
    while contents := [row.content for row in islice(rows, _PREDICT_CHUNK)]:
        for content, found in zip(contents, predictor.predict_rows(contents), strict=True):
            print_json(content | json_value(found))
    sys.stdout.flush()
    return 0
