"""`script/demo` and `script/server` as a newcomer, a careless operator and a crash meet them."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
# Generous: on a loaded machine with two cores small models are trained in it.
START_SECONDS = 1500
NOT_COPIED = (".git", ".venv", "var", "node_modules", "dist", "__pycache__", ".*_cache")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(START_SECONDS + 120)]


def until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


class Run:
    """A started script with what it printed."""

    def __init__(self, script: str, checkout: Path, var: Path, *command: str, **environment: str):
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ROOTSTOCK_", "DJANGO_", "PYTEST_", "OMP_"))
            and name not in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "PYTHONPATH")
        }
        self.path = Path(tempfile.mkstemp(prefix="rootstock-output-")[1])
        with self.path.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, str(checkout / "script" / script)],
                cwd="/",
                env=kept | {"ROOTSTOCK_VAR": str(var)} | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        return self.path.read_text(errors="replace")

    def wait_for(self, text: str) -> str:
        def seen() -> bool:
            return text in self.output() or self.process.poll() is not None

        assert until(seen, START_SECONDS), self.output()
        assert text in self.output(), self.output()
        return self.output()

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(60)


def running_in(var: Path) -> list[str]:
    """Every process that belongs to the installation in `var`."""
    found = []
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
            belongs = any(str(var) in part for part in command) or (
                process.environ().get("ROOTSTOCK_VAR") == str(var)
            )
            if belongs and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(command))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def sockets_and_locks(var: Path) -> list[str]:
    return [
        str(path)
        for path in var.rglob("*")
        if path.is_socket() or path.name in ("supervisor.json", "postmaster.pid")
    ]


def assert_nothing_left(var: Path) -> None:
    assert until(lambda: not running_in(var), 30), running_in(var)
    assert sockets_and_locks(var) == []


def succeeds(*command: str | Path) -> bool:
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def var() -> Iterator[Path]:
    """One installation for the tests of this file: only its first start is slow."""
    path = Path(tempfile.mkdtemp(prefix="rootstock-demo-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def demo(var: Path) -> Iterator[Callable[..., Run]]:
    runs: list[Run] = []

    def start(**environment: str) -> Run:
        runs.append(Run("demo", ROOT, var, **environment))
        return runs[-1]

    yield start
    for run in runs:
        run.stop()
        run.path.unlink()


def supervised(var: Path) -> dict[str, int]:
    content = json.loads((var / "supervisor.json").read_text())
    return {name: pid for name, (pid, _) in content["processes"].items()}


def test_a_demo_from_its_first_start_to_ctrl_c(demo: Callable[..., Run], var: Path) -> None:
    run = demo()
    output = run.wait_for("Ready after")
    account_file = var / "demo.json"
    account = json.loads(account_file.read_text())
    assert set(account) >= {"url", "email", "password", "api_key"}
    assert stat.S_IMODE(account_file.stat().st_mode) == 0o600
    for shown in ("url", "email", "password"):
        assert account[shown] in output
    assert httpx.get(f"{account['url']}/healthz").status_code == 200
    assert httpx.get(f"{account['url']}/readyz").json()["status"] == "ok"
    for phase in ("Python packages", "PostgreSQL and Redis", "Database", "Demo data and models"):
        assert re.search(rf"{phase} +\d+\.\d s", output)

    second = demo()
    assert second.process.wait(60) == 1
    assert f"already runs here: {account['url']}" in second.output()
    assert f"process {run.process.pid}" in second.output()

    worker = supervised(var)["worker"]
    os.kill(worker, signal.SIGKILL)
    run.wait_for("worker was killed by SIGKILL")
    assert until(lambda: supervised(var).get("worker", worker) != worker, 120)

    assert run.stop(signal.SIGINT) == 0
    assert "Stopped." in run.output()
    assert_nothing_left(var)


def test_kill_9_leaves_no_orphan_and_the_next_start_works(
    demo: Callable[..., Run], var: Path
) -> None:
    run = demo()
    run.wait_for("Ready after")
    run.process.kill()
    run.process.wait()
    assert until(lambda: not running_in(var), 60), running_in(var)

    again = demo()
    assert "what it left has been cleaned up" in again.wait_for("Ready after")
    assert httpx.get(json.loads((var / "demo.json").read_text())["url"] + "/readyz").is_success
    assert again.stop() == 0
    assert_nothing_left(var)


def test_a_busy_port_that_was_asked_for(demo: Callable[..., Run], var: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        run = demo(ROOTSTOCK_PORT=str(port))
        assert run.process.wait(120) == 1
    assert f"Port {port} is taken by process {os.getpid()}" in run.output()
    assert_nothing_left(var)


@pytest.mark.install
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None,
    reason="becomes an ordinary user, which needs root and setpriv",
)
def test_a_server_of_an_ordinary_user_below_a_path_with_spaces() -> None:
    user = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="rootstock user "))
    try:
        folder.chmod(0o755)
        checkout = folder / "my checkout"
        shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*NOT_COPIED))
        become = ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups")
        path = "/usr/local/bin:/usr/bin:/bin"
        ours = ROOT / ".venv" / "bin" / "python"
        # Through a shell: setpriv itself may still walk where the user may not.
        if succeeds(*become, "sh", "-c", '"$0" -c "import django"', ours):
            (checkout / ".venv").symlink_to(ROOT / ".venv")
            path = f"{Path(sys.base_prefix) / 'bin'}:{path}"
        elif not succeeds(
            *become,
            "/usr/bin/python3",
            "-c",
            "import ensurepip, sys; assert sys.version_info[:2] == (3, 11)",
        ):
            pytest.skip("this machine has no Python 3.11 that an ordinary user may run")
        for item in (checkout, *checkout.rglob("*")):
            os.chown(item, user.pw_uid, user.pw_gid, follow_symlinks=False)
        run = Run(
            "server",
            checkout,
            checkout / "var",
            *become,
            HOME="/nonexistent",
            PATH=path,
            ROOTSTOCK_ALLOWED_HOSTS="127.0.0.1",
        )
        output = run.wait_for("Ready after")
        url = re.search(r"http://\S+", output)
        assert url is not None
        forwarded = {"X-Forwarded-Proto": "https"}
        assert httpx.get(f"{url[0]}/readyz", headers=forwarded).json()["status"] == "ok"
        assert run.stop() == 0
        assert_nothing_left(checkout / "var")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
