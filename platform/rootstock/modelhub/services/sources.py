"""Fill a data set from the rows of an application; pulled again, only what is new is added."""

from __future__ import annotations

import itertools

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from ml_core.data import RowError
from rootstock.common.actors import Actor
from rootstock.modelhub.errors import ModelhubError
from rootstock.modelhub.models import Dataset, DatasetSource
from rootstock.modelhub.services.events import authored
from rootstock.modelhub.services.examples import (
    AddResult,
    NewExample,
    example_new,
    examples_added,
    examples_insert,
)
from rootstock.modelhub.sources import RowSource

_BATCH_ROWS = 1000
MAX_ROWS = 100_000


def source_pull(*, dataset: Dataset, source: RowSource, actor: Actor) -> AddResult:
    """Add the rows behind where the last pull ended, at most 100,000; pull again for more.

    Rows that are there already stay as they are: an answer that a person gave here is not undone.

    Raises:
        ModelhubError: the source has no rows of the data set's task.
    """
    if dataset.task not in source.tasks:
        raise ModelhubError(
            "wrong-task", _("“%(source)s” has no rows of this task.") % {"source": source.label}
        )
    DatasetSource.objects.get_or_create(dataset=dataset, key=source.key, defaults=authored(actor))
    state = DatasetSource.objects.select_for_update().get(dataset=dataset, key=source.key)
    result = AddResult()
    rows = itertools.islice(source.rows(dataset.task, state.cursor), MAX_ROWS)
    while batch := list(itertools.islice(rows, _BATCH_ROWS)):
        made = []
        for row in batch:
            try:
                example = NewExample(
                    content=row.content,
                    metadata=row.metadata,
                    uncertainty=row.uncertainty,
                    subject=row.subject,
                )
                made.append(example_new(dataset, example, source=source.key))
            except RowError:
                result.refused += 1  # too long a text, most likely; counted and left out
        examples_insert(dataset, made, result)
        state.cursor = batch[-1].cursor
    state.pulled_at = timezone.now()
    state.save()
    DatasetSource.objects.filter(pk=state.pk).update(added=F("added") + result.added)
    examples_added(dataset=dataset, result=result, actor=actor, source=source.key)
    return result
