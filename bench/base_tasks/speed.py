"""Characters of Chinese text a second, in float32 on the processor, the encoders taking turns on the same batches."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from bench.base_tasks import texts
from bench.base_tasks.encoders import MAX_LENGTH, Encoder
from bench.base_tasks.figures import row
from bench.harness import Progress, Row
from ml_core.evaluation import bootstrap_sums
from ml_core.evaluation.intervals import mean_of_sums
from ml_core.models.bases import load_encoder
from ml_core.models.embedding import EmbeddingPredictor
from ml_core.models.found_bases import base_directory

SENTENCES = 960
_BATCH = 32
_WHAT = "news, zh"


def speed(encoders: Sequence[Encoder], progress: Progress, sentences: int = SENTENCES) -> list[Row]:
    """Characters a second of each encoder and beside the first's, its weights in millions and its file in MB. The first
    pass over the sentences warms up and is not counted."""
    lines = sorted(texts.news(sentences)["zh"], key=len)
    batches = [lines[start : start + _BATCH] for start in range(0, len(lines), _BATCH)]
    models = [
        EmbeddingPredictor.from_base(each.base, max_length=MAX_LENGTH, device="cpu")
        for each in encoders
    ]
    seconds = np.zeros((2, len(batches), len(models)))
    for turn in range(2):
        progress(f"reading {len(lines)} sentences, pass {turn + 1} of 2")
        for number, batch in enumerate(batches):
            for place, model in enumerate(models):
                started = time.perf_counter()
                model.embed(batch)
                seconds[turn, number, place] = time.perf_counter() - started
    characters = np.array([sum(map(len, batch)) for batch in batches], dtype=np.float64)
    return [
        {"model": encoder.name, **each}
        for place, encoder in enumerate(encoders)
        for each in [*_rates(characters, seconds[1], place), *_sizes(encoder)]
    ]


def _rates(characters: np.ndarray, seconds: np.ndarray, place: int) -> list[Row]:
    rows = []
    for figure, upper in (
        ("characters/s, fp32", characters),
        ("of the packaged one's speed", seconds[:, 0]),
    ):
        columns = np.column_stack([upper, seconds[:, place]])
        interval = bootstrap_sums(columns, {"it": mean_of_sums})["it"]
        value = float(mean_of_sums(columns.sum(0)))
        rows.append(row(_WHAT, figure, value, interval, len(columns)))
    return rows


def _sizes(encoder: Encoder) -> list[Row]:
    parameters = load_encoder(encoder.base)[0].num_parameters()
    weights = sum(
        path.stat().st_size for path in base_directory(encoder.base).glob("*.safetensors")
    )
    return [
        row("size", "parameters, million", parameters / 1e6, None, 1),
        row("size", "weights file, MB", weights / 1e6, None, 1),
    ]
