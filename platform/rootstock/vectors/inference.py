"""Which model reads a collection, and asking it for vectors."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext as _

from ml_core.models import BaseModelError, default_base, resolve_base
from rootstock.common.problems import Problem
from rootstock.modelhub import inference as hub
from rootstock.modelhub.bases import INSTALLED, base_placed
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable
from rootstock.modelhub.models import Deployment, Task

__all__ = ["AUTO", "InferenceUnavailable", "ModelUnusable", "Source", "embed", "source_of"]

AUTO = "auto"
_BASE = "base:"
DEPLOYMENT = "deployment:"
# A path would reach other organisations' files.
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True)
class Source:
    """A model as we know it (`path`: "base:NAME", or where its artefact is), and as people do."""

    path: str
    label: str


def source_of(model: str, languages: Sequence[str] = ()) -> Source:
    """The model that a setting means: "auto", "packaged", "rootstock-mini", the name of a model on the hub, or
    "deployment:NAME" for the version that is deployed there now. Reads the deployment inside the caller's scope.

    "auto" is the installation's default for the languages; without any, for Chinese, which reads English as well.

    Raises:
        Problem: 422, there is no such model here.
    """
    if model == AUTO:
        name = default_base(languages or ("zh",))
        return Source(f"{_BASE}{name}", Path(name).name)
    if model.startswith(DEPLOYMENT):
        return _deployed(model.removeprefix(DEPLOYMENT))
    if model in INSTALLED or _HUB_NAME.fullmatch(model):
        try:
            resolve_base(model)
        except BaseModelError as error:
            raise _refused(str(error)) from error
        return Source(f"{_BASE}{model}", model)
    raise _refused(
        _(
            "Use “auto”, “packaged”, “rootstock-mini”, the name of a model on the hub, or “deployment:” and the "
            "name of a deployment."
        )
    )


def embed(path: str, texts: Sequence[str], *, batch: bool) -> tuple[str, npt.NDArray[np.float32]]:
    """The digest of the model and the vectors of the texts, (texts, dimensions), each of norm 1.

    `batch`: people who wait come first.

    Raises:
        InferenceUnavailable: no answer at the moment. ModelUnusable: the model cannot be loaded, or is no embedder.
    """
    digest, vectors = hub.embed_by_model(
        _placed(path), texts, priority="batch" if batch else "interactive"
    )
    vectors = np.asarray(vectors, np.float32)
    if not np.isfinite(vectors).all():
        raise ModelUnusable(f"{path}: some vectors are not finite")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return digest, vectors / np.maximum(norms, np.finfo(np.float32).tiny)


def _placed(path: str) -> str:
    """The model where the inference process may read it."""
    if not path.startswith(_BASE):
        return path
    try:
        return base_placed(path.removeprefix(_BASE))
    except (BaseModelError, OSError) as error:
        raise ModelUnusable(str(error)) from error


def _deployed(name: str) -> Source:
    deployment = Deployment.objects.select_related("version").filter(name=name).first()
    if deployment is None or deployment.task != Task.TEXT_EMBEDDING:
        raise _refused(_("No embedding model is deployed as “%(name)s”.") % {"name": name[:120]})
    return Source(deployment.version.artifact_path, deployment.version.label)


def _refused(detail: str) -> Problem:
    return Problem(422, "invalid", detail, errors=[{"pointer": "/model", "detail": detail}])
