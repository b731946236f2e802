"""``calibrate``: measure which backend serves a model fastest on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from ml_core.commands.console import positive, print_json
from ml_core.registry import Artifact
from ml_core.registry.artifact import MANIFEST
from ml_core.training import ConfigError


def add(commands: Any) -> None:
    """Add the parser of ``calibrate``."""
    command = commands.add_parser(
        "calibrate", help="measure which backend serves a model fastest on this machine"
    )
    command.set_defaults(run=run)
    command.add_argument(
        "model", metavar="ARTIFACT", help="an artefact's directory, or a base model"
    )
    command.add_argument(
        "--threads", type=positive, metavar="N", help="threads of one forward pass; default: cores"
    )
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    command.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        help="where exports and what was measured are kept, as `serve` has it; default: nowhere",
    )


def run(options: argparse.Namespace) -> int:
    """Print a table on stderr and the calibration on stdout."""
    from ml_core.serving.backends import BackendError
    from ml_core.serving.backends.calibrate import calibrate, record_path

    source = _source(options.model)
    threads = options.threads or os.cpu_count() or 1
    try:
        found = calibrate(source, device=options.device, threads=threads, cache=options.cache)
    except BackendError as error:
        raise ConfigError(str(error)) from error
    if options.cache is not None:
        found.write(record_path(source, options.cache))
    sys.stderr.write(f"{'backend':<10} {'texts/s':>9} {'tokens/s':>10} {'cosine':>8} {'MB':>7}\n")
    for each in found.measured:
        if each.problem:
            sys.stderr.write(f"{each.kind:<10} {each.problem}\n")
            continue
        sys.stderr.write(
            f"{each.kind:<10} {each.texts_per_second:>9,.0f} {each.tokens_per_second:>10,.0f} "
            f"{each.cosine:>8.4f} {each.memory_bytes / 1e6:>7,.1f}\n"
        )
    sys.stderr.write(f"{found.chosen}: {found.why}\n")
    print_json(found.to_dict())
    return 0


def _source(model: str) -> Any:
    """The encoder of an artefact's directory or of a base model.

    Raises ArtifactError, BaseModelError, ConfigError for a model that is not served by a backend.
    """
    from ml_core.serving.backends.artifacts import split_artifact, split_base

    if not (Path(model) / MANIFEST).is_file():
        return split_base(model).source
    parts = split_artifact(Artifact.open(model))
    if parts is None:
        raise ConfigError(
            f"{model}: is more than an encoder and a linear layer, so it is served by torch alone"
        )
    return parts.source
