"""Whether the figures of intents hold in the product: BANKING77 comes in by the import of dialogues, is taken over into
the data set, and is trained on by the button of the page Learning; the version is asked about the official test part.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from bench.harness import Progress, Row, fingerprint
from bench.installation import servers
from bench.training.data import banking77, write
from bench.training.runs import evaluate

_CODE = (
    "bench/customer/intents.py",
    "bench/customer/taught.py",
    "apps/customer_service/services/learning/recipes.py",
)


def configurations() -> list[dict[str, Any]]:
    """All training rows."""
    return [{"part": "intents", "rows": 0, "code": fingerprint(_CODE)}]


def measure(configuration: dict[str, Any], progress: Progress) -> list[Row]:
    """One row; `rows` of the configuration takes only so many of the training part (0: all), for a trial."""
    split = banking77()
    with tempfile.TemporaryDirectory(prefix="rootstock-intents-") as folder:
        # PostgreSQL runs as another user where we are root.
        Path(folder).chmod(0o755)
        write(split, Path(folder))
        artifacts = {"ROOTSTOCK_ARTIFACTS": f"{folder}/artifacts", "ROOTSTOCK_LOG_LEVEL": "ERROR"}
        with servers(Path(folder) / "var", progress, **artifacts) as running:
            progress("database ready")
            taught = running.run("-m", "bench.customer.taught", folder, str(configuration["rows"]))
        told = json.loads(taught.splitlines()[-1])
        report = evaluate(told["artifact"], Path(folder) / "test.jsonl")
    return [
        {
            "what": "BANKING77, official test part",
            "way": "import of dialogues, Learning, recipe of service.intent",
            "model": told["base"],
            "questions": len(split.test),
            "trained_on": told["trained_on"],
            "accuracy": report["accuracy"],
            "macro_f1": report["macro_f1"],
            "aim": "≥ .940",
        }
    ]
