"""Pages under /models/."""

from __future__ import annotations

from django.urls import path

from rootstock.modelhub.views import (
    annotation,
    compression,
    data,
    datasets,
    gate,
    monitoring,
    runs,
    together,
    training,
    versions,
)

app_name = "modelhub"
urlpatterns = [
    path("data-sets/", datasets.datasets, name="datasets"),
    path("data-sets/new/", datasets.dataset_new, name="dataset-new"),
    path("data-sets/<uuid:dataset_id>/", datasets.dataset, name="dataset"),
    path("data-sets/<uuid:dataset_id>/edit/", datasets.dataset_edit, name="dataset-edit"),
    path("data-sets/<uuid:dataset_id>/delete/", datasets.dataset_delete, name="dataset-delete"),
    path("data-sets/<uuid:dataset_id>/import/", datasets.dataset_import, name="import"),
    path("data-sets/<uuid:dataset_id>/train/", training.dataset_train, name="train"),
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
    path(
        "data-sets/<uuid:dataset_id>/examples/<uuid:example_id>/answer/",
        data.example_answer,
        name="example-answer",
    ),
    path(
        "data-sets/<uuid:dataset_id>/examples/<uuid:example_id>/undo/",
        data.example_undo,
        name="example-undo",
    ),
    path(
        "data-sets/<uuid:dataset_id>/examples/<uuid:example_id>/image/",
        data.example_image,
        name="example-image",
    ),
    path("data-sets/<uuid:dataset_id>/export/", data.dataset_export, name="dataset-export"),
    path("data-sets/<uuid:dataset_id>/freeze/", data.dataset_freeze, name="dataset-freeze"),
    path("data-sets/<uuid:dataset_id>/sources/<str:key>/", data.dataset_pull, name="dataset-pull"),
    path("imports/<uuid:import_id>/", data.import_page, name="import-report"),
    path("imports/<uuid:import_id>/refused/", data.import_refused, name="import-refused"),
    path("annotate/", annotation.queues, name="annotate-queues"),
    path("annotate/new/", annotation.queue_new, name="queue-new"),
    path("annotate/<uuid:queue_id>/", annotation.annotate, name="annotate"),
    path("annotate/<uuid:queue_id>/agreement/", annotation.queue_agreement, name="queue-agreement"),
    path("annotate/<uuid:queue_id>/close/", annotation.queue_close, name="queue-close"),
    path(
        "annotate/<uuid:queue_id>/examples/<uuid:example_id>/decide/",
        annotation.queue_decide,
        name="queue-decide",
    ),
    path("runs/", runs.runs, name="runs"),
    path("runs/together/", together.together, name="together"),
    path("runs/<uuid:run_id>/", runs.run, name="run"),
    path("runs/<uuid:run_id>/cancel/", runs.run_cancel, name="run-cancel"),
    path("runs/<uuid:run_id>/resume/", runs.run_resume, name="run-resume"),
    path("runs/<uuid:run_id>/tensorboard/", runs.run_tensorboard, name="run-tensorboard"),
    path("runs/compare/", runs.compare, name="compare"),
    path("runs/compare/start/", runs.compare_start, name="compare-start"),
    path("versions/<uuid:version_id>/select/", runs.version_select, name="version-select"),
    path("versions/", versions.versions, name="versions"),
    path("versions/<uuid:version_id>/", versions.version, name="version"),
    path("versions/<uuid:version_id>/deploy/", versions.version_deploy, name="version-deploy"),
    path("versions/<uuid:version_id>/gate/", gate.version_gate, name="version-gate"),
    path(
        "versions/<uuid:version_id>/compress/",
        compression.version_compress,
        name="version-compress",
    ),
    path("deployments/", versions.deployments, name="deployments"),
    path("deployments/<str:name>/", versions.deployment, name="deployment"),
    path("deployments/<str:name>/roll-back/", versions.deployment_roll_back, name="roll-back"),
    path("deployments/<str:name>/gate/", gate.gate_policy, name="gate-policy"),
    path("deployments/<str:name>/shadow/", gate.shadow_start, name="shadow-start"),
    path("deployments/<str:name>/shadow/end/", gate.shadow_end, name="shadow-end"),
    path("monitoring/", monitoring.monitoring, name="monitoring"),
    path("monitoring/<str:name>/", monitoring.monitor, name="monitor"),
    path("monitoring/<str:name>/rules/", monitoring.monitor_rules, name="monitor-rules"),
    path("monitoring/<str:name>/canary/", monitoring.canary_start, name="canary-start"),
    path("monitoring/<str:name>/canary/promote/", monitoring.canary_promote, name="canary-promote"),
    path("monitoring/<str:name>/canary/end/", monitoring.canary_end, name="canary-end"),
    path(
        "monitoring/alarms/<uuid:alarm_id>/acknowledge/",
        monitoring.alarm_acknowledge,
        name="alarm-acknowledge",
    ),
]
