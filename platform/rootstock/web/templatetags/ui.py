"""`{% load ui %}`: the components of the pages. docs/frontend.md shows each of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django import template
from django.contrib.staticfiles.storage import staticfiles_storage
from django.template.context import Context
from django.template.loader import render_to_string
from django.utils import formats, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from rootstock.web.navigation import Text
from rootstock.web.timerange import PRESETS, TimeRange

register = template.Library()

# state: (tone, icon, word). Unknown states are shown as they are.
_STATES: dict[str, tuple[str, str, Text]] = {
    "queued": ("quiet", "clock", _("Queued")),
    "running": ("info", "loader-circle", _("Running")),
    "succeeded": ("ok", "check", _("Succeeded")),
    "failed": ("bad", "x", _("Failed")),
    "cancelled": ("quiet", "ban", _("Cancelled")),
    "pending": ("quiet", "clock", _("Pending")),
    "scored": ("ok", "check", _("Scored")),
    "unscored": ("quiet", "circle-dashed", _("Unscored")),
    "open": ("bad", "triangle-alert", pgettext_lazy("alert", "Open")),
    "acknowledged": ("warn", "eye", _("Acknowledged")),
    "resolved": ("ok", "check", _("Resolved")),
    "silenced": ("quiet", "bell-off", _("Silenced")),
    "active": ("ok", "check", _("Active")),
    "inactive": ("quiet", "circle-dashed", _("Inactive")),
    "disabled": ("quiet", "ban", _("Disabled")),
    "revoked": ("quiet", "ban", _("Revoked")),
    "expired": ("warn", "clock-alert", _("Expired")),
    "delivered": ("ok", "check", _("Delivered")),
    "passed": ("ok", "check", _("Passed")),
}

_SENTIMENTS: dict[str, Text] = {
    "positive": _("positive"),
    "neutral": _("neutral"),
    "negative": _("negative"),
}


@register.simple_tag
def icon(name: str, label: str = "", size: str = "", extra: str = "") -> SafeString:
    """A Lucide icon. It is decoration unless it has a `label`; `size="l"` is 20 px."""
    classes = " ".join(filter(None, ["icon", f"icon-{size}" if size else "", extra]))
    named = (
        format_html('role="img" aria-label="{}"', label)
        if label
        else mark_safe('aria-hidden="true"')
    )
    sprite = staticfiles_storage.url("dist/icons.svg")
    return format_html(
        '<svg class="{}" {}><use href="{}#{}"></use></svg>', classes, named, sprite, name
    )


@register.simple_tag
def island(name: str) -> SafeString:
    """Loads `src/islands/<name>.ts`. Use it in `{% block page_script %}`."""
    return format_html(
        '<script type="module" src="{}"></script>', staticfiles_storage.url(f"dist/{name}.js")
    )


@register.simple_tag
def badge(label: Text, tone: str = "quiet", icon_name: str = "") -> SafeString:
    """A word with a tone: quiet, ok, warn, bad, info, accent."""
    drawing = icon(icon_name) if icon_name else ""
    return format_html('<span class="badge badge-{}">{}{}</span>', tone, drawing, label)


@register.simple_tag
def status(state: str, label: Text = "") -> SafeString:
    """The badge of a state of a job, alert, document, delivery or key."""
    tone, name, word = _STATES.get(state, ("quiet", "", state))
    spin = "spin" if state == "running" else ""
    drawing = icon(name, extra=spin) if name else ""
    return format_html('<span class="badge badge-{}">{}{}</span>', tone, drawing, label or word)


@register.simple_tag
def sentiment(label: str, probability: float | None = None) -> SafeString:
    """Shape, word and colour of a sentiment, with its probability where there is one."""
    word = _SENTIMENTS.get(label, label)
    share = (
        format_html(' <span class="faint">{}</span>', percent(probability))
        if probability is not None
        else ""
    )
    return format_html('<span class="sentiment sentiment-{}">{}</span>{}', label, word, share)


@register.filter
def grouped(value: Any) -> str:
    """12345.6 as 12,345.6; an em dash for nothing."""
    if value is None or value == "":
        return "—"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"
    return str(value)


@register.filter
def percent(value: float | str | None, digits: int = 0) -> str:
    """0.873 as 87 %; an em dash for nothing, also for a name that a template does not find."""
    return "—" if value is None or isinstance(value, str) else f"{value * 100:.{digits}f}\u202f%"


@register.simple_tag
def change(value: float | None, rise_is: str = "neutral") -> SafeString:
    """A relative change (0.12 is +12 %) with its direction as a shape, and whether it is good."""
    if value is None:
        return mark_safe("")
    rounded = round(value * 100)
    direction = "up" if rounded > 0 else "down" if rounded < 0 else "flat"
    good = ""
    if rise_is != "neutral" and rounded:
        good = "yes" if (rounded > 0) == (rise_is == "good") else "no"
    # Beyond tenfold a percentage only counts digits; how many times as much is what one reads.
    text = (
        f"×{value + 1:.0f}"
        if rounded >= 1000
        else f"{rounded:+d}\u202f%"
        if rounded
        else "0\u202f%"
    )
    return format_html(
        '<span class="change" data-direction="{}" data-good="{}">{}</span>',
        direction,
        good,
        text.replace("-", "−"),
    )


@register.simple_tag
def number(
    label: Text,
    value: Any,
    *,
    range: Text = "",
    unit: Text = "",
    change: float | None = None,
    rise_is: str = "neutral",
    url: str = "",
) -> SafeString:
    """A number with its unit, its change and its time range. Stands inside `.numbers`."""
    return mark_safe(  # noqa: S308  (a template of ours)
        render_to_string(
            "components/number.html",
            {
                "number": {
                    "label": label,
                    "value": value,
                    "range": range,
                    "unit": unit,
                    "change": change,
                    "rise_is": rise_is,
                    "url": url,
                }
            },
        )
    )


@register.simple_tag
def moment(value: datetime | None, none: Text = "—") -> SafeString:
    """A time as people say it ("3 minutes ago"), the exact one on hover; kept current."""
    if value is None:
        return format_html('<span class="faint">{}</span>', none)
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        value.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S %Z}",
        formats.date_format(local, "SHORT_DATETIME_FORMAT"),
    )


@register.simple_tag
def progress(value: float | None, label: Text) -> SafeString:
    """A bar from 0 to 1; None is a bar that only says that something goes on."""
    if value is None:
        return format_html('<progress aria-label="{}"></progress>', label)
    return format_html(
        '<progress max="100" value="{}" aria-label="{}"></progress>', round(value * 100), label
    )


@register.simple_tag
def sparkline(values: Sequence[float], label: Text) -> SafeString:
    """A line of a few values in a table row; `label` says what it shows."""
    if len(values) < 2:
        return mark_safe('<span class="faint">—</span>')
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = 96 / (len(values) - 1)
    points = " ".join(
        f"{i * step:.1f},{22 - (v - low) / span * 20:.1f}" for i, v in enumerate(values)
    )
    return format_html(
        '<svg class="sparkline" viewBox="0 0 96 24" role="img" aria-label="{}">'
        '<polyline points="{}"></polyline></svg>',
        label,
        points,
    )


@register.simple_tag(takes_context=True)
def sort_header(context: Context, field: str, label: Text, numeric: bool = False) -> SafeString:
    """A column head that sorts by `?sort=field`, then by `?sort=-field`."""
    query = context["request"].GET.copy()
    now = query.get("sort", "")
    query["sort"] = f"-{field}" if now == field else field
    query.pop("cursor", None)
    query.pop("page", None)
    order = {field: "ascending", f"-{field}": "descending"}.get(now)
    return format_html(
        '<th scope="col"{}{}><a href="?{}">{}</a></th>',
        format_html(' aria-sort="{}"', order) if order else "",
        mark_safe(' class="num"') if numeric else "",
        query.urlencode(),
        label,
    )


@register.simple_tag(takes_context=True)
def tabs(context: Context, items: Sequence[tuple[Text, str]], label: Text) -> SafeString:
    """Links to the parts of a page: `[(label, url), …]`; the current one is marked."""
    path = context["request"].path
    links = format_html_join(
        "",
        '<a class="tab" href="{}"{}>{}</a>',
        (
            (url, mark_safe(' aria-current="page"') if url.split("?")[0] == path else "", text)
            for text, url in items
        ),
    )
    return format_html('<nav class="tabs" aria-label="{}">{}</nav>', label, links)


@register.inclusion_tag("components/time_range.html", takes_context=True)
def time_range_picker(
    context: Context, current: TimeRange, presets: str = "1h,6h,24h,7d,30d"
) -> dict[str, Any]:
    """Presets and a range of dates, kept in the address. `current` is `timerange.time_range(request)`."""
    query = context["request"].GET.copy()
    for key in ("range", "from", "to", "cursor", "page"):
        query.pop(key, None)
    return {
        "current": current,
        "presets": [(key, PRESETS[key][1]) for key in presets.split(",")],
        "rest": query.urlencode(),
        "hidden": list(query.items()),
        "start": f"{timezone.localtime(current.start):%Y-%m-%dT%H:%M}",
        "end": f"{timezone.localtime(current.end):%Y-%m-%dT%H:%M}",
    }


@register.inclusion_tag("components/chart.html")
def chart_frame(id: str, title: Text, size: str = "m") -> dict[str, Any]:
    """The place of a chart; an island fills it with `chartFrame("#id", …)`."""
    return {"id": id, "title": title, "size": size}


@register.simple_block_tag
def panel(
    content: str, title: Text = "", subtitle: Text = "", id: str = "", flush: bool = False
) -> SafeString:
    """A framed section. `flush=True` lets a table reach the frame. Never a panel in a panel."""
    return mark_safe(  # noqa: S308
        render_to_string(
            "components/panel.html",
            {"content": content, "title": title, "subtitle": subtitle, "id": id, "flush": flush},
        )
    )


@register.simple_block_tag
def dialog(content: str, id: str, title: Text) -> SafeString:
    """A modal dialog; any `<button data-dialog-open="id">` opens it, `data-dialog-close` closes."""
    return mark_safe(  # noqa: S308
        render_to_string("components/dialog.html", {"content": content, "id": id, "title": title})
    )


@register.simple_block_tag
def empty(content: str, title: Text, icon_name: str = "inbox") -> SafeString:
    """An empty state: what is missing, why, and (in the block) the one thing to do next."""
    return mark_safe(  # noqa: S308
        render_to_string(
            "components/empty.html", {"content": content, "title": title, "icon_name": icon_name}
        )
    )


@register.simple_block_tag
def notice(content: str, tone: str = "info") -> SafeString:
    """A message in the page: info, ok, warn, bad."""
    return mark_safe(  # noqa: S308
        render_to_string("components/notice.html", {"content": content, "tone": tone})
    )
