"""Filled by its part."""

from __future__ import annotations

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("finance_sentiment", "0005_threads")]

    operations: list[migrations.operations.base.Operation] = []
