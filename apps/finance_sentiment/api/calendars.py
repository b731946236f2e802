"""REST: trading calendars and their holidays."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.response import Response

from apps.finance_sentiment.models import TradingCalendar, TradingHoliday
from apps.finance_sentiment.selectors.calendars import calendar_days
from apps.finance_sentiment.services.calendars import (
    HolidayInput,
    calendar_delete,
    calendar_install,
    calendar_save,
    holiday_delete,
    holidays_put,
)
from apps.finance_sentiment.trading import markets_known, sessions_text
from rootstock.common.api import (
    IF_MATCH,
    PAGE_PARAMETERS,
    ApiView,
    check_if_match,
    page_of,
    paginate,
    respond,
    valid,
)
from rootstock.common.problems import invalid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest

_SESSIONS = 'When it trades, such as "09:30-11:30, 13:00-15:00", in its time zone.'
MOST_DAYS = 800


@extend_schema_field({"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$"})
class ClockField(serializers.TimeField):
    """A time of the clock such as 08:30. OpenAPI's own `time` would have a time zone with it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(format="%H:%M", **options)


class TradingCalendarInput(serializers.Serializer[Any]):
    """A market's calendar."""

    name = serializers.CharField(max_length=80)
    time_zone = serializers.CharField(max_length=64)
    weekdays = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=6),
        min_length=1,
        max_length=7,
        required=False,
        help_text="0 is Monday; left out: Monday to Friday.",
    )
    sessions = serializers.CharField(
        required=False, allow_blank=True, max_length=200, help_text=_SESSIONS
    )
    is_main = serializers.BooleanField(
        required=False, help_text="Decides on which days reports are made, and what a day is."
    )
    days_end = serializers.ChoiceField(TradingCalendar.DaysEnd.choices, required=False)


class TradingCalendarOutput(serializers.ModelSerializer[TradingCalendar]):
    """A market's calendar."""

    sessions = serializers.SerializerMethodField(help_text=_SESSIONS)

    class Meta:
        model = TradingCalendar
        fields = ("id", "name", "time_zone", "weekdays", "sessions", "is_main", "days_end")

    def get_sessions(self, row: TradingCalendar) -> str:
        """As it is given."""
        return sessions_text(row.sessions)


class MarketInput(serializers.Serializer[Any]):
    """Which of the calendars that come with the product."""

    market = serializers.ChoiceField(list(markets_known()))


class TradingHolidayInput(serializers.Serializer[Any]):
    """A day on which the market is closed, or closes early."""

    day = serializers.DateField()
    name = serializers.CharField(max_length=80, allow_blank=True, default="")
    closes_at = ClockField(allow_null=True, default=None, help_text="null: closed all day.")


class TradingHolidayListInput(serializers.Serializer[Any]):
    """Up to 1,000 of them."""

    holidays = serializers.ListField(child=TradingHolidayInput(), min_length=1, max_length=1000)


class TradingHolidayOutput(serializers.ModelSerializer[TradingHoliday]):
    """A day on which the market is closed, or closes early."""

    closes_at = ClockField(allow_null=True)

    class Meta:
        model = TradingHoliday
        fields = ("id", "day", "name", "closes_at")


class HolidaysPutOutput(serializers.Serializer[Any]):
    """How many holidays were taken in."""

    stored = serializers.IntegerField()


class DaysFilter(serializers.Serializer[Any]):
    """Which days."""

    since = serializers.DateField(required=False, help_text="Default: today.")
    until = serializers.DateField(required=False, help_text="Excluded; default: 30 days on.")


class CalendarDayOutput(serializers.Serializer[Any]):
    """Whether the market opens on a day."""

    day = serializers.DateField()
    trades = serializers.BooleanField()
    name = serializers.CharField(allow_blank=True)
    closes_early = serializers.BooleanField()


class CalendarDaysOutput(serializers.Serializer[Any]):
    """Days in order."""

    results = CalendarDayOutput(many=True)


class _View(ApiView):
    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE


