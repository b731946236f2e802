"""Addresses of the assistant's settings."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.views import assistant

urlpatterns: list[URLPattern] = [
    path("settings/assistant/", assistant.settings, name="assistant"),
    path("settings/assistant/follow/", assistant.follow, name="assistant-follow"),
    path("settings/assistant/tuning/", assistant.tuning, name="assistant-tuning"),
    path("settings/assistant/tuning/run/", assistant.tuning_run, name="assistant-tuning-run"),
    path(
        "settings/assistant/tuning/cancel/", assistant.tuning_cancel, name="assistant-tuning-cancel"
    ),
    path("settings/assistant/tuning/use/", assistant.tuning_take, name="assistant-tuning-use"),
    path(
        "settings/assistant/tuning/progress/",
        assistant.tuning_progress,
        name="assistant-tuning-progress",
    ),
]
