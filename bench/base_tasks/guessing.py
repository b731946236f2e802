"""How well hidden words are guessed, by language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from bench.base_tasks import texts
from bench.base_tasks.encoders import Encoder
from bench.base_tasks.figures import mean_row, row
from bench.harness import Progress, Row
from ml_core.evaluation import bootstrap_sums
from ml_core.models.bases import BaseModelError
from ml_core.models.classifier import select_device
from ml_core.models.cloze import load_cloze_base
from ml_core.models.language_model import MaskedModel

SENTENCES = 200
_LONGEST = 128
_AT_ONCE = 64


def pseudo_perplexity(
    encoder: Encoder, progress: Progress, sentences: int = SENTENCES
) -> list[Row]:
    """exp of the mean loss per token when each token is hidden in turn (Salazar et al. 2020, Masked Language Model
    Scoring), over the tokens that the vocabulary has. A vocabulary of large pieces has fewer and harder ones, so that
    per character is beside it: these compare models. An encoder without layers that guess has no figure."""
    rows = []
    try:
        model, tokenizer = load_cloze_base(encoder.base)
    except BaseModelError as error:
        progress(f"{encoder.name}: {error}")
        model = tokenizer = None
    for language, lines in texts.news(sentences).items():
        name = f"news, {language}"
        if model is None:
            rows.append(row(name, "pseudo-perplexity", None, None, 0))
            continue
        progress(f"{encoder.name}: guessing words of {len(lines)} sentences, {language}")
        found = guessed(model, tokenizer, lines)
        for figure, column in (("pseudo-perplexity", 1), ("pseudo-perplexity a character", 2)):
            columns = found[:, [0, column]]
            value = float(_perplexity(columns.sum(0)))
            interval = bootstrap_sums(columns, {"it": _perplexity})["it"]
            rows.append(row(name, figure, value, interval, len(lines)))
        rows.append(mean_row(name, "unknown tokens", found[:, 3]))
    return rows


def guessed(model: Any, tokenizer: Any, lines: Sequence[str]) -> np.ndarray:
    """Of each text: the log-likelihood of its known tokens, their number, that of the characters they stand for, and
    the share of tokens that are unknown. Shape (texts, 4)."""
    device = select_device("auto")
    guesser = MaskedModel(model).to(device).eval()
    special = set(tokenizer.all_special_ids)
    found = np.zeros((len(lines), 4))
    for number, text in enumerate(lines):
        read = tokenizer(text, truncation=True, max_length=_LONGEST, return_offsets_mapping=True)
        ids, offsets = read["input_ids"], read["offset_mapping"]
        inside = [place for place, (start, end) in enumerate(offsets) if end > start]
        known = [place for place in inside if ids[place] not in special]
        found[number] = (
            _likelihood(guesser, torch.tensor(ids), known, tokenizer.mask_token_id, device),
            len(known),
            sum(offsets[place][1] - offsets[place][0] for place in known),
            1 - len(known) / max(1, len(inside)),
        )
    return found


@torch.inference_mode()
def _likelihood(
    guesser: MaskedModel, ids: torch.Tensor, places: list[int], mask_id: int, device: torch.device
) -> float:
    total = 0.0
    for start in range(0, len(places), _AT_ONCE):
        hidden = torch.tensor(places[start : start + _AT_ONCE])
        chosen = torch.zeros(len(hidden), len(ids), dtype=torch.bool)
        chosen[torch.arange(len(hidden)), hidden] = True
        given = ids.repeat(len(hidden), 1).masked_fill(chosen, mask_id).to(device)
        logits = guesser(given, torch.ones_like(given), chosen.to(device)).float()
        right = ids[hidden].to(device)
        total -= float(torch.nn.functional.cross_entropy(logits, right, reduction="sum"))
    return total


def _perplexity(sums: np.ndarray) -> np.ndarray:
    found: np.ndarray = np.exp(-sums[..., 0] / np.maximum(sums[..., 1], 1))
    return found
