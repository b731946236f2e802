"""Which model reads a collection, asking it for vectors, and what `ml_core` knows of words: the only door to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from django.utils.translation import gettext as _

from ml_core.models import BaseModelError, default_base, resolve_base
from ml_core.retrieval import WEIGHT, Bm25, fuse, is_function_word, terms
from ml_core.text import detect_language
from rootstock.common.problems import Problem
from rootstock.modelhub import inference as hub
from rootstock.modelhub.bases import INSTALLED, base_placed
from rootstock.modelhub.inference import InferenceUnavailable, ModelUnusable
from rootstock.modelhub.models import Deployment, ModelVersion, Task

__all__ = [
    "AUTO",
    "WEIGHT",
    "Bm25",
    "InferenceUnavailable",
    "ModelUnusable",
    "Source",
    "detect_language",
    "embed",
    "fuse",
    "is_function_word",
    "languages_read",
    "rerank",
    "reranker_path",
    "source_of",
    "terms",
]

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


def languages_read(path: str) -> frozenset[str] | None:
    """ISO 639-1 codes of the languages that a model reads; None where nobody has said: then it is tried. Reads the
    version inside the caller's scope."""
    if path == f"{_BASE}packaged":  # all-MiniLM-L6-v2
        return frozenset({"en"})
    if path.startswith(_BASE):
        return None
    version = ModelVersion.objects.filter(artifact_path=path).only("languages").first()
    return frozenset(version.languages) if version is not None and version.languages else None


def reranker_path(name: str) -> str | None:
    """The artefact of the reranker that is deployed under a name; None where there is none. Inside a scope."""
    deployment = Deployment.objects.select_related("version").filter(name=name).first()
    if deployment is None or deployment.version is None or deployment.task != Task.RERANKING:
        return None
    return deployment.version.artifact_path


def rerank(path: str, query: str, texts: Sequence[str]) -> list[float]:
    """How well each text answers the query, from 0 to 1, by the reranker of that artefact.

    Raises:
        InferenceUnavailable: no answer at the moment. ModelUnusable: it cannot be loaded, or is no reranker.
    """
    return [float(score) for score in hub.score_pairs(path, [(query, text) for text in texts])]


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
