"""``export``: a trained encoder as a base that can be passed on: half the size, with its card."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ml_core.models.bases import load_encoder
from ml_core.models.embedding import EmbeddingPredictor
from ml_core.models.tokenise import readable_languages
from ml_core.pretraining.card import CARD, write_model_card
from ml_core.pretraining.records import StageRecord
from ml_core.pretraining.stages.base import StageResult, StageRun
from ml_core.pretraining.stages.settings import StageSettings
from ml_core.pretraining.vocabulary import join_twins
from ml_core.registry.artifact import CONFIG, WEIGHTS
from ml_core.training.options import ConfigError
from ml_core.training.options.base import option
from ml_core.training.progress import TrainingError

_SAMPLES = (
    "The central bank lowered its reserve ratio and liquidity is expected to improve.",
    "Hello, when will my order be shipped?",
    "央行宣布下调存款准备金率,市场流动性有望改善。",
    "客服您好,我想查询一下订单什么时候发货?",
)
_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class ExportSettings(StageSettings):
    """The settings of `export`."""

    title: str = option("Name of the model on its card; unset: that of the recipe.", default="")
    description: str = option("A sentence or two for the card.", default="")
    licence: str = option("Licence of the weights, for the card.", default="not stated")
    precision: str = option(
        "How each weight is written; it is read as float32 again.",
        default="float16",
        choices=("float16", "bfloat16", "float32"),
    )
    max_megabytes: float = option(
        "Size of the weights (of 1,000,000 bytes) above which the export fails.",
        default=50.0,
        above=0,
    )
    twins: Path | None = option(
        "twins.json of a vocabulary stage: each Traditional character gets the row of its Simplified form.",
        default=None,
    )
    figures: Path | None = option(
        "JSON file of measured figures for the card: a list of rows with the same keys.",
        default=None,
    )
    limits: tuple[str, ...] = option("Further sentences under Limits of the card.", default=())
    to: Path | None = option("Directory that the files are copied to as well.", default=None)


def export(
    settings: ExportSettings, stage: StageRun, history: Sequence[StageRecord], recipe: str
) -> StageResult:
    """Write the encoder of ``stage.model``, its tokenizer, configuration and card; ``history`` are the stages that made
    it.

    Raises BaseModelError, ConfigError for weights that are too large, TrainingError for such as the precision cannot
    hold.
    """
    stage.reporter().report("save")
    figures_table = _read_figures(settings.figures)
    encoder, tokenizer = load_encoder(stage.model)
    joined = join_twins(encoder, tokenizer, settings.twins) if settings.twins else 0
    encoder.to(getattr(torch, settings.precision))
    lost = [name for name, each in encoder.named_parameters() if not bool(each.isfinite().all())]
    if lost:
        raise TrainingError(f"export: {lost[0]} is too large for {settings.precision}; use float32")
    out = stage.out
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    encoder.config.pad_token_id = tokenizer.pad_token_id
    encoder.save_pretrained(out, max_shard_size="1000GB")
    tokenizer.save_pretrained(out)
    _forget_machine(out)
    megabytes = (out / WEIGHTS).stat().st_size / _MEGABYTE
    if megabytes > settings.max_megabytes:
        raise ConfigError(
            f"max_megabytes: the weights are {megabytes:.2f} MB in {settings.precision}, more than "
            f"{settings.max_megabytes:g}; use fewer characters or layers, or raise it"
        )
    figures = {
        "parameters": sum(each.numel() for each in encoder.parameters()),
        "megabytes": round(megabytes, 2),
        "precision": settings.precision,
        "vocabulary": len(tokenizer),
        "layers": int(encoder.config.num_hidden_layers),
        "embedding_size": int(encoder.config.hidden_size),
        "longest_text": int(encoder.config.max_position_embeddings),
        "languages": list(readable_languages(tokenizer.backend_tokenizer, tokenizer.unk_token_id)),
        "twins": joined,
        "least_cosine": _least_cosine(stage.model, out),
    }
    card = write_model_card(
        title=settings.title or recipe,
        description=settings.description,
        licence=settings.licence,
        limits=settings.limits,
        figures=figures,
        measured=figures_table,
        history=history,
    )
    (out / CARD).write_text(card, encoding="utf-8")
    for file in out.iterdir():
        # The writer of the weights lets only its owner read them.
        file.chmod(0o644)
    return StageResult(out, figures)


def deliver(settings: ExportSettings, output: Path) -> None:
    """Copy what was exported to ``settings.to``, each file as a whole. Raises ConfigError where something else is."""
    target = settings.to
    if target is None:
        return
    if target.is_dir() and any(target.iterdir()) and not (target / CONFIG).is_file():
        raise ConfigError(f"to: {target} has other files in it; choose another place")
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(output.iterdir()):
        half = target / f".{file.name}.half"
        shutil.copyfile(file, half)
        half.rename(target / file.name)


def _least_cosine(before: Path | str, after: Path) -> float:
    """The lowest cosine between embeddings of sample texts before and after the weights were cut."""
    embeddings = [
        EmbeddingPredictor.from_base(each, device="cpu").embed(_SAMPLES) for each in (before, after)
    ]
    return round(float((embeddings[0] * embeddings[1]).sum(1).min()), 6)


def _read_figures(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"figures: {path}: cannot be read: {error}") from None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ConfigError(f"figures: {path}: expected a list of objects")
    return rows


def _forget_machine(directory: Path) -> None:
    """Take out of the files where the model lay on the machine that made it."""
    for name, keys in (
        (CONFIG, ("_name_or_path",)),
        ("tokenizer_config.json", ("local_files_only", "name_or_path")),
    ):
        path = directory / name
        values = json.loads(path.read_text(encoding="utf-8"))
        for key in keys:
            values.pop(key, None)
        text = json.dumps(values, ensure_ascii=False, indent=2, sort_keys=True) + os.linesep
        path.write_text(text, encoding="utf-8")
