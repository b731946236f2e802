"""What the Overview page and the bell show: apps register panels, attention and first steps.

overview.register(Panel("finance", _("Public opinion"), "finance:live", READ, load_numbers))
overview.register_attention(Source("finance", READ, load_open_alerts, stream="finance.alerts"))
overview.register_step(Step("import", _("Import your own headlines"), …))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.http import HttpRequest

from rootstock.tenancy.permissions import Permission
from rootstock.web.navigation import Text, address, allowed

Tone = Literal["info", "warn", "bad"]


@dataclass(frozen=True)
class Number:
    """A number with all that makes it readable.

    `change` is relative to the range before (0.12 is +12 %); `rise_is` says whether more is good;
    `url` leads to the rows behind it.
    """

    label: Text
    value: float | int | str | None
    range: Text
    unit: Text = ""
    change: float | None = None
    rise_is: Literal["good", "bad", "neutral"] = "neutral"
    url: str = ""


@dataclass(frozen=True)
class Panel:
    """One application's line on the Overview: its three numbers."""

    key: str
    label: Text
    url_name: str
    permission: Permission
    load: Callable[[HttpRequest], Sequence[Number]]
    order: int = 100


@dataclass(frozen=True)
class Attention:
    """Something that wants a person: an open alert, a failed source, a conversation waiting."""

    title: Text
    url: str
    detail: Text = ""
    tone: Tone = "warn"
    at: datetime | None = None


@dataclass(frozen=True)
class Source:
    """Where attention items come from; an event on `stream` makes the bell look again."""

    key: str
    permission: Permission
    load: Callable[[HttpRequest], Sequence[Attention]]
    stream: str = ""


@dataclass(frozen=True)
class Step:
    """A line of the getting-started list; it ticks itself when `done` says so."""

    key: str
    label: Text
    detail: Text
    url_name: str
    permission: Permission
    done: Callable[[HttpRequest], bool]
    order: int = 100


@dataclass(frozen=True)
class VisiblePanel:
    """A panel with its numbers, as one person sees it."""

    key: str
    label: Text
    url: str
    numbers: Sequence[Number]


@dataclass(frozen=True)
class VisibleStep:
    """A step as one person sees it."""

    label: Text
    detail: Text
    url: str
    done: bool


_panels: dict[str, Panel] = {}
_sources: dict[str, Source] = {}
_steps: dict[str, Step] = {}
_SEVERITY: dict[Tone, int] = {"bad": 0, "warn": 1, "info": 2}


def register(panel: Panel) -> None:
    """Add an application's line."""
    _panels[panel.key] = panel


def register_attention(source: Source) -> None:
    """Add a source of attention items for the bell and the Overview."""
    _sources[source.key] = source


def register_step(step: Step) -> None:
    """Add a line to the getting-started list."""
    _steps[step.key] = step


def panels(request: HttpRequest) -> list[VisiblePanel]:
    """The lines this person may see, with their numbers."""
    return [
        VisiblePanel(panel.key, panel.label, url, panel.load(request))
        for panel in sorted(_panels.values(), key=lambda panel: panel.order)
        if allowed(request, panel.permission) and (url := address(panel.url_name))
    ]


def attention(request: HttpRequest) -> list[Attention]:
    """What waits for this person: the gravest first, then the newest."""
    items = [
        item
        for source in _sources.values()
        if allowed(request, source.permission)
        for item in source.load(request)
    ]
    items.sort(key=lambda item: item.at.timestamp() if item.at else 0.0, reverse=True)
    items.sort(key=lambda item: _SEVERITY[item.tone])
    return items


def attention_streams(request: HttpRequest) -> list[str]:
    """The realtime streams after whose events the bell looks again."""
    streams = {s.stream for s in _sources.values() if s.stream and allowed(request, s.permission)}
    return sorted(streams)


def steps(request: HttpRequest) -> list[VisibleStep]:
    """The getting-started list of this person."""
    return [
        VisibleStep(step.label, step.detail, url, step.done(request))
        for step in sorted(_steps.values(), key=lambda step: step.order)
        if allowed(request, step.permission) and (url := address(step.url_name))
    ]
