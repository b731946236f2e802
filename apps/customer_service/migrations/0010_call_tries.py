"""How often a call was tried."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0008_assistant_settings")]

    operations = [
        migrations.AddField("actioncall", "tries", models.PositiveSmallIntegerField(default=1)),
    ]
