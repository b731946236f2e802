"""/api/v1/finance/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.api import documents, signals

urlpatterns = [
    path("documents", documents.DocumentsView.as_view()),
    path("documents/requeue", documents.RequeueView.as_view()),
    path("documents/<uuid:document_id>", documents.DocumentView.as_view()),
    path("trend", signals.TrendView.as_view()),
    path("trend.csv", signals.TrendCsvView.as_view()),
    path("topics", signals.TopicsView.as_view()),
    path("rule", signals.RuleView.as_view()),
    path("alerts", signals.AlertsView.as_view()),
    path("alerts/<uuid:alert_id>", signals.AlertView.as_view()),
    path("alerts/<uuid:alert_id>/acknowledge", signals.AcknowledgeView.as_view()),
]
