"""Names of topics. Labels are what the model was trained with; the packaged ones have names."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from apps.finance_sentiment.models import ALL_TOPICS

_NAMES = {
    "earnings": gettext_noop("Earnings"),
    "mergers": gettext_noop("Mergers and acquisitions"),
    "regulation": gettext_noop("Regulation and law"),
    "monetary-policy": gettext_noop("Monetary policy"),
    "markets": gettext_noop("Markets"),
    "credit": gettext_noop("Credit and banking"),
    "technology": gettext_noop("Technology"),
    "energy": gettext_noop("Energy"),
}


def topic_label(topic: str) -> str:
    """The topic's name in the current language; an unknown label as it is, with spaces."""
    if topic == ALL_TOPICS:
        return _("All topics")
    return _(_NAMES[topic]) if topic in _NAMES else topic.replace("-", " ").replace("_", " ")
