"""/public-opinion/trading-days/ and reports/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import calendars, reports

urlpatterns = [
    path("reports/", reports.report_list, name="reports"),
    path("reports/style.css", reports.report_style, name="report-style"),
    path("reports/<uuid:report_id>/", reports.report_detail, name="report"),
    path("reports/<uuid:report_id>/print/", reports.report_print, name="report-print"),
    path("trading-days/", calendars.calendar_list, name="calendars"),
    path("trading-days/add/", calendars.calendar_add, name="calendar-add"),
    path("trading-days/new/", calendars.calendar_new, name="calendar-new"),
    path("trading-days/<uuid:calendar_id>/", calendars.calendar_detail, name="calendar"),
    path(
        "trading-days/<uuid:calendar_id>/remove/", calendars.calendar_remove, name="calendar-remove"
    ),
    path(
        "trading-days/<uuid:calendar_id>/holidays/<uuid:holiday_id>/remove/",
        calendars.holiday_remove,
        name="holiday-remove",
    ),
]
