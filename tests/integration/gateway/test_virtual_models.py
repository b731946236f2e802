"""Models that an app makes: pieces as they are written, a reader who leaves, failures before and in the middle."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from rootstock.common.problems import Problem
from rootstock.gateway import virtual
from rootstock.gateway.virtual import VirtualModel, virtual_chat

ORGANISATION = uuid.uuid4()
TURNS = [{"role": "user", "content": "Hello"}]


def model(write: Callable[..., Any]) -> VirtualModel:
    return VirtualModel("parrot", "tests", write)


def test_pieces_come_as_they_are_written() -> None:
    def write(organisation_id: uuid.UUID, messages: Any, say: virtual.Say) -> None:
        assert organisation_id == ORGANISATION
        for turn in messages:
            assert say(turn["content"])
            assert say("!")

    pieces = list(virtual_chat(model(write), ORGANISATION, TURNS))
    assert [piece.text for piece in pieces] == ["Hello", "!", ""]
    assert [piece.finish_reason for piece in pieces] == [None, None, "stop"]


def test_a_reader_who_leaves_is_noticed() -> None:
    heard = threading.Event()

    def write(organisation_id: uuid.UUID, messages: Any, say: virtual.Say) -> None:
        while say("on and on "):
            time.sleep(0.005)
        heard.set()

    reading = iter(virtual_chat(model(write), ORGANISATION, TURNS))
    assert next(reading).text == "on and on "
    reading.close()  # type: ignore[attr-defined]
    assert heard.wait(30)


def test_failures_are_told_without_what_is_nobodys_business() -> None:
    def refuses(*_: Any) -> None:
        raise Problem(422, "invalid", "no question")

    with pytest.raises(Problem, match="no question"):
        virtual_chat(model(refuses), ORGANISATION, TURNS)

    def breaks_off(organisation_id: uuid.UUID, messages: Any, say: virtual.Say) -> None:
        say("The key is ")
        raise RuntimeError("sk-12345")

    reading = iter(virtual_chat(model(breaks_off), ORGANISATION, TURNS))
    assert next(reading).text == "The key is "
    with pytest.raises(Problem, match="cannot answer now") as broken:
        next(reading)
    assert "sk-12345" not in str(broken.value)


def test_many_wait_for_one_another_and_none_for_ever() -> None:
    """More than the event loop has threads, each of which asks another one."""
    quick = model(lambda organisation_id, messages, say: say("yes"))

    def asks(organisation_id: uuid.UUID, messages: Any, say: virtual.Say) -> None:
        for piece in virtual_chat(quick, organisation_id, messages):
            say(piece.text)

    streams: list[Any] = []
    threads = [
        threading.Thread(
            target=lambda: streams.append(list(virtual_chat(model(asks), ORGANISATION, TURNS)))
        )
        for _ in range(40)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(streams) == 40
