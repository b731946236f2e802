"""Alerts of any rule on any subject, and how people are told of them."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import rootstock.common.ids
import rootstock.common.secrets
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("finance_sentiment", "0006_rules"),
        ("tenancy", "0003_slug_taken"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(model_name="alert", name="finance_alert_open_once"),
        migrations.RemoveIndex(model_name="alert", name="finance_alert_topic"),
        migrations.RenameField(model_name="alert", old_name="topic", new_name="key"),
        migrations.AlterField(
            model_name="alert",
            name="key",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="alert",
            name="kind",
            field=models.CharField(
                choices=[
                    ("all", "Everything"),
                    ("topic", "Topic"),
                    ("entity", "Entity"),
                    ("source_group", "Source"),
                    ("portfolio", "Portfolio"),
                ],
                default="topic",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="rule",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="alerts",
                to="finance_sentiment.rule",
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="rule_name",
            field=models.CharField(blank=True, max_length=80),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                fields=["organisation", "kind", "key", "-opened_at"], name="finance_alert_subject"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=models.Index(
                fields=["organisation", "-opened_at", "-id"], name="finance_alert_newest"
            ),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "resolved"), _negated=True),
                fields=("organisation", "rule", "kind", "key"),
                name="finance_alert_open_once",
                nulls_distinct=False,
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="assigned_to",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="muted",
            field=models.CharField(
                blank=True,
                choices=[("silence", "Silenced"), ("wider", "Part of a wider alert")],
                max_length=8,
            ),
        ),
        migrations.AddField(
            model_name="alert",
            name="muted_by",
            field=models.UUIDField(null=True),
        ),
        migrations.AddField(
            model_name="alert",
            name="resolved_by",
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddField(
            model_name="alertentry",
            name="details",
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AlterField(
            model_name="alertentry",
            name="kind",
            field=models.CharField(
                choices=[
                    ("opened", "Opened"),
                    ("reopened", "Reopened"),
                    ("acknowledged", "Acknowledged"),
                    ("resolved", "Resolved"),
                    ("assigned", "Assigned"),
                    ("commented", "Comment"),
                    ("muted", "Muted"),
                    ("unmuted", "No longer muted"),
                    ("told", "Told"),
                    ("undelivered", "Could not be delivered"),
                    ("skipped", "Step skipped"),
                    ("chain-ended", "Everybody was told"),
                ],
                max_length=12,
            ),
        ),
        migrations.CreateModel(
            name="AlertChannel",
            fields=[
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
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_until", models.TimeField(blank=True, null=True)),
                (
                    "quiet_days",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("time_zone", models.CharField(blank=True, max_length=64)),
                ("urgent_score", models.FloatField(blank=True, null=True)),
                ("digest_minutes", models.PositiveIntegerField(default=0)),
                ("name", models.CharField(max_length=80)),
                (
                    "medium",
                    models.CharField(
                        choices=[
                            ("email", "E-mail"),
                            ("webhook", "Signed webhook"),
                            ("feishu", "Feishu"),
                            ("dingtalk", "DingTalk"),
                            ("wecom", "WeCom"),
                            ("slack", "Slack"),
                        ],
                        max_length=8,
                    ),
                ),
                ("address", rootstock.common.secrets.EncryptedTextField()),
                ("hint", models.CharField(blank=True, max_length=120)),
                ("secret", rootstock.common.secrets.EncryptedTextField(blank=True, default="")),
                ("enabled", models.BooleanField(default=True)),
                ("tells_end", models.BooleanField(default=True)),
                ("last_success_at", models.DateTimeField(blank=True, null=True)),
                ("problem", models.CharField(blank=True, max_length=300)),
                ("created_by", models.CharField(max_length=200)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="AlertGroup",
            fields=[
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
                ("fingerprint", models.CharField(max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[("active", "Active"), ("ended", "Ended")],
                        default="active",
                        max_length=8,
                    ),
                ),
                ("step", models.PositiveSmallIntegerField(default=0)),
                ("round", models.PositiveSmallIntegerField(default=0)),
                ("next_at", models.DateTimeField(null=True)),
                (
                    "told",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="alert",
            name="group",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="alerts",
                to="finance_sentiment.alertgroup",
            ),
        ),
        migrations.CreateModel(
            name="AlertPolicy",
            fields=[
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
                ("wider_silences_narrower", models.BooleanField(default=True)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "alert policies",
            },
        ),
        migrations.CreateModel(
            name="AlertRoute",
            fields=[
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
                ("name", models.CharField(max_length=80)),
                ("position", models.PositiveSmallIntegerField(default=0)),
                ("enabled", models.BooleanField(default=True)),
                ("matcher", models.JSONField(blank=True, default=dict)),
                (
                    "group_by",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("rule", "Rule"),
                                ("kind", "Kind of subject"),
                                ("subject", "Subject"),
                                ("thread", "Story"),
                            ],
                            max_length=10,
                        ),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("group_wait_seconds", models.PositiveIntegerField(default=30)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="alertgroup",
            name="route",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="groups",
                to="finance_sentiment.alertroute",
            ),
        ),
        migrations.CreateModel(
            name="EscalationChain",
            fields=[
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
                ("name", models.CharField(max_length=80)),
                ("description", models.CharField(blank=True, max_length=300)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="alertroute",
            name="chain",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="routes",
                to="finance_sentiment.escalationchain",
            ),
        ),
        migrations.AddField(
            model_name="alertgroup",
            name="chain",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="groups",
                to="finance_sentiment.escalationchain",
            ),
        ),
        migrations.CreateModel(
            name="EscalationStep",
            fields=[
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
                ("position", models.PositiveSmallIntegerField()),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("wait", "Wait"),
                            ("person", "Tell a person"),
                            ("role", "Tell everybody of a role"),
                            ("channel", "Tell a channel"),
                            ("only_if", "Go on only if the score is at least"),
                            ("repeat", "Begin again"),
                        ],
                        max_length=8,
                    ),
                ),
                ("wait_seconds", models.PositiveIntegerField(default=0)),
                (
                    "role",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("owner", "Owner"),
                            ("manager", "Manager"),
                            ("agent", "Agent"),
                            ("analyst", "Analyst"),
                            ("viewer", "Viewer"),
                        ],
                        max_length=10,
                    ),
                ),
                ("score", models.FloatField(blank=True, null=True)),
                ("times", models.PositiveSmallIntegerField(default=0)),
                (
                    "chain",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="steps",
                        to="finance_sentiment.escalationchain",
                    ),
                ),
                (
                    "channel",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="steps",
                        to="finance_sentiment.alertchannel",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="NoticeSettings",
            fields=[
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
                ("quiet_from", models.TimeField(blank=True, null=True)),
                ("quiet_until", models.TimeField(blank=True, null=True)),
                (
                    "quiet_days",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.PositiveSmallIntegerField(),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("time_zone", models.CharField(blank=True, max_length=64)),
                ("urgent_score", models.FloatField(blank=True, null=True)),
                ("digest_minutes", models.PositiveIntegerField(default=0)),
                ("by_email", models.BooleanField(default=True)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name_plural": "notice settings",
            },
        ),
        migrations.CreateModel(
            name="Notification",
            fields=[
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
                ("token", models.CharField(max_length=200)),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("firing", "Alert"),
                            ("resolved", "End of an alert"),
                            ("assigned", "Assigned"),
                            ("test", "Test"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "medium",
                    models.CharField(
                        choices=[
                            ("in_app", "In the application"),
                            ("email", "E-mail"),
                            ("webhook", "Signed webhook"),
                            ("feishu", "Feishu"),
                            ("dingtalk", "DingTalk"),
                            ("wecom", "WeCom"),
                            ("slack", "Slack"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "alerts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.UUIDField(), default=list, size=None
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("sent", "Sent"),
                            ("failed", "Failed"),
                            ("dropped", "Not needed any more"),
                        ],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                (
                    "held",
                    models.CharField(
                        blank=True,
                        choices=[("quiet", "Quiet hours"), ("digest", "Digest")],
                        max_length=8,
                    ),
                ),
                ("due_at", models.DateTimeField()),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("sent_at", models.DateTimeField(null=True)),
                ("sent_with", models.UUIDField(null=True)),
                ("subject", models.CharField(blank=True, max_length=300)),
                ("problem", models.CharField(blank=True, max_length=300)),
                (
                    "channel",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="notifications",
                        to="finance_sentiment.alertchannel",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="notifications",
                        to="finance_sentiment.alertgroup",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="NotificationAttempt",
            fields=[
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
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("milliseconds", models.PositiveIntegerField()),
                (
                    "notification",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="attempts",
                        to="finance_sentiment.notification",
                    ),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Silence",
            fields=[
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
                ("matcher", models.JSONField(default=dict)),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField()),
                ("reason", models.CharField(max_length=500)),
                ("created_by", models.CharField(max_length=200)),
                ("ended_by", models.CharField(blank=True, max_length=200)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        migrations.AddConstraint(
            model_name="alertchannel",
            constraint=models.UniqueConstraint(
                fields=("organisation", "name"), name="finance_channel_name_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="alertpolicy",
            constraint=models.UniqueConstraint(
                fields=("organisation",), name="finance_policy_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="escalationchain",
            constraint=models.UniqueConstraint(
                fields=("organisation", "name"), name="finance_chain_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="alertroute",
            constraint=models.UniqueConstraint(
                fields=("organisation", "name"), name="finance_route_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="alertgroup",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state", "active")),
                fields=("organisation", "fingerprint"),
                name="finance_group_active_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="escalationstep",
            constraint=models.UniqueConstraint(
                fields=("organisation", "chain", "position"), name="finance_step_place_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="noticesettings",
            constraint=models.UniqueConstraint(
                fields=("organisation", "user"), name="finance_notices_once"
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                fields=["organisation", "group", "id"], name="finance_notification_group"
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("state", "waiting")),
                fields=["organisation", "due_at"],
                name="finance_notification_due",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                fields=("organisation", "token"), name="finance_notification_once"
            ),
        ),
        migrations.AddIndex(
            model_name="notificationattempt",
            index=models.Index(
                fields=["organisation", "notification", "id"], name="finance_attempts"
            ),
        ),
        migrations.AddIndex(
            model_name="silence",
            index=models.Index(fields=["organisation", "ends_at"], name="finance_silence_end"),
        ),
        EnableRowLevelSecurity("finance_sentiment_alertchannel"),
        EnableRowLevelSecurity("finance_sentiment_alertgroup"),
        EnableRowLevelSecurity("finance_sentiment_alertpolicy"),
        EnableRowLevelSecurity("finance_sentiment_alertroute"),
        EnableRowLevelSecurity("finance_sentiment_escalationchain"),
        EnableRowLevelSecurity("finance_sentiment_escalationstep"),
        EnableRowLevelSecurity("finance_sentiment_noticesettings"),
        EnableRowLevelSecurity("finance_sentiment_notification"),
        EnableRowLevelSecurity("finance_sentiment_silence"),
        EnableRowLevelSecurity("finance_sentiment_notificationattempt", append_only=True),
    ]
