"""Reports: what happened on a day, to read, print and send."""

from __future__ import annotations

import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models.fields.json import KT
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import translation
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods

from apps.finance_sentiment.models import DailyReport, ReportSubscription
from apps.finance_sentiment.reporting import LANGUAGES, report_context
from apps.finance_sentiment.selectors.alerting import channels_shared, people
from apps.finance_sentiment.selectors.calendars import organisation_zone
from apps.finance_sentiment.selectors.reports import reports, subscription_of, subscriptions
from apps.finance_sentiment.services.report_times import report_settings_get, report_settings_save
from apps.finance_sentiment.services.reports import (
    report_make,
    report_send,
    subscription_add,
    subscription_remove,
)
from rootstock.common.ids import uuid_of
from rootstock.common.problems import Problem
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE


class ReportSettingsForm(forms.Form):
    """When reports are made."""

    enabled = forms.BooleanField(label=gettext_lazy("Make a report every day"), required=False)
    at = forms.TimeField(
        label=gettext_lazy("At"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M")
    )


class SubscriberForm(forms.Form):
    """Who else gets the reports."""

    to = forms.ChoiceField(label=gettext_lazy("Person or channel"))

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields["to"].choices = [  # type: ignore[attr-defined]
            (_("People"), [(f"user:{row.user_id}", str(row.user)) for row in people()]),
            (_("Channels"), [(f"channel:{row.pk}", row.name) for row in channels_shared()]),
        ]


@requires(READ)
@require_http_methods(["GET", "POST"])
def report_list(request: PageRequest) -> HttpResponse:
    """What happened in the last days, and who is told of it?"""
    failed = None
    if request.method == "POST":
        failed = _act(request)
        if failed is None:
            return redirect("finance:reports")
        if isinstance(failed, DailyReport):
            return redirect("finance:report", failed.pk)
    row = report_settings_get()
    shown: dict[str, forms.Form] = {
        "form": ReportSettingsForm(initial={"enabled": row.enabled, "at": row.at}),
        "subscriber_form": SubscriberForm(),
    }
    for name, form in shown.items():
        if type(form) is type(failed) and isinstance(failed, forms.Form):
            shown[name] = failed
    found = reports().annotate(
        stories=KT("content__summary__stories"),
        negative=KT("content__summary__negative"),
        alerts=KT("content__summary__alerts_opened"),
    )
    context = {
        **shown,
        "page": Paginator(found, 30).get_page(request.GET.get("page")),
        "settings_row": row,
        "mine": subscription_of(request.user.pk),
        "rows": subscriptions(),
        "may_write": _may_write(request),
    }
    status = 200 if failed is None else 422
    return render(request, "finance_sentiment/reports/list.html", context, status=status)


@requires(READ)
@require_http_methods(["GET", "POST"])
def report_detail(request: PageRequest, report_id: uuid.UUID) -> HttpResponse:
    """What happened on this day, how far out of the ordinary was it, and who told of it?"""
    report = get_object_or_404(DailyReport, pk=report_id)
    if request.method == "POST":
        if not _may_write(request):
            raise PermissionDenied
        sent = len(report_send(report=report))
        if sent:
            text = ngettext("Sent by %(n)d message.", "Sent by %(n)d messages.", sent)
            messages.success(request, text % {"n": sent})
        else:
            messages.info(request, _("Nobody has asked for the reports, or all have this one."))
        return redirect("finance:report", report_id)
    with translation.override(_language(request)):
        body = render_to_string("finance_sentiment/reports/_body.html", _context(report))
    context = {
        "report": report,
        "body": mark_safe(body),  # noqa: S308 - rendered by our own template
        "language": _language(request),
        "languages": settings.LANGUAGES,
        "notifications": report.notifications.select_related("user", "channel").order_by("id"),
        "may_write": _may_write(request),
    }
    return render(request, "finance_sentiment/reports/detail.html", context)


@requires(READ)
@require_GET
def report_print(request: PageRequest, report_id: uuid.UUID) -> HttpResponse:
    """The report alone, as it comes out of a printer."""
    report = get_object_or_404(DailyReport, pk=report_id)
    with translation.override(_language(request)):
        context = {**_context(report), "style_url": reverse("finance:report-style")}
        return HttpResponse(render_to_string("finance_sentiment/reports/document.html", context))


@requires(READ)
@require_GET
def report_style(request: PageRequest) -> HttpResponse:
    """The style sheet that mails have in them, as a file for pages."""
    return HttpResponse(
        render_to_string("finance_sentiment/reports/style.css"),
        content_type="text/css; charset=utf-8",
    )


def _context(report: DailyReport) -> dict[str, Any]:
    return report_context(report, zone=organisation_zone())


def _language(request: PageRequest) -> str:
    wanted = request.GET.get("language") or translation.get_language() or ""
    return wanted if wanted in LANGUAGES else LANGUAGES[0]


def _act(request: PageRequest) -> forms.Form | DailyReport | None:
    """Do what was asked; the form where it cannot be, the report that was made."""
    action = request.POST.get("action", "")
    if action == "subscribe-me":
        subscription_add(actor=request.actor, user_id=request.user.pk)
        return None
    if action == "unsubscribe-me":
        mine = subscription_of(request.user.pk)
        if mine is not None:
            subscription_remove(subscription=mine, actor=request.actor)
        return None
    if not _may_write(request):
        raise PermissionDenied
    if action == "make":
        return report_make()
    if action == "unsubscribe":
        wanted = uuid_of(request.POST.get("subscription"))
        row = get_object_or_404(ReportSubscription, pk=wanted)
        subscription_remove(subscription=row, actor=request.actor)
        return None
    return _set(request) if action == "settings" else _subscribe(request)


def _set(request: PageRequest) -> forms.Form | None:
    form = ReportSettingsForm(request.POST)
    if not form.is_valid():
        return form
    try:
        report_settings_save(actor=request.actor, **form.cleaned_data)
    except Problem as problem:
        show_problem(form, problem)
        return form
    messages.success(request, _("Saved."))
    return None


def _subscribe(request: PageRequest) -> forms.Form | None:
    form = SubscriberForm(request.POST)
    if not form.is_valid():
        return form
    kind, _colon, pk = form.cleaned_data["to"].partition(":")
    wanted = uuid_of(pk)
    chosen = {"user_id": wanted} if kind == "user" else {"channel_id": wanted}
    try:
        subscription_add(actor=request.actor, **chosen)
    except Problem as problem:
        form.add_error("to", str(problem.detail))
        return form
    return None


def _may_write(request: PageRequest) -> bool:
    return WRITE in request.granted
