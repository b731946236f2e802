"""Addresses under /api/v1/."""

from __future__ import annotations

from django.urls import path

from rootstock.outbox.api.views import DeadLetterList, DeadLetterRetry, DeadLetterView

urlpatterns = [
    path("outbox/dead-letters/", DeadLetterList.as_view()),
    path("outbox/dead-letters/<uuid:message_id>/", DeadLetterView.as_view()),
    path("outbox/dead-letters/<uuid:message_id>/retry/", DeadLetterRetry.as_view()),
]
