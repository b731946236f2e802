"""What a run remembers between turns, secrets that overlap when they are rotated, and when an intent begins a flow."""

from __future__ import annotations

from django.db import migrations, models

import rootstock.common.secrets


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0004_knowledge")]

    operations = [
        migrations.AddField("flow", "threshold", models.FloatField(default=0.6)),
        migrations.AddField(
            "businessaction",
            "old_secret",
            rootstock.common.secrets.EncryptedTextField(default="", blank=True),
        ),
        migrations.AddField(
            "businessaction", "old_secret_until", models.DateTimeField(null=True, blank=True)
        ),
        migrations.AddField("flowrun", "memory", models.JSONField(default=dict)),
        migrations.AddField("flowrun", "taken", models.UUIDField(null=True)),
        migrations.AddField("flowrun", "reply", models.JSONField(default=dict)),
        migrations.AddField(
            "actioncall", "http_status", models.PositiveSmallIntegerField(null=True)
        ),
        migrations.AddIndex(
            "flowrun", models.Index(fields=["version", "state"], name="service_flow_runs")
        ),
        migrations.AddIndex(
            "actioncall",
            models.Index(fields=["organisation", "-id"], name="service_calls_newest"),
        ),
    ]
