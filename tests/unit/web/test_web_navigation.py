"""Who sees which pages in the navigation and in the command palette."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.http import HttpRequest
from django.test import RequestFactory

from rootstock.tenancy.models import Role
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from rootstock.web import navigation
from rootstock.web.navigation import Action, Area, Item


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty registry for one test."""
    monkeypatch.setattr(navigation, "_areas", {})
    monkeypatch.setattr(navigation, "_actions", [])
    yield


def _request(role: str | None, path: str = "/") -> HttpRequest:
    request: Any = RequestFactory().get(path)
    request.granted = ROLE_PERMISSIONS[role] if role else None
    return request


def _urls(request: HttpRequest) -> set[str]:
    return {link.url for area in navigation.visible_areas(request) for link in area.links}


def test_a_role_sees_only_what_it_may(registry: None) -> None:
    navigation.register(
        Area(
            "settings",
            "Settings",
            "settings",
            [
                Item("Overview", "web:overview", None, "gauge"),
                Item("Keys", "accounts:keys", Permission.KEYS_WRITE, "key-round"),
            ],
        )
    )
    assert _urls(_request(Role.VIEWER)) == {"/"}
    assert len(_urls(_request(Role.OWNER))) == 2
    assert _urls(_request(None)) == {"/"}


def test_an_area_without_visible_pages_is_not_shown(registry: None) -> None:
    navigation.register(
        Area("keys", "Keys", "key", [Item("Keys", "accounts:keys", Permission.KEYS_WRITE, "key")])
    )
    assert navigation.visible_areas(_request(Role.VIEWER)) == []


def test_a_page_that_is_not_installed_is_no_dead_link(registry: None) -> None:
    navigation.register(Area("a", "A", "gauge", [Item("Nowhere", "nowhere:page", None, "gauge")]))
    navigation.register_action(Action("Do nothing", "nowhere:act", None, "gauge"))
    request = _request(Role.OWNER)
    areas = navigation.visible_areas(request)
    assert areas == []
    assert navigation.palette(request, areas) == []


def test_areas_of_one_key_are_one_area_in_order(registry: None) -> None:
    overview = Item("Overview", "web:overview", None, "gauge")
    keys = Item("Keys", "accounts:keys", None, "key-round")
    navigation.register(Area("late", "Late", "gauge", [keys], order=900))
    navigation.register(Area("early", "Early", "gauge", [overview], order=1))
    navigation.register(Area("late", "Late", "gauge", [keys, overview], order=900))
    areas = navigation.visible_areas(_request(Role.OWNER))
    assert [area.key for area in areas] == ["early", "late"]
    assert [link.label for link in areas[1].links] == ["Keys", "Overview"]


def test_the_current_page_is_the_longest_match(registry: None) -> None:
    navigation.register(
        Area(
            "a",
            "A",
            "gauge",
            [
                Item("Overview", "web:overview", None, "gauge"),
                Item("Keys", "accounts:keys", None, "key-round"),
            ],
        )
    )
    areas = navigation.visible_areas(_request(Role.OWNER, "/settings/keys/new/"))
    assert [link.label for link in areas[0].links if link.current] == ["Keys"]
    areas = navigation.visible_areas(_request(Role.OWNER, "/somewhere/else/"))
    assert not [link for link in areas[0].links if link.current]


@pytest.mark.django_db
def test_the_palette_has_every_page_and_action() -> None:
    """With what is really registered: nothing that an owner can reach is missing from ⌘K."""
    request = _request(Role.OWNER)
    areas = navigation.visible_areas(request)
    palette = navigation.palette(request, areas)
    urls = {entry["url"].split("#")[0] for entry in palette}
    assert urls >= {link.url for area in areas for link in area.links}
    for action in navigation.registered_actions():
        assert navigation.address(action.url_name) in urls
    assert {"/", "/api/docs/"} <= urls
    keys = [entry["keys"] for entry in palette if entry["keys"]]
    assert len(keys) == len(set(keys)), "two pages share a shortcut"


def test_every_registered_page_exists() -> None:
    names = [item.url_name for area in navigation.registered_areas() for item in area.items]
    names += [action.url_name for action in navigation.registered_actions()]
    assert [name for name in names if navigation.address(name) is None] == []


def test_the_check_names_dead_links(registry: None, capsys: pytest.CaptureFixture[str]) -> None:
    navigation.register(Area("a", "A", "gauge", [Item("Nowhere", "nowhere:page", None, "gauge")]))
    call_command("check", tags=["urls"])
    assert "nowhere:page" in capsys.readouterr().err
