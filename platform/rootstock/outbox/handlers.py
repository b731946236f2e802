"""Who handles which topic."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from rootstock.tenancy.scope import NoOrganisation, organisation_scope

Payload = dict[str, Any]
Function = TypeVar("Function", bound=Callable[..., Any])


class UnknownTopic(LookupError):
    """No handler is registered for the topic."""


@dataclass(frozen=True)
class Handler:
    """How messages of one topic are done; see `handler`."""

    topic: str
    queue: str
    max_attempts: int
    function: Callable[..., Any]
    prepare: Callable[[Payload], Any] | None
    after: Callable[[Payload, Any], None] | None


_handlers: dict[str, Handler] = {}
_dead_listeners: list[Callable[[str, Payload, str], None]] = []
_organisation: ContextVar[uuid.UUID | None] = ContextVar("rootstock_message", default=None)
_message: ContextVar[uuid.UUID | None] = ContextVar("rootstock_message_id", default=None)


def handler(
    topic: str,
    *,
    queue: str = "default",
    max_attempts: int = 20,
    prepare: Callable[[Payload], Any] | None = None,
    after: Callable[[Payload, Any], None] | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function for a topic; it belongs into `<app>/tasks.py`.

    The function is called as `function(payload)` inside `organisation_scope` and the transaction that deletes the
    message, so what it writes and its acknowledgement are one commit. It may be called again after a failure.

    Args:
        queue: where its messages go unless the writer says otherwise. max_attempts: after so many failures the
        message is a dead letter. prepare: slow outside work (inference, HTTP). Runs before, outside any
        transaction; what it returns is the second
            argument of the function. `message_scope()` gives it short transactions of the message's organisation.
        after: called with the payload and the function's result once all is committed, outside any transaction. It is
            not called when the process dies in between: what it does needs a recovery of its own.

    Raises:
        ValueError: the topic has a handler already.
    """

    def register(function: Function) -> Function:
        if topic in _handlers:
            raise ValueError(f"the topic {topic} has two handlers")
        _handlers[topic] = Handler(topic, queue, max_attempts, function, prepare, after)
        return function

    return register


def handler_get(topic: str) -> Handler:
    """The handler of a topic.

    Raises:
        UnknownTopic: none is registered.
    """
    try:
        return _handlers[topic]
    except KeyError:
        raise UnknownTopic(f"nothing handles the topic {topic!r}") from None


def handler_topics() -> list[str]:
    """All topics, sorted."""
    return sorted(_handlers)


def on_dead_letter(listener: Callable[[str, Payload, str], None]) -> None:
    """Call `listener(topic, payload, error)` in the scope and transaction that makes a message a dead letter."""
    _dead_listeners.append(listener)


def dead_letter_listeners() -> list[Callable[[str, Payload, str], None]]:
    """All listeners in the order in which they were added."""
    return list(_dead_listeners)


@contextmanager
def message_scope() -> Iterator[uuid.UUID]:
    """A short transaction in the organisation of the message that this thread is working on; for `prepare` and `after`.

    Raises:
        NoOrganisation: outside the handling of a message.
    """
    organisation_id = _organisation.get()
    if organisation_id is None:
        raise NoOrganisation("message_scope() outside the handling of an outbox message")
    with organisation_scope(organisation_id):
        yield organisation_id


def current_message_id() -> uuid.UUID | None:
    """The message that this thread is working on; None outside the handling of one."""
    return _message.get()


@contextmanager
def handling(organisation_id: uuid.UUID, message_id: uuid.UUID | None = None) -> Iterator[None]:
    """What `message_scope` and `current_message_id` refer to, for the dispatcher."""
    tokens = _organisation.set(organisation_id), _message.set(message_id)
    try:
        yield
    finally:
        _organisation.reset(tokens[0])
        _message.reset(tokens[1])
