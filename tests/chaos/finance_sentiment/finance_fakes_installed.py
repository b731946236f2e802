"""Loaded into the worker process of the test: its models are rules, and slow enough to be killed at."""

from __future__ import annotations

from finance_fakes import FakeModels

from apps.finance_sentiment.inference import deployed
from apps.finance_sentiment.services import scoring

fake = FakeModels()
fake.seconds = 0.15
scoring.targets_resolve = fake.targets
deployed.classify = fake.classify
