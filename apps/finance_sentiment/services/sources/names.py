"""The row of a source, by the name that its documents carry."""

from __future__ import annotations

import uuid
from collections.abc import Iterable

from apps.finance_sentiment.models import Source


def sources_ensure(*, names: Iterable[str]) -> dict[str, uuid.UUID]:
    """The ids of these sources; one that is not there yet is made as one that is pushed to.

    A source that was removed comes back with its next document.
    """
    # In order, so that two batches with common new names cannot wait for each other.
    wanted = sorted(set(names))
    known = _known(wanted)
    missing = [name for name in wanted if name not in known]
    if missing:
        Source.objects.bulk_create(
            [Source(name=name) for name in missing],
            ignore_conflicts=True,
        )
        known |= _known(missing)
    return known


def _known(names: list[str]) -> dict[str, uuid.UUID]:
    rows = list(Source.objects.filter(name__in=names).values_list("name", "id", "archived_at"))
    gone = [row_id for _name, row_id, archived_at in rows if archived_at is not None]
    if gone:
        Source.objects.filter(id__in=gone).update(archived_at=None)
    return {name: row_id for name, row_id, _archived_at in rows}
