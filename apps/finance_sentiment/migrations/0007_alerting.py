"""Filled by its part."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0006_rules")]

    operations: list[migrations.operations.base.Operation] = []
