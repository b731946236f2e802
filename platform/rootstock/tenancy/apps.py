"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "rootstock.tenancy"
    label = "tenancy"
