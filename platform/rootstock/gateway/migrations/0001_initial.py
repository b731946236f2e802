import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.common.secrets
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenancy", "0002_organisations")]

    operations = [
        migrations.CreateModel(
            name="Connection",
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
                ("name", models.CharField(max_length=40)),
                ("base_url", models.CharField(max_length=500)),
                (
                    "api_key",
                    rootstock.common.secrets.EncryptedTextField(blank=True, default=""),
                ),
                ("timeout_seconds", models.PositiveSmallIntegerField(default=60)),
                (
                    "offered",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=200),
                        blank=True,
                        default=list,
                        size=None,
                    ),
                ),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("problem", models.CharField(blank=True, max_length=500)),
                ("created_by", models.CharField(max_length=200)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "name"), name="connection_name_once"
                    )
                ]
            },
        ),
        EnableRowLevelSecurity("gateway_connection"),
    ]
