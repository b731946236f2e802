import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity, LookupFunction


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
            name="Job",
            fields=[
                *base_fields(),
                ("kind", models.CharField(max_length=80)),
                ("title", models.CharField(max_length=200)),
                ("params", models.JSONField(default=dict)),
                ("queue", models.CharField(max_length=40)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("queued", "Queued"),
                            ("running", "Running"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="queued",
                        max_length=10,
                    ),
                ),
                ("fraction", models.FloatField(default=0.0)),
                ("phase", models.CharField(blank=True, max_length=80)),
                ("message", models.CharField(blank=True, max_length=500)),
                ("result", models.JSONField(blank=True, null=True)),
                ("error", models.TextField(blank=True)),
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("attempt", models.PositiveSmallIntegerField(default=0)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("attempt_started_at", models.DateTimeField(blank=True, null=True)),
                ("attempt_fraction", models.FloatField(default=0.0)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("cancel_requested_at", models.DateTimeField(blank=True, null=True)),
                ("lease_token", models.UUIDField(blank=True, null=True)),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["organisation", "state", "-id"], name="job_by_state"),
                    models.Index(
                        condition=models.Q(("state", "running")),
                        fields=["leased_until"],
                        name="job_lease",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("fraction__gte", 0), ("fraction__lte", 1)),
                        name="job_fraction",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="JobLine",
            fields=[
                *base_fields(),
                ("text", models.CharField(max_length=2000)),
                (
                    "job",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="lines",
                        to="jobs.job",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["job", "id"], name="job_lines")]},
        ),
        EnableRowLevelSecurity("jobs_job"),
        EnableRowLevelSecurity("jobs_jobline"),
        LookupFunction(
            "jobs_expired",
            arguments="",
            returns="TABLE (id uuid, organisation_id uuid, kind varchar)",
            body="""
                SELECT id, organisation_id, kind FROM jobs_job
                WHERE state = 'running' AND leased_until < clock_timestamp() ORDER BY leased_until LIMIT 100
            """,
            reads=["jobs_job"],
        ),
        LookupFunction(
            "jobs_count",
            arguments="",
            returns="TABLE (state varchar, jobs bigint)",
            body="SELECT state, count(*) FROM jobs_job WHERE state IN ('queued', 'running') GROUP BY state",
            reads=["jobs_job"],
        ),
    ]
