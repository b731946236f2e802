"""Where files of the model hub are: below ROOTSTOCK_ARTIFACTS, one directory an organisation."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from django.conf import settings


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
    """Remove what the stored paths name; nothing there is fine."""
    for path in paths:
        shutil.rmtree(absolute_path(path), ignore_errors=True)
