"""The command line: ``python -m ml_core train | together | evaluate | predict | serve | …``, see `ml_core.commands`.

The last line on stdout is one JSON object (``predict``: one per text). Exit codes: 0 done, 2 bad input
(one line on stderr says what), 130 stopped by SIGTERM or SIGINT, 137 memory limit.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ml_core.commands import (
    calibrate,
    compress,
    drift,
    evaluate,
    mine_negatives,
    options,
    predict,
    pretrain,
    robustness,
    search,
    select,
    serve,
    together,
    train,
)
from ml_core.commands.console import EXIT_BAD_INPUT, EXIT_STOPPED, fail
from ml_core.data import DataError
from ml_core.models import BaseModelError
from ml_core.registry import ArtifactError
from ml_core.training import ConfigError, TrainingCancelled, TrainingError

# In the order of ``--help``.
_COMMANDS = (
    train,
    together,
    search,
    pretrain,
    compress,
    evaluate,
    robustness,
    drift,
    predict,
    select,
    mine_negatives,
    options,
    calibrate,
    serve,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        code: int = chosen.run(chosen)
    except (DataError, ConfigError, BaseModelError, ArtifactError, TrainingError) as error:
        return fail(str(error), EXIT_BAD_INPUT)
    except ValueError as error:
        # A device that is not there, an address that is taken.
        return fail(str(error), EXIT_BAD_INPUT)
    except TrainingCancelled as error:
        return fail(str(error), EXIT_STOPPED)
    except BrokenPipeError:
        # The reader of our output has gone; python must not complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ml_core", description="Fine-tune, evaluate, apply and serve text models."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in _COMMANDS:
        command.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
