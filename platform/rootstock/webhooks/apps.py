"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig


class WebhooksConfig(AppConfig):
    name = "rootstock.webhooks"
    label = "webhooks"
