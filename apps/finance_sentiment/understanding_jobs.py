"""Long work on what is understood of documents: reading stored ones anew, looking for new topics."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_noop

from apps.finance_sentiment.inference.discovery import groups_find
from apps.finance_sentiment.models import Document
from apps.finance_sentiment.services.relinking import KIND as RELINK
from apps.finance_sentiment.services.relinking import documents_relink
from apps.finance_sentiment.services.topics import (
    DISCOVERY,
    proposals_store,
    uncovered_documents,
)
from rootstock.jobs.runner import JobContext, job_kind


@job_kind(RELINK, resumable=True)
def relink(context: JobContext) -> dict[str, Any]:
    """Read every stored document anew by the present names and topics; again from the start when taken over."""
    with context.scope():
        total = Document.objects.count()
    done, changed, after = 0, 0, None
    while True:
        with context.scope():
            count, after, changes = documents_relink(after=after)
        if not count:
            return {"documents": done, "changes": changed}
        done, changed = done + count, changed + changes
        context.progress(
            fraction=min(1.0, done / max(1, total)),
            phase=gettext_noop("reading documents"),
            message=f"{done} / {total}",
        )


@job_kind(DISCOVERY)
def discover(context: JobContext) -> dict[str, Any]:
    """Group what no topic covers, and propose the groups as topics."""
    with context.scope():
        documents = uncovered_documents(days=context.params["days"])
    context.progress(fraction=0.2, phase=gettext_noop("grouping documents"))
    groups, model = groups_find([each.text for each in documents]) if documents else ([], "")
    context.progress(fraction=0.9, phase=gettext_noop("writing proposals"))
    with context.scope():
        count = proposals_store(documents=documents, groups=groups, model=model)
    return {"documents": len(documents), "proposals": count}
