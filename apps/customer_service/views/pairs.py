"""Found in dialogues: which answers do our people give, and which should the assistant give?"""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.customer_service.models import Conversation, MinedPair
from apps.customer_service.selectors.pairs import (
    answer_joined,
    intents_known,
    pair_counts,
    pair_get,
    pairs,
)
from apps.customer_service.services.learning.mining import MINE_JOB, mining_job, mining_start
from apps.customer_service.services.learning.pair_review import (
    pair_accept,
    pair_edit,
    pair_reject,
    pairs_decide,
)
from apps.customer_service.views.learning_tabs import section_tabs
from rootstock.common.problems import Problem
from rootstock.jobs.selectors import job_list
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

PAGE = 25


class PairForm(forms.Form):
    """A pair as a person would have it."""

    question = forms.CharField(label=_("Question"), max_length=1000)
    variants = forms.CharField(
        label=_("Other ways to ask"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One a line."),
    )
    reply = forms.CharField(
        label=_("Answer"), max_length=20_000, widget=forms.Textarea(attrs={"rows": 8})
    )
    intent = forms.CharField(
        label=_("Intent"),
        required=False,
        max_length=120,
        help_text=_(
            "Of a prepared answer: the questions join it. A new name, or none: it becomes an answer."
        ),
        widget=forms.TextInput(attrs={"list": "intents", "autocomplete": "off", "class": "mono"}),
    )

    def clean_variants(self) -> list[str]:
        """The lines."""
        lines = self.cleaned_data["variants"].splitlines()
        return [line.strip() for line in lines if line.strip()]


@requires(Permission.SERVICE_READ)
@require_GET
def pair_list(request: PageRequest) -> HttpResponse:
    """What waits for a word, the best first; or what was decided."""
    state = request.GET.get("state", MinedPair.State.PROPOSED)
    if state not in MinedPair.State.values:
        state = str(MinedPair.State.PROPOSED)
    search, language = request.GET.get("q", "").strip()[:200], request.GET.get("language", "")[:10]
    rows = pairs(state=state, search=search, language=language).order_by("-score", "-pk")
    counts = pair_counts()
    context = {
        "page": Paginator(rows, PAGE).get_page(request.GET.get("page")),
        "states": [(value, label, counts[value]) for value, label in MinedPair.State.choices],
        "state": state,
        "search": search,
        "language": language,
        "any": any(counts.values()),
        "dialogues": Conversation.objects.filter(status="resolved").exists(),
        "tabs": section_tabs(),
        "may_change": Permission.SERVICE_WRITE in request.granted,
        **_progress(),
    }
    return render(request, "customer_service/learning/pairs.html", context)


@requires(Permission.SERVICE_WRITE)
@require_POST
def pairs_find(request: PageRequest) -> HttpResponse:
    """Read the dialogues."""
    try:
        mining_start(actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return redirect("service:pairs")


@requires(Permission.SERVICE_READ)
@require_GET
def pairs_progress(request: PageRequest) -> HttpResponse:
    """How far the reading is; when it is done, the page is loaded anew."""
    context = _progress()
    response = render(request, "customer_service/learning/_pairs_progress.html", context)
    if context["job"] is None:
        response["HX-Refresh"] = "true"
    return response


@requires(Permission.SERVICE_WRITE)
@require_POST
def pairs_decided(request: PageRequest) -> HttpResponse:
    """Take over or reject the ticked ones."""
    ticked = []
    for value in request.POST.getlist("pair"):
        try:
            ticked.append(uuid.UUID(value))
        except ValueError:
            continue
    accept = request.POST.get("do") == "accept"
    decided = pairs_decide(pairs=ticked, accept=accept, actor=request.actor)
    count = len(decided.done)
    if count and accept:
        text = ngettext(
            "%(count)s pair is in the draft of the answers now. Visitors get it with the next release.",
            "%(count)s pairs are in the draft of the answers now. Visitors get them with the next release.",
            count,
        )
        messages.success(request, text % {"count": count})
    elif count:
        text = ngettext("%(count)s pair rejected.", "%(count)s pairs rejected.", count)
        messages.success(request, text % {"count": count})
    for pair, reason in decided.refused[:5]:
        messages.error(request, f"“{pair.question[:60]}”: {reason}")
    return redirect("service:pairs")


@requires(Permission.SERVICE_READ)
@require_http_methods(["GET", "POST"])
def pair_page(request: PageRequest, pair_id: uuid.UUID) -> HttpResponse:
    """One pair: read, changed, decided on."""
    pair = pair_get(pair_id)
    form = PairForm(request.POST or None, initial=_initial(pair))
    status = 200
    if request.method == "POST":
        if Permission.SERVICE_WRITE not in request.granted:
            raise PermissionDenied
        if request.POST.get("do") == "reject":
            return _rejected(request, pair)
        status = 422
        if form.is_valid():
            try:
                done = _saved(request, pair, form)
            except Problem as problem:
                show_problem(form, problem)
            else:
                return done
    context: dict[str, Any] = {
        "pair": pair,
        "form": form,
        "joined": answer_joined(pair),
        "intents": intents_known(),
        "tabs": section_tabs(),
        "may_change": Permission.SERVICE_WRITE in request.granted,
    }
    return render(request, "customer_service/learning/pair.html", context, status=status)


def _saved(request: PageRequest, pair: MinedPair, form: PairForm) -> HttpResponse:
    changed = [name for name in form.changed_data if name in form.cleaned_data]
    if changed:
        pair = pair_edit(pair=pair, values={name: form.cleaned_data[name] for name in changed})
    if request.POST.get("do") == "accept":
        pair_accept(pair=pair, actor=request.actor)
        messages.success(
            request,
            gettext(
                "It is in the draft of the answers now. Visitors get it with the next release."
            ),
        )
        return _next()
    messages.success(request, gettext("Saved."))
    return redirect("service:pair", pair.pk)


def _rejected(request: PageRequest, pair: MinedPair) -> HttpResponse:
    try:
        pair_reject(pair=pair, actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
    return _next()


def _next() -> HttpResponse:
    """On to the best of those that wait."""
    following = pairs(state=MinedPair.State.PROPOSED).order_by("-score", "-pk").first()
    return redirect("service:pair", following.pk) if following else redirect("service:pairs")


def _initial(pair: MinedPair) -> dict[str, str]:
    return {
        "question": pair.question,
        "variants": "\n".join(pair.variants),
        "reply": pair.reply,
        "intent": pair.intent,
    }


def _progress() -> dict[str, Any]:
    return {"job": mining_job(), "last": job_list(kind=MINE_JOB).first()}
