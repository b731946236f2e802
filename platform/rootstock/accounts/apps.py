"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "rootstock.accounts"
    label = "accounts"
