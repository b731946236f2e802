"""Which models are in memory: loaded on first use, within a budget of bytes, swapped without dropping a request."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from ml_core.models.bases import SHIPPED, BaseModelError
from ml_core.models.found_bases import base_digest, find_base
from ml_core.registry.artifact import CONFIG, WEIGHTS, Artifact, ArtifactError
from ml_core.serving.backends import AUTO, TORCH, Backend, BackendError, EncoderSource
from ml_core.serving.backends.artifacts import (
    Adapter,
    ModelParts,
    split_artifact,
    split_base,
)
from ml_core.serving.errors import ModelNotLoaded
from ml_core.serving.protocol import BASE_PREFIX, BackboneInfo, ModelInfo
from ml_core.serving.rows import RowRunner
from ml_core.serving.runner import Backbone, EncoderRunner, Readers, Runner, build_head

logger = logging.getLogger(__name__)

_MEBIBYTE = 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True)
class ModelPlace:
    """Where a model's files are, and whether they are those of a base model that embeds as it is."""

    directory: str
    is_base: bool = False


@dataclass(eq=False)
class Loaded:
    """A model in memory. ``calls`` are open; a ``retired`` one gets no new ones and is released after the last."""

    runner: Runner
    calls: int = 0
    retired: bool = False
    released: bool = False

    @property
    def info(self) -> ModelInfo:
        return self.runner.info


@dataclass(frozen=True)
class _Opened:
    """A model whose files were checked and nothing loaded. It will take about ``own_bytes``, and its encoder about
    ``encoder_bytes``; ``parts`` are None for a model that its task's own predictor must serve, and ``artifact`` for a
    base model."""

    info: ModelInfo
    artifact: Artifact | None
    parts: ModelParts | None
    own_bytes: int
    encoder_bytes: int = 0


