"""Clients of the inference process. Free of torch; connections are pooled and kept open."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack

import httpx
import numpy as np

from ml_core.serving.errors import InferenceUnavailable, Overloaded
from ml_core.serving.protocol import (
    ClassifyRequest,
    ClassifyResult,
    Entity,
    Health,
    ModelInfo,
    PredictRequest,
    PredictResult,
    Priority,
    read_predictions,
    read_vectors,
)
from ml_core.serving.transport import (
    Attempts,
    open_async_transport,
    open_transport,
    read_answer,
    token_header,
    transport_error,
)

RETRIES = 3


class CallOptions(TypedDict, total=False):
    """What every asking method takes beside its inputs.

    ``priority`` is "interactive" (the default) or "batch", which waits for the former; ``organisation`` is for whom the
    call is, in the process's metrics; ``timeout`` in seconds in the place of the client's; with ``fresh`` nothing is
    answered from the cache, for measurements.
    """

    priority: Priority
    organisation: str
    timeout: float
    fresh: bool


class InferenceClient:
    """Talk to the inference process at "unix:///path.sock" or "http://host:port".

    Thread-safe; make one and keep it. ``timeout`` (seconds) is also the deadline the process works to. Within it a call
    that found nobody, whose connection broke, or that was refused because the queue is full, is sent again up to
    ``retries`` times, after growing pauses (or the time the process named), with jitter.

    Every method raises InferenceUnavailable when nobody answers, Overloaded when the queue stays full,
    DeadlineExceeded when the answer takes longer than ``timeout``, and InferenceError with a code for a refused request
    (see the subclasses).
    """

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        retries: int = RETRIES,
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._retries = retries
        base, transport = open_transport(address)
        self._http = httpx.Client(
            base_url=base,
            transport=transport,
            headers=token_header(token),
        )

    def predict(
        self,
        requests: Sequence[PredictRequest],
        **options: Unpack[CallOptions],
    ) -> list[PredictResult]:
        """Ask one or several models of any task in one call; results in the order of ``requests``. For the inputs and
        outputs of each task see `ml_core.serving.protocol`.

        A model that is not loaded yet is loaded. Raises ModelNotLoaded when a model cannot be used; then no request of
        the call has a result.
        """
        body = _predict_body(requests, options)
        return _results(self._call("POST", "/v1/predict", body, **options))

    def classify(
        self,
        requests: Sequence[ClassifyRequest],
        **options: Unpack[CallOptions],
    ) -> list[ClassifyResult]:
        """Classify texts with one or several models in one call; results in the order of ``requests``."""
        asked = [PredictRequest(each.model, each.texts) for each in requests]
        results = self.predict(asked, **options)
        return [_classified(result) for result in results]

    def embed(
        self,
        model: str | Path,
        texts: Sequence[str],
        **options: Unpack[CallOptions],
    ) -> np.ndarray:
        """The vectors (texts, numbers) of texts, float32 of norm 1, from an embedder or "base:NAME"."""
        [result] = self.predict(
            [PredictRequest(str(model), texts)],
            **options,
        )
        return read_vectors(result.outputs)

    def tag(
        self,
        model: str | Path,
        texts: Sequence[str],
        **options: Unpack[CallOptions],
    ) -> list[list[Entity]]:
        """The entities of each text, in order of their places."""
        [result] = self.predict(
            [PredictRequest(str(model), texts)],
            **options,
        )
        return _entities(result)

    def score_pairs(
        self,
        model: str | Path,
        pairs: Sequence[tuple[str, str]],
        **options: Unpack[CallOptions],
    ) -> np.ndarray:
        """How well the document of each (query, document) answers the query: (pairs,) float32 from 0 to 1."""
        [result] = self.predict(
            [_pairs_request(model, pairs)],
            **options,
        )
        return _scores(result)

    def health(self) -> Health:
        """The models that are loaded, the length of the queue, memory, uptime, version."""
        return Health.from_dict(self._call("GET", "/healthz"))

    def load(self, model: str | Path) -> ModelInfo:
        """Load a model ahead of its first use; replaces a loaded one whose files have changed since."""
        return ModelInfo.from_dict(self._call("POST", "/v1/load", {"model": str(model)}))

    def unload(self, model: str | Path) -> None:
        """Give a model's memory back; inputs of it that wait are still answered."""
        self._call("POST", "/v1/unload", {"model": str(model)})

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _call(
        self, method: str, path: str, body: Any = None, **options: Unpack[CallOptions]
    ) -> Any:
        attempts = Attempts(options.get("timeout", self._timeout), self._retries)
        while True:
            try:
                return self._send(method, path, body, attempts, options)
            except (InferenceUnavailable, Overloaded) as error:
                pause = attempts.pause(error)
            time.sleep(pause)

    def _send(
        self, method: str, path: str, body: Any, attempts: Attempts, options: CallOptions
    ) -> Any:
        organisation = options.get("organisation", "")
        headers, timeout = attempts.headers(organisation), attempts.socket_timeout()
        try:
            response = self._http.request(method, path, json=body, headers=headers, timeout=timeout)
        except httpx.HTTPError as error:
            raise transport_error(error, self.address, attempts.timeout) from error
        return read_answer(response)


