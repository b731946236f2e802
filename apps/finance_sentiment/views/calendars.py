"""Settings, Trading days: when the markets are open, and what a day is."""

from __future__ import annotations

import uuid
from datetime import time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from apps.finance_sentiment.models import TradingCalendar, TradingHoliday
from apps.finance_sentiment.selectors.calendars import NOTICE, calendar_days, calendars
from apps.finance_sentiment.services.calendars import (
    HolidayInput,
    calendar_delete,
    calendar_install,
    calendar_save,
    holiday_delete,
    holidays_parse,
    holidays_put,
)
from apps.finance_sentiment.trading import markets_known, sessions_text
from apps.finance_sentiment.views.alerting_forms import WEEKDAYS, zones
from rootstock.common.problems import Problem
from rootstock.modelhub.forms import show_problem
from rootstock.tenancy.pages import requires
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import PageRequest

READ, WRITE = Permission.FINANCE_READ, Permission.FINANCE_WRITE
_MOST_BYTES = 500_000
_AHEAD = timedelta(days=42)


class CalendarForm(forms.Form):
    """A calendar."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"), choices=lambda: zones()[1:], initial="Asia/Shanghai"
    )
    weekdays = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Weekdays"),
        choices=WEEKDAYS,
        coerce=int,
        initial=[0, 1, 2, 3, 4],
        widget=forms.CheckboxSelectMultiple,
    )
    sessions = forms.CharField(
        label=gettext_lazy("Sessions"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Such as 09:30-11:30, 13:00-15:00; the last end is the close."),
    )
    is_main = forms.BooleanField(
        label=gettext_lazy("The main calendar: reports are made on its trading days"),
        required=False,
    )
    days_end = forms.ChoiceField(
        label=gettext_lazy("A day ends"),
        choices=TradingCalendar.DaysEnd.choices,
        widget=forms.RadioSelect,
        initial=TradingCalendar.DaysEnd.MIDNIGHT,
        help_text=gettext_lazy(
            "Of the main calendar, it holds for daily charts, forecasts and reports."
        ),
    )


class HolidayForm(forms.Form):
    """One holiday."""

    day = forms.DateField(label=gettext_lazy("Day"), widget=forms.DateInput(attrs={"type": "date"}))
    name = forms.CharField(label=gettext_lazy("Name"), max_length=80, required=False)
    closes_at = forms.TimeField(
        label=gettext_lazy("Closes early, at"),
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}),
        help_text=gettext_lazy("Empty: closed all day."),
    )


class HolidayFileForm(forms.Form):
    """Many holidays from a file."""

    file = forms.FileField(
        label=gettext_lazy("CSV file"),
        help_text=gettext_lazy(
            "Columns: day, name, hour of an early close; only the day is needed."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,text/csv,text/plain"}),
    )


@requires(READ)
@require_GET
def calendar_list(request: PageRequest) -> HttpResponse:
    """Which markets do we follow, and on which days do they trade?"""
    rows = list(calendars())
    names = {row.name for row in rows}
    today = timezone.localdate()
    context = {
        "rows": [(row, sessions_text(row.sessions), _runs_out(row, today)) for row in rows],
        "known": [market for market in markets_known().values() if market.name not in names],
        "may_write": _may_write(request),
        "has_main": any(row.is_main for row in rows),
    }
    return render(request, "finance_sentiment/reports/calendars.html", context)


@requires(WRITE)
@require_POST
def calendar_add(request: PageRequest) -> HttpResponse:
    """Add one of the calendars that come with the product."""
    try:
        row = calendar_install(key=request.POST.get("market", ""), actor=request.actor)
    except Problem as problem:
        messages.error(request, str(problem.detail))
        return redirect("finance:calendars")
    messages.success(request, _("Added. Compare it with what the exchange has announced."))
    return redirect("finance:calendar", row.pk)


@requires(WRITE)
@require_http_methods(["GET", "POST"])
def calendar_new(request: PageRequest) -> HttpResponse:
    """A calendar of one's own."""
    form = CalendarForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = calendar_save(calendar=None, actor=request.actor, values=form.cleaned_data)
        except Problem as problem:
            show_problem(form, problem)
        else:
            return redirect("finance:calendar", row.pk)
    status = 422 if request.method == "POST" else 200
    context = {"form": form, "may_write": True}
    return render(request, "finance_sentiment/reports/calendar.html", context, status=status)


