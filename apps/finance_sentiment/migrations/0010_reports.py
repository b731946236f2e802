"""Trading calendars; the daily report, when it is made and who gets it."""

from __future__ import annotations

import datetime

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import apps.finance_sentiment.models.reports
import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

TABLES = [
    "finance_sentiment_tradingcalendar",
    "finance_sentiment_tradingholiday",
    "finance_sentiment_reportsettings",
    "finance_sentiment_reportsubscription",
    "finance_sentiment_dailyreport",
]


def _organisation() -> models.ForeignKey:  # type: ignore[type-arg]
    return models.ForeignKey(
        default=rootstock.tenancy.scope.current_organisation_id,
        editable=False,
        on_delete=django.db.models.deletion.CASCADE,
        related_name="+",
        to="tenancy.organisation",
    )


def _base() -> list[tuple[str, models.Field]]:  # type: ignore[type-arg]
    return [
        (
            "id",
            models.UUIDField(
                default=rootstock.common.ids.uuid7,
                editable=False,
                primary_key=True,
                serialize=False,
            ),
        ),
        ("created_at", models.DateTimeField(auto_now_add=True)),
        ("updated_at", models.DateTimeField(auto_now=True)),
        ("organisation", _organisation()),
    ]


class Migration(migrations.Migration):
    dependencies = [
        ("finance_sentiment", "0009_loop"),
        ("tenancy", "0003_slug_taken"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TradingCalendar",
            fields=[
                *_base(),
                ("name", models.CharField(max_length=80)),
                ("time_zone", models.CharField(max_length=64)),
                (
                    "weekdays",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(),
                        default=apps.finance_sentiment.models.reports.working_days,
                        size=None,
                    ),
                ),
                ("sessions", models.JSONField(default=list)),
                ("is_main", models.BooleanField(default=False)),
                (
                    "days_end",
                    models.CharField(
                        choices=[
                            ("midnight", "At midnight in the organisation's time zone"),
                            (
                                "close",
                                "At the close: what comes after it belongs to the next trading day",
                            ),
                        ],
                        default="midnight",
                        max_length=8,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "name"), name="finance_calendar_name_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("is_main", True)),
                        fields=("organisation",),
                        name="finance_calendar_main_once",
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            name="TradingHoliday",
            fields=[
                *_base(),
                ("day", models.DateField()),
                ("name", models.CharField(blank=True, max_length=80)),
                ("closes_at", models.TimeField(blank=True, null=True)),
                (
                    "calendar",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="holidays",
                        to="finance_sentiment.tradingcalendar",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("calendar", "day"), name="finance_holiday_once"
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            name="ReportSettings",
            fields=[
                *_base(),
                ("enabled", models.BooleanField(default=False)),
                ("at", models.TimeField(default=datetime.time(8, 0))),
                ("next_at", models.DateTimeField(null=True)),
            ],
            options={
                "verbose_name_plural": "report settings",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation",), name="finance_report_settings_once"
                    )
                ],
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_at__isnull", False)),
                        fields=["next_at"],
                        name="finance_report_due",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReportSubscription",
            fields=[
                *_base(),
                (
                    "channel",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reports",
                        to="finance_sentiment.alertchannel",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "user", "channel"),
                        name="finance_subscription_once",
                        nulls_distinct=False,
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            name="DailyReport",
            fields=[
                *_base(),
                ("day", models.DateField()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("content", models.JSONField(default=dict)),
                ("sent_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "day"), name="finance_report_once"
                    ),
                ]
            },
        ),
        migrations.AddField(
            model_name="notification",
            name="report",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="notifications",
                to="finance_sentiment.dailyreport",
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="reason",
            field=models.CharField(
                choices=[
                    ("firing", "Alert"),
                    ("resolved", "End of an alert"),
                    ("assigned", "Assigned"),
                    ("test", "Test"),
                    ("report", "Daily report"),
                ],
                max_length=8,
            ),
        ),
        *(EnableRowLevelSecurity(table) for table in TABLES),
        LookupFunction(
            "finance_due_reports",
            arguments="",
            returns="TABLE (organisation_id uuid)",
            body="SELECT organisation_id FROM finance_sentiment_reportsettings WHERE next_at <= now()",
            reads=["finance_sentiment_reportsettings"],
        ),
    ]
