"""/api/v1/finance/: sources and what could not be taken in."""

from __future__ import annotations

from django.urls import include, path

from apps.finance_sentiment.api import sources

urlpatterns = [
    path("sources", sources.SourcesView.as_view()),
    path("sources/opml", sources.OpmlView.as_view()),
    path("sources/<uuid:news_source_id>", sources.SourceView.as_view()),
    path("sources/<uuid:news_source_id>/poll", sources.SourcePollView.as_view()),
    path("sources/<uuid:news_source_id>/rotate-secret", sources.SourceSecretView.as_view()),
    path("refused-items", sources.RefusedItemsView.as_view()),
    path("refused-items/retry", sources.RefusedRetryAllView.as_view()),
    path("refused-items/<uuid:refused_item_id>/retry", sources.RefusedRetryView.as_view()),
    path("refused-items/<uuid:refused_item_id>/dismiss", sources.RefusedDismissView.as_view()),
    path("hooks/", include("apps.finance_sentiment.api.hook_urls")),
]
