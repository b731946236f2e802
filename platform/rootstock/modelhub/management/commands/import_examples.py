"""Import a file of any size into a data set."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.modelhub import selectors, services
from rootstock.modelhub.models import Task
from rootstock.tenancy.models import Organisation
from rootstock.tenancy.scope import organisation_scope


class Command(BaseCommand):
    """`manage.py import_examples FILE --organisation acme --dataset Headlines`"""

    help = "Import a file of rows into a data set (made if it is new), in chunks; bad rows are named by line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """What to import, and where to."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--organisation", required=True, help="id of the organisation")
        parser.add_argument("--dataset", required=True, help="name of the data set")
        parser.add_argument(
            "--task",
            default=Task.TEXT_CLASSIFICATION,
            choices=Task.values,
            help="of a new data set",
        )
        parser.add_argument("--text-column", default="text")
        parser.add_argument("--label-column", default="label", help="empty: the file has no labels")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import, then say what became of the rows."""
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"{path}: no such file")
        try:
            report = self._import(path, options)
        except ValueError as error:
            raise CommandError(f"--organisation: {error}") from error
        except Problem as problem:
            raise CommandError(str(problem.detail)) from problem
        for row in report.problems:
            self.stderr.write(f"{path}:{row.line}: {row.column} {row.detail}".replace("  ", " "))
        self.stdout.write(
            f"{report.added:,} added, {report.duplicates:,} there already, {report.unlabelled:,} without a label, "
            f"{report.problem_count:,} left out"
        )

    def _import(self, path: Path, options: dict[str, Any]) -> services.ImportReport:
        def scope() -> AbstractContextManager[Any]:
            return organisation_scope(options["organisation"])

        with scope():
            if not Organisation.objects.filter(pk=options["organisation"]).exists():
                raise CommandError("--organisation: there is no such organisation")
            dataset = selectors.dataset_list().filter(name=options["dataset"]).first()
            if dataset is None:
                dataset = services.dataset_create(
                    name=options["dataset"], actor=SYSTEM, task=options["task"]
                )
        with tqdm(unit=" rows", disable=None, file=sys.stderr) as bar:

            def show(rows: int) -> None:
                bar.update(rows - bar.n)

            return services.dataset_import(
                dataset=dataset,
                path=path,
                actor=SYSTEM,
                text_column=options["text_column"],
                label_column=options["label_column"],
                on_progress=show,
                scope=scope,
            )
