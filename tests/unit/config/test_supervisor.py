"""One parent for all processes: crashes, silence, stops and kills, with small programs in their place."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from rootstock.config.embedded import StartError
from rootstock.launch import start, supervisor
from rootstock.launch.programs import Program
from rootstock.launch.supervisor import RunFile, Supervisor, clean_stale_run
from tests.unit.config.waiting import ended, until

ROOT = Path(__file__).resolve().parents[3]
SLEEP = "import time; time.sleep(600)"
STUBBORN_FAMILY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("grandchild", child.pid, flush=True)
time.sleep(600)
"""


def program(name: str, code: str, healthy: Callable[[], bool] | None = None) -> Program:
    return Program(name, [sys.executable, "-c", code], healthy)


@pytest.fixture
def boss(tmp_path: Path) -> Iterator[Supervisor]:
    boss = Supervisor(os.environ, tmp_path, RunFile(tmp_path / "run.json"), {"pid": 1}, list)
    yield boss
    boss.stop(seconds=0.1)


def pid_of(boss: Supervisor, index: int = 0) -> int:
    process = boss.children[index].process
    assert process is not None
    return process.pid


def test_a_killed_process_is_started_again_and_the_message_says_why(
    boss: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    boss.start([program("worker", f"print('about to work', flush=True); {SLEEP}")])
    assert until(lambda: "about to work" in (boss.logs / "worker.log").read_text())
    first = pid_of(boss)
    os.kill(first, signal.SIGKILL)

    def restarted() -> bool:
        boss.look_after()
        process = boss.children[0].process
        return process is not None and process.pid != first

    assert until(restarted)
    message = capsys.readouterr().out
    assert "worker was killed by SIGKILL" in message
    assert "about to work" in message
    assert str(boss.logs / "worker.log") in message


def test_pauses_between_attempts_grow(boss: Supervisor) -> None:
    boss.start([program("broken", "raise SystemExit(3)")])
    child = boss.children[0]
    pauses = []
    while len(pauses) < 3:
        assert until(lambda: child.process is None or child.process.poll() is not None)
        boss.look_after(quiet=True)
        pauses.append(round(child.start_again_at - time.monotonic()))
        child.start_again_at = 0
        boss.look_after(quiet=True)
    assert pauses == [1, 2, 4]


def test_a_program_that_cannot_start_ends_the_start_with_its_log(
    boss: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "ATTEMPTS_AT_START", 1)
    boss.start([program("web", "raise SystemExit('no module named spam')", lambda: False)])
    with pytest.raises(StartError, match=r"web does not start[\s\S]*no module named spam"):
        boss.wait_until_ready(60, lambda names: None)


def test_a_program_that_never_gets_ready_is_named(boss: Supervisor) -> None:
    boss.start([program("inference", SLEEP, lambda: False)])
    with pytest.raises(StartError, match="Not ready after 0 s: inference"):
        boss.wait_until_ready(0.2, lambda names: None)


def test_a_silent_process_is_replaced(
    boss: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(supervisor, "HEALTH_EVERY", 0.01)
    answers = iter([True, True])
    boss.start([program("worker", SLEEP, lambda: next(answers, False))])
    first = pid_of(boss)

    def replaced() -> bool:
        boss.look_after()
        boss._check_health()
        process = boss.children[0].process
        return process is not None and process.pid != first

    assert until(replaced)
    assert "worker has not answered" in capsys.readouterr().out


def test_stop_ends_stubborn_processes_and_what_they_started(boss: Supervisor) -> None:
    boss.start([program("trainer", STUBBORN_FAMILY)])
    log = boss.logs / "trainer.log"
    assert until(lambda: "grandchild" in log.read_text())
    grandchild = int(log.read_text().split()[-1])
    parent = pid_of(boss)
    boss.stop(seconds=0.2)
    assert until(lambda: ended(parent) and ended(grandchild))


BOSS = f"""
import os, sys, time
from pathlib import Path
from rootstock.launch.programs import Program
from rootstock.launch.supervisor import RunFile, Supervisor
folder = Path(sys.argv[1])
boss = Supervisor(os.environ, folder, RunFile(folder / "run.json"), {{}}, list)
boss.start([Program("trainer", [sys.executable, "-c", {STUBBORN_FAMILY!r}])])
boss.run()
"""


@pytest.fixture
def killed_supervisor(tmp_path: Path) -> tuple[Path, list[int]]:
    """Kill -9 a supervisor that runs a family; its folder and the family's numbers."""
    parent = subprocess.Popen(
        [sys.executable, "-c", BOSS, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"},
        cwd=ROOT,
    )
    log = tmp_path / "trainer.log"
    assert until(lambda: log.exists() and "grandchild" in log.read_text())
    grandchild = int(log.read_text().split()[-1])
    family = [psutil.Process(grandchild).ppid(), grandchild]
    parent.kill()
    parent.wait()
    return tmp_path, family


def test_kill_9_of_the_supervisor_leaves_no_orphan(
    killed_supervisor: tuple[Path, list[int]],
) -> None:
    _, family = killed_supervisor
    assert until(lambda: all(ended(pid) for pid in family))


def test_the_next_start_cleans_up_after_a_killed_one(tmp_path: Path) -> None:
    orphan = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    bystander = subprocess.Popen([sys.executable, "-c", SLEEP], start_new_session=True)
    created = psutil.Process(orphan.pid).create_time()
    run = RunFile(tmp_path / "run.json")
    # The second number was given to another program after the crash: it was created at another time.
    run.write({"processes": {"a": [orphan.pid, created], "b": [bystander.pid, created - 1000]}})
    try:
        assert clean_stale_run(run)
        assert ended(orphan.pid)
        assert bystander.poll() is None
        assert not run.path.exists()
        assert not clean_stale_run(run)
    finally:
        for process in (orphan, bystander):
            process.kill()
            process.wait()


def test_logs_do_not_grow_for_ever(boss: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LARGEST_LOG", 10)
    log = boss.logs / "web.log"
    log.write_text("a line that is longer than ten letters\n")
    boss._trim_logs()
    assert log.read_text() == ""
    assert "longer than ten" in (boss.logs / "web.log.1").read_text()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def test_a_busy_port_that_was_asked_for_is_an_error_that_says_who_has_it(
    listener: socket.socket,
) -> None:
    port = listener.getsockname()[1]
    with pytest.raises(StartError, match=rf"Port {port} is taken by process {os.getpid()} \("):
        start.choose_port("127.0.0.1", str(port))


def test_without_a_wish_the_next_free_port_is_taken_and_said(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = listener.getsockname()[1]
    monkeypatch.setattr(start, "FIRST_PORT", port)
    assert start.choose_port("127.0.0.1", None) > port
    assert f"Port {port} is taken by process {os.getpid()}" in capsys.readouterr().out


@pytest.mark.parametrize("wanted", ["http", "0", "65536", "-1"])
def test_a_port_that_is_none_is_refused(wanted: str) -> None:
    with pytest.raises(StartError, match="ROOTSTOCK_PORT"):
        start.choose_port("127.0.0.1", wanted)
