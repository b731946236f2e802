"""Why a source failed may take many words; an evaluation may be of no draft."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("customer_service", "0012_cluster_kept"),
    ]

    operations = [
        migrations.AlterField(
            model_name="evaluationrun",
            name="draft",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AlterField(
            model_name="source",
            name="problem",
            field=models.TextField(blank=True),
        ),
    ]
