"""Addresses of the shell."""

from __future__ import annotations

from django.urls import path

from rootstock.web import views
from rootstock.web.catalogue import Catalogue

app_name = "web"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("attention/", views.attention, name="attention"),
    path("i18n/<str:language>/<str:version>.js", Catalogue.as_view(), name="catalogue"),
]
