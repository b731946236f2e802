"""`manage.py demo_setup`: Acme Bank, alive."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from apps.finance_sentiment.demo import market, setup


class Command(BaseCommand):
    help = "Make the demonstration: organisation, account, models, companies, prices, a week of news. May be run again."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is missing. Training needs the inference process to run."""
        organisation = setup.organisation_setup(self.write)
        setup.account_setup(organisation, self.write)
        setup.rule_setup(organisation, self.write)
        setup.datasets_setup(organisation, self.write)
        setup.models_setup(organisation, self.write)
        setup.entities_setup(organisation, self.write)
        market.prices_setup(organisation, self.write)
        market.portfolio_setup(organisation, self.write)
        setup.past_setup(organisation, self.write)
        self.write("demo ready")

    def write(self, line: str) -> None:
        """A line at once, for whoever watches."""
        self.stdout.write(line)
        self.stdout.flush()
