"""/public-opinion/search/, /public-opinion/views/"""

from __future__ import annotations

from django.urls import path

from apps.finance_sentiment.views import saved_views, search

urlpatterns = [
    path("search/", search.search, name="search"),
    path("views/", saved_views.saved_view_keep, name="view-keep"),
    path("views/<uuid:finance_view_id>/delete/", saved_views.saved_view_remove, name="view-remove"),
]
