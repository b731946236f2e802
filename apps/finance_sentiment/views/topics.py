"""Pages of the taxonomy of topics and of what was discovered for it."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.finance_sentiment.models import Document, Topic, TopicProposal
from apps.finance_sentiment.selectors.trends import topic_figures
from apps.finance_sentiment.services.relinking import relink_start
from apps.finance_sentiment.services.topics import (
    TopicRefused,
    discovery_start,
    proposal_dismiss,
    proposal_promote,
    topic_create,
    topic_remove,
    topic_update,
)
from apps.finance_sentiment.services.vocabulary import vocabulary_ensure
from apps.finance_sentiment.views.entity_forms import TopicForm
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.web.timerange import time_range

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE
_DAYS = 30


@requires(READ)
@require_GET
def topic_list(request: HttpRequest) -> HttpResponse:
    """What are documents about, and what is missing?"""
    vocabulary_ensure()
    span = time_range(request, default="7d")
    figures = {row.topic: row for row in topic_figures(start=span.start, end=span.end)}
    topics = [(topic, figures.get(topic.slug)) for topic in Topic.objects.order_by("name")]
    topics.sort(key=lambda pair: -(pair[1].stories if pair[1] else 0))
    proposals = list(TopicProposal.objects.filter(state="open").order_by("-size", "-cohesion")[:30])
    wanted = [pk for proposal in proposals for pk in proposal.documents[:3]]
    titles = dict(Document.objects.filter(pk__in=wanted).values_list("pk", "title"))
    context = {
        "topics": topics,
        "range": span,
        "proposals": [
            (proposal, [titles[pk] for pk in proposal.documents[:3] if pk in titles])
            for proposal in proposals
        ],
        "may_write": WRITE in request.granted,  # type: ignore[attr-defined]
    }
    return render(request, "finance_sentiment/topics.html", context)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def topic_new(request: HttpRequest) -> HttpResponse:
    """Add a topic."""
    form = TopicForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        vocabulary_ensure()
        try:
            topic_create(actor=_actor(request), values=form.cleaned_data)
        except TopicRefused as error:
            form.add_error(error.field or None, str(error))
        else:
            return _changed(request)
    return _form(request, form)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def topic_edit(request: HttpRequest, topic_id: uuid.UUID) -> HttpResponse:
    """Change or retire a topic."""
    topic = get_object_or_404(Topic, pk=topic_id)
    form = TopicForm.of(topic, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            topic_update(topic=topic, actor=_actor(request), values=form.cleaned_data)
        except TopicRefused as error:
            form.add_error(error.field or None, str(error))
        else:
            return _changed(request)
    return _form(request, form, topic=topic)


@requires(WRITE)
@require_POST
def topic_delete(request: HttpRequest, topic_id: uuid.UUID) -> HttpResponse:
    """Take a topic out that a person has added."""
    topic = get_object_or_404(Topic, pk=topic_id)
    if request.POST.get("confirm") != topic.name:
        messages.error(request, _("The name was not typed as it is: nothing was removed."))
        return redirect("finance:topic", topic_id)
    try:
        topic_remove(topic=topic, actor=_actor(request))
    except TopicRefused as error:
        messages.error(request, str(error))
        return redirect("finance:topic", topic_id)
    return _changed(request)


@requires(WRITE)
@require_POST
def topic_discover(request: HttpRequest) -> HttpResponse:
    """Look for topics that are missing."""
    discovery_start(actor=_actor(request), days=_DAYS)
    messages.success(request, _("Looking for new topics. What is found appears here."))
    return redirect("finance:topics")


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def proposal_promote_page(request: HttpRequest, proposal_id: uuid.UUID) -> HttpResponse:
    """Make a proposal a topic."""
    proposal = get_object_or_404(TopicProposal, pk=proposal_id)
    name = ", ".join(proposal.terms[:2]).capitalize()
    initial = {
        "name": name,
        "slug": slugify(name)[:60],
        "terms": "\n".join(proposal.terms[:4]),
        "enabled": True,
    }
    form = TopicForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            proposal_promote(proposal=proposal, actor=_actor(request), values=form.cleaned_data)
        except TopicRefused as error:
            form.add_error(error.field or None, str(error))
        else:
            return _changed(request)
    documents = Document.objects.filter(pk__in=proposal.documents)
    return _form(request, form, proposal=proposal, documents=documents)


@requires(WRITE)
@require_POST
def proposal_dismiss_page(request: HttpRequest, proposal_id: uuid.UUID) -> HttpResponse:
    """Say that a proposal is no topic."""
    proposal = get_object_or_404(TopicProposal, pk=proposal_id)
    try:
        proposal_dismiss(proposal=proposal, actor=_actor(request))
    except TopicRefused as error:
        messages.info(request, str(error))
    return redirect("finance:topics")


def _changed(request: HttpRequest) -> HttpResponse:
    relink_start(actor=_actor(request), title=_("Read documents anew by the topics"))
    messages.success(request, _("Stored. Documents are being read anew by the topics."))
    return redirect("finance:topics")


def _form(request: HttpRequest, form: TopicForm, **more: Any) -> HttpResponse:
    status = 422 if form.errors else 200
    return render(request, "finance_sentiment/topic.html", {"form": form, **more}, status=status)


def _actor(request: HttpRequest) -> Any:
    return request.actor  # type: ignore[attr-defined]
