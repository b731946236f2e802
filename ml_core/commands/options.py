"""``options``: every option of ``train``, as a Markdown page."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ml_core.training.config import options_page


def add(commands: Any) -> None:
    """Add the parser of ``options``."""
    command = commands.add_parser("options", help="every option of train, as a Markdown page")
    command.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the page of options."""
    sys.stdout.write(options_page())
    return 0
