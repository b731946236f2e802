"""Images of data sets: one file for equal bytes, named by their digest."""

from __future__ import annotations

import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterable
from pathlib import Path

from django.db import transaction

from rootstock.modelhub.models import DatasetExample
from rootstock.modelhub.storage import absolute_path, relative_path
from rootstock.tenancy.scope import current_organisation_id


def image_store(data: bytes, suffix: str, organisation_id: uuid.UUID) -> str:
    """Write checked image bytes once; returns the name that a row has: images/ab/abcdef….png."""
    digest = hashlib.sha256(data).hexdigest()
    name = f"images/{digest[:2]}/{digest}{suffix}"
    target = absolute_path(relative_path(organisation_id, name))
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, part = tempfile.mkstemp(prefix=".image.", dir=target.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        Path(part).chmod(0o644)
        Path(part).replace(target)
    return name


def image_path(name: str) -> Path:
    """Where the image that a row of this organisation names lies."""
    return absolute_path(relative_path(current_organisation_id(), name))


def images_remove_unused(names: Iterable[str]) -> None:
    """Once the transaction is committed, remove the files that no example of the organisation names."""
    wanted = set(names)
    kept = set(
        DatasetExample.objects.filter(content__image__in=list(wanted)).values_list(
            "content__image", flat=True
        )
    )
    unused = [image_path(name) for name in wanted - kept]

    def remove() -> None:
        for path in unused:
            path.unlink(missing_ok=True)

    transaction.on_commit(remove)
