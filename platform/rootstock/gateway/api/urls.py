"""Addresses under /api/v1/."""

from __future__ import annotations

from django.urls import path

from rootstock.gateway.api.views import (
    ConnectionKey,
    ConnectionList,
    ConnectionTest,
    ConnectionView,
    Predictions,
)

urlpatterns = [
    path("predictions", Predictions.as_view()),
    path("connections", ConnectionList.as_view()),
    path("connections/<uuid:connection_id>", ConnectionView.as_view()),
    path("connections/<uuid:connection_id>/test", ConnectionTest.as_view()),
    path("connections/<uuid:connection_id>/key", ConnectionKey.as_view()),
]
