"""Which clusters of unanswered questions people have put together."""

from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("customer_service", "0011_mined_pairs")]

    operations = [
        migrations.AddField("unansweredcluster", "kept", models.BooleanField(default=False)),
    ]
