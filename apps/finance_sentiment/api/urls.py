"""/api/v1/finance/"""

from __future__ import annotations

from django.urls import include, path

from apps.finance_sentiment.api import (
    alerting_urls,
    calendars,
    desk_urls,
    documents,
    entity_urls,
    exports,
    portfolios,
    reports,
    signal_urls,
    signals,
    threads,
)

urlpatterns = [
    path("", include("apps.finance_sentiment.api.source_urls")),
    path("", include("apps.finance_sentiment.api.loop_urls")),
    path("documents", documents.DocumentsView.as_view()),
    path("documents/requeue", documents.RequeueView.as_view()),
    path("documents/<uuid:document_id>", documents.DocumentView.as_view()),
    path("trend", signals.TrendView.as_view()),
    path("trend.csv", signals.TrendCsvView.as_view()),
    path("topics", signals.TopicsView.as_view()),
    *signal_urls.urlpatterns,
    *alerting_urls.urlpatterns,
    *entity_urls.urlpatterns,
    *threads.urlpatterns,
    *desk_urls.urlpatterns,
    *portfolios.urlpatterns,
    *exports.urlpatterns,
    *reports.urlpatterns,
    *calendars.urlpatterns,
]
