"""``robustness``: score a classifier on texts with typos and other small changes."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ml_core.commands.console import add_markdown, print_report
from ml_core.commands.rows import add_artifact_and_data
from ml_core.data import read_examples
from ml_core.evaluation import read_paraphrases, robustness_report
from ml_core.evaluation.scoring import check_labels
from ml_core.models import Predictor
from ml_core.registry import Artifact
from ml_core.training import ConfigError


def add(commands: Any) -> None:
    """Add the parser of ``robustness``."""
    command = commands.add_parser(
        "robustness", help="score a classifier on texts with typos and other small changes"
    )
    command.set_defaults(run=run)
    add_artifact_and_data(command)
    command.add_argument("--label-column", default="label", help="column of the label")
    command.add_argument(
        "--paraphrases",
        type=Path,
        metavar="FILE",
        help="rows of text and paraphrase, tried as well",
    )
    command.add_argument(
        "--rate", type=float, default=0.1, metavar="X", help="part of the words that change"
    )
    command.add_argument("--seed", type=int, default=13, metavar="N")
    add_markdown(command)


def run(options: argparse.Namespace) -> int:
    """Print how a classifier does on changed texts."""
    artifact = Artifact.open(options.artifact)
    if artifact.manifest.task != "text-classification":
        raise ConfigError(f"robustness: is for text-classification, not {artifact.manifest.task}")
    examples = read_examples(options.data, text=options.text_column, label=options.label_column)
    known = artifact.manifest.labels
    check_labels(examples, known, path=options.data, known_to="the model")
    paraphrases = read_paraphrases(options.paraphrases) if options.paraphrases else None
    predictor = Predictor.load(artifact, device=options.device)
    report = robustness_report(
        lambda texts: [found.label for found in predictor.predict(texts)],
        [example.text for example in examples],
        [example.label for example in examples],
        rate=options.rate,
        seed=options.seed,
        paraphrases=paraphrases,
    ).to_dict()
    print_report(report, markdown=options.markdown)
    return 0
