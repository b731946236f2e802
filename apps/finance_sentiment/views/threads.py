"""Threads: what the sources tell of, whoever says it in whatever language; and the edits of a document."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views import View

from apps.finance_sentiment.models import Document, Story, Thread
from apps.finance_sentiment.selectors.threads import (
    ThreadQuery,
    thread_places,
    threads_find,
)
from apps.finance_sentiment.selectors.versions import document_edits
from apps.finance_sentiment.services.thread_edits import ThreadRefused, story_split, thread_merge
from apps.finance_sentiment.topics import topic_label
from rootstock.tenancy.pages import RequiresMixin
from rootstock.tenancy.permissions import Permission
from rootstock.web.timerange import time_range

LEAST_SOURCES = (2, 3, 5)


class ThreadsView(RequiresMixin, View):
    """What happened, and who tells of it?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest) -> HttpResponse:
        """Events in a range of time, the last told first."""
        span = time_range(request, default="24h")
        query = ThreadQuery(
            since=span.start,
            until=span.end,
            least_sources=_number(request.GET.get("least_sources", "")),
            language=request.GET.get("language", "").strip()[:8] or None,
            q=request.GET.get("q", "").replace("\x00", "").strip()[:200] or None,
        )
        page = Paginator(threads_find(query), 50).get_page(request.GET.get("page"))
        for thread in page:
            _label(thread)
        context = {
            "page": page,
            "range": span,
            "query": query,
            "least": LEAST_SOURCES,
            "has_any": bool(page.object_list) or Thread.objects.exists(),
        }
        return render(request, "finance_sentiment/threads.html", context)


class ThreadView(RequiresMixin, View):
    """Who told it first, who confirms it, and does everybody mean the same?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest, thread_id: uuid.UUID) -> HttpResponse:
        """The stories of a thread with their documents, in order of time."""
        thread = get_object_or_404(Thread, pk=thread_id)
        _label(thread)
        context = {
            "thread": thread,
            "places": thread_places(thread),
            "may_write": Permission.FINANCE_WRITE in request.granted,  # type: ignore[attr-defined]
        }
        return render(request, "finance_sentiment/thread.html", context)

    def post(self, request: HttpRequest, thread_id: uuid.UUID) -> HttpResponse:
        """Take a story out, or another thread in."""
        thread = get_object_or_404(Thread, pk=thread_id)
        if Permission.FINANCE_WRITE not in request.granted:  # type: ignore[attr-defined]
            messages.error(request, _("Your role does not include this."))
            return redirect("finance:thread", thread_id)
        try:
            if "story" in request.POST:
                story = get_object_or_404(Story, pk=_id(request.POST["story"]))
                story_split(thread=thread, story=story, actor=request.actor)  # type: ignore[attr-defined]
                messages.success(request, _("The story has a thread of its own now."))
            else:
                other = get_object_or_404(Thread, pk=_id(request.POST.get("thread", "")))
                thread_merge(thread=thread, other=other, actor=request.actor)  # type: ignore[attr-defined]
                messages.success(request, _("The two threads are one now."))
        except ThreadRefused as error:
            messages.error(request, str(error))
        return redirect("finance:thread", thread_id)


class DocumentEditsView(RequiresMixin, View):
    """What did it say before?"""

    permission = Permission.FINANCE_READ

    def get(self, request: HttpRequest, document_id: uuid.UUID) -> HttpResponse:
        """The edits of a document, the latest first, with what each changed."""
        document = get_object_or_404(Document.objects.select_related("story"), pk=document_id)
        place = getattr(document.story, "place", None)
        context: dict[str, Any] = {
            "document": document,
            "edits": list(document_edits(document)),
            "thread_id": place.thread_id if place else None,
        }
        return render(request, "finance_sentiment/edits.html", context)


def _label(thread: Thread) -> None:
    thread.topic_labels = [topic_label(topic) for topic in thread.topics]  # type: ignore[attr-defined]


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _id(text: str) -> uuid.UUID:
    """The id, or one that nothing has."""
    try:
        return uuid.UUID(text.strip().rstrip("/").rpartition("/")[2])
    except ValueError:
        return uuid.UUID(int=0)
