"""What is read of data sets of any task."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.db import connection

from rootstock.modelhub.models import Dataset, DatasetExample, DatasetSource, Task
from rootstock.modelhub.services.examples import entities
from rootstock.modelhub.sources import sources_for
from rootstock.tenancy.permissions import Permission


def source_list(dataset: Dataset, granted: frozenset[Permission]) -> list[dict[str, Any]]:
    """What applications offer for a data set, with how far it was taken."""
    taken = {row.key: row for row in DatasetSource.objects.filter(dataset=dataset)}
    return [
        {
            "key": source.key,
            "label": source.label,
            "description": source.description,
            "pulled_at": taken[source.key].pulled_at if source.key in taken else None,
            "added": taken[source.key].added if source.key in taken else 0,
        }
        for source in sources_for(dataset.task, granted)
    ]


def answer_distribution(dataset: Dataset) -> dict[str, int]:
    """How often each label, or kind of entity, occurs, most frequent first; without examples that have no answer."""
    if dataset.task in (Task.MULTI_LABEL_CLASSIFICATION, Task.SPAN_CLASSIFICATION):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT value, count(*) FROM modelhub_datasetexample,"
                " jsonb_array_elements_text(content -> 'labels') AS value"
                " WHERE dataset_id = %s AND labelled GROUP BY value ORDER BY count(*) DESC, value",
                [dataset.pk],
            )
            return dict(cursor.fetchall())
    if dataset.task == Task.TOKEN_CLASSIFICATION:
        kinds: Counter[str] = Counter()
        rows = DatasetExample.objects.filter(dataset=dataset, labelled=True)
        for content in rows.values_list("content", flat=True).iterator(chunk_size=2000):
            kinds.update(kind for kind, _text in entities(content["tokens"], content["tags"]))
        return dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0])))
    return {}
