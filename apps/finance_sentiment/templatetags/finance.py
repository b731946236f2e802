"""Template tags of the monitor's pages."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from apps.finance_sentiment.models import Alert
from apps.finance_sentiment.services.rules import DEFAULT_NAME
from rootstock.web.templatetags.ui import icon
from rootstock.web.timerange import TimeRange

register = template.Library()
_FORMS = (("csv", "CSV"), ("jsonl", "JSON Lines"))
# What the two ends of a time range are called in the filters of a list.
_ENDS = {
    "documents": ("published_after", "published_before"),
    "alerts": ("opened_after", "opened_before"),
    "threads": ("since", "until"),
    "signals": ("since", "until"),
}


@register.filter
def rule_label(name: str) -> str:
    """A rule's name; that of the first rule, which no person has given, in the language of the page."""
    return _(DEFAULT_NAME) if name == DEFAULT_NAME else name


@register.simple_tag
def export_links(name: str, query: Any, span: TimeRange | None = None) -> SafeString:
    """Links that take away as files what a list shows, by its filter (a dataclass) and the time range of the page."""
    wanted = {field.name: getattr(query, field.name) for field in fields(query)}
    if span is not None:
        wanted |= dict(zip(_ENDS[name], (span.start, span.end), strict=True))
    given = {key: _text(value) for key, value in wanted.items() if value is not None}
    links = format_html_join(
        "",
        '<a class="button" href="/api/v1/finance/{}.{}?{}" download title="{}">{}{}</a>',
        (
            (
                name,
                form,
                urlencode(given),
                _("Everything that fits these filters"),
                icon("download"),
                label,
            )
            for form, label in _FORMS
        ),
    )
    return format_html(
        '<span class="actions" role="group" aria-label="{}">{}</span>', _("Export"), links
    )


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)


@register.simple_tag
def alert_state(state: str) -> str:
    """The word for an alert's state."""
    return str(dict(Alert.State.choices).get(state, state))


@register.filter
def is_web(address: str) -> bool:
    """Whether it may be a link: what sources give as an address can be anything."""
    return address.startswith(("https://", "http://"))
