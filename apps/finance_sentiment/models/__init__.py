"""Rows of the public-opinion monitor."""

from __future__ import annotations

from apps.finance_sentiment.models.alerts import Alert, AlertEntry
from apps.finance_sentiment.models.documents import Document, Sentiment, Story, StoryBand
from apps.finance_sentiment.models.signals import (
    ALL_TOPICS,
    MonitorClock,
    SurgeRule,
    TimeBucket,
    TopicMonitor,
)

__all__ = [
    "ALL_TOPICS",
    "Alert",
    "AlertEntry",
    "Document",
    "MonitorClock",
    "Sentiment",
    "Story",
    "StoryBand",
    "SurgeRule",
    "TimeBucket",
    "TopicMonitor",
]
