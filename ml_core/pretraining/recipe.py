"""Run a recipe: every stage in order, those that are done passed over, a stage that was stopped taken up."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ml_core.pretraining.recipe_file import Recipe, StageEntry, read_recipe
from ml_core.pretraining.records import (
    CurveKeeper,
    StageRecord,
    read_curve,
    read_record,
    write_record,
)
from ml_core.pretraining.report import write_report
from ml_core.training.options import ConfigError
from ml_core.training.progress import Progress

_PACKAGE = "ml_core.pretraining.stages"
# Kind → module, settings from a mapping, function. A module is loaded (and torch with it) when a recipe has the stage.
_STAGES = {
    "corpus": ("preparation", "corpus_settings", "corpus"),
    "vocabulary": ("preparation", "VocabularySettings", "vocabulary"),
    "masked_lm": ("masked_lm", "MaskedLmSettings", "masked_lm"),
    "distil": ("distil", "DistilSettings", "distil"),
    "align": ("align", "AlignSettings", "align"),
    "contrast": ("contrast", "ContrastSettings", "contrast"),
    "export": ("export", "ExportSettings", "export"),
}
# These run in one process, whatever torchrun started.
_ALONE = {"corpus", "vocabulary", "export"}
# What these left half done is taken up; of the others a half output is none.
_RESUMES_IN_OUTPUT = {"corpus"}


@dataclass(frozen=True)
class RecipeProgress(Progress):
    """A moment of a recipe: that of its ``stage``, which is number ``number`` (from 1) of ``count``."""

    stage: str = ""
    number: int = 0
    count: int = 0


@dataclass(frozen=True)
class RecipeResult:
    """What a recipe made. ``model`` is the directory of its last model, None for a recipe without; ``ran`` are the
    stages of this run, the others were done before."""

    out: Path
    model: Path | None
    records: tuple[StageRecord, ...]
    ran: tuple[str, ...]


def run_recipe(
    path: Path | str,
    *,
    on_progress: Callable[[RecipeProgress], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_stage: Callable[[str, int, int, bool], None] | None = None,
) -> RecipeResult:
    """Run the recipe of the YAML file ``path``; see `ml_core.pretraining.recipe_file` for its form.

    All settings are read before anything runs. A stage whose output is there, made with the same settings from the
    same files, is passed over; one that was stopped goes on from its last checkpoint. After every stage the report
    (``REPORT.md``, ``report.json`` in the recipe's directory) is written anew. ``on_stage(name, number, count, done)``
    is called before each stage; ``done`` says that it is passed over.

    Raises ConfigError, DataError, BaseModelError, ArtifactError for bad input, naming the stage; TrainingCancelled when
    asked to stop, TrainingError when a training goes wrong.
    """
    recipe = read_recipe(path)
    from ml_core.training.distributed import begin, is_first, process_count, wait_for_all

    settings = [_settings(path, stage) for stage in recipe.stages]
    if process_count() > 1:
        from ml_core.models.classifier import select_device

        begin(select_device("auto"))
    records: list[StageRecord] = []
    ran: list[str] = []
    for number, (stage, chosen) in enumerate(zip(recipe.stages, settings, strict=True), start=1):
        record = read_record(stage)
        if on_stage is not None:
            on_stage(stage.name, number, len(recipe.stages), record is not None)
        wait_for_all()
        if record is None:
            tell = _teller(stage, number, len(recipe.stages), on_progress)
            record = _run_stage(
                recipe,
                stage,
                chosen,
                records,
                tell=tell,
                should_stop=should_stop or (lambda: False),
            )
            ran.append(stage.name)
        records.append(record)
        if stage.kind == "export" and is_first():
            _part_of(stage, "deliver")(chosen, stage.output)
        if is_first():
            write_report(recipe, records)
    models = [stage.output for stage in recipe.stages if stage.kind != "corpus"]
    return RecipeResult(recipe.out, models[-1] if models else None, tuple(records), tuple(ran))


def _settings(path: Path | str, stage: StageEntry) -> Any:
    builder = _part_of(stage, _STAGES[stage.kind][1])
    try:
        build = getattr(builder, "from_mapping", builder)
        return build(stage.values)
    except ConfigError as error:
        raise ConfigError(f"{path}: stage {stage.name!r}: {error}") from None


def _part_of(stage: StageEntry, name: str) -> Any:
    return getattr(importlib.import_module(f"{_PACKAGE}.{_STAGES[stage.kind][0]}"), name)


def _run_stage(
    recipe: Recipe,
    stage: StageEntry,
    settings: Any,
    records: Sequence[StageRecord],
    *,
    tell: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> StageRecord:
    """Run one stage and write its record down, in every process of several."""
    from ml_core.pretraining.stages.base import StageResult, StageRun
    from ml_core.training.distributed import is_first, wait_for_all

    work = stage.directory / "work"
    if is_first():
        stage.directory.mkdir(parents=True, exist_ok=True)
        if stage.kind not in _RESUMES_IN_OUTPUT:
            # Whole or not: without its record nobody knows what it is.
            shutil.rmtree(stage.output, ignore_errors=True)
    wait_for_all()
    keeper = CurveKeeper(stage)

    def keep(progress: Progress) -> None:
        keeper.add(progress)
        tell(progress)

    place = StageRun(
        model=stage.model or "",
        out=stage.output,
        work=work,
        cache=recipe.out / "cache",
        on_progress=keep if is_first() else (lambda _: None),
        should_stop=should_stop,
    )
    function = _part_of(stage, _STAGES[stage.kind][2])
    more = (_history(recipe, stage, records), recipe.name) if stage.kind == "export" else ()
    found = StageResult(stage.output)
    if is_first() or stage.kind not in _ALONE:
        found = function(settings, place, *more)
    wait_for_all()
    record = StageRecord(
        name=stage.name,
        kind=stage.kind,
        fingerprint=stage.fingerprint,
        seconds=keeper.seconds,
        settings=stage.written,
        figures=found.figures,
        data=found.data,
        curve=read_curve(stage),
    )
    if is_first():
        write_record(stage, record)
        shutil.rmtree(work, ignore_errors=True)
    wait_for_all()
    return record


def _history(
    recipe: Recipe, stage: StageEntry, records: Sequence[StageRecord]
) -> list[StageRecord]:
    """The records of the stages that led to ``stage``, in order: a recipe may have branches that do not."""
    by_output = {str(each.output): each for each in recipe.stages}
    led: set[str] = set()
    open_stages = [stage]
    while open_stages:
        current = open_stages.pop()
        texts = " ".join(_texts([current.values, current.model]))
        for output, each in by_output.items():
            if output in texts and each.name not in led:
                led.add(each.name)
                open_stages.append(each)
    return [record for record in records if record.name in led]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [text for each in value for text in _texts(each)]
    return []


def _teller(
    stage: StageEntry, number: int, count: int, on_progress: Callable[[RecipeProgress], None] | None
) -> Callable[[Progress], None]:
    names = [each.name for each in fields(Progress)]

    def tell(progress: Progress) -> None:
        if on_progress is not None:
            values = {name: getattr(progress, name) for name in names}
            on_progress(RecipeProgress(**values, stage=stage.name, number=number, count=count))

    return tell