class AsyncInferenceClient:
    """`InferenceClient` for asyncio: the same methods, awaited. Make one per event loop."""

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        timeout: float = 30.0,
        retries: int = RETRIES,
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._retries = retries
        base, transport = open_async_transport(address)
        self._http = httpx.AsyncClient(
            base_url=base,
            transport=transport,
            headers=token_header(token),
        )

    async def predict(
        self,
        requests: Sequence[PredictRequest],
        **options: Unpack[CallOptions],
    ) -> list[PredictResult]:
        """See `InferenceClient.predict`."""
        body = _predict_body(requests, options)
        return _results(await self._call("POST", "/v1/predict", body, **options))

    async def classify(
        self,
        requests: Sequence[ClassifyRequest],
        **options: Unpack[CallOptions],
    ) -> list[ClassifyResult]:
        """See `InferenceClient.classify`."""
        asked = [PredictRequest(each.model, each.texts) for each in requests]
        results = await self.predict(asked, **options)
        return [_classified(result) for result in results]

    async def embed(
        self,
        model: str | Path,
        texts: Sequence[str],
        **options: Unpack[CallOptions],
    ) -> np.ndarray:
        """See `InferenceClient.embed`."""
        [result] = await self.predict(
            [PredictRequest(str(model), texts)],
            **options,
        )
        return read_vectors(result.outputs)

    async def tag(
        self,
        model: str | Path,
        texts: Sequence[str],
        **options: Unpack[CallOptions],
    ) -> list[list[Entity]]:
        """See `InferenceClient.tag`."""
        [result] = await self.predict(
            [PredictRequest(str(model), texts)],
            **options,
        )
        return _entities(result)

    async def score_pairs(
        self,
        model: str | Path,
        pairs: Sequence[tuple[str, str]],
        **options: Unpack[CallOptions],
    ) -> np.ndarray:
        """See `InferenceClient.score_pairs`."""
        [result] = await self.predict(
            [_pairs_request(model, pairs)],
            **options,
        )
        return _scores(result)

    async def health(self) -> Health:
        """See `InferenceClient.health`."""
        return Health.from_dict(await self._call("GET", "/healthz"))

    async def load(self, model: str | Path) -> ModelInfo:
        """See `InferenceClient.load`."""
        return ModelInfo.from_dict(await self._call("POST", "/v1/load", {"model": str(model)}))

    async def unload(self, model: str | Path) -> None:
        """See `InferenceClient.unload`."""
        await self._call("POST", "/v1/unload", {"model": str(model)})

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _call(
        self, method: str, path: str, body: Any = None, **options: Unpack[CallOptions]
    ) -> Any:
        attempts = Attempts(options.get("timeout", self._timeout), self._retries)
        while True:
            try:
                return await self._send(method, path, body, attempts, options)
            except (InferenceUnavailable, Overloaded) as error:
                pause = attempts.pause(error)
            await asyncio.sleep(pause)

    async def _send(
        self, method: str, path: str, body: Any, attempts: Attempts, options: CallOptions
    ) -> Any:
        organisation = options.get("organisation", "")
        headers, timeout = attempts.headers(organisation), attempts.socket_timeout()
        try:
            response = await self._http.request(
                method, path, json=body, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as error:
            raise transport_error(error, self.address, attempts.timeout) from error
        return read_answer(response)


def _predict_body(requests: Sequence[PredictRequest], options: CallOptions) -> dict[str, Any]:
    asked = [{"model": each.model, "inputs": list(each.inputs)} for each in requests]
    body = {"requests": asked, "priority": options.get("priority", "interactive")}
    return body | {"fresh": True} if options.get("fresh") else body


def _results(body: Mapping[str, Any]) -> list[PredictResult]:
    return [PredictResult.from_dict(item) for item in body["results"]]


def _classified(result: PredictResult) -> ClassifyResult:
    return ClassifyResult(result.model, result.digest, read_predictions(result.outputs))


def _entities(result: PredictResult) -> list[list[Entity]]:
    return [[Entity(**each) for each in output["entities"]] for output in result.outputs]


def _pairs_request(model: str | Path, pairs: Sequence[tuple[str, str]]) -> PredictRequest:
    return PredictRequest(str(model), [{"query": q, "document": d} for q, d in pairs])


def _scores(result: PredictResult) -> np.ndarray:
    return np.array([output["score"] for output in result.outputs], dtype=np.float32)
