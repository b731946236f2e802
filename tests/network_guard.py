"""No test talks to another machine: a connection that leaves this one fails the test that tries it."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest


class OutgoingConnection(AssertionError):
    """A test tried to reach another machine."""


def stays_here(address: Any) -> bool:
    """Whether an address of `socket.connect` is a unix socket or this machine."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"localhost", ""}


@pytest.fixture(autouse=True)
def no_outgoing_connections(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse every connection but loopback and unix sockets, for each test."""
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, _real: Any = real) -> Any:
            if self.family != socket.AF_UNIX and not stays_here(address):
                raise OutgoingConnection(f"a test tried to connect to {address}")
            return _real(self, address)

        monkeypatch.setattr(socket.socket, name, guarded)
    yield
