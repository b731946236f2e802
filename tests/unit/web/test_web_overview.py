"""The registry behind the Overview and the bell."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from rootstock.tenancy.models import Role
from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission
from rootstock.web import overview
from rootstock.web.overview import Attention, Number, Panel, Source, Step


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty registry for each test."""
    for name in ("_panels", "_sources", "_steps"):
        monkeypatch.setattr(overview, name, {})
    yield


def _request(role: str) -> HttpRequest:
    request: Any = RequestFactory().get("/")
    request.granted = ROLE_PERMISSIONS[role]
    return request


def test_the_gravest_and_then_the_newest_comes_first() -> None:
    def at(hour: int) -> datetime:
        return datetime(2026, 11, 1, hour, tzinfo=UTC)

    items = [
        Attention("old warning", "/", tone="warn", at=at(1)),
        Attention("new warning", "/", tone="warn", at=at(5)),
        Attention("alarm", "/", tone="bad", at=at(2)),
        Attention("note", "/", tone="info", at=at(9)),
    ]
    overview.register_attention(Source("a", Permission.FINANCE_READ, lambda request: items))
    found = [str(item.title) for item in overview.attention(_request(Role.VIEWER))]
    assert found == ["alarm", "new warning", "old warning", "note"]


def test_what_a_role_may_not_see_is_not_even_loaded() -> None:
    def fail(request: HttpRequest) -> list[Any]:
        raise AssertionError("loaded without permission")

    permission = Permission.AUDIT_READ
    overview.register(Panel("p", "P", "web:overview", permission, fail))
    overview.register_attention(Source("a", permission, fail, stream="audit"))
    overview.register_step(Step("s", "S", "", "web:overview", permission, lambda r: bool(fail(r))))
    request = _request(Role.VIEWER)
    assert overview.panels(request) == []
    assert overview.attention(request) == []
    assert overview.attention_streams(request) == []
    assert overview.steps(request) == []


def test_panels_and_steps_are_in_order_and_tick_themselves() -> None:
    read = Permission.FINANCE_READ
    number = Number("Headlines", 3, "last 24 hours")
    overview.register(Panel("b", "B", "web:overview", read, lambda r: [number], order=2))
    overview.register(Panel("a", "A", "web:overview", read, lambda r: [number], order=1))
    overview.register_step(Step("2", "train", "", "web:overview", read, lambda r: False, order=2))
    overview.register_step(Step("1", "import", "", "web:overview", read, lambda r: True, order=1))
    request = _request(Role.VIEWER)
    assert [panel.key for panel in overview.panels(request)] == ["a", "b"]
    steps = [(str(s.label), s.done) for s in overview.steps(request)]
    assert steps == [("import", True), ("train", False)]
