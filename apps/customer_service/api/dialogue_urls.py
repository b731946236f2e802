"""Addresses of past dialogues and what is found in them."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api import dialogues, pairs

urlpatterns: list[URLPattern] = [
    path("dialogues", dialogues.DialoguesView.as_view()),
    path("dialogues/imports", dialogues.DialogueImportsView.as_view()),
    path("pairs", pairs.PairsView.as_view()),
    path("pairs/find", pairs.PairsFindView.as_view()),
    path("pairs/decide", pairs.PairsDecideView.as_view()),
    path("pairs/<uuid:pair_id>", pairs.PairView.as_view()),
    path("pairs/<uuid:pair_id>/accept", pairs.PairAcceptView.as_view()),
    path("pairs/<uuid:pair_id>/reject", pairs.PairRejectView.as_view()),
]
