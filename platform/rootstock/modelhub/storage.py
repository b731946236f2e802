"""Where files of the model hub are: below ROOTSTOCK_ARTIFACTS, one directory an organisation.

With ROOTSTOCK_ARTIFACT_STORE (`s3://bucket/prefix`, or any address that fsspec knows) artefacts are kept there as
well: a version is uploaded when it is registered, and a machine that does not have it fetches it when it is needed.
ROOTSTOCK_ARTIFACTS is then a cache of them. Data sets' snapshots stay on the disk.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from ml_core.registry import Artifact, ArtifactError
from rootstock.common.ids import uuid7

# Written last and looked for first: what has it is whole.
MANIFEST = "manifest.json"
# The package that a store's address needs beyond fsspec itself.
_PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "abfs": "adlfs",
    "az": "adlfs",
}


class StorageProblem(Exception):
    """An artefact cannot be had: it is not in the store, or what is there is not what was registered."""


class StoreUnavailable(StorageProblem):
    """The store does not answer or refuses us; the same call can succeed later."""


def relative_path(organisation_id: uuid.UUID, *parts: str) -> str:
    """The stored form of a path: POSIX, relative to ROOTSTOCK_ARTIFACTS."""
    return str(PurePosixPath(str(organisation_id), *parts))


def absolute_path(path: str) -> Path:
    """The directory that a stored path names.

    Raises:
        ValueError: it would leave ROOTSTOCK_ARTIFACTS.
    """
    root = Path(settings.ARTIFACTS)
    target = (root / path).resolve()
    if not target.is_relative_to(root.resolve()):
        raise ValueError(f"outside the artefacts directory: {path!r}")
    return target


def remove_trees(paths: Iterable[str]) -> None:
    """Remove the files and directories that the stored paths name; nothing there is fine."""
    for path in paths:
        target = absolute_path(path)
        if target.is_file():
            target.unlink(missing_ok=True)
        else:
            shutil.rmtree(target, ignore_errors=True)


def local_artifact(path: str, digest: str) -> Path:
    """The directory of an artefact on this machine, fetched from the store when it is not here yet.

    What is fetched is hashed file by file and moved into place whole, so nobody ever sees half of it. Call it outside
    a transaction where you can: the first time on a machine it takes as long as the download.

    Raises:
        StorageProblem: it is not in the store, or is damaged there. StoreUnavailable: the store cannot be reached.
        ValueError: the path would leave ROOTSTOCK_ARTIFACTS.
    """
    target = absolute_path(path)
    if settings.ARTIFACT_STORE and not target.is_dir():
        _fetch(path, target, digest)
    return target


def artifact_publish(path: str) -> None:
    """Copy an artefact of this machine into the store, unless it is there already; without a store do nothing.

    Raises:
        StoreUnavailable: the store cannot be reached or refuses us.
    """
    if not settings.ARTIFACT_STORE:
        return
    source = absolute_path(path)
    system, root = store()
    remote = f"{root}/{path}"
    files = sorted(source.iterdir(), key=lambda file: (file.name == MANIFEST, file.name))
    try:
        if system.exists(f"{remote}/{MANIFEST}"):
            if system.cat_file(f"{remote}/{MANIFEST}") == (source / MANIFEST).read_bytes():
                return
            # A half-replaced artefact must not look whole.
            system.rm_file(f"{remote}/{MANIFEST}")
        system.makedirs(remote, exist_ok=True)
        for file in files:
            system.put_file(str(file), f"{remote}/{file.name}")
    except Exception as error:  # each file system raises errors of its own
        raise _unavailable(error) from error


def sha256_file(path: Path) -> str:
    """The hash of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_keep(file: Path, path: str) -> None:
    """Move a file of this machine to where its stored path says, and copy it into the store if there is one.

    Raises:
        StoreUnavailable: the store cannot be reached or refuses us.
    """
    target = absolute_path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.{uuid7()}")
    shutil.copyfile(file, half)
    half.replace(target)
    if not settings.ARTIFACT_STORE:
        return
    system, root = store()
    try:
        system.makedirs(f"{root}/{PurePosixPath(path).parent}", exist_ok=True)
        system.put_file(str(target), f"{root}/{path}")
    except Exception as error:  # each file system raises errors of its own
        raise _unavailable(error) from error


