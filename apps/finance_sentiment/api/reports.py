"""REST: daily reports, when they are made and who gets them."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path
from django.utils import translation
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.response import Response

from apps.finance_sentiment.api.calendars import ClockField
from apps.finance_sentiment.models import DailyReport, ReportSettings, ReportSubscription
from apps.finance_sentiment.reporting import report_page
from apps.finance_sentiment.selectors.calendars import organisation_zone
from apps.finance_sentiment.selectors.reports import reports, subscriptions
from apps.finance_sentiment.services.report_times import report_settings_get, report_settings_save
from apps.finance_sentiment.services.reports import (
    report_make,
    report_send,
    subscription_add,
    subscription_remove,
)
from rootstock.common.api import PAGE_PARAMETERS, ApiView, page_of, paginate, respond, valid
from rootstock.tenancy.permissions import Permission
from rootstock.tenancy.requests import OrganisationRequest


class DailyReportOutput(serializers.ModelSerializer[DailyReport]):
    """A report of one day, without what it holds."""

    class Meta:
        model = DailyReport
        fields = ("id", "day", "starts_at", "ends_at", "sent_at", "created_at")


class DailyReportDetailOutput(DailyReportOutput):
    """A report with its figures, lists and names."""

    content = serializers.DictField(
        help_text="summary, hours, days, topics, entities, portfolios, alerts, threads, forecast and models."
    )

    class Meta(DailyReportOutput.Meta):
        fields = (*DailyReportOutput.Meta.fields, "content")  # type: ignore[assignment]


class ReportLanguageFilter(serializers.Serializer[Any]):
    """In which language."""

    language = serializers.ChoiceField([code for code, _name in settings.LANGUAGES], required=False)


class ReportSettingsInput(serializers.Serializer[Any]):
    """When reports are made, in the organisation's time zone."""

    enabled = serializers.BooleanField()
    at = ClockField()


class ReportSettingsOutput(serializers.ModelSerializer[ReportSettings]):
    """When reports are made, and when the next one is."""

    at = ClockField()

    class Meta:
        model = ReportSettings
        fields = ("enabled", "at", "next_at")


class SentOutput(serializers.Serializer[Any]):
    """By how many messages a report was sent; none to those who have it already."""

    messages = serializers.IntegerField()


class ReportSubscriptionInput(serializers.Serializer[Any]):
    """A member or a shared channel."""

    user = serializers.UUIDField(required=False, allow_null=True, default=None)
    channel = serializers.UUIDField(required=False, allow_null=True, default=None)


class ReportSubscriptionOutput(serializers.ModelSerializer[ReportSubscription]):
    """Who gets every report."""

    label = serializers.SerializerMethodField()  # type: ignore[assignment]

    class Meta:
        model = ReportSubscription
        fields = ("id", "user", "channel", "label", "created_at")

    def get_label(self, row: ReportSubscription) -> str:
        """The name of the person or channel."""
        return str(row)


class _View(ApiView):
    permission = Permission.FINANCE_READ
    write_permission = Permission.FINANCE_WRITE


