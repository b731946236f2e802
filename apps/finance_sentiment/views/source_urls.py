"""/public-opinion/sources/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import sources as views

urlpatterns = [
    path("sources/", views.source_list, name="sources"),
    path("sources/rows/", views.source_rows, name="source-rows"),
    path("sources/new/", views.source_new, name="source-new"),
    path("sources/new/<slug:kind>/", views.source_new, name="source-new"),
    path("sources/opml/", views.source_opml, name="source-opml"),
    path("sources/refused/", views.refused_list, name="refused-items"),
    path("sources/refused/retry/", views.refused_all_again, name="refused-retry-all"),
    path("sources/refused/<uuid:refused_item_id>/", views.refused_detail, name="refused-item"),
    path(
        "sources/refused/<uuid:refused_item_id>/again/", views.refused_again, name="refused-again"
    ),
    path(
        "sources/refused/<uuid:refused_item_id>/dismiss/", views.refused_drop, name="refused-drop"
    ),
    path("sources/<uuid:news_source_id>/", views.source_detail, name="source"),
    path("sources/<uuid:news_source_id>/poll/", views.source_poll, name="source-poll"),
    path("sources/<uuid:news_source_id>/switch/", views.source_switch, name="source-switch"),
    path("sources/<uuid:news_source_id>/rotate/", views.source_rotate, name="source-rotate"),
    path("sources/<uuid:news_source_id>/remove/", views.source_remove, name="source-remove"),
]