def local_file(path: str, sha256: str) -> Path:
    """A kept file on this machine, fetched from the store when it is not here yet; it has the hash it was kept with.

    Raises:
        StorageProblem: it is nowhere, or has changed. StoreUnavailable: the store cannot be reached.
        ValueError: the path would leave ROOTSTOCK_ARTIFACTS.
    """
    target = absolute_path(path)
    if settings.ARTIFACT_STORE and not target.is_file():
        system, root = store()
        target.parent.mkdir(parents=True, exist_ok=True)
        half = target.with_name(f".{target.name}.{uuid7()}")
        try:
            if system.exists(f"{root}/{path}"):
                system.get_file(f"{root}/{path}", str(half))
                half.replace(target)
        except Exception as error:  # each file system raises errors of its own
            raise _unavailable(error) from error
        finally:
            half.unlink(missing_ok=True)
    if not target.is_file():
        problem = _("%(path)s is neither on this machine nor in the artefact store.")
        raise StorageProblem(problem % {"path": path})
    if sha256_file(target) != sha256:
        raise StorageProblem(_("%(path)s is not what was registered.") % {"path": path})
    return target


def store() -> tuple[Any, str]:
    """The store's file system (fsspec) and the path of its root in it.

    Raises:
        StoreUnavailable: ROOTSTOCK_ARTIFACT_STORE cannot be used; the message says what is missing.
    """
    import fsspec

    address = settings.ARTIFACT_STORE
    try:
        system, root = fsspec.core.url_to_fs(address)
    except ImportError as error:
        package = _PACKAGES.get(address.partition("://")[0], "")
        problem = _(
            "The artefact store %(address)s needs a package that is not installed: %(package)s."
        ) % {
            "address": address,
            "package": f"pip install {package}" if package else str(error),
        }
        raise StoreUnavailable(problem) from error
    except Exception as error:  # each file system raises errors of its own
        raise _unavailable(error) from error
    return system, str(root).rstrip("/")


def _fetch(path: str, target: Path, digest: str) -> None:
    system, root = store()
    remote = f"{root}/{path}"
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(
        tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent)
    )
    try:
        try:
            if not system.exists(f"{remote}/{MANIFEST}"):
                problem = _("%(path)s is neither on this machine nor in the artefact store.")
                raise StorageProblem(problem % {"path": path})
            for name in system.ls(remote, detail=False):
                system.get_file(name, str(staging / PurePosixPath(name).name))
        except StorageProblem:
            raise
        except Exception as error:  # each file system raises errors of its own
            raise _unavailable(error) from error
        _check(staging, path, digest)
        staging.chmod(0o755)
        try:
            staging.rename(target)
        except OSError:
            # Somebody else has fetched the same at the same time.
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(staging: Path, path: str, digest: str) -> None:
    try:
        artifact = Artifact.open(staging)
    except ArtifactError as error:
        problem = _("%(path)s is damaged in the artefact store: %(problem)s") % {
            "path": path,
            "problem": f"{error.path.name}: {error.problem}",
        }
        raise StorageProblem(problem) from error
    if digest and artifact.digest != digest:
        problem = _("%(path)s in the artefact store is not what was registered.") % {"path": path}
        raise StorageProblem(problem)


def _unavailable(error: Exception) -> StoreUnavailable:
    problem = _("The artefact store %(address)s cannot be used: %(problem)s") % {
        "address": settings.ARTIFACT_STORE,
        "problem": f"{type(error).__name__}: {error}"[:500],
    }
    return StoreUnavailable(problem)