class ModelMemory:
    """Models below ``root`` and bases, at most ``budget_bytes`` of them; the least recently used goes first.

    ``load`` makes the backend of an encoder and says what was measured for it, see `open_backend`. Where nothing was,
    and ``measure`` is given, that is done behind the calls, and the models of the encoder are swapped when another
    backend is chosen. Loading runs on the executor ``loader``, everything that touches a loaded model on ``compute``.
    All methods belong to one event loop.
    """

    def __init__(
        self,
        root: Path,
        *,
        budget_bytes: int,
        load: Callable[[EncoderSource, str], tuple[Backend, dict[str, Any] | None]],
        measure: Callable[[EncoderSource], dict[str, Any] | None] | None,
        kind: str,
        device: str,
        compute: Executor,
        loader: Executor,
        threads: int,
        on_load: Callable[[ModelInfo], None],
        on_unload: Callable[[str], None],
    ) -> None:
        self._root = root.resolve()
        self.budget_bytes = budget_bytes
        self._load_backend = load
        self._measure = measure
        self._measuring: set[asyncio.Task[None]] = set()
        self._kind = kind
        self._device = device
        self._compute = compute
        self._loader = loader
        self._threads = threads
        self._on_load, self._on_unload = on_load, on_unload
        self._models: OrderedDict[ModelPlace, Loaded] = OrderedDict()
        self._loading: dict[ModelPlace, asyncio.Task[Loaded]] = {}
        # By the encoder's digest and the backend that was asked for; an encoder can be here under two of them.
        self._backbones: dict[tuple[str, str], Backbone] = {}
        self._held: Backbone | None = None
        self._readers = Readers()
        self._one_at_a_time = asyncio.Lock()

    @property
    def bytes(self) -> int:
        """What all models take that get new calls, with their encoders."""
        return self._sum(list(self._models.values()))

    def infos(self) -> list[ModelInfo]:
        """The loaded models, the least recently used first."""
        return [
            replace(each.info, waiting=len(each.runner.lane.line)) for each in self._models.values()
        ]

    def backbones(self) -> list[BackboneInfo]:
        """The encoders in memory."""
        return [
            BackboneInfo(
                digest=backbone.source.digest,
                backend=backbone.backend.name,
                memory_bytes=backbone.backend.memory_bytes,
                models=tuple(sorted(user.info.model for user in backbone.users)),
                calibration=backbone.calibration,
            )
            for backbone in dict.fromkeys(self._backbones.values())
        ]

    def place(self, model: str) -> ModelPlace:
        """Where ``model`` is; never outside the root, whatever ``..`` or link is in it. Raises ModelNotLoaded."""
        name = model.removeprefix(BASE_PREFIX)
        is_base = name != model
        if is_base and name in SHIPPED:
            return ModelPlace(name, is_base=True)
        path = (self._root / name).resolve()
        if not path.is_relative_to(self._root):
            raise ModelNotLoaded(
                f"model {model!r} is not below the allowed root", code="model_not_allowed"
            )
        return ModelPlace(str(path), is_base)

    async def acquire(self, model: str) -> Loaded:
        """The model, loaded when it is not; `done` must follow. Raises ModelNotLoaded."""
        place = self.place(model)
        while True:
            loaded = self._models.get(place) or await self._load_once(place)
            # One that was loaded for us can have had to go before we came to run.
            if not loaded.released:
                break
        loaded.calls += 1
        if not loaded.retired:
            self._models.move_to_end(place)
        return loaded

    def done(self, loaded: Loaded) -> None:
        """A call has ended."""
        loaded.calls -= 1
        self._release_if_idle(loaded)

    async def load(self, model: str) -> ModelInfo:
        """Load ``model`` unless the loaded one is the same; a changed one is loaded beside it and takes its place, and
        the old one ends with its last call. Raises ModelNotLoaded."""
        place = self.place(model)
        present = self._models.get(place)
        if present is None:
            return (await self._load_once(place)).info
        opened = await self._aside(self._loader, lambda: _open(place, verify=False))
        if opened.info.digest == present.info.digest:
            return present.info
        return (await self._load_once(place)).info

    def unload(self, model: str) -> ModelInfo:
        """Forget a model; calls that are open are answered. Raises ModelNotLoaded."""
        loaded = self._models.pop(self.place(model), None)
        if loaded is None:
            raise ModelNotLoaded(f"model {model!r} is not loaded", code="model_not_loaded")
        self._retire(loaded)
        return loaded.info

    def close(self) -> None:
        """Wait for nothing that is being measured."""
        for task in self._measuring:
            task.cancel()

    async def _load_once(self, place: ModelPlace) -> Loaded:
        """Load a model; callers that ask for the same one meanwhile share that, and one of them giving up does not
        stop it."""
        task = self._loading.get(place)
        if task is None:
            task = asyncio.create_task(self._load(place))
            self._loading[place] = task
            task.add_done_callback(lambda _: self._loading.pop(place, None))
        return await asyncio.shield(task)

    async def _load(self, place: ModelPlace) -> Loaded:
        async with self._one_at_a_time:
            opened = await self._aside(self._loader, lambda: _open(place))
            await self._make_room(opened, place)
            try:
                if opened.parts is not None:
                    runner = await self._load_encoder(opened, opened.parts)
                else:
                    runner = await self._load_rows(opened)
            except (ArtifactError, BackendError, BaseModelError, ValueError) as error:
                raise ModelNotLoaded(
                    f"{opened.info.model}: {error}", code="model_damaged"
                ) from error
            except MemoryError as error:
                raise ModelNotLoaded(
                    f"{opened.info.model}: there is not enough memory", code="model_too_large"
                ) from error
            finally:
                self._hold(None)
            old = self._models.pop(place, None)
            loaded = Loaded(runner)
            self._models[place] = loaded
            if old is not None:
                self._retire(old)
            self._on_load(loaded.info)
            # What it really takes is known now.
            self._unload_until(0, keep=loaded)
            return loaded

    async def _load_rows(self, opened: _Opened) -> Runner:
        info = replace(opened.info, memory_bytes=opened.own_bytes)
        await self._aside(self._compute, lambda: _limit_torch(self._threads))
        runner = await self._aside(
            self._loader,
            lambda: RowRunner(info, Artifact.open(info.model, verify=False), device=self._device),
        )
        await self._warm_up(runner)
        return runner

    async def _load_encoder(self, opened: _Opened, parts: ModelParts) -> Runner:
        head = await self._aside(self._loader, lambda: build_head(parts, opened.artifact))
        pieces = _vocabulary(parts.source.directory / CONFIG)
        read = await self._aside(
            self._loader, lambda: self._readers.get(parts, opened.artifact, pieces=pieces)
        )
        backbone, slot = await self._backbone(parts)
        info = replace(
            opened.info,
            backend=backbone.backend.name,
            backbone=parts.source.digest,
            memory_bytes=opened.own_bytes,
        )
        runner = EncoderRunner(info, backbone, read, head, slot=slot)
        backbone.users.add(runner)
        try:
            await self._warm_up(runner)
        except BaseException:
            self._release(runner)
            raise
        return runner

    async def _backbone(self, parts: ModelParts) -> tuple[Backbone, int]:
        """The encoder in memory, and the slot of the adapter in it (0 without one). An adapter goes to a copy in torch
        where the backend that was asked for takes none in."""
        backbone = await self._shared(parts.source, self._kind)
        if parts.adapter is None:
            return backbone, 0
        try:
            return backbone, await self._add_adapter(backbone, parts.adapter)
        except BackendError:
            if backbone.backend.name == TORCH:
                raise
        backbone = await self._shared(parts.source, TORCH)
        return backbone, await self._add_adapter(backbone, parts.adapter)

    async def _add_adapter(self, backbone: Backbone, adapter: Adapter) -> int:
        return await self._aside(
            self._compute, lambda: backbone.backend.add_adapter(adapter.tensors, adapter.record)
        )

    async def _shared(self, source: EncoderSource, kind: str) -> Backbone:
        """The encoder, computed by a backend of this kind; held until the load that goes on has ended."""
        backbone = self._backbones.get((source.digest, kind))
        if backbone is None:
            backbone = await self._new_backbone(source, kind)
        self._hold(backbone)
        return backbone

    def _hold(self, backbone: Backbone | None) -> None:
        """Keep an encoder that has no user yet, in the place of the one that was kept before."""
        before, self._held = self._held, backbone
        if before is not None:
            self._close_if_unused(before)

    async def _new_backbone(self, source: EncoderSource, kind: str) -> Backbone:
        backend, calibration = await self._aside(
            self._loader, lambda: self._load_backend(source, kind)
        )
        present = self._backbones.get((source.digest, backend.name))
        if present is not None:
            # What "auto" chose is here already.
            self._compute.submit(backend.close)
        else:
            present = Backbone(source, backend, calibration)
            self._backbones[source.digest, backend.name] = present
        self._backbones[source.digest, kind] = present
        if kind == AUTO and calibration is None and self._measure is not None:
            task = asyncio.create_task(self._measure_behind(present, self._measure))
            self._measuring.add(task)
            task.add_done_callback(self._measuring.discard)
        return present

    async def _measure_behind(
        self, backbone: Backbone, measure: Callable[[EncoderSource], dict[str, Any] | None]
    ) -> None:
        """Have an encoder's backends measured while this one answers; if another is chosen, load what uses it anew."""
        found = await asyncio.to_thread(measure, backbone.source)
        key = (backbone.source.digest, AUTO)
        if found is None or self._backbones.get(key) is not backbone:
            return
        backbone.calibration = found
        if found["chosen"] == backbone.backend.name:
            return
        del self._backbones[key]
        for place, loaded in list(self._models.items()):
            runner = loaded.runner
            if not isinstance(runner, EncoderRunner) or runner.backbone is not backbone:
                continue
            try:
                await self._load_once(place)
            except ModelNotLoaded as error:
                logger.warning(
                    "%s stays on %s: %s", loaded.info.model, backbone.backend.name, error
                )

    async def _warm_up(self, runner: Runner) -> None:
        """Run the runner's samples through. Raises ModelNotLoaded when that fails, or what it says is not finite."""
        readings = runner.read(runner.samples)
        pieces = [list(runner.pieces(reading)) for reading in readings]
        found = await self._aside(
            self._compute, lambda: [runner.lane.compute(each) for each in pieces]
        )
        for problem in (each for group in found for each in group if isinstance(each, Exception)):
            raise BackendError(f"it answers nothing: {problem}")
        runner.finish(readings, found)

    async def _make_room(self, opened: _Opened, place: ModelPlace) -> None:
        """Unload until the model will fit. Raises ModelNotLoaded for one that is larger than the whole budget."""
        need, parts = opened.own_bytes, opened.parts
        here = {digest for digest, _ in self._backbones}
        if parts is None or parts.source.digest not in here:
            need += opened.encoder_bytes
        if need > self.budget_bytes:
            raise ModelNotLoaded(
                f"{opened.info.model}: takes about {need // _MEBIBYTE:,} MiB, and all models together may take "
                f"{self.budget_bytes // _MEBIBYTE:,} MiB",
                code="model_too_large",
            )
        # The one that it replaces is not counted: both are there only while it is swapped.
        self._unload_until(need, keep=self._models.get(place), free=True)

    def _unload_until(self, need: int, *, keep: Loaded | None, free: bool = False) -> None:
        """Unload the least recently used models, ``keep`` excepted, until ``need`` bytes are left of the budget; with
        ``free`` what ``keep`` takes counts as left."""
        while True:
            counted = [each for each in self._models.values() if not (free and each is keep)]
            if self._sum(counted) + need <= self.budget_bytes:
                return
            oldest = next((p for p, each in self._models.items() if each is not keep), None)
            if oldest is None:
                return
            loaded = self._models.pop(oldest)
            logger.info("unloaded %s, the least recently used", loaded.info.model)
            self._retire(loaded)

    def _sum(self, models: list[Loaded]) -> int:
        backbones = {
            each.runner.backbone for each in models if isinstance(each.runner, EncoderRunner)
        }
        # Adapters are counted with their models: a backend has them until the compute thread gets round to it.
        own = sum(each.info.memory_bytes for each in models)
        return own + sum(each.weight_bytes for each in backbones)

    def _retire(self, loaded: Loaded) -> None:
        loaded.retired = True
        self._on_unload(loaded.info.model)
        self._release_if_idle(loaded)

    def _release_if_idle(self, loaded: Loaded) -> None:
        if loaded.retired and not loaded.calls and not loaded.released:
            loaded.released = True
            if isinstance(loaded.runner, EncoderRunner):
                self._release(loaded.runner)

    def _release(self, runner: EncoderRunner) -> None:
        """Give back a runner's slot, and its encoder when nobody else uses it."""
        backbone = runner.backbone
        backbone.users.discard(runner)
        if runner.slot:
            self._compute.submit(backbone.backend.remove_adapter, runner.slot)
        self._close_if_unused(backbone)

    def _close_if_unused(self, backbone: Backbone) -> None:
        if backbone.users or backbone is self._held:
            return
        self._backbones = {
            key: each for key, each in self._backbones.items() if each is not backbone
        }
        self._compute.submit(backbone.backend.close)

    async def _aside(self, executor: Executor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(executor, work)


def _open(place: ModelPlace, *, verify: bool = True) -> _Opened:
    """Check a model's files and take it apart. Raises ModelNotLoaded."""
    try:
        return _open_base(place) if place.is_base else _open_artifact(place, verify=verify)
    except (ArtifactError, BaseModelError) as error:
        raise ModelNotLoaded(str(error), code="model_damaged") from error


def _open_base(place: ModelPlace) -> _Opened:
    name = f"{BASE_PREFIX}{place.directory}"
    if place.directory not in SHIPPED and not Path(place.directory).is_dir():
        raise ModelNotLoaded(f"{place.directory}: no such model", code="model_not_found")
    parts = split_base(place.directory)
    size = _weight_bytes(parts.source.directory)
    info = ModelInfo(
        model=name,
        digest=base_digest(parts.source.directory),
        task="text-embedding",
        labels=(),
        languages=(),
        max_length=parts.max_length,
        size_bytes=size,
    )
    return _Opened(info, None, parts, 0, size)


def _open_artifact(place: ModelPlace, *, verify: bool) -> _Opened:
    path = Path(place.directory)
    if not path.is_dir():
        raise ModelNotLoaded(f"{path}: no such model", code="model_not_found")
    artifact = Artifact.open(path, verify=verify)
    manifest = artifact.manifest
    info = ModelInfo(
        model=str(path),
        digest=artifact.digest,
        task=manifest.task,
        labels=manifest.labels,
        languages=manifest.languages,
        max_length=manifest.max_length,
        size_bytes=artifact.size_bytes,
    )
    parts = split_artifact(artifact)
    if parts is None:
        base = _weight_bytes(find_base(artifact)) if manifest.adapter_only else 0
        return _Opened(info, artifact, None, _weight_bytes(path) + base)
    own = sum(each.nbytes for each in parts.head.values())
    own += parts.adapter.memory_bytes if parts.adapter is not None else 0
    return _Opened(info, artifact, parts, own, _weight_bytes(parts.source.directory))


def _weight_bytes(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob(f"*{Path(WEIGHTS).suffix}"))


def _limit_torch(threads: int) -> None:
    """Let torch use so many threads for what the calling thread computes."""
    import torch

    torch.set_num_threads(threads)


def _vocabulary(config: Path) -> int:
    """How many pieces an encoder knows. Raises BackendError."""
    try:
        found = json.loads(config.read_text(encoding="utf-8")).get("vocab_size")
    except (OSError, ValueError, AttributeError) as error:
        raise BackendError(f"{config}: cannot be read: {error}") from error
    if not isinstance(found, int):
        raise BackendError(f"{config}: there is no vocab_size")
    return found
