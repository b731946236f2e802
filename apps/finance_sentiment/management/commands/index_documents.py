"""`manage.py index_documents`: what search finds documents by, made anew from the stored documents."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.finance_sentiment.management.organisations import DEMO_SLUG, organisation_named
from apps.finance_sentiment.services.indexing import documents_reindex
from rootstock.tenancy.scope import organisation_scope


class Command(BaseCommand):
    help = "Index every scored document of an organisation for search again; it may run at any time and twice."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose documents."""
        parser.add_argument("--organisation", default=DEMO_SLUG, help="slug; default: %(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through all documents, a transaction for each few hundred."""
        organisation = organisation_named(options["organisation"])
        total, last = 0, None
        while True:
            with organisation_scope(organisation.pk):
                count, last = documents_reindex(after=last)
            if not count:
                break
            total += count
        self.stdout.write(f"{total} documents are indexed")
