"""Models that are more than an encoder and a linear layer: served by their task's own `RowPredictor`, in torch, a batch
of rows at a time in the same queue as everybody."""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ml_core.data.errors import DataError
from ml_core.registry.artifact import Artifact
from ml_core.serving.errors import InferenceError, ModelNotLoaded
from ml_core.serving.protocol import ModelInfo, write_vector
from ml_core.serving.readers import SAMPLES, Input
from ml_core.serving.waiting import Piece, WaitingLine
from ml_core.tasks import RowPredictor, predictor_class

_BUDGET = 1024
_CHARACTERS_PER_TOKEN = 4
_SMALLEST_ROW = 16
# A row may be read whole, so it must not be a book.
_LONGEST_ROW = 50_000
# The key of a row's text, for tasks of which an input may be a text alone.
_TEXT_KEYS = {"text-generation": "prompt"}
_NO_TEXT = {"reranking", "next-item", "image-classification", "span-classification"}
# Writing takes long even to warm up.
_NOT_WARMED = _NO_TEXT | {"text-generation", "masked-language-model"}
_BAD_ROW = (ValueError, KeyError, TypeError, DataError)


class RowRunner:
    """A `RowPredictor` with a line of its own, see `ml_core.serving.runner.Runner`. Inputs are rows as `predict_rows`
    of the task takes them, or texts where the task is about texts; an image is the base64 of its file."""

    def __init__(self, info: ModelInfo, artifact: Artifact, *, device: str) -> None:
        self.info = info
        self.line = WaitingLine()
        self.budget = _BUDGET
        self._task = artifact.manifest.task
        self._predictor: RowPredictor = predictor_class(self._task).load(artifact, device=device)
        if self._task == "image-classification":
            self._predictor = _ImageFiles(self._predictor)  # type: ignore[assignment]

    @property
    def samples(self) -> Sequence[Input]:
        return () if self._task in _NOT_WARMED else SAMPLES

    @property
    def lane(self) -> RowRunner:
        return self

    @property
    def read(self) -> Callable[[Sequence[Input]], list[Any]]:
        return self._read

    def _read(self, inputs: Sequence[Input]) -> list[Any]:
        return [self._row(given) for given in inputs]

    def _row(self, given: Input) -> Mapping[str, Any]:
        if isinstance(given, Mapping):
            return given
        if self._task in _NO_TEXT:
            raise InferenceError(
                f"a {self._task} model takes rows, which are objects; a text is none",
                code="bad_request",
            )
        return {_TEXT_KEYS.get(self._task, "text"): given}

    def pieces(self, reading: Any) -> Sequence[Piece]:
        written = json.dumps(reading, sort_keys=True)
        # An image is as much work whatever its file's size.
        length = _SMALLEST_ROW if "image" in reading else len(written) // _CHARACTERS_PER_TOKEN
        if length > _LONGEST_ROW:
            raise InferenceError(
                f"a row of {len(written):,} characters; at most {_LONGEST_ROW * _CHARACTERS_PER_TOKEN:,}",
                code="too_large",
            )
        return [Piece(written, max(length, _SMALLEST_ROW), row=reading)]

    def compute(self, pieces: Sequence[Piece]) -> Sequence[Any]:
        try:
            return self._predictor.predict_rows([piece.row for piece in pieces])
        except _BAD_ROW as error:
            if len(pieces) == 1:
                return [_refused(error)]
            # One bad row must not fail those of other callers.
            return [found for piece in pieces for found in self.compute([piece])]

    def finish(
        self, readings: Sequence[Any], found: Sequence[Sequence[Any]]
    ) -> list[dict[str, Any]]:
        shape = _OUTPUTS.get(self._task)
        outputs = [each[0] if shape is None else shape(each[0]) for each in found]
        try:
            json.dumps(outputs, allow_nan=False)
        except ValueError:
            raise ModelNotLoaded(
                "the model answers with numbers that are none (NaN or infinity)",
                code="model_failed",
            ) from None
        return outputs


class _ImageFiles:
    """Gives an image predictor, which reads files, the files that rows bring with them."""

    def __init__(self, predictor: Any) -> None:
        self._predictor = predictor

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        with tempfile.TemporaryDirectory() as directory:
            named = [
                {"image": str(_write_image(Path(directory) / str(place), row))}
                for place, row in enumerate(rows)
            ]
            found: list[dict[str, Any]] = self._predictor.predict_rows(named)
        return [{key: value for key, value in each.items() if key != "image"} for each in found]


def _write_image(path: Path, row: Mapping[str, Any]) -> Path:
    try:
        path.write_bytes(base64.b64decode(row["image"], validate=True))
    except (KeyError, TypeError, binascii.Error):
        raise ValueError("a row without 'image', the base64 of an image file") from None
    return path


def _refused(error: Exception) -> InferenceError:
    reason = f"the row has no {error}" if isinstance(error, KeyError) else str(error)
    return InferenceError(reason, code="bad_request")


def _classification(output: dict[str, Any]) -> dict[str, Any]:
    score = output.pop("out_of_scope_score", None)
    return {"in_scope": None} | output | {"score": score}


def _multi_label(output: dict[str, Any]) -> dict[str, Any]:
    best = max(output["probabilities"], key=output["probabilities"].__getitem__)
    return {"label": best, "in_scope": None, "score": None} | output


def _embedding(output: dict[str, Any]) -> dict[str, Any]:
    if "embedding" not in output:
        return output
    return {"vector": write_vector(np.asarray(output["embedding"], dtype=np.float32))}


def _tagging(output: dict[str, Any]) -> dict[str, Any]:
    keys = {"start": "start", "end": "end", "label": "type", "text": "text", "score": "score"}
    return {
        "entities": [{key: each[own] for key, own in keys.items()} for each in output["entities"]]
    }


def _spans(output: dict[str, Any]) -> dict[str, Any]:
    return {"spans": output["spans"]}


# Tasks whose outputs have the form that encoder heads give them.
_OUTPUTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "text-classification": _classification,
    "image-classification": _classification,
    "multi-label-classification": _multi_label,
    "text-embedding": _embedding,
    "token-classification": _tagging,
    "span-classification": _spans,
}