class ReportsView(_View):
    """Daily reports."""

    @extend_schema(
        operation_id="finance_reports_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(DailyReportOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """The reports, the latest day first."""
        return paginate(self, request, reports(), DailyReportOutput, ordering=("-day", "-id"))

    @extend_schema(
        operation_id="finance_reports_create",
        request=None,
        responses={201: DailyReportDetailOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Make the report of today until now; it takes the place of an earlier one of today and is not sent."""
        report = report_make()
        return respond(report, DailyReportDetailOutput(report).data, status=201)


class ReportView(_View):
    """One report."""

    @extend_schema(operation_id="finance_reports_get", responses={200: DailyReportDetailOutput})
    def get(self, request: OrganisationRequest, daily_report_id: uuid.UUID) -> Response:
        """Read a report: its figures, lists and names."""
        report = get_object_or_404(DailyReport, pk=daily_report_id)
        return respond(report, DailyReportDetailOutput(report).data)


class ReportHtmlView(_View):
    """One report as a document."""

    @extend_schema(
        operation_id="finance_reports_html",
        parameters=[ReportLanguageFilter],
        responses={(200, "text/html"): OpenApiResponse(response=str)},
    )
    def get(self, request: OrganisationRequest, daily_report_id: uuid.UUID) -> HttpResponse:
        """The report as it is mailed: one HTML file with its charts and styles in it."""
        wanted = valid(ReportLanguageFilter(data=request.query_params))
        report = get_object_or_404(DailyReport, pk=daily_report_id)
        with translation.override(wanted.get("language") or translation.get_language()):
            page = report_page(report, zone=organisation_zone())
        name = f"report-{report.day}.html"
        return HttpResponse(
            page,
            content_type="text/html; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


class ReportSendView(_View):
    """Sending a report."""

    @extend_schema(operation_id="finance_reports_send", request=None, responses={202: SentOutput})
    def post(self, request: OrganisationRequest, daily_report_id: uuid.UUID) -> Response:
        """Send it to all subscribers who have not had it."""
        report = get_object_or_404(DailyReport.objects.select_for_update(), pk=daily_report_id)
        return Response({"messages": len(report_send(report=report))}, status=202)


class ReportSettingsView(_View):
    """When reports are made."""

    @extend_schema(
        operation_id="finance_report_settings_get", responses={200: ReportSettingsOutput}
    )
    def get(self, request: OrganisationRequest) -> Response:
        """Whether and when reports are made."""
        return Response(ReportSettingsOutput(report_settings_get()).data)

    @extend_schema(
        operation_id="finance_report_settings_update",
        request=ReportSettingsInput,
        responses={200: ReportSettingsOutput},
    )
    def put(self, request: OrganisationRequest) -> Response:
        """Switch them on or off, and say when they are made."""
        values = valid(ReportSettingsInput(data=request.data))
        return Response(
            ReportSettingsOutput(report_settings_save(actor=request.actor, **values)).data
        )


class ReportSubscriptionsView(_View):
    """Who gets the reports."""

    @extend_schema(
        operation_id="finance_report_subscriptions_list",
        parameters=PAGE_PARAMETERS,
        responses=page_of(ReportSubscriptionOutput),
    )
    def get(self, request: OrganisationRequest) -> Response:
        """The subscribers, the newest first."""
        return paginate(self, request, subscriptions(), ReportSubscriptionOutput)

    @extend_schema(
        operation_id="finance_report_subscriptions_create",
        request=ReportSubscriptionInput,
        responses={201: ReportSubscriptionOutput},
    )
    def post(self, request: OrganisationRequest) -> Response:
        """Send every report to a member, by the ways they want, or to a shared channel."""
        values = valid(ReportSubscriptionInput(data=request.data))
        row = subscription_add(
            actor=request.actor, user_id=values["user"], channel_id=values["channel"]
        )
        return Response(ReportSubscriptionOutput(row).data, status=201)


class ReportSubscriptionView(_View):
    """One subscription."""

    @extend_schema(operation_id="finance_report_subscriptions_delete", responses={204: None})
    def delete(self, request: OrganisationRequest, report_subscription_id: uuid.UUID) -> Response:
        """Send no further reports there."""
        row = get_object_or_404(ReportSubscription, pk=report_subscription_id)
        subscription_remove(subscription=row, actor=request.actor)
        return Response(status=204)


urlpatterns = [
    path("reports", ReportsView.as_view()),
    path("reports/settings", ReportSettingsView.as_view()),
    path("reports/subscriptions", ReportSubscriptionsView.as_view()),
    path("reports/subscriptions/<uuid:report_subscription_id>", ReportSubscriptionView.as_view()),
    path("reports/<uuid:daily_report_id>", ReportView.as_view()),
    path("reports/<uuid:daily_report_id>/html", ReportHtmlView.as_view()),
    path("reports/<uuid:daily_report_id>/send", ReportSendView.as_view()),
]
