"""Django's description of this app, and what it registers with the platform."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class FinanceSentimentConfig(AppConfig):
    name = "apps.finance_sentiment"
    label = "finance_sentiment"

    def ready(self) -> None:
        """Streams, webhook events, navigation, and the lines of the Overview."""
        from apps.finance_sentiment import registration

        registration.register()

    verbose_name = _("Public opinion")
