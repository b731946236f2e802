"""`manage.py import_documents FILE`: documents from a CSV or JSON lines file."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.finance_sentiment.management.organisations import (
    add_file_arguments,
    file_rows,
    organisation_named,
    print_report,
)
from apps.finance_sentiment.services.imports import documents_import


class Command(BaseCommand):
    help = "Store the documents of a file; bad rows are named by line, good ones kept. Run it again to go on."

    def add_arguments(self, parser: CommandParser) -> None:
        """The file and whose it is."""
        add_file_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Import and report; an error when there was not one good row."""
        organisation = organisation_named(options["organisation"])
        with file_rows(organisation, options, "import") as rows:
            report = documents_import(organisation_id=organisation.pk, rows=rows)
        print_report(report, self.stdout.write)
        if not report.good:
            raise CommandError("no row of the file is a document")
