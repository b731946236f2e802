"""Names of topics. Labels are what the model was trained with; those of the taxonomy have names."""

from __future__ import annotations

import functools

from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import ALL_TOPICS, Topic
from apps.finance_sentiment.taxonomy import topics_built_in

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
    if topic in _NAMES:
        return _(_NAMES[topic])
    chinese = (get_language() or "").startswith("zh")
    named = _built_in().get(topic) or _kept(topic)
    if named is not None:
        return named[1] if chinese and named[1] else named[0]
    return topic.replace("-", " ").replace("_", " ")


@functools.cache
def _built_in() -> dict[str, tuple[str, str]]:
    return {term.slug: (term.name, term.name_zh) for term in topics_built_in()}


def _kept(topic: str) -> tuple[str, str] | None:
    """The names of a topic that the organisation has added."""
    return Topic.objects.filter(slug=topic).values_list("name", "name_zh").first()
