"""`manage.py demo_channel`: the widget on the pages of the demonstration's shop, and flows that ask its system."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.customer_service.demo.channel import channel_setup
from apps.customer_service.demo.flows import flows_setup
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


class Command(BaseCommand):
    help = "Make the channel and the flows of the demonstration's shop. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose, and where the shop is."""
        parser.add_argument("--organisation", default="acme-bank", help="its slug")
        parser.add_argument("--origin", required=True, help="of the shop's pages")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it, or add the origin to it."""
        rows = call_lookup("organisation_by_slug", options["organisation"])
        if not rows:
            raise CommandError(f"there is no organisation {options['organisation']}")
        with organisation_scope(rows[0]["id"]):
            channel = channel_setup(self.stdout.write, origin=options["origin"])
            flows_setup(self.stdout.write, company=options["origin"])
        self.stdout.write(f"widget of {channel.name} on {', '.join(channel.origins)}")
