"""What versions answered row by row: files beside the artefacts, found by version, snapshot and part."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rootstock.modelhub.models import AnswerSheet, ModelVersion, Snapshot
from rootstock.modelhub.storage import file_keep, relative_path, sha256_file

# The name under which the evaluation's process writes them in its directory.
ANSWERS_FILE = "answers.jsonl.gz"


@dataclass(frozen=True)
class KeptAnswers:
    """A file of answers in its place."""

    path: str
    sha256: str
    size_bytes: int


def answers_keep(organisation_id: uuid.UUID, file: Path) -> KeptAnswers | None:
    """Move what an evaluation wrote to where it is kept; None when its task has no answers row by row.

    Call it outside a transaction: it may have to be copied to a store.

    Raises:
        StoreUnavailable: the store cannot be reached or refuses us.
    """
    if not file.is_file():
        return None
    sha256 = sha256_file(file)
    path = relative_path(organisation_id, "answers", f"{sha256}.jsonl.gz")
    size = file.stat().st_size
    file_keep(file, path)
    return KeptAnswers(path, sha256, size)


def answers_unused(paths: Iterable[str]) -> list[str]:
    """Those of these files that no sheet names any more; equal answers are one file."""
    wanted = set(paths)
    kept = AnswerSheet.objects.filter(path__in=wanted).values_list("path", flat=True)
    return sorted(wanted - set(kept))


def answers_store(
    *, version: ModelVersion, snapshot: Snapshot, split: str, kept: KeptAnswers | None
) -> AnswerSheet | None:
    """Note whose answers they are, in place of earlier ones of the same."""
    mine = AnswerSheet.objects.filter(version=version, snapshot=snapshot, split=split)
    if kept is None:
        mine.delete()
        return None
    sheet, _made = AnswerSheet.objects.update_or_create(
        version=version,
        snapshot=snapshot,
        split=split,
        defaults={"path": kept.path, "sha256": kept.sha256, "size_bytes": kept.size_bytes},
    )
    return sheet
