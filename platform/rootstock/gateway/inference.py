"""Asking models by name: what is deployed here, a base model of the installation, or a model of a connection.

`model_find` is called inside the organisation's scope, everything else outside any.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from django.conf import settings

from ml_core.models import BaseModelError, resolve_base
from ml_core.serving import (
    AsyncGenerationClient,
    AsyncInferenceClient,
    GenerationOptions,
    InferenceError,
    Piece,
    PredictRequest,
    RemoteServer,
    count_tokens,
    read_vectors,
)
from ml_core.text import detect_language
from rootstock.common.http import CheckedTransport, HttpError
from rootstock.common.problems import Problem
from rootstock.gateway import background
from rootstock.gateway.models import Connection
from rootstock.modelhub import inference as hub
from rootstock.modelhub.models import Deployment, Task
from rootstock.modelhub.storage import StorageProblem, local_artifact

__all__ = [
    "BASES",
    "Embedded",
    "GenerationOptions",
    "Local",
    "Piece",
    "Remote",
    "bases",
    "chat",
    "chat_pieces",
    "classify",
    "embed",
    "model_find",
    "offered_models",
    "predict",
    "problem_of",
    "remote",
]

T = TypeVar("T")

BASES = ("packaged", "rootstock-mini")
CHAT_SECONDS = 300.0
# What asking a model may end with.
_FAILURES = (
    InferenceError,
    HttpError,
    StorageProblem,
    hub.InferenceUnavailable,
    hub.ModelUnusable,
)
PREDICT_SECONDS = 30.0
OFFER_SECONDS = 15.0


@dataclass(frozen=True)
class Local:
    """A model that the inference process runs. `path` is "base:NAME" or the stored path of an artefact."""

    name: str
    task: str
    path: str
    digest: str = ""


@dataclass(frozen=True)
class Remote:
    """A model of a connection."""

    name: str
    model: str
    connection_id: uuid.UUID
    base_url: str
    timeout: float
    api_key: str = field(repr=False)


@dataclass(frozen=True)
class Embedded:
    """Vectors (texts, numbers) float32, and the tokens that were read."""

    vectors: npt.NDArray[np.float32]
    tokens: int


def bases() -> list[str]:
    """The base models that this installation has."""
    return [name for name in BASES if _has_base(name)]


def model_find(name: str) -> Local | Remote:
    """What a model's name means in this organisation: a deployment, a base model, or "connection/model".

    Raises:
        Problem: 404 model-not-found.
    """
    deployment = Deployment.objects.select_related("version").filter(name=name).first()
    if deployment is not None:
        version = deployment.version
        return Local(name, deployment.task, version.artifact_path, version.digest)
    if name in BASES and _has_base(name):
        return Local(name, Task.TEXT_EMBEDDING, f"base:{name}")
    server, slash, model = name.partition("/")
    connection = Connection.objects.filter(name=server).first() if slash and model else None
    if connection is None:
        raise Problem(
            404,
            "model-not-found",
            f"The model {name[:200]!r} does not exist: it is the name of no deployment, no base model, and not a "
            "connection's name with a slash and a model.",
            errors=[{"pointer": "/model", "detail": "no such model"}],
        )
    return remote(connection, model, name=name)


def remote(connection: Connection, model: str = "", *, name: str = "") -> Remote:
    """A model of a connection, with all that is needed to ask it."""
    return Remote(
        name=name or connection.name,
        model=model,
        connection_id=connection.pk,
        base_url=connection.base_url,
        timeout=float(connection.timeout_seconds),
        api_key=connection.api_key,
    )


def offered_models(target: Remote) -> list[str]:
    """The models that a connection's server offers.

    Raises:
        Problem: it does not answer, refuses the key, or is no such server.
    """

    async def ask() -> list[str]:
        async with _server(target, timeout=min(OFFER_SECONDS, target.timeout), retries=0) as server:
            return await server.models()

    return _asked(lambda: background.run(ask()))


def predict(
    target: Local, inputs: Sequence[str | Mapping[str, Any]], *, organisation: str
) -> list[dict[str, Any]]:
    """One output per input, as the task has them (`ml_core.serving`), vectors as lists of numbers.

    Raises:
        Problem: an input is not one of the task; the model does not answer or cannot be used.
    """

    async def ask() -> tuple[dict[str, Any], ...]:
        directory = await asyncio.to_thread(_directory, target)
        async with AsyncInferenceClient(
            settings.INFERENCE_ADDRESS, token=settings.INFERENCE_TOKEN, timeout=PREDICT_SECONDS
        ) as client:
            request = PredictRequest(str(directory), inputs)
            [result] = await client.predict([request], organisation=organisation)
            return result.outputs

    outputs = list(_asked(lambda: background.run(ask())))
    if target.task == Task.TEXT_EMBEDDING:
        return [{"vector": row.astype(float).tolist()} for row in read_vectors(outputs)]
    return outputs


def classify(
    name: str, texts: Sequence[str]
) -> tuple[hub.DeploymentResult | None, list[dict[str, Any]]]:
    """What the deployment says to the texts that its model reads, and an output for every text: {"label",
    "probabilities", "in_scope", "score"}, or {"unscored"} with the reason.

    Raises:
        Problem: the model does not answer or cannot be used.
    """
    targets = hub.resolve([name])
    languages = targets[name].languages
    unread = {
        place: language
        for place, text in enumerate(texts)
        if languages and (language := detect_language(text)) not in languages and language != "und"
    }
    asked = [text for place, text in enumerate(texts) if place not in unread]
    result: hub.DeploymentResult = _asked(lambda: hub.classify(targets, {name: asked})[name])
    said = iter(result.predictions)
    outputs: list[dict[str, Any]] = []
    for place in range(len(texts)):
        if place in unread:
            outputs.append({"unscored": f"the model does not read {unread[place]}"})
            continue
        prediction = next(said)
        outputs.append(
            {
                "label": prediction.label,
                "probabilities": prediction.probabilities,
                "in_scope": prediction.in_scope,
                "score": prediction.score,
            }
        )
    return (result if asked else None), outputs


def embed(target: Local | Remote, texts: Sequence[str], *, dimensions: int | None) -> Embedded:
    """One vector per text. Of a local model the first `dimensions` numbers are taken, scaled to norm 1 again.

    Raises:
        Problem: the model embeds no texts or has fewer dimensions; it does not answer; it is overloaded.
    """
    if isinstance(target, Remote):

        async def ask() -> Embedded:
            async with _server(target) as server:
                found = await server.embed(target.model, texts, dimensions=dimensions)
                return Embedded(found.vectors, found.prompt_tokens)

        return _asked(lambda: background.run(ask()))
    if target.task != Task.TEXT_EMBEDDING:
        raise _wrong_task(target, "embeds no texts")
    vectors = np.asarray(
        _asked(lambda: hub.embed_by_model(target.path, texts)[1]), dtype=np.float32
    )
    if dimensions is not None:
        if dimensions > vectors.shape[1]:
            detail = f"{target.name} has {vectors.shape[1]} dimensions"
            raise Problem(
                422, "invalid", detail, errors=[{"pointer": "/dimensions", "detail": detail}]
            )
        vectors = vectors[:, :dimensions]
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        vectors = vectors / np.maximum(norms, np.finfo(np.float32).tiny)
    return Embedded(vectors, count_tokens(_directory(target), texts))


def chat(
    target: Local | Remote, messages: Sequence[Mapping[str, str]], options: GenerationOptions
) -> background.Stream[Piece]:
    """The next reply of a conversation. Its first piece has been written; the others raise InferenceError.

    Raises:
        Problem: the model writes no text; it does not answer; it is overloaded; it refuses the turns.
    """
    if isinstance(target, Local) and target.task != Task.TEXT_GENERATION:
        raise _wrong_task(target, "writes no text")
    write = _write_there if isinstance(target, Remote) else _write_here
    stream = background.Stream(write(target, messages, options))  # type: ignore[arg-type]
    _asked(stream.first)
    return stream


def chat_pieces(
    target: Local | Remote, messages: Sequence[Mapping[str, str]], options: GenerationOptions
) -> Iterator[Piece]:
    """The same for a thread, piece by piece; closing the iterator ends the reply.

    Raises:
        Problem: as `chat`, and when the reply breaks off.
    """
    stream = chat(target, messages, options)
    try:
        yield from stream
    except _FAILURES as error:
        raise problem_of(error) from error


async def _write_there(
    target: Remote, messages: Sequence[Mapping[str, str]], options: GenerationOptions
) -> AsyncGenerator[Piece]:
    async with (
        _server(target) as server,
        aclosing(server.chat(target.model, messages, options)) as pieces,
    ):
        async for piece in pieces:
            yield piece


async def _write_here(
    target: Local, messages: Sequence[Mapping[str, str]], options: GenerationOptions
) -> AsyncGenerator[Piece]:
    directory = await asyncio.to_thread(_directory, target)
    async with (
        AsyncGenerationClient(
            settings.INFERENCE_ADDRESS, token=settings.INFERENCE_TOKEN, timeout=CHAT_SECONDS
        ) as client,
        aclosing(client.generate(str(directory), messages, options)) as pieces,
    ):
        async for piece in pieces:
            yield piece


def _server(target: Remote, *, timeout: float | None = None, retries: int = 2) -> RemoteServer:
    return RemoteServer(
        target.base_url,
        api_key=target.api_key,
        timeout=timeout or target.timeout,
        retries=retries,
        transport=CheckedTransport(),
    )


def _directory(target: Local) -> Path:
    if target.path.startswith("base:"):
        return Path(resolve_base(target.path.removeprefix("base:")))
    return local_artifact(target.path, target.digest)


def _has_base(name: str) -> bool:
    try:
        resolve_base(name)
    except BaseModelError:
        return False
    return True


def _wrong_task(target: Local, what: str) -> Problem:
    detail = f"{target.name} {what}: its task is {target.task}"
    return Problem(422, "wrong-task", detail, errors=[{"pointer": "/model", "detail": detail}])


def _asked(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except _FAILURES as error:
        raise problem_of(error) from error


def problem_of(error: Exception) -> Problem:
    """What a failure of a model means to who asked for it."""
    if isinstance(error, Problem):
        return error
    code = error.code if isinstance(error, InferenceError) else type(error).__name__
    status, name = _MEANING.get(code, (503, "unavailable"))
    headers = {}
    if status in {429, 503} and name != "model-unusable":
        headers["Retry-After"] = str(max(1, round(getattr(error, "retry_after", 2.0))))
    text = str(error)
    if code == "unauthorised":
        text = f"The connection's key is refused. {text}"
    elif isinstance(error, HttpError):
        status, name, text = 502, "address-refused", f"The address may not be reached: {text}"
    return Problem(status, name, text, headers=headers)


_MEANING = {
    "overloaded": (429, "overloaded"),
    "deadline_exceeded": (504, "deadline-exceeded"),
    "bad_request": (422, "invalid"),
    "unauthorised": (502, "connection-key"),
    "model_not_found": (404, "model-not-found"),
    **dict.fromkeys(
        (
            "model_damaged", "model_failed", "model_not_allowed", "model_too_large", "model_task",
            "ModelUnusable", "StorageProblem",
        ),
        (503, "model-unusable"),
    ),
}  # fmt: skip
