"""Addresses of the pages of past dialogues and what is found in them."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.views import dialogues, pairs

urlpatterns: list[URLPattern] = [
    path("learning/import/", dialogues.dialogues_import, name="dialogues-import"),
    path("learning/import/<uuid:job_id>/", dialogues.dialogues_imported, name="dialogues-imported"),
    path("learning/pairs/", pairs.pair_list, name="pairs"),
    path("learning/pairs/find/", pairs.pairs_find, name="pairs-find"),
    path("learning/pairs/progress/", pairs.pairs_progress, name="pairs-progress"),
    path("learning/pairs/decide/", pairs.pairs_decided, name="pairs-decide"),
    path("learning/pairs/<uuid:pair_id>/", pairs.pair_page, name="pair"),
]
