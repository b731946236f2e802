"""REST addresses of this app."""

from __future__ import annotations

from django.urls import path

from rootstock.audit.api.views import AuditList

urlpatterns = [path("audit", AuditList.as_view(), name="api-audit")]
