"""How people are told of alerts: silences, routes, chains, channels, and each one's own wishes."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.finance_sentiment.models import (
    AlertRoute,
    EscalationChain,
    EscalationStep,
    NoticeSettings,
    Notification,
    Rule,
    Silence,
    SubjectKind,
)
from apps.finance_sentiment.selectors.alerting import (
    chains_with_steps,
    channels_visible,
    notices_of,
    silences_at,
)
from apps.finance_sentiment.services.alerting.chains import chain_delete, chain_save
from apps.finance_sentiment.services.alerting.channels import (
    channel_create,
    channel_delete,
    channel_test,
    channel_update,
)
from apps.finance_sentiment.services.alerting.muting import policy_get
from apps.finance_sentiment.services.alerting.notifying import notification_retry
from apps.finance_sentiment.services.alerting.people import notices_set
from apps.finance_sentiment.services.alerting.routes import (
    policy_update,
    route_delete,
    route_save,
)
from apps.finance_sentiment.services.alerts import alerts_silence, alerts_unsilence
from apps.finance_sentiment.views.alerting_forms import (
    ChainForm,
    ChannelForm,
    ChannelNewForm,
    NoticeForm,
    PolicyForm,
    RouteForm,
    SilenceForm,
)
from apps.finance_sentiment.views.alerts import tab_items
from rootstock.common.problems import Problem
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.models import Role
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE


# --- silences --------------------------------------------------------------------------------------


@requires(READ)
@require_GET
def silences(request: PageRequest) -> HttpResponse:
    """What is nobody told of, and until when?"""
    coming, past = silences_at(timezone.now())
    return _page(
        request,
        "silences",
        coming=[(row, matcher_words(row.matcher)) for row in coming],
        past=[(row, matcher_words(row.matcher)) for row in past],
    )


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def silence_new(request: PageRequest) -> HttpResponse:
    """Silence alerts for a while."""
    form = SilenceForm(request.POST or None)
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            alerts_silence(
                actor=request.actor,
                matcher=form.matcher(),
                ends_at=form.ends_at(),
                reason=form.cleaned_data["reason"],
            )

        if _saved(form, save):
            return redirect("finance:silences")
    return _page(request, "silence_new", form=form)


@requires(WRITE)
@require_POST
def silence_end(request: PageRequest, silence_id: uuid.UUID) -> HttpResponse:
    """End one before its time."""
    silence = get_object_or_404(Silence.objects.select_for_update(), pk=silence_id)
    _told(request, lambda: alerts_unsilence(silence=silence, actor=request.actor), _("Ended."))
    return redirect("finance:silences")


# --- routes ----------------------------------------------------------------------------------------


@requires(READ)
@require_http_methods(["GET", "POST"])
def routes(request: PageRequest) -> HttpResponse:
    """Which alerts take which chain?"""
    policy = PolicyForm(
        request.POST or None,
        initial={"wider_silences_narrower": policy_get().wider_silences_narrower},
    )
    if request.method == "POST" and WRITE in request.granted and policy.is_valid():
        policy_update(actor=request.actor, **policy.cleaned_data)
        messages.success(request, _("Saved."))
        return redirect("finance:routes")
    rows = AlertRoute.objects.select_related("chain").order_by("position", "id")
    return _page(
        request,
        "routes",
        rows=[(row, matcher_words(row.matcher), _group_words(row)) for row in rows],
        policy_form=policy,
    )


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def route_edit(request: PageRequest, alert_route_id: uuid.UUID | None = None) -> HttpResponse:
    """Make one, or change it."""
    route = get_object_or_404(AlertRoute, pk=alert_route_id) if alert_route_id else None
    initial = RouteForm.initial_route(route) if route else {"group_by": ["kind", "subject"]}
    form = RouteForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            route_save(route=route, actor=request.actor, **form.values())

        if _saved(form, save):
            messages.success(request, _("Saved."))
            return redirect("finance:routes")
    return _page(request, "route_edit", form=form, row=route)


@requires(WRITE)
@require_POST
def route_remove(request: PageRequest, alert_route_id: uuid.UUID) -> HttpResponse:
    """Forget one."""
    route = get_object_or_404(AlertRoute, pk=alert_route_id)
    _told(request, lambda: route_delete(route=route, actor=request.actor), _("Removed."))
    return redirect("finance:routes")


# --- chains ----------------------------------------------------------------------------------------


@requires(READ)
@require_GET
def chains(request: PageRequest) -> HttpResponse:
    """Who is told, and who next when nobody takes it?"""
    rows = [
        (row, [_step_words(step) for step in sorted(row.steps.all(), key=lambda s: s.position)])
        for row in chains_with_steps()
    ]
    return _page(request, "chains", rows=rows)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def chain_edit(request: PageRequest, escalation_chain_id: uuid.UUID | None = None) -> HttpResponse:
    """Put one together."""
    chain = None
    if escalation_chain_id:
        chain = get_object_or_404(EscalationChain, pk=escalation_chain_id)
    form = ChainForm(request.POST or None, chain=chain)
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            chain_save(chain=chain, actor=request.actor, **form.values())

        if _saved(form, save):
            messages.success(request, _("Saved."))
            return redirect("finance:chains")
    return _page(request, "chain_edit", form=form, row=chain)


@requires(WRITE)
@require_POST
def chain_remove(request: PageRequest, escalation_chain_id: uuid.UUID) -> HttpResponse:
    """Forget one."""
    chain = get_object_or_404(EscalationChain, pk=escalation_chain_id)
    _told(request, lambda: chain_delete(chain=chain, actor=request.actor), _("Removed."))
    return redirect("finance:chains")


# --- channels --------------------------------------------------------------------------------------


@requires(READ)
@require_GET
def channels(request: PageRequest) -> HttpResponse:
    """Where do messages go, and do they arrive?"""
    rows = channels_visible(request.user.pk).order_by("name")
    return _page(request, "channels", rows=rows)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def channel_new(request: PageRequest) -> HttpResponse:
    """Add one; the secret of a webhook is shown this once."""
    form = ChannelNewForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        values = dict(form.cleaned_data)
        owner_id = request.user.pk if values.pop("personal") else None
        made = []

        def save() -> None:
            made.append(channel_create(actor=request.actor, owner_id=owner_id, **values))

        if _saved(form, save):
            (channel,) = made
            if channel.medium == "webhook":
                return _page(request, "channel_secret", channel=channel)
            return redirect("finance:channel", channel.pk)
    return _page(request, "channel_new", form=form)


@requires(READ)
@require_http_methods(["GET", "POST"])
def channel(request: PageRequest, alert_channel_id: uuid.UUID) -> HttpResponse:
    """One channel: does it work, when does it rest, what was sent?"""
    row = get_object_or_404(channels_visible(request.user.pk), pk=alert_channel_id)
    form = ChannelForm(request.POST or None, initial=ChannelForm.initial_of(row))
    if request.method == "POST" and WRITE in request.granted and form.is_valid():
        had = row.secret

        def save() -> None:
            channel_update(channel=row, actor=request.actor, values=form.cleaned_data)

        if _saved(form, save):
            if row.medium == "webhook" and row.secret != had:
                return _page(request, "channel_secret", channel=row)
            messages.success(request, _("Saved."))
            return redirect("finance:channel", row.pk)
    sent = Notification.objects.filter(channel=row).order_by("-id")[:50]
    return _page(request, "channel", channel=row, form=form, notifications=sent)


@requires(WRITE)
@require_POST
def channel_try(request: PageRequest, alert_channel_id: uuid.UUID) -> HttpResponse:
    """Send a test."""
    row = get_object_or_404(channels_visible(request.user.pk), pk=alert_channel_id)
    _told(
        request,
        lambda: channel_test(channel=row, actor=request.actor),
        _("A test is on its way. Look below in a moment whether it was taken."),
    )
    return redirect("finance:channel", row.pk)


@requires(WRITE)
@require_POST
def channel_remove(request: PageRequest, alert_channel_id: uuid.UUID) -> HttpResponse:
    """Forget one."""
    row = get_object_or_404(channels_visible(request.user.pk), pk=alert_channel_id)
    if _told(request, lambda: channel_delete(channel=row, actor=request.actor), _("Removed.")):
        return redirect("finance:channels")
    return redirect("finance:channel", alert_channel_id)


@requires(WRITE)
@require_POST
def notification_again(request: PageRequest, notification_id: uuid.UUID) -> HttpResponse:
    """Send again what failed."""
    row = get_object_or_404(Notification.objects.select_for_update(), pk=notification_id)
    _told(request, lambda: notification_retry(notification=row), _("It is sent again."))
    if row.alerts:
        return redirect("finance:alert", row.alerts[0])
    return redirect("finance:channels")


# --- for me ----------------------------------------------------------------------------------------


@requires(READ)
@require_http_methods(["GET", "POST"])
def notices(request: PageRequest) -> HttpResponse:
    """How do I want to be told?"""
    user_id = request.membership.user_id
    row = notices_of(user_id) or NoticeSettings(user_id=user_id)
    form = NoticeForm(request.POST or None, initial=NoticeForm.initial_of(row))
    if request.method == "POST" and form.is_valid():

        def save() -> None:
            notices_set(user_id=user_id, values=form.cleaned_data)

        if _saved(form, save):
            messages.success(request, _("Saved."))
            return redirect("finance:notices")
    mine = channels_visible(user_id).filter(owner_id=user_id).order_by("name")
    return _page(request, "notices", form=form, own_channels=mine)


# --- words -----------------------------------------------------------------------------------------


def matcher_words(matcher: dict[str, Any]) -> str:
    """What a matcher means, in words."""
    parts = []
    if matcher.get("kinds"):
        names = dict(SubjectKind.choices)
        parts.append(", ".join(str(names[kind]) for kind in matcher["kinds"] if kind in names))
    if matcher.get("keys"):
        parts.append(", ".join(matcher["keys"]))
    if matcher.get("rules"):
        found = Rule.objects.filter(pk__in=matcher["rules"]).values_list("name", flat=True)
        parts.append(_("rule %(names)s") % {"names": ", ".join(found) or "—"})
    if matcher.get("least_score") is not None:
        parts.append(_("score at least %(score)s") % {"score": f"{matcher['least_score']:g}"})
    return " · ".join(parts) or _("every alert")


def _group_words(route: AlertRoute) -> str:
    names = dict(AlertRoute.GroupBy.choices)
    return ", ".join(str(names[name]) for name in route.group_by if name in names)


def _step_words(step: EscalationStep) -> str:
    kind = EscalationStep.Kind(step.kind)
    if kind == EscalationStep.Kind.WAIT:
        return _("wait %(minutes)s min") % {"minutes": f"{step.wait_seconds / 60:g}"}
    if kind == EscalationStep.Kind.ONLY_IF:
        return _("if the score is at least %(score)s") % {"score": f"{step.score or 0:g}"}
    if kind == EscalationStep.Kind.REPEAT:
        return _("again, %(times)d times") % {"times": step.times}
    if kind == EscalationStep.Kind.ROLE:
        return str(Role(step.role).label)
    if kind == EscalationStep.Kind.CHANNEL:
        return step.channel.name if step.channel else "—"
    return str(step.user) if step.user else _("somebody who has left")


# --- shared ----------------------------------------------------------------------------------------


def _page(request: PageRequest, name: str, **context: Any) -> HttpResponse:
    invalid = any(isinstance(value, forms.Form) and value.errors for value in context.values())
    return render(
        request,
        f"finance_sentiment/alerting/{name}.html",
        {"tab_items": tab_items(), "may_write": WRITE in request.granted, **context},
        status=422 if request.method == "POST" and invalid else 200,
    )


def _saved(form: forms.Form, save: Callable[[], object]) -> bool:
    """Whether the service took it; what it refused stands at the field."""
    try:
        with transaction.atomic():
            save()
    except Problem as problem:
        show_problem(form, problem)
        return False
    return True


def _told(request: PageRequest, act: Callable[[], object], done: str) -> bool:
    """Do it and say so, or say why not."""
    try:
        with transaction.atomic():
            act()
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return False
    messages.success(request, done)
    return True
