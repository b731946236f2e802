"""Which worker's pieces of a streamed reply count."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0002_row_level_security")]

    operations = [
        migrations.AddField(
            model_name="message",
            name="attempt",
            field=models.PositiveSmallIntegerField(default=0),
        ),
    ]
