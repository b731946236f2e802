"""Pages of this app."""

from __future__ import annotations

from django.urls import path

from rootstock.audit import views

app_name = "audit"
urlpatterns = [
    path("settings/audit/", views.audit_list, name="list"),
    path("settings/audit/export.csv", views.audit_export, name="export"),
]
