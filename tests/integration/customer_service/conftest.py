"""A channel on https://shop.example, somebody who writes there, and their conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.customer_service.models import Channel, Conversation, Visitor
from apps.customer_service.services import hooks
from apps.customer_service.services.conversations import conversation_open
from rootstock.common.actors import Actor
from rootstock.outbox import handlers
from rootstock.tenancy.models import Membership, Organisation, Role

ORIGIN = "https://shop.example"


@pytest.fixture(autouse=True)
def _topics_have_handlers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written to the outbox stays there: these tests look at the rows."""

    class Known(dict[str, handlers.Handler]):
        def __missing__(self, topic: str) -> handlers.Handler:
            return handlers.Handler(topic, "default", 20, dict, None, None)

    monkeypatch.setattr(handlers, "_handlers", Known(handlers._handlers))


@pytest.fixture
def no_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the conversation itself: no timers, no suggestions."""
    for name in ("on_visitor_waiting", "on_agent_reply", "on_status_changed", "on_rated"):
        monkeypatch.setattr(hooks, name, [])


@pytest.fixture
def channel(scope: Organisation) -> Channel:
    """Of the organisation, inside its scope."""
    return Channel.objects.create(
        name="Shop", key="shop-key-0001", origins=[ORIGIN], identity_secret="s" * 40
    )


@pytest.fixture
def visitor(scope: Organisation) -> Visitor:
    """Somebody unknown."""
    return Visitor.objects.create(name="Li Wei", language="en")


@pytest.fixture
def conversation(channel: Channel, visitor: Visitor) -> Conversation:
    """With the assistant, nothing said yet."""
    return conversation_open(channel=channel, visitor=visitor, origin="widget", language="en")


@pytest.fixture
def agent(scope: Organisation, make_user: Callable[..., Any]) -> Membership:
    """Ann, who answers customers."""
    user = make_user(scope, Role.AGENT)
    user.name = "Ann"
    user.save()
    return Membership.objects.select_related("user").get(user=user)


@pytest.fixture
def ann(agent: Membership) -> Actor:
    """The same as an actor."""
    return Actor("user", str(agent.user_id), "Ann")
