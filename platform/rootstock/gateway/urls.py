"""Pages of this app."""

from __future__ import annotations

from django.urls import path

from rootstock.gateway import views

app_name = "gateway"
urlpatterns = [
    path("connections/", views.connection_list, name="connections"),
    path("connections/new/", views.connection_new, name="new"),
    path("connections/<uuid:connection_id>/", views.connection_detail, name="connection"),
    path("connections/<uuid:connection_id>/test/", views.connection_test, name="test"),
    path("connections/<uuid:connection_id>/key/", views.connection_key, name="key"),
    path("connections/<uuid:connection_id>/remove/", views.connection_remove, name="remove"),
]
