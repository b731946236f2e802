"""The task behind distillation and alignment: a student's embeddings become those of a teacher.

Reimers and Gurevych 2020, "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation": the
student's embedding of a text, and of its translation, is drawn to the teacher's embedding of the text. Both have norm
1, so the squared distance is 2 - 2 cos and there is one loss, 1 - cos. With it, for pairs, a contrastive term over the
batch and over other embeddings of the teacher, which cost nothing as they are computed already.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.batches import bucketed_batches
from ml_core.evaluation.reports.imitation import build_imitation_report
from ml_core.models.bases import load_encoder
from ml_core.models.classifier import save_text_model
from ml_core.models.embedding import TextEmbedder, embed_token_ids
from ml_core.models.tokenise import TextEncoder
from ml_core.pretraining.stages.teacher import Vectors
from ml_core.tasks import pair_losses
from ml_core.tasks.base import Batch, Evaluation, Feature, Loss, Task, TaskData
from ml_core.tasks.text import BaseText, collate_texts
from ml_core.training.config import ConfigError, TrainConfig
from ml_core.training.sampling import LengthBuckets


@dataclass(frozen=True)
class Weights:
    """What counts how much in the loss, and the dropout: see the settings of `align` and `distil`."""

    text: float = 1.0
    source: float = 0.0
    contrast: float = 0.0
    temperature: float = 0.05
    negatives: int = 0
    hidden: float = 0.0
    dropout: float | None = None


@dataclass(frozen=True)
class Rows(Sequence[Any]):
    """Texts to learn from by column. ``texts[i]`` is drawn to the teacher's embedding ``vectors[places[i]]``, that of
    ``sources[keys[i]]``, which for pairs is its original. ``spans``: (number of rows, sampling weight) of each source
    in order."""

    texts: Sequence[str]
    sources: Sequence[str]
    keys: np.ndarray
    places: np.ndarray
    vectors: Vectors
    spans: tuple[tuple[int, float], ...]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, place: Any) -> Any:
        return self.texts[place], self.sources[self.keys[place]]


class Imitation(Task):
    """See the module. The rows of ``data`` are `Rows`; the artefact is one of text-embedding."""

    name = "text-embedding"
    predictor: ClassVar[str] = "ml_core.models.embedding:EmbeddingPredictor"

    def __init__(
        self, config: TrainConfig, data: TaskData, *, weights: Weights, teacher: str, pairs: bool
    ) -> None:
        super().__init__(config, data)
        self._base = BaseText(config)
        self.model = TextEmbedder(self._base.encoder)
        self._weights = weights
        self._pairs = pairs
        self._teacher = teacher
        self._validation: _Features | None = None
        self._tokens = 0
        rows: Any = data.train
        self._vectors: Vectors = rows.vectors
        hidden = int(self._base.encoder.config.hidden_size)
        if self._vectors.width != hidden:
            raise ConfigError(
                f"teacher: {teacher} has embeddings of {self._vectors.width} numbers, the model of {hidden}; they must "
                "be of one size"
            )
        if weights.dropout is not None:
            # Of the network while it learns; its configuration, and what is trained from it, keep their own.
            for module in self._base.encoder.modules():
                if isinstance(module, nn.Dropout):
                    module.p = weights.dropout
        self._states = _StateTeacher(teacher, self._base) if weights.hidden else None

    def features(self, rows: Any) -> _Features:
        return _Features(rows, self._base.encode, both=self._weights.source > 0)

    def sampler(self, features: Any, *, batch_size: int, seed: int) -> LengthBuckets:
        sampler = WeightedBuckets(
            features.lengths, features.rows.spans, batch_size=batch_size, seed=seed
        )
        self._tokens = sampler.total_length
        return sampler

    def collate(self, features: list[Feature]) -> Batch:
        groups = [[{"input_ids": each["text"]} for each in features]]
        if "source" in features[0]:
            groups.append([{"input_ids": each["source"]} for each in features])
        places = np.array([each["place"] for each in features])
        return {
            "texts": [collate_texts(group, self._base.pad_id) for group in groups],
            "targets": torch.from_numpy(self._vectors.gather(places)),
            "keys": torch.tensor([each["key"] for each in features]),
            "text_keys": torch.tensor([each["text_key"] for each in features]),
        }

    def items(self, batch: Batch) -> int:
        return len(batch["keys"])

    def loss(self, model: nn.Module, batch: Batch) -> Loss:
        weights, count, targets = self._weights, self.items(batch), batch["targets"]
        vectors, states = self._embed(model, batch)
        # Cosines of bfloat16 are too coarse for a low temperature.
        with torch.autocast(targets.device.type, enabled=False):
            total = weights.text * _distance(vectors[0], targets)
            if weights.source:
                total = total + weights.source * _distance(vectors[1], targets)
            if weights.contrast:
                total = total + weights.contrast * count * self._contrast(vectors[0], batch)
            if states is not None:
                total = total + weights.hidden * states
        return Loss(total)

    def evaluate(
        self,
        model: nn.Module,
        rows: Any,
        device: torch.device,
        after_batch: Callable[[], None],
    ) -> Evaluation:
        if self._validation is None:
            self._validation = _Features(rows, self._base.encode, both=self._pairs)
        columns = self._validation.columns()
        embedder: Any = model
        found = [
            embed_token_ids(
                embedder, ids, pad_id=self._base.pad_id, device=device, after_batch=after_batch
            )
            for ids in columns
        ]
        teachers = rows.vectors.gather(rows.places)
        report = build_imitation_report(found[0], teachers, found[1] if self._pairs else None)
        return Evaluation(report, 1 - report.teacher_cosine)

    def save(self, directory: Path) -> None:
        save_text_model(self.model, directory)
        self._base.save_tokenizer(directory)

    def languages(self) -> tuple[str, ...]:
        return self._base.languages

    def describe(self) -> dict[str, Any]:
        return {
            "pooling": "mean",
            "normalised": True,
            "embedding_size": self._vectors.width,
            "embedding_sizes": [self._vectors.width],
            "teacher": Path(self._teacher).name,
            "tokens_per_epoch": self._tokens,
        }

    def _embed(self, model: nn.Module, batch: Batch) -> tuple[list[Tensor], Tensor | None]:
        if self._states is None:
            return [each.float() for each in model(batch["texts"])], None
        # Distillation of the inner states has one group; the states of the same pass are those to compare.
        with _kept_states(self._base.encoder) as kept:
            vectors = [each.float() for each in model(batch["texts"])]
        group = batch["texts"][0]
        return vectors, self._states.distance(kept, group["input_ids"], group["attention_mask"])

    def _contrast(self, vectors: Tensor, batch: Batch) -> Tensor:
        """InfoNCE of the texts against the teacher's embeddings: those of the batch, and others drawn at random. What
        has the same source, or is the same text, is no negative."""
        targets, keys, text_keys = batch["targets"], batch["keys"], batch["text_keys"]
        same = (keys[:, None] == keys[None]) | (text_keys[:, None] == text_keys[None])
        same.fill_diagonal_(False)
        if self._weights.negatives:
            drawn = torch.randint(len(self._vectors), (self._weights.negatives,))
            others = torch.from_numpy(self._vectors.gather(drawn.numpy())).to(targets.device)
            # An embedding that a row is drawn to may be drawn again: it is told by being equal.
            same = torch.cat([same, targets @ others.T > 0.999], dim=1)
            targets = torch.cat([targets, others])
        return pair_losses.contrastive(vectors, targets, same, self._weights.temperature)


class WeightedBuckets(LengthBuckets):
    """Length buckets over rows that are drawn anew for each epoch: of each source its rows as often as its weight says,
    the part of a weight behind the point by chance. The number of batches is the same in every epoch."""

    def __init__(
        self,
        lengths: Sequence[int],
        spans: Sequence[tuple[int, float]],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        super().__init__(lengths, batch_size=batch_size, seed=seed)
        self._spans = spans
        self._rows = sum(max(1, round(count * weight)) for count, weight in spans)
        begin, total = 0, 0.0
        for count, weight in spans:
            total += sum(lengths[begin : begin + count]) * weight
            begin += count
        self.total_length = int(total)

    def __len__(self) -> int:
        return math.ceil(self._rows / self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        generator = random.Random(f"{self._seed}:{self._epoch}")
        chosen: list[int] = []
        begin = 0
        for count, weight in self._spans:
            wanted = max(1, round(count * weight))
            chosen += [*range(begin, begin + count)] * (wanted // count)
            chosen += generator.sample(range(begin, begin + count), wanted % count)
            begin += count
        lengths = [self._lengths[row] for row in chosen]
        batches = bucketed_batches(lengths, batch_size=self.batch_size, generator=generator)
        return iter([[chosen[place] for place in batch] for batch in batches])


class _Features(Sequence[Feature]):
    """Token ids of the texts and, where they are read as well, of the sources; made into a feature when asked for, as
    a million of them would not fit."""

    def __init__(self, rows: Rows, encode: TextEncoder, *, both: bool) -> None:
        self.rows = rows
        self._texts = encode.compact(rows.texts)
        self._sources = encode.compact(rows.sources) if both else None
        keys: dict[str, int] = {}
        self._text_keys = [keys.setdefault(text, len(keys)) for text in rows.texts]
        lengths = np.diff(self._texts[1])
        if self._sources is not None:
            lengths = lengths + np.diff(self._sources[1])[rows.keys]
        self.lengths: list[int] = lengths.tolist()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Any) -> Any:
        key = int(self.rows.keys[place])
        feature: Feature = {
            "text": _cut(self._texts, place),
            "length": self.lengths[place],
            "place": int(self.rows.places[place]),
            "key": key,
            "text_key": self._text_keys[place],
        }
        if self._sources is not None:
            feature["source"] = _cut(self._sources, key)
        return feature

    def columns(self) -> list[list[list[int]]]:
        """The token ids of all texts, and of their sources where they are read."""
        found = [[_cut(self._texts, place) for place in range(len(self))]]
        if self._sources is not None:
            found.append([_cut(self._sources, int(key)) for key in self.rows.keys])
        return found


class _StateTeacher:
    """The teacher's inner states of the same tokens (Jiao et al. 2020, TinyBERT): each layer of the student is drawn to
    the one at its height."""

    def __init__(self, name: str, base: BaseText) -> None:
        loaded: tuple[Any, Any] = load_encoder(name)
        self._encoder, tokenizer = loaded
        sizes = [int(each.config.hidden_size) for each in (self._encoder, base.encoder)]
        if sizes[0] != sizes[1]:
            raise ConfigError(
                f"hidden: the states of {name} have {sizes[0]} numbers and the model's {sizes[1]}; set it to 0"
            )
        sample = "The central bank lowered its rate, said Ms. O'Neill in 2024."
        ids = [
            each.backend_tokenizer.encode(sample, add_special_tokens=True).ids
            for each in (tokenizer, base.tokenizer)
        ]
        if ids[0] != ids[1]:
            raise ConfigError(
                f"hidden: {name} cuts texts into other tokens than the model, so that their states cannot be compared; "
                "set it to 0"
            )
        self._vocabulary = int(self._encoder.config.vocab_size)
        self._encoder.eval()
        self._encoder.requires_grad_(False)

    def distance(self, kept: Sequence[Tensor], ids: Tensor, mask: Tensor) -> Tensor:
        """Sum over the texts of the mean squared distance of their tokens' states, as a part of the teacher's own
        square. Texts with tokens that the teacher has not are left out."""
        known = ((ids < self._vocabulary).all(1)).unsqueeze(1)
        with torch.no_grad():
            # Of an encoder that is no part of the model the Trainer knows nothing.
            self._encoder.to(ids.device)
            safe = ids.clamp(max=self._vocabulary - 1)
            found = self._encoder(
                input_ids=safe, attention_mask=mask, output_hidden_states=True
            ).hidden_states[1:]
        weights = (mask * known).float()
        weights = weights / mask.sum(1, keepdim=True)
        step = len(found) / len(kept)
        total = kept[0].new_zeros(())
        for number, state in enumerate(kept, start=1):
            wanted = found[round(number * step) - 1].float()
            scale = wanted.square().mean().clamp(min=1e-6)
            total = total + ((state.float() - wanted).square().mean(-1) * weights).sum() / scale
        return total / len(kept)


@contextmanager
def _kept_states(encoder: Any) -> Iterator[list[Tensor]]:
    """What each layer of an encoder gives during a pass."""
    kept: list[Tensor] = []

    def keep(_: nn.Module, __: Any, output: Any) -> None:
        kept.append(output[0] if isinstance(output, tuple) else output)

    hooks = [layer.register_forward_hook(keep) for layer in _layers(encoder)]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def _layers(encoder: Any) -> nn.ModuleList:
    """The encoder's layers: its longest list of modules."""
    lists = [each for each in encoder.modules() if isinstance(each, nn.ModuleList)]
    if not lists:
        raise ConfigError(f"hidden: {type(encoder).__name__} has no layers to compare; set it to 0")
    return max(lists, key=len)


def _distance(vectors: Tensor, targets: Tensor) -> Tensor:
    return (1 - functional.cosine_similarity(vectors, targets, dim=-1)).sum()


def _cut(column: tuple[np.ndarray, np.ndarray], place: int) -> list[int]:
    ids, begins = column
    cut: list[int] = ids[begins[place] : begins[place + 1]].tolist()
    return cut
