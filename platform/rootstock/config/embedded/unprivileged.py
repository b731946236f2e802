"""Running PostgreSQL, which refuses to be root, when we are root.

The server gets the identity of an ordinary service user. Where that user could not even enter the
checkout (it lies below a private home or temporary directory), the child keeps one single right:
to walk through and read directories. Nothing on the disk is opened up for it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import stat
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rootstock.config.embedded.processes import StartError

SERVICE_USERS = ("rootstock", "postgres", "nobody")

# linux/prctl.h and linux/capability.h
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAPABILITY_VERSION_3 = 0x20080522


def service_user(data: Path) -> pwd.struct_passwd | None:
    """Who runs the server on `data`: None for ourselves, else a user to become (we are root).

    A data directory keeps the owner it has.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in SERVICE_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StartError(
        "PostgreSQL does not run as root, and this machine has none of the users "
        f"{', '.join(SERVICE_USERS)} to run it as; start as an ordinary user, or set DATABASE_URL"
    )


def may_enter(path: Path, user: pwd.struct_passwd) -> bool:
    """Whether `user` can walk down to `path` by the permission bits alone."""
    for directory in path.resolve().parents:
        status = directory.stat()
        owner = status.st_uid == user.pw_uid
        needed = stat.S_IXUSR if owner else stat.S_IXOTH
        if not status.st_mode & needed:
            return False
    return True


def become(user: pwd.struct_passwd, paths: Iterable[Path]) -> Callable[[], None]:
    """A function for the child, before exec: be `user`, able to reach `paths` and nothing else.

    Raises:
        StartError: the user cannot reach them, and this system has no right that would help.
    """
    closed = [path for path in paths if not may_enter(path, user)]
    library = ctypes.CDLL(None, use_errno=True)
    capability = held_capability() if closed else None
    if closed and capability is None:
        raise StartError(
            f"PostgreSQL does not run as root, and the user {user.pw_name} cannot reach "
            f"{closed[0]}; move the checkout to a directory that other users may enter, "
            "start as an ordinary user, or set DATABASE_URL"
        )

    def drop() -> None:
        os.setgroups([])
        os.setgid(user.pw_gid)
        if capability is not None:
            check(library.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0))
        os.setuid(user.pw_uid)
        if capability is not None:
            bit = 1 << capability
            header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
            # effective, permitted, inheritable; the second half is for capabilities above 31
            data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
            check(library.capset(header, data))
            check(library.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))
        os.umask(0o077)

    return drop


def held_capability() -> int | None:
    """The weakest right we hold that lets a process walk through closed directories (Linux)."""
    if sys.platform != "linux":
        return None
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            permitted = int(line.split()[1], 16)
            for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
                if permitted >> capability & 1:
                    return capability
    return None


def check(result: int) -> None:
    """Raise the OSError of a C call that failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
