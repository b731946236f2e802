"""Addresses of the channels."""

from __future__ import annotations

from django.urls import path

from apps.customer_service.api import channels as views

urlpatterns = [
    path("channels", views.ChannelList.as_view()),
    path("channels/<uuid:channel_id>", views.ChannelDetail.as_view()),
    path("channels/<uuid:channel_id>/rotate-secret", views.ChannelSecret.as_view()),
    path("channels/<uuid:channel_id>/check", views.ChannelCheck.as_view()),
]
