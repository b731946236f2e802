"""Addresses under /api/v1/events/."""

from __future__ import annotations

from django.urls import path

from rootstock.realtime.api.views import EventList

urlpatterns = [path("", EventList.as_view())]
