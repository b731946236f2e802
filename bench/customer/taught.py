"""The process of the benchmark of intents: `python -m bench.customer.taught DIRECTORY ROWS`. Prints JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import django

django.setup()

from django.utils import timezone  # noqa: E402

from apps.customer_service.inference.understanding import INTENT  # noqa: E402
from apps.customer_service.services.learning.dialogue_files import row_lines  # noqa: E402
from apps.customer_service.services.learning.dialogue_imports import dialogues_import  # noqa: E402
from apps.customer_service.services.learning.dialogue_lines import DialogueLine  # noqa: E402
from apps.customer_service.services.learning.recipes import RECIPES  # noqa: E402
from apps.customer_service.services.learning.teaching import (  # noqa: E402
    lesson_collect,
    lesson_train,
)
from rootstock.common.actors import SYSTEM  # noqa: E402
from rootstock.common.ids import uuid7  # noqa: E402
from rootstock.modelhub.models import DatasetExample  # noqa: E402
from rootstock.modelhub.runs import training_run_now  # noqa: E402
from rootstock.modelhub.storage import absolute_path  # noqa: E402
from rootstock.tenancy.models import Organisation  # noqa: E402
from rootstock.tenancy.scope import organisation_scope  # noqa: E402


def main(folder: Path, most: int) -> dict[str, Any]:
    """Import the rows of DIRECTORY/train.jsonl, take them over, train; what came of it."""
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    if most:
        # Of every intent some.
        rows = rows[:: max(1, len(rows) // most)]
    organisation = Organisation(name="Bench", slug=f"bench-{uuid7().hex[-8:]}", language="en")
    with organisation_scope(organisation.pk):
        organisation.save(force_insert=True)
    dialogues_import(organisation_id=organisation.pk, rows=_lines(rows))
    recipe = RECIPES[INTENT]
    with organisation_scope(organisation.pk):
        lesson_collect(recipe=recipe, actor=SYSTEM)
        labelled = DatasetExample.objects.filter(labelled=True).count()
        run = lesson_train(recipe=recipe, actor=SYSTEM, queue_job=False)
    version = training_run_now(run, lambda *_: None)
    return {
        "artifact": str(absolute_path(version.artifact_path)),
        "base": version.base,
        "trained_on": run.snapshot.split_counts["train"],
        "labelled": labelled,
        "given": len(rows),
    }


def _lines(rows: list[dict[str, str]]) -> Iterator[DialogueLine]:
    """A question and what it was answered, as files of them say it."""
    for number, row in enumerate(rows):
        told = {
            "question": row["text"],
            "answer": f"That is {row['label']}.",
            "intent": row["label"],
        }
        told |= {"language": "en", "id": str(number)}
        yield from row_lines(told, line=number, zone=UTC, now=timezone.now())


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
