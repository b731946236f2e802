"""Addresses under /api/openai/v1/."""

from __future__ import annotations

from django.urls import path

from rootstock.gateway.openai import views

urlpatterns = [
    path("models", views.ModelList.as_view()),
    path("models/<path:name>", views.ModelView.as_view()),
    path("embeddings", views.Embeddings.as_view()),
    path("chat/completions", views.ChatCompletions.as_view()),
]
