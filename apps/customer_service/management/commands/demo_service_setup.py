"""`manage.py demo_service_setup`: the shop that the assistant of the demonstration works for."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.customer_service.demo import setup
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.rls import call_lookup
from rootstock.tenancy.scope import organisation_scope


class Command(BaseCommand):
    help = "Make the shop's knowledge, past dialogues, agents and models. Safe to run again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose."""
        parser.add_argument("--organisation", default="acme-bank", help="its slug")

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing. Reading documents and training need the workers and the inference process."""
        rows = call_lookup("organisation_by_slug", options["organisation"])
        if not rows:
            raise CommandError(f"there is no organisation {options['organisation']}")
        with organisation_scope(rows[0]["id"]):
            organisation = Organisation.objects.get(pk=rows[0]["id"])
        setup.desk_setup(organisation, self.write)
        setup.dialogues_setup(organisation, self.write)
        setup.knowledge_setup(organisation, self.write)
        setup.models_setup(organisation, self.write)
        setup.evaluation_setup(organisation, self.write)
        setup.pairs_setup(organisation, self.write)
        self.write("shop ready")

    def write(self, line: str) -> None:
        """A line at once, for whoever watches."""
        self.stdout.write(line)
        self.stdout.flush()
