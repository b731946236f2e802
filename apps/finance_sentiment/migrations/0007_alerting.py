"""Alerts of any rule on any subject."""

from __future__ import annotations

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0006_rules")]

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
    ]
