"""Addresses of this part."""

from __future__ import annotations

from django.urls import URLPattern, path

from apps.customer_service.api.answering import AnswerView
from apps.customer_service.api.assistants import (
    AssistantView,
    ChannelAssistantView,
    TuningUseView,
    TuningView,
)

urlpatterns: list[URLPattern] = [
    path("answer", AnswerView.as_view(), name="service-answer"),
    path("assistant", AssistantView.as_view(), name="service-assistant"),
    path("assistant/tuning", TuningView.as_view(), name="service-tuning"),
    path("assistant/tuning/use", TuningUseView.as_view(), name="service-tuning-use"),
    path(
        "channels/<uuid:channel_id>/assistant",
        ChannelAssistantView.as_view(),
        name="service-channel-assistant",
    ),
]
