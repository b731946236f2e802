import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.common.partitions import RangePartitioned
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenancy", "0002_organisations")]

    operations = [
        migrations.CreateModel(
            name="Stream",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=rootstock.common.ids.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("name", models.CharField(max_length=60)),
                ("sequence", models.BigIntegerField(default=0)),
                (
                    "organisation",
                    models.ForeignKey(
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("organisation", "name"), name="stream_once")
                ],
            },
        ),
        EnableRowLevelSecurity("realtime_stream"),
        migrations.CreateModel(
            name="Event",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "organisation_id",
                        "stream",
                        "sequence",
                        "created_at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("stream", models.CharField(max_length=60)),
                ("sequence", models.BigIntegerField()),
                ("type", models.CharField(max_length=80)),
                ("payload", models.JSONField()),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
                ),
                (
                    "organisation",
                    models.ForeignKey(
                        db_index=False,
                        default=rootstock.tenancy.scope.current_organisation_id,
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenancy.organisation",
                    ),
                ),
            ],
        ),
        RangePartitioned("realtime_event", period="week"),
        # What has happened cannot be changed or taken back; old events go with their partition.
        EnableRowLevelSecurity("realtime_event", append_only=True),
    ]
