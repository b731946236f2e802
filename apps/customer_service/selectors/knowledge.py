"""What the pages of the knowledge show: sources with their states, documents with their versions, releases in words."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.http import Http404

from apps.customer_service.models import Answer, Document, EvaluationRun, Passage, Release, Source
from apps.customer_service.selectors.answering import collection_ids
from rootstock.jobs.models import TERMINAL, Job
from rootstock.vectors.selectors import collection_get, overview

SYNC_JOB = "service.sync"
WAITING = (Document.State.WAITING, Document.State.READING)


@dataclass(frozen=True)
class SourceRow:
    """A source in the list. `state`: "reading", "failed", "partly", "expired", "empty", "ready"; `reason` in words."""

    source: Source
    documents: int
    passages: int
    state: str
    reason: str


def sources_find(*, q: str = "", kind: str = "", removed: bool = False) -> QuerySet[Source]:
    """Sources, newest first."""
    found = Source.objects.filter(removed_at__isnull=not removed)
    if kind in Source.Kind.values:
        found = found.filter(kind=kind)
    if q:
        found = found.filter(Q(title__icontains=q) | Q(url__icontains=q))
    return found.order_by("-pk")


def source_rows(sources: Iterable[Source]) -> list[SourceRow]:
    """The sources with how they stand."""
    wanted = list(sources)
    newest = (
        Document.objects.filter(source__in=wanted)
        .order_by("source_id", "key", "-version")
        .distinct("source_id", "key")
    )
    states: dict[uuid.UUID, Counter[str]] = {}
    passages: Counter[uuid.UUID] = Counter()
    reasons: dict[uuid.UUID, str] = {}
    for document in newest.defer("notes"):
        states.setdefault(document.source_id, Counter())[document.state] += 1
        passages[document.source_id] += document.passage_count
        if document.state == Document.State.FAILED:
            reasons.setdefault(document.source_id, document.reason)
    return [
        _row(
            source,
            states.get(source.pk, Counter()),
            passages[source.pk],
            reasons.get(source.pk, ""),
        )
        for source in wanted
    ]


def _row(source: Source, states: Counter[str], passages: int, reason: str) -> SourceRow:
    failed = states[Document.State.FAILED]
    if any(states[state] for state in WAITING):
        state = "reading"
    elif source.expired:
        state = "expired"
    elif failed and failed == states.total():
        state = "failed"
    elif failed or source.problem:
        state = "partly" if states.total() else "failed"
    else:
        state = "ready" if states.total() else "empty"
    return SourceRow(source, states.total(), passages, state, source.reason or reason)


def source_row(source: Source) -> SourceRow:
    """One source with how it stands."""
    return source_rows([source])[0]


def source_get(source_id: uuid.UUID | str) -> Source:
    """One source, removed or not.

    Raises:
        Http404: there is none.
    """
    source = Source.objects.filter(pk=source_id).first()
    if source is None:
        raise Http404("no such source")
    return source


def source_job(source: Source) -> Job | None:
    """The job that visits or reads the source at the moment."""
    jobs = Job.objects.filter(kind=SYNC_JOB, params__source=str(source.pk))
    return jobs.exclude(state__in=TERMINAL).order_by("-pk").first()


def source_jobs(sources: Iterable[Source]) -> dict[uuid.UUID, Job]:
    """The jobs that visit or read these sources at the moment."""
    ids = {str(source.pk): source.pk for source in sources}
    jobs = Job.objects.filter(kind=SYNC_JOB, params__source__in=list(ids))
    return {
        ids[job.params["source"]]: job for job in jobs.exclude(state__in=TERMINAL).order_by("pk")
    }


def documents_newest(source: Source, *, state: str = "") -> QuerySet[Document]:
    """The newest version of each file or page, those in a state only if one is named."""
    newest = source.documents.order_by("key", "-version").distinct("key")
    if state not in Document.State.values:
        return newest
    return Document.objects.filter(pk__in=newest.values("pk"), state=state).order_by("key")


def documents_find(*, source: str = "", state: str = "") -> QuerySet[Document]:
    """All versions of all documents of sources that are not removed."""
    found = Document.objects.filter(source__removed_at=None).select_related("source")
    if source:
        found = found.filter(source_id=source)
    return found.filter(state=state) if state else found


def document_get(document_id: uuid.UUID | str) -> Document:
    """One version of a document.

    Raises:
        Http404: there is none.
    """
    document = Document.objects.select_related("source").filter(pk=document_id).first()
    if document is None:
        raise Http404("no such document")
    return document


def document_versions(document: Document) -> list[Document]:
    """All versions of the same file or page, the newest first."""
    found = Document.objects.filter(source_id=document.source_id, key=document.key)
    return list(found.order_by("-version"))


def passage_get(passage_id: uuid.UUID | str) -> Passage:
    """One passage.

    Raises:
        Http404: there is none.
    """
    passage = Passage.objects.filter(pk=passage_id).first()
    if passage is None:
        raise Http404("no such passage")
    return passage


def passages_rows(keys: Iterable[str]) -> dict[str, Passage]:
    """Passages with their documents and sources, by key."""
    found = Passage.objects.filter(pk__in=list(keys)).select_related("document__source")
    return {str(passage.pk): passage for passage in found}


def answers_find(*, q: str = "", state: str = "") -> QuerySet[Answer]:
    """Prepared answers, newest change first. `state`: "" for those of the draft, "live" or "removed"."""
    found = Answer.objects.filter(removed_at__isnull=state != "removed")
    if state == "live":
        found = found.filter(live=True)
    if q:
        found = found.filter(
            Q(title__icontains=q)
            | Q(intent__icontains=q)
            | Q(questions__icontains=q)
            | Q(bodies__icontains=q)
        )
    return found.order_by("-updated_at", "-pk")


def answer_get(answer_id: uuid.UUID | str) -> Answer:
    """One prepared answer.

    Raises:
        Http404: there is none.
    """
    answer = Answer.objects.filter(pk=answer_id).first()
    if answer is None:
        raise Http404("no such answer")
    return answer


def audiences_known() -> list[str]:
    """Every audience that some source or answer is for."""
    rows = [
        *Source.objects.filter(removed_at=None).values_list("audiences", flat=True),
        *Answer.objects.filter(removed_at=None).values_list("audiences", flat=True),
    ]
    return sorted({name for row in rows for name in row} | {"public"})


def vectors_waiting() -> int:
    """Texts of the knowledge that are found by words already and by meaning soon."""

    rows = [overview(collection_get(each)) for each in collection_ids().values()]
    return sum(row.waiting for row in rows if row.active is not None)


@dataclass(frozen=True)
class Change:
    """A line of a difference. `verb`: "added", "changed" or "removed"; `kind`: "document" or "answer"."""

    verb: str
    kind: str
    title: str
    id: str


def changes_told(changes: dict[str, Any], *, most: int = 200) -> list[Change]:
    """The changes of a release with the names of things."""
    documents, answers = changes.get("documents", [[], []]), changes.get("answers", [[], [], []])
    titles = {
        str(pk): f"{title or key} v{version}"
        for pk, title, key, version in Document.objects.filter(
            pk__in=[each for ids in documents for each in ids[:most]]
        ).values_list("pk", "title", "key", "version")
    }
    titles |= {
        str(pk): title
        for pk, title in Answer.objects.filter(
            pk__in=[each for ids in answers for each in ids[:most]]
        ).values_list("pk", "title")
    }
    told = [
        Change(verb, kind, titles.get(each, ""), each if each in titles else "")
        for kind, groups, verbs in (
            ("document", documents, ("added", "removed")),
            ("answer", answers, ("added", "changed", "removed")),
        )
        for verb, ids in zip(verbs, groups, strict=True)
        for each in ids[:most]
    ]
    return told[:most]


def releases_all() -> QuerySet[Release]:
    """The releases, newest first, without what they hold."""
    return (
        Release.objects.defer("documents", "answers")
        .select_related("evaluation")
        .order_by("-number")
    )


def release_get(number: int) -> Release:
    """One release.

    Raises:
        Http404: there is none.
    """
    release = Release.objects.select_related("evaluation").filter(number=number).first()
    if release is None:
        raise Http404("no such release")
    return release


def run_newest() -> EvaluationRun | None:
    """The newest evaluation, finished or not."""
    return EvaluationRun.objects.select_related("baseline").order_by("-pk").first()


def source_counts() -> dict[str, int]:
    """How much there is: sources, documents ready, passages."""
    ready = Document.objects.filter(state=Document.State.READY, source__removed_at=None)
    figures = ready.aggregate(documents=Count("pk"))
    return {
        "sources": Source.objects.filter(removed_at=None).count(),
        "documents": figures["documents"],
        "passages": Passage.objects.filter(document__in=ready, hidden=False).count(),
    }
