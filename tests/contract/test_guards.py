"""What must stay true of the whole code base."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.network_guard import OutgoingConnection

ROOT = Path(__file__).resolve().parents[2]


def python(code: str, *, path: str = "") -> str:
    """What a fresh interpreter prints, started in the repository."""
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.strip()


def test_the_folder_platform_does_not_shadow_the_standard_library():
    assert not (ROOT / "platform" / "__init__.py").exists()
    for path in ("", str(ROOT), f"{ROOT}:{ROOT / 'platform'}"):
        printed = python(
            "import platform, uuid; print(platform.__file__, platform.system())", path=path
        )
        file, system = printed.rsplit(" ", 1)
        assert "rootstock" not in file
        assert not file.startswith(str(ROOT / "platform"))
        assert system


def test_the_web_process_never_loads_torch():
    code = (
        "import django, sys\n"
        "django.setup()\n"
        "import importlib; importlib.import_module('rootstock.config.urls')\n"
        "importlib.import_module('rootstock.config.asgi')\n"
        "print(sorted({'torch', 'transformers', 'sklearn', 'pyarrow', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert python(code, path=f"{ROOT}:{ROOT / 'platform'}") == "[]"


def test_the_import_rules_hold():
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stdout[-4000:]


def test_a_test_that_leaves_this_machine_fails():
    with socket.socket() as peer, pytest.raises(OutgoingConnection):
        peer.connect(("192.0.2.1", 80))
    with socket.socket() as peer:
        assert peer.connect_ex(("127.0.0.1", 1)) != 0


def test_every_permission_has_words_and_a_role():
    from rootstock.accounts.labels import PERMISSION_LABELS
    from rootstock.tenancy.models import Role
    from rootstock.tenancy.permissions import ROLE_PERMISSIONS, Permission

    assert set(PERMISSION_LABELS) == set(Permission)
    assert ROLE_PERMISSIONS[Role.OWNER] == frozenset(Permission)
    assert set(ROLE_PERMISSIONS) == set(Role)
