"""Several replies written at once by one model: prompts are read in bounded portions, and every step writes the next
token of all running replies; replies begin and end without waiting for each other (continuous batching, Orca,
OSDI 2022).

Keys and values of the running replies are one cache, filled on the left, with a mask; a new reply's cache is joined to
it and those of finished ones are cut out. Models that cannot be told where a text begins (absolute positions without
`position_ids`), or whose cache is of another kind, write their replies side by side, each in a batch of its own.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ml_core.serving.generation_protocol import GenerationOptions, Piece
from ml_core.serving.generation_text import StopTexts, TextStream

# Prompt tokens read in one step: an interactive text waits no longer than this takes.
_PORTION = {"cpu": 256, "cuda": 4096}
# Positions counted from wherever the cache begins would be wrong for these only if they were absolute.
_RELATIVE_KINDS = {"t5", "mt5", "umt5", "longt5"}


@dataclass(eq=False)
class Reply:
    """One reply being written. ``wanted`` is set to False by whoever no longer reads it."""

    prompt: list[int]
    options: GenerationOptions
    text: TextStream
    stops: StopTexts
    sampler: Sampler
    room: int
    wanted: bool = True
    tokens: list[int] = field(default_factory=list)

    def take(self, scores: Tensor, ends: frozenset[int]) -> Piece | None:
        """Choose the next token by ``scores`` (vocabulary,), and what there is to show of it."""
        token = self.sampler.choose(scores, self.tokens)
        self.tokens.append(token)
        ended, full = token in ends, len(self.tokens) >= self.room
        text = self.text.add(token)
        if ended or full:
            text += self.text.rest()
        shown = self.stops.add(text)
        if self.stops.found:
            return self._last(shown, "stop")
        if ended or full:
            return self._last(shown + self.stops.rest(), "stop" if ended else "length")
        return Piece(shown) if shown else None

    def _last(self, text: str, reason: str) -> Piece:
        return Piece(text, reason, len(self.prompt), len(self.tokens))


class Sampler:
    """Chooses tokens as transformers' ``generate`` does with the same options: its own processors, in its order."""

    def __init__(
        self, options: GenerationOptions, saved: Any, context: Sequence[int], *, seed: int
    ) -> None:
        from transformers import LogitsProcessorList
        from transformers.generation.logits_process import (
            NoRepeatNGramLogitsProcessor,
            RepetitionPenaltyLogitsProcessor,
            TemperatureLogitsWarper,
            TopKLogitsWarper,
            TopPLogitsWarper,
        )

        temperature = _first(options.temperature, saved.temperature if saved.do_sample else 0.0)
        self._drawn = temperature is None or temperature > 0
        self._context = list(context)
        self._random = torch.Generator().manual_seed(
            (options.seed if options.seed is not None else seed) % 2**63
        )
        self._processors: Any = LogitsProcessorList()
        penalty = _first(options.repetition_penalty, saved.repetition_penalty, 1.0)
        if penalty != 1.0:
            self._processors.append(RepetitionPenaltyLogitsProcessor(penalty=float(penalty)))
        if saved.no_repeat_ngram_size:
            self._processors.append(NoRepeatNGramLogitsProcessor(saved.no_repeat_ngram_size))
        if not self._drawn:
            return
        if temperature not in {None, 1.0}:
            self._processors.append(TemperatureLogitsWarper(float(temperature)))
        top_k = _first(options.top_k, saved.top_k, 0)
        if top_k:
            self._processors.append(TopKLogitsWarper(top_k=int(top_k)))
        top_p = _first(options.top_p, saved.top_p, 1.0)
        if top_p < 1:
            self._processors.append(TopPLogitsWarper(top_p=float(top_p)))

    def choose(self, scores: Tensor, written: Sequence[int]) -> int:
        """The next token after the context and what was ``written``, by logits (vocabulary,)."""
        row = scores.float().cpu().unsqueeze(0)
        if len(self._processors):
            row = self._processors(torch.tensor([[*self._context, *written]]), row)
        if not self._drawn:
            return int(row.argmax())
        return int(torch.multinomial(row.softmax(-1), 1, generator=self._random))


