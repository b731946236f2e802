"""`manage.py finance_loop`: one turn of the loop, here and now."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.finance_sentiment.management.organisations import DEMO_SLUG, organisation_named
from apps.finance_sentiment.selectors.loop import heads_of, version_figure
from apps.finance_sentiment.services.loop.cycles import cycle_run_now, cycle_start
from rootstock.common.actors import SYSTEM
from rootstock.common.problems import Problem
from rootstock.tenancy.scope import organisation_scope


class Command(BaseCommand):
    help = "Collect labels, train on them, and check and deploy the versions, without a worker."

    def add_arguments(self, parser: CommandParser) -> None:
        """Whose loop, and what is otherwise than the settings say."""
        parser.add_argument("--organisation", default=DEMO_SLUG, help="slug; default: %(default)s")
        parser.add_argument("--base", help="a base model instead of the deployed encoder")
        parser.add_argument("--epochs", type=float)
        parser.add_argument("--no-adapt", action="store_true", help="leave out the pretraining")
        parser.add_argument("--deploy", action="store_true", help="deploy what the gate passes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Turn once and report."""
        organisation = organisation_named(options["organisation"])
        chosen = {
            "base": options["base"],
            "epochs": options["epochs"],
            "adapts": False if options["no_adapt"] else None,
            "deploys": True if options["deploy"] else None,
        }
        try:
            with organisation_scope(organisation.pk):
                cycle = cycle_start(actor=SYSTEM, options=chosen, queue_job=False)
        except Problem as problem:
            raise CommandError(str(problem.detail)) from problem
        phases: list[str] = []

        def tell(_fraction: float, phase: str, message: str) -> None:
            if phases[-1:] != [phase]:
                phases.append(phase)
                self.stdout.write(f"{phase} {message}".strip())

        done = cycle_run_now(cycle=cycle, on_progress=tell)
        with organisation_scope(organisation.pk):
            for head in heads_of(done):
                figure = version_figure(head.version)
                shown = "" if figure is None else f" {figure:.3f}"
                name = head.version.label if head.version else head.model
                self.stdout.write(f"{name}{shown}: {head.outcome} {head.note}".rstrip())
        if done.state == "failed":
            raise CommandError(done.error)
        self.stdout.write(f"cycle {done.number}: {done.state}")
