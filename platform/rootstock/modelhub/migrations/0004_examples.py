import django.db.models.deletion
from django.db import migrations, models

import rootstock.common.ids
import rootstock.tenancy.scope
from rootstock.tenancy.rls import EnableRowLevelSecurity


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0001_initial"),
        ("modelhub", "0003_gate"),
        ("tenancy", "0003_slug_taken"),
    ]

    operations = [
        migrations.CreateModel(
            name="AnnotationQueue",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("name", models.CharField(max_length=120)),
                ("instructions", models.TextField(blank=True, max_length=10000)),
                ("overlap", models.PositiveSmallIntegerField(default=1)),
                (
                    "order",
                    models.CharField(
                        choices=[
                            ("oldest", "Oldest first"),
                            ("uncertainty", "Most uncertain first"),
                            ("random", "Random"),
                        ],
                        default="oldest",
                        max_length=12,
                    ),
                ),
                ("choices", models.JSONField(default=list)),
                ("deployment", models.CharField(blank=True, max_length=120)),
                ("include_labelled", models.BooleanField(default=False)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="queues",
                        to="modelhub.dataset",
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
        ),
        migrations.CreateModel(
            name="Annotation",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("content", models.JSONField(default=dict)),
                ("skipped", models.BooleanField(default=False)),
                ("seconds", models.FloatField(blank=True, null=True)),
                ("suggestion", models.JSONField(blank=True, null=True)),
                (
                    "example",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="annotations",
                        to="modelhub.datasetexample",
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
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="annotations",
                        to="modelhub.annotationqueue",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Decision",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("content", models.JSONField(default=dict)),
                ("agreed", models.BooleanField(default=True)),
                ("before", models.JSONField(default=dict)),
                (
                    "example",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="decisions",
                        to="modelhub.datasetexample",
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
                    "queue",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="decisions",
                        to="modelhub.annotationqueue",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="DatasetItem",
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
                ("key", models.CharField(max_length=200)),
                ("text", models.TextField()),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="items",
                        to="modelhub.dataset",
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
        ),
        migrations.CreateModel(
            name="DatasetImport",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        choices=[("rows", "Rows"), ("items", "Item texts")],
                        default="rows",
                        max_length=10,
                    ),
                ),
                ("file_name", models.CharField(max_length=200)),
                ("path", models.CharField(blank=True, max_length=200)),
                ("options", models.JSONField(default=dict)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("error", models.TextField(blank=True)),
                ("rows", models.PositiveIntegerField(default=0)),
                ("added", models.PositiveIntegerField(default=0)),
                ("duplicates", models.PositiveIntegerField(default=0)),
                ("unlabelled", models.PositiveIntegerField(default=0)),
                ("refused", models.PositiveIntegerField(default=0)),
                ("problems", models.JSONField(default=list)),
                ("conflicts", models.JSONField(default=list)),
                ("refused_path", models.CharField(blank=True, max_length=200)),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="imports",
                        to="modelhub.dataset",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="jobs.job",
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
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="DatasetSource",
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
                ("actor_kind", models.CharField(max_length=10)),
                ("actor_id", models.CharField(max_length=64)),
                ("actor_label", models.CharField(max_length=200)),
                ("key", models.CharField(max_length=60)),
                ("cursor", models.CharField(blank=True, max_length=200)),
                ("pulled_at", models.DateTimeField(blank=True, null=True)),
                ("added", models.PositiveIntegerField(default=0)),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sources",
                        to="modelhub.dataset",
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
        ),
        migrations.AddField(
            model_name="datasetexample",
            name="content",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="datasetexample",
            name="labelled",
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name="datasetexample",
            name="metadata",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="datasetexample",
            name="uncertainty",
            field=models.FloatField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="labelchange",
            name="after",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="labelchange",
            name="before",
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name="labelchange",
            name="reason",
            field=models.CharField(
                choices=[
                    ("edit", "Edited"),
                    ("annotation", "Annotated"),
                    ("adjudication", "Decided"),
                    ("undo", "Undone"),
                ],
                default="edit",
                max_length=12,
            ),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="group_by",
            field=models.CharField(blank=True, max_length=120),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="groups_kept_together",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="near_duplicates",
            field=models.FloatField(default=1.0),
        ),
        migrations.AddField(
            model_name="snapshot",
            name="split_counts",
            field=models.JSONField(default=dict),
        ),
        migrations.AddIndex(
            model_name="datasetexample",
            index=models.Index(
                fields=["organisation", "dataset", "labelled", "id"], name="example_labelled"
            ),
        ),
        migrations.AddIndex(
            model_name="datasetexample",
            index=models.Index(
                condition=models.Q(("uncertainty__isnull", False)),
                fields=["organisation", "dataset", "-uncertainty"],
                name="example_uncertainty",
            ),
        ),
        migrations.AddConstraint(
            model_name="annotationqueue",
            constraint=models.UniqueConstraint(
                fields=("organisation", "dataset", "name"), name="queue_name_once"
            ),
        ),
        migrations.AddIndex(
            model_name="annotation",
            index=models.Index(
                fields=["organisation", "queue", "-created_at"], name="annotation_newest"
            ),
        ),
        migrations.AddConstraint(
            model_name="annotation",
            constraint=models.UniqueConstraint(
                fields=("organisation", "queue", "example", "actor_kind", "actor_id"),
                name="annotation_once",
            ),
        ),
        migrations.AddConstraint(
            model_name="datasetitem",
            constraint=models.UniqueConstraint(
                fields=("organisation", "dataset", "key"), name="dataset_item_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="datasetsource",
            constraint=models.UniqueConstraint(
                fields=("organisation", "dataset", "key"), name="dataset_source_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="decision",
            constraint=models.UniqueConstraint(
                fields=("organisation", "queue", "example"), name="decision_once"
            ),
        ),
        # Rows of before: all of them classify a text. The owner is under the policies too, but for this statement.
        migrations.RunSQL(
            """
            ALTER TABLE modelhub_datasetexample NO FORCE ROW LEVEL SECURITY;
            UPDATE modelhub_datasetexample SET labelled = label <> '', content =
                jsonb_build_object('text', text)
                || CASE WHEN label = '' THEN '{}' ELSE jsonb_build_object('label', label) END;
            ALTER TABLE modelhub_datasetexample FORCE ROW LEVEL SECURITY;
            """,
            migrations.RunSQL.noop,
        ),
        *[
            EnableRowLevelSecurity(f"modelhub_{table}")
            for table in (
                "datasetitem",
                "datasetimport",
                "datasetsource",
                "annotationqueue",
                "annotation",
                "decision",
            )
        ],
    ]
