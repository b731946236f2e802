"""Child processes that never outlive the one that started them; short paths for their sockets."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

# sockaddr_un holds 108 bytes with the closing NUL; the longest name put into it has 20.
LONGEST_SOCKET_DIRECTORY = 107 - 21
# What passes unchanged through every URL parser on the way (kombu, redis, psycopg).
PLAIN_PATH = re.compile(r"[A-Za-z0-9_./-]+")


class StartError(RuntimeError):
    """A process could not be started; the message says which, why, and what to do."""


def socket_directory(directory: Path) -> Path:
    """Where sockets that belong to `directory` go: below it, or below a short plain temporary path.

    A unix socket's path holds 107 bytes, and spaces or other unusual letters do not survive the
    URLs it is written into. The answer is the same for every process of the same user.
    """
    inside = directory.resolve() / "run"
    if PLAIN_PATH.fullmatch(str(inside)) and len(str(inside)) <= LONGEST_SOCKET_DIRECTORY:
        return inside
    digest = hashlib.sha256(str(inside).encode()).hexdigest()[:12]
    root = Path(tempfile.gettempdir())
    if not PLAIN_PATH.fullmatch(str(root)) or len(str(root)) > LONGEST_SOCKET_DIRECTORY - 40:
        root = Path("/tmp")  # noqa: S108 - the directory made in it is checked by make_private
    return root / f"rootstock-{os.getuid()}-{digest}"


def make_private(directory: Path, owner: tuple[int, int] | None = None) -> Path:
    """Make a directory that only its owner (this user, or `owner` = uid, gid) may enter.

    Raises:
        StartError: somebody else owns it, or it is a symbolic link laid there by somebody.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = directory.lstat()
    allowed = {os.getuid()} | ({owner[0]} if owner else set())
    # root inside a checkout of an ordinary user may find that user's directories: those are fine.
    if directory.is_symlink() or (os.getuid() != 0 and status.st_uid not in allowed):
        raise StartError(f"{directory} belongs to somebody else; remove it and start again")
    if owner is not None and status.st_uid != owner[0]:
        os.chown(directory, *owner)
    directory.chmod(0o700)
    return directory


def remove_socket_directory(directory: Path) -> None:
    """Remove what `socket_directory` gave, with everything in it."""
    shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def start_lock(directory: Path) -> Iterator[None]:
    """Let one process at a time start or stop the server of `directory`.

    The lock is the kernel's, so that a killed process leaves none behind.
    """
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def stored_secrets(path: Path, names: Sequence[str]) -> dict[str, str]:
    """Random secrets by name, made when first asked for and kept in `path` (mode 0600).

    Several processes may ask at once for the first time: all get the same.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # 0600
        with os.fdopen(descriptor, "w") as file:
            json.dump({name: secrets.token_urlsafe(32) for name in names}, file)
        with contextlib.suppress(FileExistsError):
            os.link(new, path)  # unlike a rename, it never replaces what another process wrote
        Path(new).unlink()
    stored: dict[str, str] = json.loads(path.read_text())
    return stored


class Guardian:
    """A tiny process that stops the watched ones when this process dies without saying goodbye."""

    def __init__(self) -> None:
        self._pipe: IO[str] | None = None
        self._owner = 0

    def watch(self, pid: int, *, number: int, group: bool) -> None:
        """When this process is gone, send signal `number` to `pid` (or to its whole group)."""
        self._tell(f"+ {pid} {number} {int(group)}\n")

    def forget(self, pid: int) -> None:
        """`pid` has ended in good order."""
        if self._pipe is not None and self._owner == os.getpid():
            self._tell(f"- {pid}\n")

    def _tell(self, line: str) -> None:
        if self._pipe is None or self._owner != os.getpid():
            process = subprocess.Popen(  # noqa: S603 - our own arguments
                [sys.executable, "-I", "-S", str(Path(__file__).with_name("guardian.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                bufsize=1,
                start_new_session=True,
                cwd="/",
            )
            self._pipe, self._owner = process.stdin, os.getpid()
        if self._pipe is not None:
            self._pipe.write(line)


GUARDIAN = Guardian()


def spawn(
    arguments: Sequence[str | Path],
    *,
    log: IO[bytes],
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    become: Callable[[], None] | None = None,
    guard: bool = True,
    stop_signal: int = signal.SIGKILL,
    group: bool = True,
) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own (Ctrl-C reaches only us), with its output in `log`.

    `become` runs in the child before the program does (it gives up root). With `guard`, the
    guardian sends `stop_signal` if this process dies first.
    """
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        [str(argument) for argument in arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=None if environment is None else dict(environment),
        cwd=directory,
        start_new_session=True,
        preexec_fn=become,  # noqa: PLW1509 - only async-signal-safe calls; no threads run yet
    )
    if guard:
        GUARDIAN.watch(process.pid, number=stop_signal, group=group)
    return process


def process_of(pid: int, program: str) -> psutil.Process | None:
    """The running process `pid` if it is really `program`: numbers are used again after a crash."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or program not in process.name():
            return None
    except psutil.NoSuchProcess:
        return None
    return process


def stop_process(process: psutil.Process, *steps: tuple[int, float]) -> None:
    """Send each (signal, seconds to wait) in turn until the process is gone."""
    for number, seconds in steps:
        try:
            process.send_signal(number)
            process.wait(seconds)
        except psutil.NoSuchProcess:
            break
        except psutil.TimeoutExpired:
            continue
        break
    GUARDIAN.forget(process.pid)


def last_lines(path: Path, count: int = 15) -> str:
    """The end of a log file, for an error message."""
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 8192))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return f"({path} does not exist)"
    return "\n".join(f"    {line}" for line in lines[-count:]) or f"({path} is empty)"
