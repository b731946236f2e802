"""Django's description of this app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ModelhubConfig(AppConfig):
    name = "rootstock.modelhub"
    label = "modelhub"

    def ready(self) -> None:
        """Make the event stream and the pages known."""
        from django.core import checks

        from rootstock.modelhub.system_checks import artifact_store_check
        from rootstock.realtime.streams import register as register_stream
        from rootstock.tenancy.permissions import Permission
        from rootstock.web import overview
        from rootstock.web.navigation import Action, Area, Item, register, register_action
        from rootstock.webhooks.events import register as register_event

        checks.register(artifact_store_check)
        register_stream("models", permission=Permission.MODELS_READ)
        for event, description in (
            ("models.alarm.opened", _("A deployment broke a rule that it is watched for.")),
            ("models.alarm.closed", _("A deployment keeps the rule again.")),
            ("models.canary.rolled_back", _("A canary broke a guardrail and was taken back.")),
        ):
            register_event(event, description)
        from rootstock.modelhub.overview import (
            alarm_attention,
            models_numbers,
            open_alarm_count,
            trained_own_model,
        )

        read = Permission.MODELS_READ
        register(
            Area(
                key="models",
                label=_("Models"),
                icon="boxes",
                items=[
                    Item(_("Data sets"), "modelhub:datasets", read, icon="database", keys="g d"),
                    Item(_("Annotate"), "modelhub:annotate-queues", read, icon="tags", keys="g n"),
                    Item(_("Runs"), "modelhub:runs", read, icon="activity", keys="g r"),
                    Item(_("Versions"), "modelhub:versions", read, icon="package"),
                    Item(_("Deployments"), "modelhub:deployments", read, icon="rocket"),
                    Item(
                        _("Monitoring"),
                        "modelhub:monitoring",
                        read,
                        icon="heart-pulse",
                        badge=open_alarm_count,
                        keys="g m",
                    ),
                ],
                order=40,
            )
        )
        register_action(
            Action(_("New data set"), "modelhub:dataset-new", Permission.MODELS_WRITE, icon="plus")
        )
        overview.register(
            overview.Panel(
                "models", _("Models"), "modelhub:deployments", read, models_numbers, order=40
            )
        )
        overview.register_attention(
            overview.Source("models", read, alarm_attention, stream="models")
        )
        overview.register_step(
            overview.Step(
                "train",
                _("Train on your own labels"),
                _("A few hundred labelled texts make a model of your own."),
                "modelhub:datasets",
                Permission.MODELS_WRITE,
                done=trained_own_model,
                order=20,
            )
        )
