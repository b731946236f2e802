"""``mine-negatives``: give pairs of texts hard negatives from a corpus."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ml_core.commands.console import positive, print_json
from ml_core.hard_negatives import mine_negatives_file


def add(commands: Any) -> None:
    """Add the parser of ``mine-negatives``."""
    command = commands.add_parser(
        "mine-negatives", help="give pairs of texts hard negatives from a corpus"
    )
    command.set_defaults(run=run)
    command.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="rows of anchor and positive"
    )
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help="rows to write")
    command.add_argument(
        "--corpus", type=Path, metavar="FILE", help="rows of text; unset: the positives of --data"
    )
    command.add_argument(
        "--model",
        default="auto",
        metavar="NAME",
        help="artefact of text-embedding, or a base, that says what is near (default %(default)s: by language)",
    )
    command.add_argument(
        "--count", type=positive, default=1, metavar="N", help="negatives of a pair, at most"
    )
    command.add_argument(
        "--depth", type=positive, default=50, metavar="N", help="nearest texts that are looked at"
    )
    command.add_argument(
        "--margin",
        type=float,
        default=0.05,
        metavar="X",
        help="how much farther than the positive it must be, in cosines (default %(default)s)",
    )
    command.add_argument("--max-length", type=positive, default=256, metavar="N", help="tokens")
    command.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")


def run(options: argparse.Namespace) -> int:
    """Write the pairs with their negatives, and print how many have some."""
    mined = mine_negatives_file(
        options.data,
        options.out,
        corpus=options.corpus,
        model=options.model,
        max_length=options.max_length,
        device=options.device,
        count=options.count,
        depth=options.depth,
        margin=options.margin,
    )
    print_json({"pairs": mined.pairs, "rows": len(mined.rows), "without": mined.without})
    return 0
