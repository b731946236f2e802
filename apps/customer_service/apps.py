"""Django's description of this app, and what it registers with the platform."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CustomerServiceConfig(AppConfig):
    name = "apps.customer_service"
    label = "customer_service"

    def ready(self) -> None:
        """Streams, webhook events, navigation, row sources, and the lines of the Overview."""
        from apps.customer_service import registration

        registration.register()

    verbose_name = _("Customer service")