class CalendarsView(_View):
    """Trading calendars."""

    @extend_schema(
        operation_id="finance_calendars_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(TradingCalendarOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """The calendars, the newest first."""
        return paginate(self, request, TradingCalendar.objects.all(), TradingCalendarOutput)

    @extend_schema(
        operation_id="finance_calendars_create",
        request=TradingCalendarInput,
        responses={201: TradingCalendarOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Add a calendar of your own."""
        values = valid(TradingCalendarInput(data=request.data))
        row = calendar_save(calendar=None, actor=request.actor, values=values)
        return respond(row, TradingCalendarOutput(row).data, status=201)


class CalendarInstallView(_View):
    """Calendars that come with the product."""

    @extend_schema(
        operation_id="finance_calendars_install",
        request=MarketInput,
        responses={200: TradingCalendarOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Add one, or its missing holidays; the first becomes the main one."""
        values = valid(MarketInput(data=request.data))
        row = calendar_install(key=values["market"], actor=request.actor)
        return respond(row, TradingCalendarOutput(row).data)


class CalendarView(_View):
    """One calendar."""

    @extend_schema(operation_id="finance_calendars_get", responses={200: TradingCalendarOutput})
    def get(self, request: OrganisationRequest, trading_calendar_id: uuid.UUID) -> Response:
        """Read it."""
        row = get_object_or_404(TradingCalendar, pk=trading_calendar_id)
        return respond(row, TradingCalendarOutput(row).data)

    @extend_schema(
        operation_id="finance_calendars_update",
        parameters=[IF_MATCH],
        request=TradingCalendarInput(partial=True),
        responses={200: TradingCalendarOutput},
    )
    def patch(self, request: OrganisationRequest, trading_calendar_id: uuid.UUID) -> Response:
        """Change what is given."""
        values = valid(TradingCalendarInput(data=request.data, partial=True))
        row = self._locked(trading_calendar_id)
        check_if_match(request, row)
        calendar_save(calendar=row, actor=request.actor, values=values)
        return respond(row, TradingCalendarOutput(row).data)

    @extend_schema(operation_id="finance_calendars_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, trading_calendar_id: uuid.UUID) -> Response:
        """Forget it with its holidays. Without a main calendar every day is a working day."""
        calendar_delete(calendar=self._locked(trading_calendar_id), actor=request.actor)
        return Response(status=204)

    @staticmethod
    def _locked(calendar_id: uuid.UUID) -> TradingCalendar:
        return get_object_or_404(TradingCalendar.objects.select_for_update(), pk=calendar_id)


class HolidaysView(_View):
    """The holidays of a calendar."""

    @extend_schema(
        operation_id="finance_holidays_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(TradingHolidayOutput),
    )
    def get(self, request: OrganisationRequest, trading_calendar_id: uuid.UUID) -> Response:
        """The latest first."""
        row = get_object_or_404(TradingCalendar, pk=trading_calendar_id)
        return paginate(
            self, request, row.holidays.all(), TradingHolidayOutput, ordering=("-day", "-id")
        )

    @extend_schema(
        operation_id="finance_holidays_put",
        request=TradingHolidayListInput,
        responses={200: HolidaysPutOutput},
    )
    def post(self, request: OrganisationRequest, trading_calendar_id: uuid.UUID) -> Response:
        """Add holidays, all or none; a day that is one already takes the new name and hour."""
        values = valid(TradingHolidayListInput(data=request.data))
        row = get_object_or_404(TradingCalendar, pk=trading_calendar_id)
        holidays = [HolidayInput(**one) for one in values["holidays"]]
        stored = holidays_put(calendar=row, holidays=holidays, actor=request.actor)
        return Response({"stored": stored})


class HolidayView(_View):
    """One holiday."""

    @extend_schema(operation_id="finance_holidays_delete", responses={204: None})
    def delete(
        self,
        request: OrganisationRequest,
        trading_calendar_id: uuid.UUID,
        trading_holiday_id: uuid.UUID,
    ) -> Response:
        """The market trades on that day after all."""
        row = get_object_or_404(
            TradingHoliday, pk=trading_holiday_id, calendar_id=trading_calendar_id
        )
        holiday_delete(holiday=row, actor=request.actor)
        return Response(status=204)


class CalendarDaysView(_View):
    """The days of a calendar."""

    @extend_schema(
        operation_id="finance_calendars_days",
        parameters=[DaysFilter],
        responses={200: CalendarDaysOutput},
    )
    def get(self, request: OrganisationRequest, trading_calendar_id: uuid.UUID) -> Response:
        """Which days the market trades on; at most 800 days at once."""
        wanted = valid(DaysFilter(data=request.query_params))
        row = get_object_or_404(TradingCalendar, pk=trading_calendar_id)
        since, until = _range(wanted)
        days = calendar_days(row, since=since, until=until)
        return Response({"results": CalendarDayOutput(days, many=True).data})


def _range(wanted: dict[str, Any]) -> tuple[date, date]:
    since = wanted.get("since") or timezone.localdate()
    try:
        until = wanted.get("until") or since + timedelta(days=30)
    except OverflowError as error:
        raise invalid("/since", str(error)) from error
    if not 0 < (until - since).days <= MOST_DAYS:
        raise invalid("/until", _("A range of 1 to %(most)d days.") % {"most": MOST_DAYS})
    return since, until


urlpatterns = [
    path("calendars", CalendarsView.as_view()),
    path("calendars/install", CalendarInstallView.as_view()),
    path("calendars/<uuid:trading_calendar_id>", CalendarView.as_view()),
    path("calendars/<uuid:trading_calendar_id>/days", CalendarDaysView.as_view()),
    path("calendars/<uuid:trading_calendar_id>/holidays", HolidaysView.as_view()),
    path(
        "calendars/<uuid:trading_calendar_id>/holidays/<uuid:trading_holiday_id>",
        HolidayView.as_view(),
    ),
]
