"""How often a pair was found, how else it was asked, and what became of it."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0010_call_tries")]

    operations = [
        migrations.AddField("minedpair", "support", models.PositiveIntegerField(default=1)),
        migrations.AddField("minedpair", "variants", models.JSONField(blank=True, default=list)),
        migrations.AddField("minedpair", "edited", models.BooleanField(default=False)),
        migrations.AddField(
            "minedpair",
            "answer",
            models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="mined_pairs",
                to="customer_service.answer",
            ),
        ),
        migrations.AddField(
            "minedpair", "decided_by", models.CharField(blank=True, max_length=200)
        ),
    ]
