"""Apply a saved next-item model: what comes after a sequence of items, new items included."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch

from ml_core.models.embedding import TextEmbedder, embed_token_ids
from ml_core.models.loading import LoadedText
from ml_core.models.next_item import NextItemModel, SequenceShape
from ml_core.registry.artifact import MANIFEST, Artifact, ArtifactError

ITEMS = "items.jsonl"
_SEQUENCES_AT_ONCE = 128


def write_items(texts: Mapping[str, str], directory: Path) -> None:
    """Write the items of a model, in the order of its table."""
    with (directory / ITEMS).open("w", encoding="utf-8") as file:
        for name, text in texts.items():
            file.write(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")


class NextItemPredictor:
    """A loaded next-item model; ``items`` are the ids that it knows, in the order of its scores."""

    def __init__(self, loaded: LoadedText[NextItemModel], texts: Mapping[str, str]) -> None:
        self._loaded = loaded
        self._texts = dict(texts)
        self.items = list(texts)
        self._place = {name: place for place, name in enumerate(self.items)}
        with torch.inference_mode():
            self._table = loaded.model.item_table()

    @classmethod
    def load(cls, artifact: Artifact | Path | str, *, device: str = "auto") -> Self:
        """See `LoadedText.load`."""
        if not isinstance(artifact, Artifact):
            artifact = Artifact.open(artifact)
        try:
            shape = SequenceShape.from_dict(artifact.manifest.options)
        except ValueError as error:
            raise ArtifactError(artifact.path / MANIFEST, str(error)) from None
        path = artifact.path / ITEMS
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
            texts = {row["id"]: row["text"] for row in map(json.loads, lines)}
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(path, f"cannot be read: {error}") from error
        if len(texts) != shape.items:
            raise ArtifactError(path, f"has {len(texts)} items, the manifest {shape.items}")
        return cls(
            LoadedText.load(artifact, device, lambda encoder: NextItemModel(encoder, shape)), texts
        )

    def with_items(self, texts: Mapping[str, str]) -> Self:
        """The same model with more items, known by their texts; one whose id is known already is left as it is."""
        new = {name: text for name, text in texts.items() if name not in self._place}
        grown = type(self)(self._loaded, self._texts | new)
        if new:
            loaded, added = (
                self._loaded,
                list(grown._texts.values())[len(self._loaded.model.item_texts) :],
            )
            embeddings = embed_token_ids(
                TextEmbedder(loaded.model.encoder),
                loaded.encode(added),
                pad_id=loaded.pad_id,
                device=loaded.device,
            )
            with torch.inference_mode():
                whitened = loaded.model.whiten(torch.from_numpy(embeddings).to(loaded.device))
                grown._table = loaded.model.item_table(whitened)
        else:
            grown._table = self._table
        return grown

    def scores(self, sequences: Sequence[Sequence[str]]) -> np.ndarray:
        """Scores (sequences, items), float32, of every item to come next; higher is likelier. Raises ValueError for an
        empty sequence and for an item that is not known (see `with_items`)."""
        places = [self._places(sequence) for sequence in sequences]
        result = np.empty((len(places), len(self.items)), dtype=np.float32)
        for start in range(0, len(places), _SEQUENCES_AT_ONCE):
            part = places[start : start + _SEQUENCES_AT_ONCE]
            with torch.inference_mode():
                found = self._loaded.model.last_scores(part, self._table)
            result[start : start + len(part)] = found.float().cpu().numpy()
        return result

    def recommend(
        self, sequences: Sequence[Sequence[str]], *, count: int = 10, repeat: bool = False
    ) -> list[list[tuple[str, float]]]:
        """The ``count`` likeliest next (item, score) of each sequence, from the best down; items of the sequence itself
        only with ``repeat``."""
        answers = []
        for start in range(0, len(sequences), _SEQUENCES_AT_ONCE):
            part = sequences[start : start + _SEQUENCES_AT_ONCE]
            for sequence, scores in zip(part, self.scores(part), strict=True):
                if not repeat:
                    scores[self._places(sequence)] = -np.inf
                best = np.argsort(-scores, kind="stable")[:count]
                answers.append(
                    [(self.items[p], float(scores[p])) for p in best if np.isfinite(scores[p])]
                )
        return answers

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """For ``{"items": [id..]}`` the ten likeliest ``next``: id and score of each. Items that the model does not
        know are passed over when a row also has known ones."""
        known = [[item for item in row.get("items", ()) if item in self._place] for row in rows]
        return [
            {"next": [{"item": item, "score": round(score, 6)} for item, score in found]}
            for found in self.recommend(known)
        ]

    def _places(self, sequence: Sequence[str]) -> list[int]:
        if not sequence:
            raise ValueError("a sequence without an item that the model knows")
        try:
            return [self._place[item] for item in sequence]
        except KeyError as error:
            raise ValueError(f"the item {error.args[0]!r} is not known to the model") from None
