"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VectorsConfig(AppConfig):
    name = "rootstock.vectors"
    label = "vectors"
    verbose_name = _("Search collections")
