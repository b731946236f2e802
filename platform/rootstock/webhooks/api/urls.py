"""Addresses under /api/v1/webhooks/."""

from __future__ import annotations

from django.urls import path

from rootstock.webhooks.api.views import (
    DeliveryList,
    DeliveryReplay,
    DeliveryView,
    EndpointList,
    EndpointPing,
    EndpointSecret,
    EndpointView,
    EventTypeList,
)

urlpatterns = [
    path("event-types/", EventTypeList.as_view()),
    path("endpoints/", EndpointList.as_view()),
    path("endpoints/<uuid:endpoint_id>/", EndpointView.as_view()),
    path("endpoints/<uuid:endpoint_id>/ping/", EndpointPing.as_view()),
    path("endpoints/<uuid:endpoint_id>/rotate-secret/", EndpointSecret.as_view()),
    path("deliveries/", DeliveryList.as_view()),
    path("deliveries/<uuid:delivery_id>/", DeliveryView.as_view()),
    path("deliveries/<uuid:delivery_id>/replay/", DeliveryReplay.as_view()),
]
