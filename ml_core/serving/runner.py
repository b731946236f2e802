"""Models that are an encoder and a head, over an encoder that they share with others.

The unit of batching is the `Backbone`: texts for different heads and adapters of one encoder come together in one
batch, and a text that several heads are asked about goes through the encoder once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from weakref import WeakValueDictionary

from tokenizers import Tokenizer

from ml_core.registry.artifact import Artifact, sha256_file
from ml_core.serving.backends.artifacts import ModelParts
from ml_core.serving.backends.base import Backend, BackendError, EncoderBatch, EncoderSource
from ml_core.serving.heads import (
    ClassificationHead,
    EmbeddingHead,
    Head,
    PairHead,
    SpanHead,
    TaggingHead,
)
from ml_core.serving.protocol import ModelInfo
from ml_core.serving.readers import (
    SAMPLES,
    Input,
    PairReader,
    Reader,
    SpanReader,
    TextReader,
    WordReader,
)
from ml_core.serving.waiting import Piece, WaitingLine


class Lane(Protocol):
    """A line, and what computes a batch of it, ``budget`` padded tokens at most."""

    @property
    def line(self) -> WaitingLine: ...
    @property
    def budget(self) -> int: ...
    def compute(self, pieces: Sequence[Piece]) -> Sequence[Any]:
        """What was found for each piece, in order; an exception stands for a piece that failed by itself. Called on
        the compute thread."""
        ...


class Runner(Protocol):
    """A loaded model. ``read`` makes readings of inputs (equal ``read`` of several models read alike), `pieces` says
    what has to be computed for one, and `finish` makes outputs of what was found."""

    info: ModelInfo

    @property
    def samples(self) -> Sequence[Input]:
        """Inputs to warm up with."""
        ...

    @property
    def lane(self) -> Lane: ...
    @property
    def read(self) -> Callable[[Sequence[Input]], list[Any]]: ...
    def pieces(self, reading: Any) -> Sequence[Piece]: ...
    def finish(
        self, readings: Sequence[Any], found: Sequence[Sequence[Any]]
    ) -> list[dict[str, Any]]:
        """The output of each reading from what was found for its pieces. Raises InferenceError."""
        ...


class _Passes:
    """Passes of an encoder: of each piece the mean state, or the states of all tokens where these are wanted."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.line = WaitingLine()
        self.budget = backend.token_budget

    def compute(self, pieces: Sequence[Piece]) -> Sequence[Any]:
        batch = _batch(pieces)
        if not any(piece.states for piece in pieces):
            return list(self._backend.pooled(batch))
        found = self._backend.states(batch)
        return [
            states if piece.states else states.mean(0)
            for piece, states in zip(pieces, found, strict=True)
        ]


class Backbone:
    """An encoder in memory with its lane, and the models that use it. ``weight_bytes`` is what it takes without
    their adapters, ``calibration`` what was measured when its backend was chosen."""

    def __init__(
        self, source: EncoderSource, backend: Backend, calibration: dict[str, Any] | None
    ) -> None:
        self.source = source
        self.calibration = calibration
        self.backend = backend
        self.weight_bytes = backend.memory_bytes
        self.lane: Lane = _Passes(backend)
        self.users: set[EncoderRunner] = set()


class EncoderRunner:
    """A head on a backbone, perhaps through a LoRA adapter in the backend's ``slot``."""

    def __init__(
        self, info: ModelInfo, backbone: Backbone, read: Reader, head: Head, *, slot: int = 0
    ) -> None:
        self.info = info
        self.backbone = backbone
        self.slot = slot
        self.read = read
        self._head = head

    @property
    def samples(self) -> Sequence[Input]:
        return [
            {"text": text, "query": text, "document": text, "spans": [[0, len(text)]]}
            for text in SAMPLES
        ]

    @property
    def lane(self) -> Lane:
        return self.backbone.lane

    def pieces(self, reading: Any) -> Sequence[Piece]:
        # Without an adapter a piece is the same for all heads; a slot is given to others later, so it is no key.
        own = self if self.slot else None
        return [
            Piece(
                (own, each.ids, each.type_ids),
                len(each.ids),
                each.ids,
                each.type_ids,
                self.slot,
                states=self._head.reads_states,
            )
            for each in reading.passes
        ]

    def finish(
        self, readings: Sequence[Any], found: Sequence[Sequence[Any]]
    ) -> list[dict[str, Any]]:
        return self._head(readings, found)