@requires(READ)
@require_http_methods(["GET", "POST"])
def calendar_detail(request: PageRequest, calendar_id: uuid.UUID) -> HttpResponse:
    """When is this market open in the next weeks, and what is still to be entered?"""
    row = get_object_or_404(calendars(), pk=calendar_id)
    if request.method == "GET":
        return _page(request, row)
    if not _may_write(request):
        raise PermissionDenied
    act = {"change": _change, "holiday": _add_holiday, "file": _add_file}.get(
        request.POST.get("action", "change"), _change
    )
    failed = act(request, row)
    if failed is None:
        return redirect("finance:calendar", row.pk)
    return _page(request, get_object_or_404(calendars(), pk=calendar_id), failed=failed)


@requires(WRITE)
@require_POST
def calendar_remove(request: PageRequest, calendar_id: uuid.UUID) -> HttpResponse:
    """Forget a calendar."""
    row = get_object_or_404(TradingCalendar, pk=calendar_id)
    calendar_delete(calendar=row, actor=request.actor)
    messages.success(request, _("Removed."))
    return redirect("finance:calendars")


@requires(WRITE)
@require_POST
def holiday_remove(
    request: PageRequest, calendar_id: uuid.UUID, holiday_id: uuid.UUID
) -> HttpResponse:
    """The market trades on that day after all."""
    row = get_object_or_404(TradingHoliday, pk=holiday_id, calendar_id=calendar_id)
    holiday_delete(holiday=row, actor=request.actor)
    return redirect("finance:calendar", calendar_id)


def _page(request: PageRequest, row: TradingCalendar, failed: Any = None) -> HttpResponse:
    initial = {
        name: getattr(row, name)
        for name in ("name", "time_zone", "weekdays", "is_main", "days_end")
    }
    shown: dict[str, Any] = {
        "form": CalendarForm(initial={**initial, "sessions": sessions_text(row.sessions)}),
        "holiday_form": HolidayForm(),
        "file_form": HolidayFileForm(),
    }
    for name, form in shown.items():
        if type(form) is type(failed):
            shown[name] = failed
    today = timezone.localdate()
    monday = today - timedelta(days=today.weekday())
    days = calendar_days(row, since=monday, until=monday + _AHEAD)
    context = {
        **shown,
        "row": row,
        "today": today,
        "weeks": [days[n : n + 7] for n in range(0, len(days), 7)],
        "holidays": row.holidays.filter(day__gte=today - timedelta(days=31)).order_by("day"),
        "past": row.holidays.filter(day__lt=today - timedelta(days=31)).count(),
        "runs_out": _runs_out(row, today),
        "may_write": _may_write(request),
    }
    status = 200 if failed is None else 422
    return render(request, "finance_sentiment/reports/calendar.html", context, status=status)


def _change(request: PageRequest, row: TradingCalendar) -> forms.Form | None:
    form = CalendarForm(request.POST)
    if not form.is_valid():
        return form
    try:
        calendar_save(calendar=row, actor=request.actor, values=form.cleaned_data)
    except Problem as problem:
        show_problem(form, problem)
        return form
    messages.success(request, _("Saved."))
    return None


def _add_holiday(request: PageRequest, row: TradingCalendar) -> forms.Form | None:
    form = HolidayForm(request.POST)
    if not form.is_valid():
        return form
    data = form.cleaned_data
    closes_at: time | None = data["closes_at"]
    holiday = HolidayInput(data["day"], data["name"], closes_at)
    try:
        holidays_put(calendar=row, holidays=[holiday], actor=request.actor)
    except Problem as problem:
        form.add_error("day", str(problem.detail))
        return form
    return None


def _add_file(request: PageRequest, row: TradingCalendar) -> forms.Form | None:
    form = HolidayFileForm(request.POST, request.FILES)
    if not form.is_valid():
        return form
    file = form.cleaned_data["file"]
    try:
        if file.size > _MOST_BYTES:
            raise ValueError(_("The file is too large for a list of holidays."))
        text = file.read().decode("utf-8-sig")
        stored = holidays_put(calendar=row, holidays=holidays_parse(text), actor=request.actor)
    except UnicodeDecodeError:
        form.add_error("file", _("The file is not in UTF-8."))
        return form
    except ValueError as error:
        form.add_error("file", str(error))
        return form
    except Problem as problem:
        form.add_error("file", str(problem.detail))
        return form
    text = ngettext("%(n)d holiday was taken in.", "%(n)d holidays were taken in.", stored)
    messages.success(request, text % {"n": stored})
    return None


def _runs_out(row: TradingCalendar, today: Any) -> bool:
    known = row.known_until  # type: ignore[attr-defined]
    return known is None or known < today + NOTICE


def _may_write(request: PageRequest) -> bool:
    return WRITE in request.granted
