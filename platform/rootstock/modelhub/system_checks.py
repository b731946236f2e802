"""What is looked at when a process starts."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import Error

from rootstock.modelhub.storage import StoreUnavailable, store


def artifact_store_check(**_: Any) -> list[Error]:
    """ROOTSTOCK_ARTIFACT_STORE names a file system that this installation can speak to; nothing is asked of it."""
    if not settings.ARTIFACT_STORE:
        return []
    try:
        store()
    except StoreUnavailable as error:
        return [Error(str(error), id="modelhub.E001")]
    return []
