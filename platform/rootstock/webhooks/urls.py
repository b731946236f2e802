"""Pages of this app."""

from __future__ import annotations

from django.urls import path

from rootstock.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("settings/webhooks/", views.endpoint_list, name="list"),
    path("settings/webhooks/new/", views.endpoint_new, name="new"),
    path("settings/webhooks/<uuid:endpoint_id>/", views.endpoint_detail, name="endpoint"),
    path("settings/webhooks/<uuid:endpoint_id>/switch/", views.endpoint_switch, name="switch"),
    path("settings/webhooks/<uuid:endpoint_id>/ping/", views.endpoint_ping, name="ping"),
    path("settings/webhooks/<uuid:endpoint_id>/rotate/", views.endpoint_rotate, name="rotate"),
    path("settings/webhooks/<uuid:endpoint_id>/remove/", views.endpoint_remove, name="remove"),
    path("settings/webhooks/sent/<uuid:delivery_id>/", views.delivery_detail, name="delivery"),
    path("settings/webhooks/sent/<uuid:delivery_id>/replay/", views.delivery_replay, name="replay"),
]
