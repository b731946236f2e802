"""A tagger applied to sentences: what it reads, what it says, how good it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from ml_core.data.rows import Row, RowError, join_tokens, parse_row, read_rows
from ml_core.evaluation.reports.tagging import TaggingReport, build_tagging_report
from ml_core.evaluation.tags import entity_spans
from ml_core.knowledge import Gazetteer
from ml_core.models.bio import OUTSIDE, BioDecoder, bio_labels
from ml_core.models.classifier import load_text_model, select_device
from ml_core.models.tagger import TokenTagger, case_of
from ml_core.models.words import Window, Word, WordEncoder, split_words
from ml_core.registry.artifact import CONFIG, TOKENIZER, Artifact, ArtifactError
from ml_core.tasks.tagged_rows import GAZETTEER, TASK, check_tags, read_gazetteer
from ml_core.tasks.text import collate_texts, evaluation_batches, padded

_CHUNK = 256


def hint_numbers(gazetteer: Gazetteer | None) -> dict[str, int]:
    """The number of each BIO tag that the gazetteer can give a word; "O" is 0. Empty without a gazetteer."""
    if gazetteer is None:
        return {}
    named = [label for label in bio_labels(gazetteer.types) if label != OUTSIDE]
    return {label: number for number, label in enumerate([OUTSIDE, *named])}


class TaggerInputs:
    """Sentences made ready for a `TokenTagger`, the same for training, evaluation and prediction."""

    def __init__(
        self,
        encode: WordEncoder,
        *,
        pad_id: int,
        case_features: bool,
        gazetteer: Gazetteer | None = None,
    ) -> None:
        self._encode = encode
        self._pad_id = pad_id
        self._case_features = case_features
        self._gazetteer = gazetteer
        self._hints = hint_numbers(gazetteer)

    def features(self, sentences: Sequence[Sequence[str]]) -> list[list[dict[str, Any]]]:
        """The windows of each sentence; ``words`` are those that a window speaks for, their first pieces at
        ``positions``."""
        return [
            self._sentence(words, windows)
            for words, windows in zip(sentences, self._encode(sentences), strict=True)
        ]

    def collate(self, features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """The arguments of the tagger, padded; see `TokenTagger.forward`."""
        batch = collate_texts(features, self._pad_id)
        for name in ("cases", "hints"):
            if name in features[0]:
                batch[name] = padded([feature[name] for feature in features], 0)
        return batch

    def _sentence(self, words: Sequence[str], windows: list[Window]) -> list[dict[str, Any]]:
        by_word: dict[str, list[int]] = {}
        if self._case_features:
            by_word["cases"] = [case_of(word) for word in words]
        if self._gazetteer:
            by_word["hints"] = [self._hints[hint] for hint in self._gazetteer.hints(words)]
        return [
            {
                "input_ids": window.ids,
                "length": len(window.ids),
                "words": window.words,
                "positions": window.positions,
            }
            | {
                name: [values[word] if word >= 0 else 0 for word in window.pieces]
                for name, values in by_word.items()
            }
            for window in windows
        ]


def log_probabilities(
    model: nn.Module,
    inputs: TaggerInputs,
    sentences: Sequence[Sequence[str]],
    *,
    label_count: int,
    device: torch.device,
    after_batch: Callable[[], None] = lambda: None,
) -> list[np.ndarray]:
    """Log probabilities (words, labels), float32, of each sentence. The model must be in evaluation mode;
    ``after_batch`` is called between batches."""
    result = [np.empty((len(words), label_count), dtype=np.float32) for words in sentences]
    owners: list[int] = []
    windows: list[dict[str, Any]] = []
    for place, features in enumerate(inputs.features(sentences)):
        owners += [place] * len(features)
        windows += features
    for batch in evaluation_batches(windows, device, after_batch):
        tensors = inputs.collate([windows[number] for number in batch])
        with torch.no_grad():
            logits = model(**{name: tensor.to(device) for name, tensor in tensors.items()})
            found = logits.float().log_softmax(-1).cpu().numpy()
        for row, number in enumerate(batch):
            window = windows[number]
            words = window["words"]
            result[owners[number]][words.start : words.stop] = found[row, window["positions"]]
    return result


def tagging_report(rows: Sequence[Row], tags: Sequence[Sequence[str]]) -> TaggingReport:
    """Compare what was found with the tags of the rows."""
    return build_tagging_report(
        [row.content["tags"] for row in rows],
        tags,
        tokens=[row.content["tokens"] for row in rows],
        lines=[row.line for row in rows],
    )


class TokenClassificationPredictor:
    """A loaded tagger: tags for words, entities for texts."""

    def __init__(
        self,
        model: TokenTagger,
        inputs: TaggerInputs,
        *,
        labels: Sequence[str],
        by_character: bool,
        device: torch.device,
    ) -> None:
        self.labels = tuple(labels)
        self._decoder = BioDecoder(labels)
        self._model = model.to(device).eval()
        self._inputs = inputs
        self._by_character = by_character
        self._device = device

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """Load an artefact's model; a path is opened and verified first.

        Raises ArtifactError for anything wrong with it, ValueError for a device this machine has not.
        """
        where = select_device(device)
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        manifest = artifact.manifest
        path = artifact.path / TOKENIZER
        try:
            encode = WordEncoder.from_file(path, max_length=manifest.max_length)
        except Exception as error:  # the tokenizers library raises bare Exception
            raise ArtifactError(path, f"cannot be used: {error}") from error
        case_features = manifest.options.get("case_features") is True
        gazetteer = (
            read_gazetteer(artifact.path / GAZETTEER) if GAZETTEER in manifest.files else None
        )
        model = load_text_model(
            artifact,
            lambda encoder: TokenTagger(
                encoder,
                len(manifest.labels),
                case_features=case_features,
                hint_count=len(hint_numbers(gazetteer)),
            ),
        )
        pad_id = getattr(model.encoder.config, "pad_token_id", None)
        if not isinstance(pad_id, int):
            raise ArtifactError(artifact.path / CONFIG, "there is no pad_token_id")
        inputs = TaggerInputs(
            encode, pad_id=pad_id, case_features=case_features, gazetteer=gazetteer
        )
        return cls(
            model,
            inputs,
            labels=manifest.labels,
            by_character=manifest.options.get("by_character") is True,
            device=where,
        )

    def _log_probabilities(self, sentences: Sequence[Sequence[str]]) -> Iterator[np.ndarray]:
        """Log probabilities (words, labels) of each sentence, as a stream."""
        for start in range(0, len(sentences), _CHUNK):
            yield from log_probabilities(
                self._model,
                self._inputs,
                sentences[start : start + _CHUNK],
                label_count=len(self.labels),
                device=self._device,
            )

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """For each row with ``tokens``, or with a ``text`` that is split into words: ``text``, ``tokens``, ``tags``,
        ``entities`` and ``confidence``.

        An entity has its ``type``, ``text``, the places of its characters (``start``, ``end``) and words
        (``first_token``, ``end_token``), and a ``score``: how likely exactly these words are the entity.
        ``confidence`` is the geometric mean of the probabilities of the tags, by which sentences can be
        chosen for labelling (Shen et al. 2018). Raises RowError for a row with neither key.
        """
        split = [self._split(row, place) for place, row in enumerate(rows, start=1)]
        sentences = [[word.text for word in words] for _, words in split]
        return [
            self._answer(text, words, found)
            for (text, words), found in zip(split, self._log_probabilities(sentences), strict=True)
        ]

    def evaluate(self, data: Path | str) -> TaggingReport:
        """Score the model on a file of tagged sentences; raises DataError for the data, a type that
        the model does not know included."""
        rows = list(read_rows(data, TASK))
        check_tags(rows, self.labels, path=data, known_to="the model")
        found = self._log_probabilities([row.content["tokens"] for row in rows])
        return tagging_report(rows, [self._decoder.tags(each) for each in found])

    def _split(self, row: Mapping[str, Any], place: int) -> tuple[str, list[Word]]:
        if "tokens" in row:
            try:
                tokens = parse_row(TASK, row, require_answer=False).content["tokens"]
            except RowError as error:
                raise error.at(None, place) from None
            joined = join_tokens(tokens)
            return joined, _placed(tokens, joined)
        text = row.get("text")
        if not isinstance(text, str):
            raise RowError("a row needs “tokens” or a “text”", line=place)
        return text, split_words(text, by_character=self._by_character)

    def _answer(self, text: str, words: list[Word], found: np.ndarray) -> dict[str, Any]:
        if not words:
            return {"text": text, "tokens": [], "tags": [], "entities": [], "confidence": 1.0}
        numbers = self._decoder.best(found)
        tags = [self.labels[number] for number in numbers]
        probabilities = np.exp(found)
        entities = [
            {
                "type": span[0],
                "text": text[words[span[1]].start : words[span[2] - 1].end],
                "start": words[span[1]].start,
                "end": words[span[2] - 1].end,
                "first_token": span[1],
                "end_token": span[2],
                "score": round(self._decoder.span_probability(span, probabilities), 6),
            }
            for span in entity_spans(tags)
        ]
        mean = float(found[np.arange(len(words)), numbers].mean())
        return {
            "text": text,
            "tokens": [word.text for word in words],
            "tags": tags,
            "entities": entities,
            "confidence": round(math.exp(mean), 6),
        }


def _placed(tokens: Sequence[str], text: str) -> list[Word]:
    """The tokens with their places in ``text``, which is `join_tokens` of them."""
    words: list[Word] = []
    at = 0
    for token in tokens:
        start = at + (not text.startswith(token, at))
        at = start + len(token)
        words.append(Word(token, start, at))
    return words
