import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction

# An organisation is looked at when something was asked since traffic was last added up, or when an alarm or a canary
# is waiting for its end.
DUE = """
    SELECT organisation_id FROM modelhub_trafficbucket WHERE created_at > now() - interval '10 minutes'
    UNION SELECT organisation_id FROM modelhub_alarm WHERE closed_at IS NULL
    UNION SELECT organisation_id FROM modelhub_deployment WHERE canary_id IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [
        ("modelhub", "0006_answer_sheets"),
        ("tenancy", "0003_slug_taken"),
    ]

    operations = [
        migrations.AddField(
            model_name="datasetexample",
            name="subject_id",
            field=models.UUIDField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="datasetexample",
            name="subject_type",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="deployment",
            name="canary",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="canary_of",
                to="modelhub.modelversion",
            ),
        ),
        migrations.AddField(
            model_name="deployment",
            name="canary_share",
            field=models.FloatField(default=0.1),
        ),
        migrations.AddField(
            model_name="deployment",
            name="canary_since",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="deploymentchange",
            name="kind",
            field=models.CharField(
                choices=[
                    ("promoted", "Promoted"),
                    ("rolled-back", "Rolled back"),
                    ("shadow-started", "Shadow started"),
                    ("shadow-ended", "Shadow ended"),
                    ("canary-started", "Canary started"),
                    ("canary-ended", "Canary ended"),
                    ("canary-rolled-back", "Canary rolled back"),
                ],
                max_length=20,
            ),
        ),
        migrations.CreateModel(
            name="Alarm",
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
                ("rule", models.CharField(max_length=20)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("opening", models.JSONField(default=dict)),
                ("worst", models.JSONField(default=dict)),
                ("latest", models.JSONField(default=dict)),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("acknowledged_by", models.CharField(blank=True, max_length=200)),
                (
                    "deployment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="alarms",
                        to="modelhub.deployment",
                    ),
                ),
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
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="modelhub.modelversion",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organisation", "-opened_at"], name="alarm_newest")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at__isnull", True)),
                        fields=("organisation", "deployment", "rule"),
                        name="alarm_open_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftBaseline",
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
                    "source",
                    models.CharField(
                        choices=[
                            ("live", "the first texts it was asked about"),
                            ("snapshot", "the snapshot it was trained on"),
                        ],
                        max_length=10,
                    ),
                ),
                ("rows", models.PositiveIntegerField()),
                ("encoder", models.CharField(max_length=200)),
                ("reference", models.BinaryField()),
                (
                    "deployment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="baselines",
                        to="modelhub.deployment",
                    ),
                ),
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
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="modelhub.modelversion",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("organisation", "deployment", "version"), name="drift_baseline_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftRow",
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
                ("deployment_id", models.UUIDField()),
                ("version_id", models.UUIDField()),
                ("text", models.TextField()),
                ("length", models.PositiveIntegerField()),
                ("language", models.CharField(max_length=10)),
                ("label", models.CharField(max_length=120)),
                ("confidence", models.FloatField()),
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
                "indexes": [
                    models.Index(
                        fields=["organisation", "deployment_id", "version_id", "id"],
                        name="drift_row_window",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DriftWindow",
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
                ("rows", models.PositiveIntegerField()),
                ("started_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField()),
                ("drifted", models.BooleanField()),
                ("signals", models.JSONField(default=list)),
                ("examples", models.JSONField(default=list)),
                (
                    "deployment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="windows",
                        to="modelhub.deployment",
                    ),
                ),
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
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="modelhub.modelversion",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["organisation", "deployment", "-id"], name="drift_window_newest"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="MonitorPolicy",
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
                ("deployment", models.CharField(max_length=120)),
                ("rules", models.JSONField(default=dict)),
                (
                    "drift_source",
                    models.CharField(
                        choices=[
                            ("live", "the first texts it was asked about"),
                            ("snapshot", "the snapshot it was trained on"),
                        ],
                        default="live",
                        max_length=10,
                    ),
                ),
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
                    models.UniqueConstraint(
                        fields=("organisation", "deployment"), name="monitor_policy_once"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Outcome",
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
                ("deployment_id", models.UUIDField()),
                ("version_id", models.UUIDField()),
                ("shadow", models.BooleanField(default=False)),
                ("subject_type", models.CharField(max_length=40)),
                ("subject_id", models.UUIDField()),
                ("answered", models.CharField(max_length=120)),
                ("actual", models.CharField(max_length=120)),
                ("answered_at", models.DateTimeField()),
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
                "indexes": [
                    models.Index(
                        fields=["organisation", "deployment_id", "answered_at"], name="outcome_time"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=(
                            "organisation",
                            "deployment_id",
                            "version_id",
                            "subject_type",
                            "subject_id",
                        ),
                        name="outcome_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="TrafficBucket",
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
                ("deployment_id", models.UUIDField()),
                ("version_id", models.UUIDField()),
                (
                    "role",
                    models.CharField(
                        choices=[("live", "Deployed"), ("canary", "Canary"), ("shadow", "Shadow")],
                        default="live",
                        max_length=6,
                    ),
                ),
                ("start", models.DateTimeField()),
                ("width", models.PositiveIntegerField()),
                ("answered", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                ("confidence_sum", models.FloatField(default=0.0)),
                ("compared", models.PositiveIntegerField(default=0)),
                ("agreed", models.PositiveIntegerField(default=0)),
                ("counts", models.JSONField(default=dict)),
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
                "indexes": [
                    models.Index(
                        fields=["organisation", "deployment_id", "start", "width"],
                        name="traffic_stretch",
                    ),
                    models.Index(fields=["organisation", "width", "start"], name="traffic_age"),
                ],
            },
        ),
        *[
            EnableRowLevelSecurity(f"modelhub_{table}")
            for table in (
                "trafficbucket",
                "outcome",
                "driftbaseline",
                "driftrow",
                "monitorpolicy",
                "alarm",
            )
        ],
        EnableRowLevelSecurity("modelhub_driftwindow", append_only=True),
        LookupFunction(
            "modelhub_monitored_organisations",
            arguments="",
            returns="TABLE (organisation_id uuid)",
            body=DUE,
            reads=["modelhub_trafficbucket", "modelhub_alarm", "modelhub_deployment"],
        ),
    ]
