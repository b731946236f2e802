"""Addresses of the widget's pages."""

from __future__ import annotations

from django.urls import path

from apps.customer_service.views import channels as views

urlpatterns = [
    path("widget/", views.ChannelsView.as_view(), name="channels"),
    path("widget/new/", views.ChannelNewView.as_view(), name="channel-new"),
    path("widget/<uuid:channel_id>/", views.ChannelView.as_view(), name="channel"),
    path("widget/<uuid:channel_id>/look/", views.ChannelLookView.as_view(), name="channel-look"),
    path("widget/<uuid:channel_id>/hours/", views.ChannelHoursView.as_view(), name="channel-hours"),
    path(
        "widget/<uuid:channel_id>/identity/",
        views.ChannelIdentityView.as_view(),
        name="channel-identity",
    ),
    path(
        "widget/<uuid:channel_id>/rotate/", views.ChannelRotateView.as_view(), name="channel-rotate"
    ),
    path(
        "widget/<uuid:channel_id>/remove/", views.ChannelRemoveView.as_view(), name="channel-remove"
    ),
    path("widget/<uuid:channel_id>/check/", views.ChannelCheckView.as_view(), name="channel-check"),
    path(
        "widget/<uuid:channel_id>/preview/",
        views.ChannelPreviewView.as_view(),
        name="channel-preview",
    ),
]