class GenerationRunner:
    """Writes the replies of one ``model`` (in evaluation mode); for one thread.

    ``add`` a `Reply`, then call ``step`` while ``busy``; each call computes at most one portion of a prompt and one
    token of each of at most ``max_replies`` replies.
    """

    def __init__(self, model: Any, tokenizer: Any, *, max_replies: int = 16) -> None:
        names = inspect.signature(model.forward).parameters
        if "past_key_values" not in names:
            kind = model.config.model_type
            raise ValueError(f"a {kind} model keeps no keys and values; it cannot be streamed")
        self._model = model
        self._tokenizer = tokenizer
        self._max_replies = max_replies
        self._encoder_decoder = bool(model.config.is_encoder_decoder)
        self._last_only = {"logits_to_keep": 1} if "logits_to_keep" in names else {}
        self._positions = "position_ids" in names
        self._plain_cache = _keeps_plain_cache(model.config)
        self._batchable = self._plain_cache and (
            model.config.model_type in _RELATIVE_KINDS if self._encoder_decoder else self._positions
        )
        self._portion = _PORTION.get(model.device.type, _PORTION["cpu"])
        ends = model.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self._ends = frozenset({*ends, tokenizer.eos_token_id} - {None})
        longest = None if self._encoder_decoder else model.config.max_position_embeddings
        self._longest: int | None = longest if isinstance(longest, int) and longest > 0 else None
        self._entering: deque[Reply] = deque()
        self._reading: _Batch | None = None
        self._batches: list[_Batch] = []

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do."""
        return bool(self._entering or self._batches)

    def reply(self, prompt: Sequence[int], options: GenerationOptions, *, seed: int) -> Reply:
        """A reply to a prompt (token ids), to be given to ``add``. ``seed`` counts where the options name none.

        Raises ValueError when the prompt leaves no room in the model's positions.
        """
        saved = self._model.generation_config
        room = options.max_new_tokens or saved.max_new_tokens
        if self._longest is not None:
            room = min(room, self._longest - len(prompt))
            if room < 1:
                raise ValueError(f"the prompt fills all {self._longest:,} positions of the model")
        context = [self._start] if self._encoder_decoder else prompt
        return Reply(
            prompt=list(prompt),
            options=options,
            text=TextStream(self._tokenizer),
            stops=StopTexts(options.stop),
            sampler=Sampler(options, saved, context, seed=seed),
            room=room,
        )

    def add(self, reply: Reply) -> None:
        """Begin a reply at one of the next steps."""
        self._entering.append(reply)

    def drop_all(self) -> list[Reply]:
        """Forget everything; the replies that were not finished."""
        dropped = [*self._entering, *(each for batch in self._batches for each in batch.replies)]
        self._entering.clear()
        self._batches.clear()
        self._reading = None
        return dropped

    @property
    def cache_bytes(self) -> int:
        """Memory of all keys and values."""
        return sum(batch.size_bytes for batch in [*self._batches, self._reading] if batch)

    @torch.inference_mode()
    def step(self) -> list[tuple[Reply, Piece]]:
        """Read a portion of the next prompt, write a token of every reply that has been read; what is new."""
        self._forget_unwanted()
        news: list[tuple[Reply, Piece]] = []
        for batch in self._batches:
            self._finish(batch, self._write(batch), news)
        running = sum(len(batch.replies) for batch in self._batches)
        if self._entering and running < self._max_replies:
            self._read(self._entering[0], news)
        self._batches = [batch for batch in self._batches if batch.replies]
        return news

    def _forget_unwanted(self) -> None:
        while self._entering and not self._entering[0].wanted:
            self._entering.popleft()
            self._reading = None
        for batch in self._batches:
            batch.keep([place for place, reply in enumerate(batch.replies) if reply.wanted])
        self._batches = [batch for batch in self._batches if batch.replies]

    def _finish(self, batch: _Batch, scores: Tensor, news: list[tuple[Reply, Piece]]) -> None:
        """Choose a token for each reply of a batch; ``scores`` (replies, vocabulary)."""
        going = []
        for place, reply in enumerate(batch.replies):
            piece = reply.take(scores[place], self._ends)
            if piece is not None:
                news.append((reply, piece))
            if piece is None or not piece.done:
                going.append(place)
        batch.keep(going)

    def _read(self, reply: Reply, news: list[tuple[Reply, Piece]]) -> None:
        """The next portion of a prompt; with the last one the reply begins."""
        if self._encoder_decoder:
            batch, scores = self._read_source(reply)
        else:
            read = self._reading.width if self._reading else 0
            end = len(reply.prompt) if not self._plain_cache else read + self._portion
            batch = self._reading or _Batch([reply], self._new_cache())
            scores = self._forward(batch, torch.tensor([reply.prompt[read:end]]))
            if batch.width < len(reply.prompt):
                self._reading = batch
                return
        self._entering.popleft()
        self._reading = None
        self._finish(batch, scores, news)
        if not batch.replies:
            return
        if self._batchable and self._batches:
            self._batches[0].join(batch)
        else:
            self._batches.append(batch)

    def _read_source(self, reply: Reply) -> tuple[_Batch, Tensor]:
        """Encode all of what an encoder-decoder reads."""
        from transformers import EncoderDecoderCache

        source = torch.tensor([reply.prompt], device=self._model.device)
        mask = torch.ones_like(source)
        states = self._model.get_encoder()(input_ids=source, attention_mask=mask).last_hidden_state
        cache = EncoderDecoderCache(self._new_cache(), self._new_cache())
        batch = _Batch([reply], cache, source=(states, mask))
        return batch, self._forward(batch, torch.tensor([[self._start]]))

    def _write(self, batch: _Batch) -> Tensor:
        last = torch.tensor([[reply.tokens[-1]] for reply in batch.replies])
        return self._forward(batch, last)

    def _forward(self, batch: _Batch, ids: Tensor) -> Tensor:
        """Logits (replies, vocabulary) after ``ids`` (replies, tokens), whose keys and values join the cache."""
        ids = ids.to(self._model.device)
        batch.widen(ids)
        inputs: dict[str, Any] = {"past_key_values": batch.cache, "use_cache": True}
        if batch.source is not None:
            from transformers.modeling_outputs import BaseModelOutput

            states, mask = batch.source
            inputs |= {
                "encoder_outputs": BaseModelOutput(last_hidden_state=states),
                "attention_mask": mask,
                "decoder_input_ids": ids,
                "decoder_attention_mask": batch.mask,
            }
        else:
            inputs |= {"input_ids": ids, "attention_mask": batch.mask, **self._last_only}
            if self._positions:
                inputs["position_ids"] = (batch.mask.cumsum(1) - 1)[:, -ids.shape[1] :]
        scores: Tensor = self._model(**inputs).logits[:, -1]
        if not bool(torch.isfinite(scores).any(-1).all()) or bool(scores.isnan().any()):
            raise FloatingPointError("the model's logits are not numbers")
        return scores

    @property
    def _start(self) -> int:
        config = self._model.generation_config
        start = _first(config.decoder_start_token_id, self._model.config.decoder_start_token_id)
        return int(_first(start, config.bos_token_id, self._tokenizer.pad_token_id))

    def _new_cache(self) -> Any:
        from transformers import DynamicCache

        # Without the configuration every layer keeps all it has seen, which can be joined and cut; the masks still
        # hold to a sliding window.
        return DynamicCache() if self._plain_cache else DynamicCache(config=self._model.config)


class _Batch:
    """Replies written together: their cache, and which places of it hold something, (replies, width). Of an
    encoder-decoder also the ``source``: states (replies, tokens, hidden) of what it read, and their mask."""

    def __init__(
        self,
        replies: list[Reply],
        cache: Any,
        *,
        source: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.replies = replies
        self.cache = cache
        self.mask = torch.ones((len(replies), 0), dtype=torch.long)
        self.source = source

    @property
    def width(self) -> int:
        return self.mask.shape[1]

    @property
    def size_bytes(self) -> int:
        return sum(
            tensor.nbytes
            for cache in self._caches()
            for layer in cache.layers
            for tensor in (getattr(layer, "keys", None), getattr(layer, "values", None))
            if tensor is not None
        )

    def widen(self, ids: Tensor) -> None:
        """Room for ``ids`` in the mask; the model itself adds to the cache."""
        self.mask = torch.cat([self.mask.to(ids.device), torch.ones_like(ids)], 1)

    def join(self, other: _Batch) -> None:
        """Take over the replies of another batch; the narrower one is filled on the left."""
        self.replies = [*self.replies, *other.replies]
        width = max(self.width, other.width)
        for mine, theirs in zip(self._layers(0), other._layers(0), strict=True):
            _join_layers(mine, theirs, width)
        self.mask = torch.cat([_filled(self.mask, width, 1), _filled(other.mask, width, 1)])
        if self.source is None or other.source is None:
            return
        pairs = list(zip(self.source, other.source, strict=True))
        width = max(part.shape[1] for part in pairs[0])
        for mine, theirs in zip(self._layers(1), other._layers(1), strict=True):
            _join_layers(mine, theirs, width)
        states, mask = (torch.cat([_filled(part, width, 1) for part in pair]) for pair in pairs)
        self.source = (states, mask)

    def keep(self, places: list[int]) -> None:
        """Only the replies at ``places`` go on; columns that none of them needs are cut off."""
        if len(places) == len(self.replies):
            return
        self.replies = [self.replies[place] for place in places]
        if not places:
            return
        rows = torch.tensor(places, device=self.mask.device)
        self.mask = _cut(self.mask[rows], self._layers(0), rows)
        if self.source is not None:
            states, mask = (part[rows] for part in self.source)
            mask = _cut(mask, self._layers(1), rows)
            self.source = (states[:, -mask.shape[1] :], mask)

    def _caches(self) -> list[Any]:
        if self.source is None:
            return [self.cache]
        return [self.cache.self_attention_cache, self.cache.cross_attention_cache]

    def _layers(self, which: int) -> list[Any]:
        """The layers of the cache of what was written (0) or of the source (1)."""
        return list(self._caches()[which].layers)


def _join_layers(mine: Any, theirs: Any, width: int) -> None:
    for name in ("keys", "values"):
        pair = (_filled(getattr(each, name), width, 2) for each in (mine, theirs))
        setattr(mine, name, torch.cat(list(pair)))


def _cut(mask: Tensor, layers: Sequence[Any], rows: Tensor) -> Tensor:
    """``mask`` (rows, width) without the columns on the left that are 0 everywhere, and ``rows`` of the layers so."""
    first = int(mask.argmax(1).min())
    for layer in layers:
        layer.keys, layer.values = layer.keys[rows, :, first:], layer.values[rows, :, first:]
    return mask[:, first:]


def _filled(tensor: Tensor, width: int, dimension: int) -> Tensor:
    """Zeros on the left up to ``width`` along ``dimension``."""
    fill = [0, 0] * (tensor.dim() - 1 - dimension) + [width - tensor.shape[dimension], 0]
    return functional.pad(tensor, fill)


def _keeps_plain_cache(config: Any) -> bool:
    """Whether every layer's cache is a tensor of keys and one of values with a place for each token."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    layers = DynamicCache(config=config).layers
    return all(type(layer) in {DynamicLayer, DynamicSlidingWindowLayer} for layer in layers)


def _first(*values: Any) -> Any:
    """The first that is not None; None when all are."""
    return next((value for value in values if value is not None), None)
