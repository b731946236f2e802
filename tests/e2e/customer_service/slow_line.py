"""A network that can be cut: everything between a browser and a server goes through here."""

from __future__ import annotations

import contextlib
import socket
import threading


class Line:
    """Carries TCP to one port of this machine, under an address of its own.

    While it is cut nothing moves and nothing is refused, as when a train goes into a tunnel: connections stay, new
    ones are begun and never answered. What was under way arrives when the line is mended, late: a request that the
    browser has long given up reaches the server all the same.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._whole = threading.Event()
        self._whole.set()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._closed = False
        self.address = f"http://127.0.0.1:{self._door.getsockname()[1]}"
        threading.Thread(target=self._welcome, daemon=True).start()

    def cut(self) -> None:
        """From now on nothing arrives."""
        self._whole.clear()

    def mend(self) -> None:
        """Everything arrives again."""
        self._whole.set()

    def close(self) -> None:
        """Hang up on everybody."""
        self._closed = True
        self._whole.set()
        self._door.close()
        for end in self._ends:
            end.close()

    def _welcome(self) -> None:
        with contextlib.suppress(OSError):
            while not self._closed:
                near, _address = self._door.accept()
                threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        self._whole.wait()
        with contextlib.suppress(OSError):
            far = socket.create_connection(("127.0.0.1", self._port))
            self._ends += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                self._whole.wait()
                target.sendall(data)
            self._whole.wait()
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)
