"""What the commands print, how they end, and what their arguments share."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from ml_core.evaluation.markdown import render

EXIT_BAD_INPUT = 2
EXIT_STOPPED = 130
EXIT_MEMORY = 137


def print_json(value: Any) -> None:
    """Print ``value`` as one line of JSON."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_report(report: Mapping[str, Any], *, markdown: bool) -> None:
    """Print an evaluation as one line of JSON, or as Markdown for people."""
    if markdown:
        sys.stdout.write(render(report) + "\n")
    else:
        print_json(report)


def fail(message: str, code: int) -> int:
    """Say on stderr, in one line, what went wrong; returns ``code``."""
    sys.stderr.write(f"error: {' '.join(message.split())}\n")
    sys.stderr.flush()
    return code


def add_markdown(command: argparse.ArgumentParser) -> None:
    """Add the flag of `print_report`."""
    command.add_argument(
        "--markdown", action="store_true", help="print the report for people, not as JSON"
    )


def positive(text: str) -> int:
    """A whole number above 0, as argparse wants it."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def not_negative(text: str) -> int:
    """A whole number, as argparse wants it."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def positive_number(text: str) -> float:
    """A number above 0, as argparse wants it."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return found
