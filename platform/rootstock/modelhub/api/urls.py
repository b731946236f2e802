"""Addresses under /api/v1/models/."""

from __future__ import annotations

from django.urls import path

from rootstock.modelhub.api import annotation, data, datasets, gate, training, versions

urlpatterns = [
    path("datasets", datasets.DatasetList.as_view()),
    path("datasets/<uuid:dataset_id>", datasets.DatasetView.as_view()),
    path("datasets/<uuid:dataset_id>/examples", datasets.ExampleList.as_view()),
    path("datasets/<uuid:dataset_id>/examples/<uuid:example_id>", datasets.ExampleView.as_view()),
    path("datasets/<uuid:dataset_id>/upload", datasets.Upload.as_view()),
    path(
        "datasets/<uuid:dataset_id>/examples/<uuid:example_id>/undo", data.ExampleUndo.as_view()
    ),
    path("datasets/<uuid:dataset_id>/imports", data.ImportList.as_view()),
    path("datasets/<uuid:dataset_id>/export", data.Export.as_view()),
    path("datasets/<uuid:dataset_id>/items", data.ItemList.as_view()),
    path("datasets/<uuid:dataset_id>/sources", data.SourceList.as_view()),
    path("datasets/<uuid:dataset_id>/sources/<str:key>/pull", data.SourcePull.as_view()),
    path("datasets/<uuid:dataset_id>/uncertainties", data.Uncertainties.as_view()),
    path("imports/<uuid:import_id>", data.ImportView.as_view()),
    path("imports/<uuid:import_id>/refused", data.ImportRefused.as_view()),
    path("queues", annotation.QueueList.as_view()),
    path("queues/<uuid:queue_id>", annotation.QueueView.as_view()),
    path("queues/<uuid:queue_id>/next", annotation.QueueNext.as_view()),
    path(
        "queues/<uuid:queue_id>/examples/<uuid:example_id>/suggestion",
        annotation.QueueSuggestion.as_view(),
    ),
    path("queues/<uuid:queue_id>/annotations", annotation.QueueAnnotations.as_view()),
    path("queues/<uuid:queue_id>/undo", annotation.QueueUndo.as_view()),
    path("queues/<uuid:queue_id>/agreement", annotation.QueueAgreement.as_view()),
    path("queues/<uuid:queue_id>/disagreements", annotation.QueueDisagreements.as_view()),
    path("queues/<uuid:queue_id>/decisions", annotation.QueueDecisions.as_view()),
    path("snapshots", datasets.SnapshotList.as_view()),
    path("snapshots/<uuid:snapshot_id>", datasets.SnapshotView.as_view()),
    path("runs", training.RunList.as_view()),
    path("runs/<uuid:run_id>", training.RunView.as_view()),
    path("runs/<uuid:run_id>/cancel", training.RunCancel.as_view()),
    path("versions", versions.VersionList.as_view()),
    path("versions/<uuid:version_id>", versions.VersionView.as_view()),
    path("versions/<uuid:version_id>/card", versions.VersionCard.as_view()),
    path("versions/<uuid:version_id>/lineage", gate.VersionLineage.as_view()),
    path("versions/<uuid:version_id>/evaluations", gate.EvaluationList.as_view()),
    path("versions/<uuid:version_id>/gate", gate.GateReportList.as_view()),
    path("gate/checks", gate.CheckList.as_view()),
    path("deployments", versions.DeploymentList.as_view()),
    path("deployments/<str:name>", versions.DeploymentView.as_view()),
    path("deployments/<str:name>/promote", versions.DeploymentPromote.as_view()),
    path("deployments/<str:name>/rollback", versions.DeploymentRollback.as_view()),
    path("deployments/<str:name>/history", versions.DeploymentHistory.as_view()),
    path("deployments/<str:name>/gate", gate.GatePolicyView.as_view()),
    path("deployments/<str:name>/shadow", gate.DeploymentShadow.as_view()),
    path("deployments/<str:name>/shadow/end", gate.DeploymentShadowEnd.as_view()),
    path("predictions", versions.PredictionList.as_view()),
]
