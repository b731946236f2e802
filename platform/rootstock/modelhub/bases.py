"""Base models where the inference process may read them: it reads nothing outside of ROOTSTOCK_ARTIFACTS."""

from __future__ import annotations

import shutil
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from ml_core.models import base_digest, base_directory
from rootstock.common.ids import uuid7

INSTALLED = ("packaged", "rootstock-mini")
_FOLDER = "bases"
# Configuration, tokenizer, weights. What else a model's repository has is of no use here.
_SUFFIXES = {".json", ".txt", ".model", ".safetensors"}


@lru_cache(maxsize=64)
def base_placed(name: str) -> str:
    """The name by which the inference process is asked for a base as a plain embedder, "base:…".

    Those of the installation are known to it. A model of the hub, or a directory that the operator has named, is
    copied below ROOTSTOCK_ARTIFACTS, once, under the digest of its weights. A model that is not on this machine is
    fetched first, where the machine may do that: call it outside of transactions.

    Raises:
        BaseModelError: it is not to be had. OSError: the disk is full, or cannot be read.
    """
    if name in INSTALLED:
        return f"base:{name}"
    source = base_directory(name)
    path = f"{_FOLDER}/{base_digest(source)}"
    target = Path(settings.ARTIFACTS) / path
    if not target.is_dir():
        half = target.with_name(f".{uuid7()}")
        half.mkdir(parents=True)
        for file in source.iterdir():
            if file.is_file() and file.suffix in _SUFFIXES:
                shutil.copyfile(file, half / file.name)
        try:
            half.rename(target)
        except OSError:
            shutil.rmtree(half)
            if not target.is_dir():  # else somebody was faster
                raise
    return f"base:{path}"
