import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


def common() -> list[tuple[str, models.Field]]:
    """The columns that every row of an author has."""
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
        ("actor_kind", models.CharField(max_length=10)),
        ("actor_id", models.CharField(max_length=64)),
        ("actor_label", models.CharField(max_length=200)),
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


def version_key() -> models.ForeignKey:
    return models.ForeignKey(
        on_delete=django.db.models.deletion.PROTECT,
        related_name="+",
        to="modelhub.modelversion",
    )


class Migration(migrations.Migration):
    dependencies = [
        ("modelhub", "0004_examples"),
        ("tenancy", "0003_slug_taken"),
    ]

    operations = [
        migrations.AddField("trainingrun", "goes_on", models.BooleanField(default=False)),
        migrations.AddField("trainingrun", "headline", models.CharField(blank=True, max_length=60)),
        migrations.AddField("trainingrun", "space", models.JSONField(default=dict)),
        migrations.AddField(
            "trainingrun", "trial_count", models.PositiveSmallIntegerField(default=0)
        ),
        migrations.AddField("trainingrun", "trials", models.JSONField(default=list)),
        migrations.CreateModel(
            name="TrainingFile",
            fields=[
                *common(),
                ("option", models.CharField(max_length=40)),
                ("name", models.CharField(max_length=200)),
                ("path", models.CharField(max_length=200)),
                ("size_bytes", models.PositiveBigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
            ],
            options={"abstract": False},
        ),
        migrations.CreateModel(
            name="Comparison",
            fields=[
                *common(),
                (
                    "split",
                    models.CharField(
                        choices=[
                            ("train", "Training"),
                            ("validation", "Validation"),
                            ("test", "Test"),
                        ],
                        max_length=10,
                    ),
                ),
                ("count", models.PositiveIntegerField()),
                ("differences", models.JSONField()),
                ("first", version_key()),
                ("second", version_key()),
                (
                    "snapshot",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="comparisons",
                        to="modelhub.snapshot",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "first", "second", "snapshot", "split"),
                        name="comparison_once",
                    )
                ],
            },
        ),
        EnableRowLevelSecurity("modelhub_trainingfile"),
        EnableRowLevelSecurity("modelhub_comparison"),
    ]
