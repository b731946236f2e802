import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.common.secrets
import rootstock.tenancy.scope
from rootstock.common.partitions import RangePartitioned
from rootstock.tenancy.rls import EnableRowLevelSecurity


def base_fields() -> list:
    return [
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
    ]


class Migration(migrations.Migration):
    initial = True
    dependencies = [("tenancy", "0002_organisations")]

    operations = [
        migrations.CreateModel(
            name="Endpoint",
            fields=[
                *base_fields(),
                ("url", models.CharField(max_length=500)),
                ("description", models.CharField(blank=True, max_length=200)),
                (
                    "event_types",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=80), size=None
                    ),
                ),
                ("secret", rootstock.common.secrets.EncryptedTextField()),
                ("old_secret", rootstock.common.secrets.EncryptedTextField(blank=True, default="")),
                ("old_secret_until", models.DateTimeField(blank=True, null=True)),
                ("disabled_at", models.DateTimeField(blank=True, null=True)),
                ("disabled_reason", models.CharField(blank=True, max_length=200)),
                ("last_success_at", models.DateTimeField(blank=True, null=True)),
                ("created_by", models.CharField(max_length=200)),
            ],
            options={"abstract": False},
        ),
        EnableRowLevelSecurity("webhooks_endpoint"),
        migrations.CreateModel(
            name="Delivery",
            fields=[
                *base_fields(),
                ("event_type", models.CharField(max_length=80)),
                ("body", models.TextField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("delivered", "Delivered"),
                            ("failed", "Failed"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("tries", models.PositiveSmallIntegerField(default=0)),
                ("next_try_at", models.DateTimeField(blank=True, null=True)),
                ("delivered_at", models.DateTimeField(blank=True, null=True)),
                (
                    "endpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="deliveries",
                        to="webhooks.endpoint",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organisation", "endpoint", "-id"], name="delivery_newest")
                ]
            },
        ),
        RangePartitioned("webhooks_delivery"),
        EnableRowLevelSecurity("webhooks_delivery"),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                *base_fields(),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("error", models.CharField(blank=True, max_length=300)),
                ("answer", models.CharField(blank=True, max_length=1000)),
                ("milliseconds", models.PositiveIntegerField()),
                (
                    "delivery",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="webhooks.delivery",
                    ),
                ),
            ],
            options={"abstract": False},
        ),
        RangePartitioned("webhooks_attempt"),
        EnableRowLevelSecurity("webhooks_attempt"),
    ]