class Readers:
    """Readers by what they read with, so that models that read alike share one, and the engine reads a text once."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def get(self, parts: ModelParts, artifact: Artifact | None, *, pieces: int) -> Reader:
        """The reader of a model whose encoder knows ``pieces`` pieces.

        Raises BackendError for a tokenizer that cannot be read, or that knows more.
        """
        task = artifact.manifest.task if artifact is not None else ""
        by_character = (
            artifact is not None and artifact.manifest.options.get("by_character") is True
        )
        kinds = {
            "token-classification": f"words {by_character}",
            "span-classification": "spans",
            "reranking": "pairs",
        }
        kind = kinds.get(task, "")
        key = f"{kind} {parts.max_length} {sha256_file(parts.tokenizer)} {pieces}"
        name = hashlib.sha256(key.encode()).hexdigest()
        reader: Reader | None = self._known.get(name)
        if reader is None:
            try:
                reader = _reader(parts, task, by_character=by_character)
                _check_tokenizer(parts, pieces)
            except BackendError:
                raise
            except Exception as error:  # the tokenizers library raises bare Exception
                raise BackendError(f"{parts.tokenizer}: cannot be used: {error}") from error
            self._known[name] = reader
        return reader


def build_head(parts: ModelParts, artifact: Artifact | None) -> Head:
    """The head of a model; a base model is an embedder. Raises ArtifactError."""
    if artifact is None or artifact.manifest.task == "text-embedding":
        return EmbeddingHead()
    weight, bias = parts.head["weight"], parts.head["bias"]
    match artifact.manifest.task:
        case "token-classification":
            return TaggingHead(artifact.manifest.labels, weight, bias)
        case "span-classification":
            return SpanHead(artifact, weight, bias)
        case "reranking":
            return PairHead(weight, bias)
    return ClassificationHead(artifact, weight, bias)


def _reader(parts: ModelParts, task: str, *, by_character: bool) -> Reader:
    if task == "token-classification":
        return WordReader(parts.tokenizer, max_length=parts.max_length, by_character=by_character)
    readers: dict[str, type[PairReader | SpanReader | TextReader]] = {
        "reranking": PairReader,
        "span-classification": SpanReader,
    }
    reader = readers.get(task, TextReader)
    return reader(parts.tokenizer, max_length=parts.max_length)


def _check_tokenizer(parts: ModelParts, pieces: int) -> None:
    """Raise BackendError for a tokenizer of another model: one with pieces that the encoder has no vector for."""
    known = Tokenizer.from_file(str(parts.tokenizer)).get_vocab(with_added_tokens=True)
    highest = max(known.values(), default=0)
    if highest >= pieces:
        raise BackendError(
            f"{parts.tokenizer}: is the tokenizer of another model: it has pieces up to number {highest:,}, the "
            f"encoder knows {pieces:,}"
        )


def _batch(pieces: Sequence[Piece]) -> EncoderBatch:
    """Pieces as a batch; type ids and adapters only where somebody has some."""
    type_ids = None
    if any(piece.type_ids is not None for piece in pieces):
        type_ids = [piece.type_ids or (0,) * piece.length for piece in pieces]
    adapters = [piece.adapter for piece in pieces]
    return EncoderBatch(
        [piece.token_ids for piece in pieces],
        type_ids=type_ids,
        adapters=adapters if any(adapters) else None,
    )
