"""`manage.py messages`: find the texts of the interface, merge and compile their Chinese."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from rootstock.web import translations


class Command(BaseCommand):
    help = "Extracts all texts, merges locale/parts/*.po and lists what has no Chinese."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Either of two, or none: write the .po files."""
        group = parser.add_mutually_exclusive_group()
        group.add_argument("--compile", action="store_true", help="write the .mo files only")
        group.add_argument(
            "--check", action="store_true", help="write nothing; fail on a missing text"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Extract, then write, compile or check."""
        texts = translations.extract(Path(settings.ROOT))
        chinese = translations.translated()
        if options["compile"]:
            for path in translations.compile_catalogues(texts, chinese):
                self.stdout.write(f"{path.relative_to(settings.ROOT)}")
            return
        if not options["check"]:
            translations.write_catalogues(texts, chinese)
        lines = translations.problems(texts, chinese)
        for line in lines:
            self.stdout.write(line)
        summary = f"{len(texts.by_key)} texts, {len(lines)} of them without right Chinese"
        if lines and options["check"]:
            raise CommandError(summary)
        self.stdout.write(summary)
