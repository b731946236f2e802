"""The registry of areas, pages and actions: the side navigation and the command palette show it.

An app says in `AppConfig.ready` what it has; whoever may not see a page is not shown it, and an
area none of whose pages can be seen is not shown at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import Promise

from rootstock.tenancy.permissions import Permission

Text = str | Promise


@dataclass(frozen=True)
class Item:
    """A page in the navigation. `keys` is a shortcut such as "g l"; `badge` counts what waits."""

    label: Text
    url_name: str
    permission: Permission | None
    icon: str
    badge: Callable[[HttpRequest], int | None] | None = None
    keys: str = ""


@dataclass(frozen=True)
class Area:
    """A group of pages. Registering the same key again adds its items to the area."""

    key: str
    label: Text
    icon: str
    items: Sequence[Item] = field(default_factory=tuple)
    order: int = 100


@dataclass(frozen=True)
class Action:
    """Something to do, reached from the command palette: opens the page where it is done."""

    label: Text
    url_name: str
    permission: Permission | None
    icon: str
    keys: str = ""
    fragment: str = ""


@dataclass(frozen=True)
class Link:
    """An item as one person sees it on one page."""

    label: Text
    url: str
    icon: str
    badge: int | None
    keys: str
    current: bool


@dataclass(frozen=True)
class VisibleArea:
    """An area as one person sees it on one page."""

    key: str
    label: Text
    icon: str
    links: list[Link]


_areas: dict[str, Area] = {}
_actions: list[Action] = []


def register(area: Area) -> None:
    """Add an area, or more items to one that is there. Items appear in the order given."""
    known = _areas.get(area.key)
    if known is None:
        _areas[area.key] = area
        return
    seen = {item.url_name for item in known.items}
    added = tuple(item for item in area.items if item.url_name not in seen)
    _areas[area.key] = Area(
        known.key, known.label, known.icon, (*known.items, *added), min(known.order, area.order)
    )


def register_action(action: Action) -> None:
    """Add an action to the command palette."""
    if action not in _actions:
        _actions.append(action)


def registered_areas() -> list[Area]:
    """All areas in their order."""
    return sorted(_areas.values(), key=lambda area: area.order)


def registered_actions() -> list[Action]:
    """All actions in the order in which they were registered."""
    return list(_actions)


def allowed(request: HttpRequest, permission: Permission | None) -> bool:
    """Whether the person behind this request holds the permission in this organisation."""
    if permission is None:
        return True
    granted = getattr(request, "granted", None)
    return granted is not None and permission in granted


def address(url_name: str) -> str | None:
    """The path of a page, or None where it is not installed (`manage.py check` says so)."""
    try:
        return reverse(url_name)
    except NoReverseMatch:
        return None


def _current(path: str, urls: Iterable[str]) -> str | None:
    """The entry that the page belongs to: the longest one that its path begins with."""
    matches = [url for url in urls if path == url or (url != "/" and path.startswith(url))]
    return max(matches, key=len, default=None)


def visible_areas(request: HttpRequest) -> list[VisibleArea]:
    """The navigation of this person, with the current page marked."""
    seen: list[tuple[Area, list[tuple[Item, str]]]] = []
    for area in registered_areas():
        pairs = [
            (item, url)
            for item in area.items
            if allowed(request, item.permission) and (url := address(item.url_name))
        ]
        if pairs:
            seen.append((area, pairs))
    current = _current(request.path, (url for _, pairs in seen for _, url in pairs))
    return [
        VisibleArea(
            area.key,
            area.label,
            area.icon,
            [
                Link(
                    label=item.label,
                    url=url,
                    icon=item.icon,
                    badge=item.badge(request) if item.badge else None,
                    keys=item.keys,
                    current=url == current,
                )
                for item, url in pairs
            ],
        )
        for area, pairs in seen
    ]


def palette(request: HttpRequest, areas: Sequence[VisibleArea]) -> list[dict[str, Any]]:
    """Every page and action this person can reach, as the command palette reads it."""
    entries: list[dict[str, Any]] = [
        {
            "label": str(link.label),
            "group": str(area.label),
            "url": link.url,
            "icon": link.icon,
            "keys": link.keys,
        }
        for area in areas
        for link in area.links
    ]
    for action in registered_actions():
        url = address(action.url_name)
        if url and allowed(request, action.permission):
            entries.append(
                {
                    "label": str(action.label),
                    "group": "",
                    "url": url + (f"#{action.fragment}" if action.fragment else ""),
                    "icon": action.icon,
                    "keys": action.keys,
                }
            )
    return entries
