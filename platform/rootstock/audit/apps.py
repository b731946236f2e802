"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "rootstock.audit"
    label = "audit"
