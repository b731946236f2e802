"""Alerts: which there are, and what one of them is about."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext
from django.views.decorators.http import require_http_methods

from apps.finance_sentiment.models import Alert, AlertEntry, Medium, Rule, SubjectKind
from apps.finance_sentiment.selectors.alerting import notifications_of, routes_in_order
from apps.finance_sentiment.selectors.alerts import (
    AlertQuery,
    alert_entries,
    alert_payload,
    alert_stories,
    alerts_find,
    subject_label,
)
from apps.finance_sentiment.services.alerts import (
    NotOpen,
    alert_acknowledge,
    alert_assign,
    alert_comment,
    alert_end,
    alerts_silence,
)
from apps.finance_sentiment.views.alerting_forms import (
    AlertActionForm,
    AssignForm,
    QuietSilenceForm,
)
from rootstock.common.ids import uuid_of, uuids_of
from rootstock.common.problems import Problem
from rootstock.modelhub.forms import show_problem
from rootstock.realtime.selectors import heads
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

NOTIFICATIONS = 50


@requires(Permission.FINANCE_READ)
@require_http_methods(["GET", "POST"])
def alert_list(request: PageRequest) -> HttpResponse:
    """Which alerts were there, and who took them? Those that are chosen can be taken together."""
    if request.method == "POST":
        return _take_chosen(request)
    query = _query(request)
    page = Paginator(alerts_find(query), 50).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "rows": [(alert, subject_label(alert.subject)) for alert in page],
        "query": query,
        "mine": query.assigned_to is not None,
        "states": [("unresolved", _("Going on")), *Alert.State.choices],
        "kinds": SubjectKind.choices,
        "rules": Rule.objects.order_by("name"),
        "may_write": _may_write(request),
        "is_told": bool(routes_in_order()),
        "tab_items": tab_items(),
    }
    return render(request, "finance_sentiment/alerts.html", context)


@requires(Permission.FINANCE_READ)
@require_http_methods(["GET", "POST"])
def alert_detail(request: PageRequest, alert_id: uuid.UUID) -> HttpResponse:
    """What happened, is it real, who has it?"""
    if request.method == "GET":
        return _page(request, get_object_or_404(Alert, pk=alert_id))
    if not _may_write(request):
        raise PermissionDenied
    alert = get_object_or_404(Alert.objects.select_for_update(), pk=alert_id)
    action = _ACTIONS.get(request.POST.get("action", "acknowledge"))
    if action is None:
        raise PermissionDenied
    form_class, act, done = action
    form = form_class(request.POST)
    if form.is_valid():
        try:
            act(request, alert, form.cleaned_data)
        except NotOpen:
            messages.info(request, _("The alert has ended meanwhile."))
            return redirect("finance:alert", alert_id)
        except Problem as problem:
            show_problem(form, problem)
        else:
            messages.success(request, _(done))
            return redirect("finance:alert", alert_id)
    return _page(request, alert, failed=form)


@requires(Permission.FINANCE_READ)
@require_http_methods(["GET"])
def alert_log(request: PageRequest, alert_id: uuid.UUID) -> HttpResponse:
    """The log and the notifications alone, for a page that is open."""
    alert = get_object_or_404(Alert, pk=alert_id)
    return render(request, "finance_sentiment/_alert_log.html", _history(alert))


def tab_items() -> list[tuple[str, str]]:
    """The pages about alerts."""
    names = [
        (_("Alerts"), "alerts"),
        (_("Silences"), "silences"),
        (_("Routes"), "routes"),
        (_("Chains"), "chains"),
        (_("Channels"), "channels"),
        (_("For me"), "notices"),
    ]
    return [(label, reverse(f"finance:{name}")) for label, name in names]


def _page(request: PageRequest, alert: Alert, failed: Any = None) -> HttpResponse:
    forms = {
        "action_form": AlertActionForm(),
        "assign_form": AssignForm(initial={"user": str(alert.assigned_to_id or "")}),
        "silence_form": QuietSilenceForm(),
    }
    for name, form in forms.items():
        if type(failed) is type(form):
            forms[name] = failed
    label = subject_label(alert.subject)
    siblings = (
        alert.group.alerts.exclude(pk=alert.pk).order_by("-opened_at")[:20] if alert.group else []
    )
    context = {
        "alert": alert,
        "subject": label,
        "stories": alert_stories(alert),
        "siblings": [(other, subject_label(other.subject)) for other in siblings],
        "latest": alert.evidence.get("latest", {}),
        "may_write": _may_write(request),
        **_history(alert),
        **forms,
        "data": {
            "lastEventId": heads(["finance.alerts"])["finance.alerts"],
            "alert": {**alert_payload(alert), "topic_label": label},
            "series": alert.evidence.get("series", []),
        },
    }
    status = 422 if failed is not None else 200
    return render(request, "finance_sentiment/alert.html", context, status=status)


def _history(alert: Alert) -> dict[str, Any]:
    return {
        "alert": alert,
        "entries": [(entry, _words(entry)) for entry in alert_entries(alert)],
        "notifications": notifications_of(alert.pk)[:NOTIFICATIONS],
    }


def _words(entry: AlertEntry) -> str:
    """What a line of the log says beside its kind."""
    details = entry.details
    media = dict(Medium.choices)
    if entry.kind == AlertEntry.Kind.ASSIGNED:
        return details.get("to") or _("nobody")
    if entry.kind == AlertEntry.Kind.MUTED:
        return str(Alert.Muted(details["reason"]).label) if details.get("reason") else ""
    if entry.kind in (AlertEntry.Kind.TOLD, AlertEntry.Kind.UNDELIVERED):
        parts = [details.get("target", ""), str(media.get(details.get("medium"), ""))]
        return " · ".join(part for part in [*parts, details.get("problem", "")] if part)
    return ""


def _take_chosen(request: PageRequest) -> HttpResponse:
    if not _may_write(request):
        raise PermissionDenied
    wanted = uuids_of(request.POST.getlist("alert"))
    alerts = Alert.objects.select_for_update().filter(pk__in=wanted, state=Alert.State.OPEN)
    taken = 0
    for alert in alerts.order_by("id"):
        alert_acknowledge(alert=alert, actor=request.actor)
        taken += 1
    messages.success(
        request, ngettext("%(n)d alert is yours.", "%(n)d alerts are yours.", taken) % {"n": taken}
    )
    return redirect("finance:alerts")


def _query(request: PageRequest) -> AlertQuery:
    """The filters in the address; what cannot be a filter is ignored."""
    state, kind = request.GET.get("state", ""), request.GET.get("kind", "")
    muted = {"yes": True, "no": False}.get(request.GET.get("muted", ""))
    return AlertQuery(
        state=state if state in {"unresolved", *Alert.State.values} else None,
        kind=kind if kind in SubjectKind.values else None,
        rule=uuid_of(request.GET.get("rule")),
        muted=muted,
        assigned_to=request.user.pk if request.GET.get("mine") else None,
    )


def _may_write(request: PageRequest) -> bool:
    return Permission.FINANCE_WRITE in request.granted


def _acknowledge(request: PageRequest, alert: Alert, data: dict[str, Any]) -> None:
    alert_acknowledge(alert=alert, actor=request.actor, comment=data["comment"])


def _comment(request: PageRequest, alert: Alert, data: dict[str, Any]) -> None:
    alert_comment(alert=alert, actor=request.actor, comment=data["comment"])


def _resolve(request: PageRequest, alert: Alert, data: dict[str, Any]) -> None:
    alert_end(alert=alert, actor=request.actor, comment=data["comment"])


def _assign(request: PageRequest, alert: Alert, data: dict[str, Any]) -> None:
    alert_assign(alert=alert, user_id=uuid_of(data["user"]), actor=request.actor)


def _silence(request: PageRequest, alert: Alert, data: dict[str, Any]) -> None:
    matcher: dict[str, Any] = {"kinds": [alert.kind], "keys": [alert.key] if alert.key else []}
    if alert.rule_id:
        matcher["rules"] = [str(alert.rule_id)]
    alerts_silence(
        actor=request.actor,
        matcher=matcher,
        ends_at=timezone.now() + timedelta(minutes=data["minutes"]),
        reason=data["reason"],
    )


_ACTIONS: dict[str, tuple[Any, Any, str]] = {
    "acknowledge": (AlertActionForm, _acknowledge, gettext_noop("The alert is yours.")),
    "comment": (AlertActionForm, _comment, gettext_noop("Written into the log.")),
    "resolve": (AlertActionForm, _resolve, gettext_noop("The alert is ended.")),
    "assign": (AssignForm, _assign, gettext_noop("Assigned.")),
    "silence": (QuietSilenceForm, _silence, gettext_noop("Nobody is told of it for a while.")),
}
