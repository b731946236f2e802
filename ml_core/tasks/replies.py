"""Conversations as batches of a model that writes, the loss of its replies, and how good they are.

What training, evaluation and a saved model's use have in common.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml_core.data.errors import DataError
from ml_core.data.rows import Row, row_messages
from ml_core.evaluation.reports.generation import GenerationReport, build_generation_report
from ml_core.models.generators import write_replies
from ml_core.tasks.base import Batch, Feature
from ml_core.tasks.conversations import IGNORED, Conversations
from ml_core.tasks.text import evaluation_batches, padded


class Replies:
    """The replies of one model: ``max_length`` tokens are read; ``every_reply`` of a conversation counts, or only the
    last; ``judged`` of them are written and compared in an evaluation."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_length: int,
        max_new_tokens: int,
        every_reply: bool,
        judged: int,
        seed: int,
    ) -> None:
        self.encoder_decoder: bool = model.config.is_encoder_decoder
        self.conversations = Conversations(
            tokenizer,
            limit=max_length,
            reserve=max_new_tokens,
            encoder_decoder=self.encoder_decoder,
        )
        self._model = model
        self._tokenizer = tokenizer
        self._every_reply = every_reply
        self._judged = judged
        self._seed = seed

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """What is learned from each row, in order; a conversation may give several or, when nobody replies, none."""
        found: list[Feature] = []
        for row in rows:
            try:
                examples = self.conversations.examples(
                    row_messages(row.content), every_reply=self._every_reply
                )
            except DataError as error:
                raise DataError(error.problem, line=row.line) from error
            for example in examples:
                length = len(example.input_ids)
                if self.encoder_decoder:
                    length += len(example.labels)
                found.append(
                    {"input_ids": example.input_ids, "labels": example.labels, "length": length}
                )
        return found

    def collate(self, features: Sequence[Feature]) -> Batch:
        """``input_ids``, ``labels`` (IGNORED where nothing is learned), ``attention_mask``; for packed rows
        ``position_ids`` and a mask of shape (rows, 1, tokens, tokens); for an encoder-decoder ``decoder_input_ids``."""
        ids = [feature["input_ids"] for feature in features]
        labels = padded([feature["labels"] for feature in features], IGNORED)
        batch: Batch = {"input_ids": padded(ids, self._tokenizer.pad_token_id), "labels": labels}
        if "texts" in features[0]:
            texts = padded([feature["texts"] for feature in features], -1)
            batch["position_ids"] = padded([feature["positions"] for feature in features], 0)
            batch["attention_mask"] = _own_text_mask(texts, self._model.dtype)
        else:
            batch["attention_mask"] = padded([[1] * len(row) for row in ids], 0)
        if self.encoder_decoder:
            batch["decoder_input_ids"] = self._shown(labels)
        return batch

    def logits(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (tokens of replies, vocabulary) in float32, and those tokens."""
        inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
        logits, labels = model(**inputs, use_cache=False).logits, batch["labels"]
        if not self.encoder_decoder:
            logits, labels = logits[:, :-1], labels[:, 1:]
        learned = labels != IGNORED
        return logits[learned].float(), labels[learned]

    def judge(
        self,
        model: Any,
        rows: Sequence[Row],
        device: torch.device,
        after_batch: Callable[[], None] = lambda: None,
    ) -> GenerationReport:
        """The likelihood of all replies of ``rows``, and a sample of them written by ``model`` (in evaluation mode)."""
        total, tokens = 0.0, 0
        features = self.features(rows)
        for places in evaluation_batches(features, device, after_batch):
            batch = self.collate([features[place] for place in places])
            logits, labels = self.logits(
                model, {name: tensor.to(device) for name, tensor in batch.items()}
            )
            total += float(functional.cross_entropy(logits, labels, reduction="sum"))
            tokens += len(labels)
        asked = self._sample(rows)
        written = self.write(model, [turns for turns, _, _ in asked], after_batch)
        return build_generation_report(
            written,
            [reference for _, reference, _ in asked],
            prompts=[turns[-1]["content"] for turns, _, _ in asked],
            lines=[line for _, _, line in asked],
            log_likelihood=-total / tokens,
        )

    def write(
        self,
        model: Any,
        conversations: Sequence[list[dict[str, str]]],
        after_batch: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """The next reply of each conversation."""
        prompts = [self.conversations.prompt(turns) for turns in conversations]
        return write_replies(
            model, self._tokenizer, prompts, seed=self._seed, after_batch=after_batch
        )

    def _sample(self, rows: Sequence[Row]) -> list[tuple[list[dict[str, str]], str, int]]:
        """(turns before, reply, line) of the replies to judge; always the same ones."""
        found: list[tuple[list[dict[str, str]], str, int]] = []
        for row in rows:
            turns = row_messages(row.content)
            places = [
                place for place, turn in enumerate(turns) if place and turn["role"] == "assistant"
            ]
            found += [
                (turns[:place], turns[place]["content"], row.line)
                for place in (places if self._every_reply else places[-1:])
            ]
        if len(found) <= self._judged:
            return found
        chosen = sorted(Random(self._seed).sample(range(len(found)), self._judged))
        return [found[place] for place in chosen]

    def _shown(self, labels: Tensor) -> Tensor:
        """What a decoder sees of the replies: all but the last token, after the one it starts from."""
        own = getattr(self._model, "prepare_decoder_input_ids_from_labels", None)
        if own is not None:
            shown: Tensor = own(labels=labels)
            return shown
        start = torch.full_like(labels[:, :1], self._model.config.decoder_start_token_id)
        before = torch.cat([start, labels[:, :-1]], 1)
        return before.masked_fill(before == IGNORED, self._tokenizer.pad_token_id)


def pack(features: Sequence[Feature], width: int) -> list[Feature]:
    """Several texts in each row of at most ``width`` tokens (best fit, longest first). ``texts`` numbers the text of
    each token and ``positions`` counts from 0 in each."""
    rows: list[list[Feature]] = []
    rooms: list[tuple[int, int]] = []
    for feature in sorted(features, key=lambda feature: -int(feature["length"])):
        place = bisect_left(rooms, (feature["length"], 0))
        if place == len(rooms):
            rows.append([])
            room, number = width, len(rows) - 1
        else:
            room, number = rooms.pop(place)
        rows[number].append(feature)
        insort(rooms, (room - feature["length"], number))
    return [_joined(row) for row in rows]


def _joined(features: Sequence[Feature]) -> Feature:
    row: Feature = {"input_ids": [], "labels": [], "texts": [], "positions": []}
    for number, feature in enumerate(features):
        row["input_ids"] += feature["input_ids"]
        # The first token of a text must not be foretold from the text before it.
        row["labels"] += [IGNORED, *feature["labels"][1:]]
        row["texts"] += [number] * feature["length"]
        row["positions"] += range(feature["length"])
    return {**row, "length": len(row["input_ids"])}


def _own_text_mask(texts: Tensor, dtype: torch.dtype) -> Tensor:
    """0 where a token may look: at itself and before, in its own text; else the lowest number. (rows, 1, tokens,
    tokens), to be added to attention scores."""
    same = texts.unsqueeze(1) == texts.unsqueeze(2)
    allowed = same & torch.ones_like(same[0]).tril()
    mask = torch.zeros(allowed.shape, dtype=dtype)
    return mask.masked_fill(~allowed, torch.finfo(dtype).min).unsqueeze(1)
