"""Channels may have an assistant of their own; small talk, offering people and masking can be set."""

from __future__ import annotations

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0007_flow_runs")]

    operations = [
        migrations.RemoveConstraint("assistant", "service_assistant_once"),
        migrations.AddField(
            "assistant",
            "channel",
            models.OneToOneField(
                "customer_service.channel",
                on_delete=django.db.models.deletion.CASCADE,
                null=True,
                blank=True,
                related_name="assistant",
            ),
        ),
        migrations.AddField("assistant", "offer_people", models.BooleanField(default=True)),
        migrations.AddField("assistant", "small_talk", models.BooleanField(default=True)),
        migrations.AddField(
            "assistant",
            "unmasked",
            django.contrib.postgres.fields.ArrayField(
                models.CharField(max_length=12), default=list, blank=True
            ),
        ),
        migrations.AddConstraint(
            "assistant",
            models.UniqueConstraint(
                fields=["organisation"],
                condition=models.Q(("channel", None)),
                name="service_assistant_once",
            ),
        ),
    ]
