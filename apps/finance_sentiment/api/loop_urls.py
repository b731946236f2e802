"""/api/v1/finance/labels, /api/v1/finance/loop"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import labels, loop

urlpatterns = [
    path("labels", labels.LabelsView.as_view()),
    path("labels/choices", labels.LabelChoicesView.as_view()),
    path("labels/agreement", labels.LabelAgreementView.as_view()),
    path("labels/measured", loop.MeasuredView.as_view()),
    path("labels/queue", loop.LabelQueueView.as_view()),
    path("labels/undo", labels.LabelUndoView.as_view()),
    path("documents/<uuid:document_id>/labels", labels.DocumentLabelsView.as_view()),
    path("documents/<uuid:document_id>/doubt", labels.DocumentDoubtView.as_view()),
    path("documents/<uuid:document_id>/skip", loop.DocumentSkipView.as_view()),
    path("loop", loop.LoopView.as_view()),
    path("loop/candidates", loop.CandidatesView.as_view()),
    path("loop/cycles", loop.CyclesView.as_view()),
    path("loop/cycles/<uuid:cycle_id>", loop.CycleView.as_view()),
    path("loop/cycles/<uuid:cycle_id>/cancel", loop.CycleCancelView.as_view()),
    path("loop/cycles/<uuid:cycle_id>/close", loop.CycleCloseView.as_view()),
    path("loop/cycles/<uuid:cycle_id>/deploy", loop.CycleDeployView.as_view()),
]
