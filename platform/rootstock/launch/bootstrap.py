"""Make `.venv` hold what pyproject.toml and constraints.txt ask for, then run Python in it.

Run by `script/python` with any Python 3.11; standard library only. Packages come from wherever pip on
this machine is set up to look (its configuration files and `PIP_…` variables are used as they are).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import tomllib
import venv
from collections.abc import Sequence
from pathlib import Path

from rootstock.launch.phases import Phase, Phases, write

ROOT = Path(__file__).resolve().parents[3]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "rootstock.stamp"


class SetUpError(RuntimeError):
    """The environment could not be made; the message says why and what to do."""


def main() -> None:
    """`[--dev] [--verbose] ARGUMENTS…`: set up, then become the environment's Python with ARGUMENTS.

    `--dev` adds the tools for tests and lint, `--verbose` shows the phase even if nothing is to do.
    It is one process all along: who signals `script/demo` reaches what runs.
    """
    arguments = sys.argv[1:]
    own = set()
    while arguments and arguments[0] in ("--dev", "--verbose"):
        own.add(arguments.pop(0))
    dev = "--dev" in own
    var = Path(os.environ.get("ROOTSTOCK_VAR") or ROOT / "var").absolute()
    log = var / "log" / "setup.log"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        wanted = fingerprint(dev=dev)
        if "--verbose" in own or wanted not in stamps():
            log.parent.mkdir(parents=True, exist_ok=True)
            with Phases(var / "startup.json", new=True).phase("Python packages") as phase:
                set_up(phase, wanted, log, dev=dev)
    except (SetUpError, OSError) as error:
        write(f"\n{error}")
        sys.exit(1)
    except KeyboardInterrupt:
        write("\nInterrupted; the next run goes on from here.")
        sys.exit(130)
    os.environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "platform")))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execv(PYTHON, [str(PYTHON), *arguments])  # noqa: S606 - our own Python


def set_up(phase: Phase, wanted: str, log: Path, *, dev: bool) -> None:
    """Install unless the stamp says that it was done; one process at a time."""
    # The lock is the kernel's: a killed process leaves none. Children hold it too, so that a pip whose
    # parent was killed is waited for.
    lock = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if wanted in stamps():
            phase.result = "in place"
            return
        STAMP.unlink(missing_ok=True)
        with log.open("ab") as output:
            make_environment(output.fileno(), lock)
        install(phase, log, lock, dev=dev)
        # An environment with the extra packages serves both, so both stamps are kept.
        STAMP.write_text("\n".join({wanted, fingerprint(dev=False)}))
    finally:
        os.close(lock)


def fingerprint(*, dev: bool) -> str:
    """Of everything that decides what is installed."""
    content = [*requirements(dev=dev), constraints().read_text(), sys.version]
    return hashlib.sha256("\n".join(content).encode()).hexdigest()


def stamps() -> list[str]:
    """Fingerprints that the environment satisfies."""
    return STAMP.read_text().split() if STAMP.exists() and PYTHON.exists() else []


def requirements(*, dev: bool) -> list[str]:
    """The dependencies of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names: list[str] = project["dependencies"]
    if dev:
        names = names + project["optional-dependencies"]["dev"]
    return names


def constraints() -> Path:
    """The exact version of every package."""
    return ROOT / "constraints.txt"


def make_environment(output: int, lock: int) -> None:
    """The virtual environment with its pip; where Python lacks `ensurepip`, its own pip helps out."""
    if PYTHON.exists() and run([PYTHON, "-m", "pip", "--version"], output, lock) == 0:
        return
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        venv.create(VENV, clear=True, symlinks=True, with_pip=False)
        pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", PYTHON]
        pip += ["install", "-q", "pip"]
        if run(pip, output, lock) != 0:
            raise SetUpError(
                "This Python can neither make a virtual environment with pip nor install pip "
                "into one; install its venv package (on Debian: python3-venv)"
            ) from None
    else:
        # In a process of its own: an environment must not know the PYTHONPATH of this one.
        if run([sys.executable, "-I", "-m", "venv", "--clear", VENV], output, lock) != 0:
            raise SetUpError(f"The virtual environment {VENV} could not be made")


def install(phase: Phase, log: Path, lock: int, *, dev: bool) -> None:
    """pip install, its output in the log, the packages counted as they come."""
    total = sum("==" in line for line in constraints().read_text().splitlines())
    command = [PYTHON, "-m", "pip", "install", "--progress-bar=off", "--no-input"]
    command += ["--disable-pip-version-check", "--constraint", constraints()]
    command += requirements(dev=dev)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
        pass_fds=(lock,),
    )
    last: list[str] = []
    count = 0
    try:
        with log.open("a") as output:
            for line in phase.lines(process.stdout) if process.stdout else ():
                output.write(line + "\n")
                last = [*last[-14:], line]
                count += line.startswith("Collecting ")
                if line.startswith("Installing collected"):
                    phase.note("installing", 0.9)
                elif line.startswith(("Collecting ", "Downloading ", "  Downloading ")):
                    name = line.split()[1].split("/")[-1].split(";")[0]
                    phase.note(f"downloading {name[:40]}", 0.85 * count / max(total, count))
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if process.wait() != 0:
        end = "\n".join(f"    {line}" for line in last if not line.startswith("WARNING"))
        raise SetUpError(
            f"pip could not install the packages (whole log: {log}):\n{end}\n"
            "Is the package index reachable? A second run goes on where this one stopped."
        )
    phase.result = f"{count} packages"


def run(command: Sequence[str | Path], output: int, lock: int) -> int:
    """Run with the output in the log."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.call(  # noqa: S603 - our own arguments
        [str(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=environment,
        pass_fds=(lock,),
    )


if __name__ == "__main__":
    main()
