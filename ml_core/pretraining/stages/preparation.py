"""``corpus`` and ``vocabulary`` as stages of a recipe."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ml_core.pretraining.corpus import CorpusConfig, CorpusProgress, prepare_corpus
from ml_core.pretraining.stages.base import StageResult, StageRun
from ml_core.pretraining.stages.settings import StageSettings
from ml_core.pretraining.vocabulary import FIGURES, extend_vocabulary, train_vocabulary
from ml_core.training.options import ConfigError
from ml_core.training.options.base import option
from ml_core.training.progress import Progress

_SECONDS_BETWEEN = 0.5


def corpus_settings(values: Mapping[str, Any]) -> CorpusConfig:
    """The settings of `corpus`; where it writes is the recipe's to say. Raises ConfigError."""
    if "out" in values:
        raise ConfigError("unknown setting 'out'; the recipe says where a stage writes")
    return CorpusConfig.from_mapping({**values, "out": "."})


def corpus(settings: CorpusConfig, stage: StageRun) -> StageResult:
    """Prepare a corpus; see `ml_core.pretraining.corpus`. Raises DataError, ConfigError, TrainingCancelled."""
    told_at = 0.0

    def tell(progress: CorpusProgress) -> None:
        nonlocal told_at
        now = time.monotonic()
        if now - told_at >= _SECONDS_BETWEEN:
            told_at = now
            stage.on_progress(Progress("load", step=progress.done, total_steps=progress.sources))

    report = prepare_corpus(
        replace(settings, out=stage.out), on_progress=tell, should_stop=stage.should_stop
    )
    languages = sorted({code for each in report.sources for code in each.languages})
    figures: dict[str, Any] = {
        "rows": report.rows,
        "characters": report.total("characters"),
        "tokens": report.total("tokens"),
        "held_out": report.held_out,
    }
    figures |= {f"tokens_{code}": report.total("tokens", code) for code in languages}
    data = [
        {"name": each.name, "rows": each.train, "licence": each.licence} for each in report.sources
    ]
    return StageResult(stage.out, figures, data)


@dataclass(frozen=True, kw_only=True)
class VocabularySettings(StageSettings):
    """The settings of `vocabulary`: characters added to a base, or with ``size`` a new vocabulary and network."""

    corpus: Path = option(
        "A directory of the corpus stage; the frequencies are those of its texts."
    )
    base: str = option("The base that is extended.", default="packaged")
    characters: int = option(
        "Chinese characters to add, the most frequent ones.", default=6000, at_least=1
    )
    definitions: Path | None = option(
        "CC-CEDICT; a new character begins as the mean of the base's rows of its English definition.",
        default=None,
    )
    marks: bool = option("Add the corpus's full-width punctuation as well.", default=True)
    twins: bool = option(
        "Add the Traditional forms of the characters as well; the export gives them their characters' rows.",
        default=False,
    )
    size: int | None = option(
        "Learn a new vocabulary of this size, with a network of random weights, instead of extending a base.",
        default=None,
        at_least=16,
        at_most=1_000_000,
    )
    kind: str = option(
        "Kind of the new vocabulary.", default="wordpiece", choices=("wordpiece", "unigram")
    )
    layers: int = option("Layers of the new network.", default=6, at_least=1, at_most=48)
    hidden: int = option("Width of the new network.", default=384, at_least=8, at_most=4096)
    heads: int = option("Attention heads of each layer.", default=12, at_least=1, at_most=64)
    intermediate: int = option(
        "Width of the feed-forward layers.", default=1536, at_least=8, at_most=16384
    )
    positions: int = option("Tokens that the new network can read.", default=512, at_least=8)
    seed: int = option("Seed of the new weights.", default=13, at_least=0)


def vocabulary(settings: VocabularySettings, stage: StageRun) -> StageResult:
    """Write a model with another vocabulary; see `ml_core.pretraining.vocabulary`. Raises BaseModelError, DataError,
    ConfigError."""
    stage.reporter().report("load")
    if settings.size is None:
        extend_vocabulary(
            settings.base,
            settings.corpus,
            stage.out,
            characters=settings.characters,
            definitions=settings.definitions,
            marks=settings.marks,
            twins=settings.twins,
            seed=settings.seed,
        )
    else:
        train_vocabulary(
            settings.corpus,
            stage.out,
            size=settings.size,
            kind="unigram" if settings.kind == "unigram" else "wordpiece",
            layers=settings.layers,
            hidden=settings.hidden,
            heads=settings.heads,
            intermediate=settings.intermediate,
            positions=settings.positions,
            seed=settings.seed,
        )
    figures: dict[str, Any] = json.loads((stage.out / FIGURES).read_text(encoding="utf-8"))
    return StageResult(stage.out, figures)
