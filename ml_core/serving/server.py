"""Run the inference process."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ml_core.serving.transport import split_address

if TYPE_CHECKING:
    from ml_core.serving.app import App

_DRAIN_SECONDS = 30
_BACKLOG = 512
# sockaddr_un.sun_path holds 108 bytes, the last one NUL.
_MAX_SOCKET_PATH = 107


class _Stopped(BaseException):
    """SIGTERM or SIGINT."""


class AddressError(ValueError):
    """An address that cannot be served at."""


def serve(
    address: str,
    *,
    allowed_root: Path | str,
    token: str | None = None,
    threads: int | None = None,
    max_queue: int = 8192,
    max_wait: float | None = None,
    memory_mb: int | None = None,
    cache_mb: int = 64,
    backend: str = "auto",
    exports: Path | None = None,
    device: str = "auto",
) -> None:
    """Serve models below ``allowed_root`` at "unix:///path.sock" or "http://host:port" until
    SIGTERM or SIGINT, then finish what was accepted (30 s at most) and return. Call from the main
    thread.

    ``threads`` of one forward pass (None: all cores of this process); at most ``max_queue`` inputs
    are accepted and unanswered at a time, and no interactive call while those before it take more
    than ``max_wait`` seconds; models take at most ``memory_mb`` MiB (None: half of what
    the machine or container has) and those that write text as much again, the least recently used
    goes first, and kept answers ``cache_mb``;
    ``backend`` computes the encoders (see `ml_core.serving.backends`), ``exports`` is where their
    exports are kept. Without a ``token`` whoever can connect is trusted: only the user of
    the process, on a Unix socket.

    Raises AddressError when the address is malformed or taken, and ValueError for another bad
    argument.
    """
    root = Path(allowed_root)
    if not root.is_dir():
        raise ValueError(f"allowed root {root}: no such directory")
    listening, path = _listen(address)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        import uvicorn

        logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
        logging.getLogger("httpx").setLevel(logging.WARNING)
        app = build_app(
            allowed_root=root,
            token=token,
            threads=threads,
            max_queue=max_queue,
            max_wait=max_wait,
            memory_mb=memory_mb,
            cache_mb=cache_mb,
            backend=backend,
            exports=exports,
            device=device,
            on_ready=lambda: _say_ready(address),
        )
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            lifespan="on",
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
        uvicorn.Server(config).run(sockets=[listening])
    except _Stopped:
        # Before uvicorn runs: at once. Afterwards: uvicorn drained, then raised the signal again.
        pass
    finally:
        listening.close()
        if path is not None:
            path.unlink(missing_ok=True)


def build_app(
    *,
    allowed_root: Path,
    token: str | None,
    threads: int | None,
    max_queue: int,
    max_wait: float | None,
    memory_mb: int | None,
    cache_mb: int,
    backend: str,
    exports: Path | None,
    device: str,
    on_ready: Callable[[], None],
) -> App:
    """The ASGI application with its engine and what writes text, for whoever hosts it; see `serve` for the arguments.
    Made on the thread of the event loop that will run it; ``on_ready`` is called when it takes requests.

    Raises ValueError for a device that is not there.
    """
    from ml_core.serving.app import App
    from ml_core.serving.engine import MEBIBYTE, Engine
    from ml_core.serving.generation import Generations

    _check_device(device)
    memory_bytes = (memory_mb or _half_of_memory_mb()) * MEBIBYTE
    engine = Engine(
        allowed_root=allowed_root,
        threads=threads or len(os.sched_getaffinity(0)),
        max_queue=max_queue,
        max_wait=max_wait,
        memory_bytes=memory_bytes,
        cache_bytes=cache_mb * MEBIBYTE,
        device=device,
        backend=backend,
        exports=exports,
    )
    generations = Generations(
        find=engine.directory,
        compute=engine.compute,
        registry=engine.metrics.registry,
        people_wait=lambda: engine.people_wait,
        device=device,
        memory_bytes=memory_bytes,
    )
    return App(
        engine,
        token=token,
        on_ready=on_ready,
        streams={"/v1/generate": generations.answer},
        services=(generations,),
    )


def _check_device(name: str) -> None:
    """Raise ValueError for a device that is not there; on a machine without GPU torch is not asked for the default."""
    if name in {"auto", "cpu"}:
        return
    from ml_core.models.classifier import select_device

    select_device(name)


def _half_of_memory_mb() -> int:
    """Half of what this machine has, or its control group is given."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    given = Path("/sys/fs/cgroup/memory.max")
    text = given.read_text().strip() if given.is_file() else "max"
    return max(1, (min(pages, int(text)) if text.isdigit() else pages) // 2 // 1024**2)


def _stop(*_: object) -> None:
    raise _Stopped


def _say_ready(address: str) -> None:
    sys.stderr.write(f"inference process ready at {address}\n")
    sys.stderr.flush()


def _listen(address: str) -> tuple[socket.socket, Path | None]:
    """A listening socket, and its path when it is a Unix socket (readable by this user only).

    The socket file that a killed process left is replaced; a live one is not.
    """
    try:
        base, socket_path = split_address(address)
    except ValueError as error:
        raise AddressError(str(error)) from None
    if socket_path is not None:
        path = Path(socket_path)
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
            raise AddressError(f"{path}: a socket path has at most {_MAX_SOCKET_PATH} bytes")
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX)
        previous = os.umask(0o177)
        try:
            listening.bind(str(path))
        except OSError as error:
            listening.close()
            raise AddressError(f"{path}: {error.strerror}") from None
        finally:
            os.umask(previous)
        listening.listen(_BACKLOG)
        return listening, path
    host, _, port = base.partition("://")[2].rpartition(":")
    if not host or not port.isdigit() or base.startswith("https"):
        raise AddressError(f"address {address!r}: expected http://host:port")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
    except (OSError, OverflowError) as error:
        raise AddressError(f"{address}: {error}") from None
    listening.listen(_BACKLOG)
    return listening, None


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        if path.exists():
            raise AddressError(f"{path}: exists and is not a socket")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        else:
            raise AddressError(f"{path}: another process is serving here")
