"""From labels to frozen data sets, and the text that the encoder reads before: by the model hub's own services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.finance_sentiment.inference import SUBJECT
from apps.finance_sentiment.model_rows import DOCUMENTS
from apps.finance_sentiment.models import Document, Question
from apps.finance_sentiment.selectors.loop import LESSON_TASKS, lesson_dataset, text_dataset
from apps.finance_sentiment.services.loop.rows import SOURCES
from rootstock.common.actors import Actor
from rootstock.modelhub.inference import base_languages
from rootstock.modelhub.models import Dataset, DatasetExample, Snapshot
from rootstock.modelhub.services import (
    AddResult,
    dataset_create,
    example_answer,
    example_delete,
    snapshot_create,
)
from rootstock.modelhub.services.sources import source_pull
from rootstock.modelhub.sources import SourceRow

_TITLES: Final = {
    Question.SENTIMENT: gettext_noop("Public opinion: sentiment"),
    Question.TOPIC: gettext_noop("Public opinion: topics"),
    Question.ENTITY: gettext_noop("Public opinion: sentiment towards entities"),
}
_TEXT_TITLE: Final = gettext_noop("Public opinion: collected text")
# Rows that validation and the gate get at most, each: hundreds decide, thousands are better learned from.
_JUDGED_ROWS: Final = 500
_LEAST_JUDGED: Final = 0.1


def labels_collect(*, question: str, actor: Actor) -> tuple[Dataset, AddResult]:
    """Bring what people said since the last time into the data set of a question, which is made on first use.

    A row that was there has what people say now; its former answer stays in its history.
    """
    source = SOURCES[Question(question)]
    dataset = lesson_dataset(question) or dataset_create(
        name=_(_TITLES[Question(question)]),
        actor=actor,
        task=LESSON_TASKS[Question(question)][0],
        language=_language(),
        description=_("What people said in the monitor."),
    )
    passed: list[SourceRow] = []

    def noted(task: str, cursor: str) -> Iterator[SourceRow]:
        for row in source.rows(task, cursor):
            passed.append(row)
            # Without a place there is nothing to judge, and no row.
            if row.content.get("spans") != []:
                yield row

    result = source_pull(dataset=dataset, source=replace(source, rows=noted), actor=actor)
    for row in passed:
        _bring_up_to_date(dataset, row, source.key, actor)
    return dataset, result


def labels_freeze(*, dataset: Dataset, actor: Actor) -> Snapshot:
    """Freeze a data set: no text is in two parts, nor are two tellings of one story.

    Raises:
        ModelhubError: there are too few rows with an answer.
    """
    labelled = DatasetExample.objects.filter(dataset=dataset, labelled=True)
    judged = min(_LEAST_JUDGED, _JUDGED_ROWS / max(labelled.count(), 1))
    told = labelled.filter(metadata__has_key="story").exists()
    return snapshot_create(
        dataset=dataset,
        actor=actor,
        validation_fraction=judged,
        test_fraction=judged,
        group_by="story" if told else "",
    )


def text_collect(*, most: int, actor: Actor) -> Dataset:
    """Bring the newest documents into the data set of collected text, and keep the newest `most` there."""
    dataset = text_dataset() or dataset_create(
        name=_(_TEXT_TITLE),
        actor=actor,
        task="masked-language-model",
        language=_language(),
        description=_("What the monitor collected; the encoder reads it before it learns labels."),
    )
    oldest = _oldest(most)

    def newest(task: str, cursor: str) -> Iterator[SourceRow]:
        return DOCUMENTS.rows(task, max(cursor, oldest))

    source_pull(dataset=dataset, source=replace(DOCUMENTS, rows=newest), actor=actor)
    ids = list(
        DatasetExample.objects.filter(dataset=dataset)
        .order_by("-id")
        .values_list("pk", flat=True)[most:]
    )
    # Not Model.delete(): the application's role may not delete history, the database's cascade does.
    DatasetExample.objects.filter(pk__in=ids)._raw_delete("default")
    return dataset


def text_freeze(*, dataset: Dataset, actor: Actor) -> Snapshot:
    """Freeze the collected text.

    Raises:
        ModelhubError: there is too little of it.
    """
    return snapshot_create(
        dataset=dataset, actor=actor, validation_fraction=0.02, test_fraction=0.0
    )


def _bring_up_to_date(dataset: Dataset, row: SourceRow, source: str, actor: Actor) -> None:
    """The examples of a document have what people say now."""
    assert row.subject is not None  # noqa: S101 - every row of labels has one
    examples = DatasetExample.objects.filter(dataset=dataset)
    if "spans" not in row.content:
        answer = {key: row.content[key] for key in ("label", "labels") if key in row.content}
        for example in examples.filter(text=row.content["text"]):
            example_answer(example=example, answer=answer, actor=actor)
        return
    mine = examples.filter(source=source, subject_type=SUBJECT, subject_id=row.subject[1])
    for example in mine.select_related("dataset"):
        if example.content.get("spans") != row.content["spans"]:
            example_delete(example=example, actor=actor)
        else:
            example_answer(example=example, answer={"labels": row.content["labels"]}, actor=actor)


def _oldest(most: int) -> str:
    """The cursor before the newest `most` scored documents."""
    scored = Document.objects.filter(status=Document.Status.SCORED).order_by("-scored_at", "-id")
    last = scored[most : most + 1].first()
    return f"{last.scored_at.isoformat()} {last.pk}" if last and last.scored_at else ""


def _language() -> str:
    """Of a new data set: all that a base of the installation reads."""
    languages = base_languages()
    return "mixed" if len(languages) > 1 else languages[0]
