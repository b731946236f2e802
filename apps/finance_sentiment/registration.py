"""What the monitor adds to the platform: streams, webhook events, pages, lines of the Overview."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.finance_sentiment import model_rows
from apps.finance_sentiment import overview as panel
from apps.finance_sentiment.services.loop.rows import SOURCES as LABEL_ROWS
from apps.finance_sentiment.services.requeueing import requeue_request
from rootstock.modelhub import sources
from rootstock.modelhub.deployed import on_deployed
from rootstock.realtime import streams
from rootstock.tenancy.permissions import Permission
from rootstock.web import overview
from rootstock.web.navigation import Action, Area, Item, register_action
from rootstock.web.navigation import register as register_area
from rootstock.webhooks import events


def register() -> None:
    """Called once, when Django is ready."""
    streams.register("finance.live", permission=Permission.FINANCE_READ)
    streams.register("finance.alerts", permission=Permission.FINANCE_READ)
    streams.register("finance.loop", permission=Permission.FINANCE_READ)
    events.register("finance.alert.opened", _("A surge of negative stories began."))
    events.register("finance.alert.resolved", _("A surge of negative stories is over."))
    sources.register(model_rows.DOCUMENTS)
    for labels in LABEL_ROWS.values():
        sources.register(labels)
    on_deployed(requeue_request)
    read, write = Permission.FINANCE_READ, Permission.FINANCE_WRITE
    register_area(
        Area(
            "finance",
            _("Public opinion"),
            "newspaper",
            order=20,
            items=[
                Item(_("Live"), "finance:live", read, "activity", keys="g l"),
                Item(_("Search"), "finance:search", read, "search", keys="g f"),
                Item(_("Threads"), "finance:threads", read, "waypoints", keys="g e"),
                Item(
                    _("Alerts"),
                    "finance:alerts",
                    read,
                    "siren",
                    badge=panel.open_alert_count,
                    keys="g a",
                ),
                Item(_("Rules"), "finance:rules", read, "sliders-horizontal"),
                Item(_("Forecast"), "finance:forecast", read, "trending-up"),
                Item(_("Reports"), "finance:reports", read, "file-text"),
                Item(_("Entities"), "finance:entities", read, "building-2"),
                Item(_("Portfolios"), "finance:portfolios", read, "briefcase"),
                Item(_("Topics"), "finance:topics", read, "tags"),
                Item(_("Sources"), "finance:sources", read, "rss"),
                Item(_("Label"), "finance:labels", write, "tags"),
                Item(_("Learning"), "finance:loop", read, "refresh-cw"),
            ],
        )
    )
    register_area(
        Area(
            "settings",
            _("Settings"),
            "settings",
            order=900,
            items=[Item(_("Trading days"), "finance:calendars", read, "calendar-days")],
        )
    )
    register_action(Action(_("Import headlines"), "finance:import", write, "file-up"))
    register_action(Action(_("Make a rule"), "finance:rule-new", write, "sliders-horizontal"))
    overview.register(
        overview.Panel(
            "finance", _("Public opinion"), "finance:live", read, panel.numbers, order=20
        )
    )
    overview.register_attention(
        overview.Source("finance", read, panel.attention, stream="finance.alerts")
    )
    overview.register_step(
        overview.Step(
            "finance-import",
            _("Import your own headlines"),
            _("A CSV or JSONL file, or one call of the API."),
            "finance:import",
            write,
            panel.has_own_documents,
            order=20,
        )
    )
    overview.register_step(
        overview.Step(
            "finance-live",
            _("See it live"),
            _("Scored headlines and the first alerts appear without a reload."),
            "finance:live",
            read,
            panel.has_scored_documents,
            order=40,
        )
    )
