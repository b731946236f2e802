"""Carry an import out in a worker: chunk by chunk, telling how far it is."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from rootstock.common.actors import Actor
from rootstock.modelhub.models import DatasetImport
from rootstock.modelhub.services.imports import import_run
from rootstock.modelhub.storage import absolute_path

_READ = 1 << 20


def execute_import(
    *,
    import_id: uuid.UUID,
    scope: Callable[[], AbstractContextManager[Any]],
    on_progress: Callable[..., None],
) -> dict[str, Any]:
    """Read the staged file; called again after a crash it goes on behind the last stored chunk.

    Raises:
        ModelhubError: the file as a whole cannot be used.
    """
    with scope():
        started = DatasetImport.objects.get(pk=import_id)
    if started.finished_at is None:
        lines = _count_lines(absolute_path(started.path))

        def tell(rows: int) -> None:
            on_progress(
                fraction=min(0.99, rows / lines) if lines else None,
                phase="import",
                message=f"{rows:,}",
            )

        kind: Any = started.actor_kind
        actor = Actor(kind, started.actor_id, started.actor_label)
        import_run(started, actor=actor, scope=scope, on_progress=tell)
    return {"added": started.added, "duplicates": started.duplicates, "refused": started.refused}


def _count_lines(path: Path) -> int:
    """About how many rows there are, for the bar; 0 where lines are no rows."""
    if path.suffix.lower() in (".parquet", ".zip"):
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(_READ), b""))
