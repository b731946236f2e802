"""/api/v1/finance/labels, /api/v1/finance/loop"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import labels

urlpatterns = [
    path("labels", labels.LabelsView.as_view()),
    path("labels/choices", labels.LabelChoicesView.as_view()),
    path("labels/agreement", labels.LabelAgreementView.as_view()),
    path("labels/undo", labels.LabelUndoView.as_view()),
    path("documents/<uuid:document_id>/labels", labels.DocumentLabelsView.as_view()),
    path("documents/<uuid:document_id>/doubt", labels.DocumentDoubtView.as_view()),
]
