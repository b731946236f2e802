"""What a visit brought, which documents are gone or expired, and which draft an evaluation asked."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0006_erasing_events")]

    operations = [
        migrations.AddField("source", "synced_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField("source", "problem", models.TextField(blank=True, default="")),
        migrations.AddField("source", "problem_values", models.JSONField(default=dict, blank=True)),
        migrations.AddField("source", "expired", models.BooleanField(default=False)),
        migrations.AddField(
            "document", "problem_values", models.JSONField(default=dict, blank=True)
        ),
        migrations.AddField("document", "gone_at", models.DateTimeField(null=True, blank=True)),
        migrations.AddField(
            "evaluationrun", "draft", models.CharField(max_length=64, blank=True, default="")
        ),
        migrations.AddField(
            "evaluationrun",
            "baseline",
            models.ForeignKey(
                "customer_service.evaluationrun",
                on_delete=django.db.models.deletion.SET_NULL,
                null=True,
                blank=True,
                related_name="+",
            ),
        ),
    ]
