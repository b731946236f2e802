"""Pages under /models/."""

from __future__ import annotations

from django.urls import path

from rootstock.modelhub.views import datasets, gate, runs, versions

app_name = "modelhub"
urlpatterns = [
    path("data-sets/", datasets.datasets, name="datasets"),
    path("data-sets/new/", datasets.dataset_new, name="dataset-new"),
    path("data-sets/<uuid:dataset_id>/", datasets.dataset, name="dataset"),
    path("data-sets/<uuid:dataset_id>/edit/", datasets.dataset_edit, name="dataset-edit"),
    path("data-sets/<uuid:dataset_id>/delete/", datasets.dataset_delete, name="dataset-delete"),
    path("data-sets/<uuid:dataset_id>/import/", datasets.dataset_import, name="import"),
    path("data-sets/<uuid:dataset_id>/train/", datasets.dataset_train, name="train"),
    path(
        "data-sets/<uuid:dataset_id>/examples/<uuid:example_id>/",
        datasets.example,
        name="example",
    ),
    path(
        "data-sets/<uuid:dataset_id>/examples/<uuid:example_id>/label/",
        datasets.example_label,
        name="example-label",
    ),
    path(
        "data-sets/<uuid:dataset_id>/examples/<uuid:example_id>/delete/",
        datasets.example_delete,
        name="example-delete",
    ),
    path("runs/", runs.runs, name="runs"),
    path("runs/<uuid:run_id>/", runs.run, name="run"),
    path("runs/<uuid:run_id>/cancel/", runs.run_cancel, name="run-cancel"),
    path("versions/", versions.versions, name="versions"),
    path("versions/<uuid:version_id>/", versions.version, name="version"),
    path("versions/<uuid:version_id>/deploy/", versions.version_deploy, name="version-deploy"),
    path("versions/<uuid:version_id>/gate/", gate.version_gate, name="version-gate"),
    path("deployments/", versions.deployments, name="deployments"),
    path("deployments/<str:name>/", versions.deployment, name="deployment"),
    path("deployments/<str:name>/roll-back/", versions.deployment_roll_back, name="roll-back"),
    path("deployments/<str:name>/gate/", gate.gate_policy, name="gate-policy"),
    path("deployments/<str:name>/shadow/", gate.shadow_start, name="shadow-start"),
    path("deployments/<str:name>/shadow/end/", gate.shadow_end, name="shadow-end"),
]
