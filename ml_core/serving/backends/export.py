"""Encoders as ONNX files, checked against torch and kept.

Below the cache an encoder has a directory ``DIGEST-FORMAT-ortVERSION`` with one directory a variant (``float32``,
``int8``, and with ``-adapters`` those that mix LoRA adapters): ``model.onnx``, its weights in ``weights.bin`` and
``export.json``. A variant is written beside its place and renamed, so it is there whole or not at all; its hashes are
compared whenever it is opened, and one that was changed is made anew.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ml_core.registry.artifact import INT8_WEIGHTS, sha256_file
from ml_core.serving.backends.base import BackendError, EncoderBatch, EncoderSource
from ml_core.serving.backends.host import cpu, versions
from ml_core.serving.backends.probes import probe_ids, random_ids
from ml_core.serving.backends.session import FLAT, PADDED, EncoderSession

if TYPE_CHECKING:
    from ml_core.serving.backends.bert_weights import BertWeights

logger = logging.getLogger(__name__)

# Of the files and of what is in them; a change of the graphs is a new number.
FORMAT = 1
RECORD = "export.json"
_MODEL, _WEIGHTS = "model.onnx", "weights.bin"
# What a float32 export may differ from torch, as a part of the largest state.
_TOLERANCE = 1e-3
# The least mean cosine of int8 vectors to torch's.
LEAST_COSINE = 0.99
_GENERIC_OPSET = 20
_ABANDONED_SECONDS = 3600


@dataclass(frozen=True)
class Export:
    """An export in ``directory``. See `EncoderSession` for ``layout``, ``places`` and ``types``; ``cosine`` is the mean
    over `probes` of that between its vectors and torch's, ``memory_bytes`` the size of the
    files, about what the weights take, ``files`` name → SHA-256."""

    directory: Path
    layout: str
    hidden: int
    pad_id: int
    places: int | None
    types: int
    cosine: float
    memory_bytes: int
    files: dict[str, str]
    versions: dict[str, str]

    @classmethod
    def open(cls, directory: Path) -> Self | None:
        """The export in ``directory``; None where there is none, or not as it was written."""
        try:
            values = json.loads((directory / RECORD).read_text(encoding="utf-8"))
            found = cls(directory=directory, **values)
            whole = all(sha256_file(directory / name) == sha for name, sha in found.files.items())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, AttributeError) as error:
            logger.warning("%s: the export cannot be read: %s", directory, error)
            return None
        if not whole or _MODEL not in found.files:
            logger.warning("%s: the export has been changed since it was written", directory)
            return None
        return found

    def write(self) -> None:
        """Write the record beside the files."""
        values = asdict(self)
        del values["directory"]
        target = self.directory / RECORD
        target.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")

    def session(self, threads: int, **options: Any) -> EncoderSession:
        """See `EncoderSession`."""
        return EncoderSession(
            self.directory / _MODEL,
            layout=self.layout,
            places=self.places,
            types=self.types,
            threads=threads,
            **options,
        )


def export_directory(source: EncoderSource, cache: Path) -> Path:
    """Where below ``cache`` the exports of ``source`` are, and what was measured of them."""
    ort = versions().get("onnxruntime", "none")
    return cache / f"{source.digest[:32]}-{FORMAT}-ort{ort}"


def export(
    source: EncoderSource, cache: Path, *, int8: bool = False, adapters: bool = False
) -> Export:
    """The export of ``source``, from ``cache`` or made and kept there; with ``adapters`` one that mixes LoRA adapters.

    Raises BackendError for an encoder that cannot be loaded or exported, whose export is not true to torch (nothing is
    kept then), or that cannot mix adapters.
    """
    from ml_core.serving.backends.quantise import saturates

    reduced = int8 and saturates(cpu()[1])
    variant = ("int8-reduced" if reduced else "int8") if int8 else "float32"
    target = export_directory(source, cache) / (variant + ("-adapters" if adapters else ""))
    found = Export.open(target)
    if found is not None:
        return found
    target.parent.mkdir(parents=True, exist_ok=True)
    _sweep(target)
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _make(source, made, int8=int8, reduced=reduced, adapters=adapters)
        return _move(made, target)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sweep(target: Path) -> None:
    """Remove what processes that were killed had begun to write for ``target``."""
    for path in target.parent.glob(f".{target.name}-*"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(path, ignore_errors=True)


def _move(made: Path, target: Path) -> Export:
    """Put what was made in its place, unless another process was faster."""
    try:
        made.rename(target)
    except OSError:
        found = Export.open(target)
        if found is not None:
            return found
        shutil.rmtree(target, ignore_errors=True)
        made.rename(target)
    found = Export.open(target)
    if found is None:
        raise BackendError(f"{target}: what was written there cannot be read back")
    return found


def _make(
    source: EncoderSource, directory: Path, *, int8: bool, reduced: bool, adapters: bool
) -> None:
    from ml_core.serving.backends.bert_weights import read_bert
    from ml_core.serving.backends.encoder import load_encoder

    encoder = load_encoder(source)
    config: Any = encoder.config
    if not isinstance(config.pad_token_id, int):
        raise BackendError(f"{source.directory}: there is no pad_token_id in its configuration")
    weights = read_bert(encoder)
    if weights is not None:
        _write_bert(
            source,
            weights,
            config.model_type,
            directory,
            int8=int8,
            reduced=reduced,
            adapters=adapters,
        )
    elif adapters:
        raise BackendError(f"the ONNX graph of a {config.model_type} mixes no adapters; use torch")
    else:
        _write_generic(encoder, directory, int8=int8, reduced=reduced)
    made = Export(
        directory=directory,
        layout=PADDED if weights is None else FLAT,
        hidden=config.hidden_size,
        pad_id=config.pad_token_id,
        places=getattr(config, "max_position_embeddings", None)
        if weights is None
        else weights.places,
        types=_types(config) if weights is None else weights.types,
        cosine=1.0,
        memory_bytes=sum(path.stat().st_size for path in directory.iterdir()),
        files={path.name: sha256_file(path) for path in sorted(directory.iterdir())},
        versions=versions(),
    )
    cosine = _check(made, encoder, source, int8=int8, adapters=adapters)
    replace(made, cosine=cosine).write()


def _types(config: Any) -> int:
    return max(1, getattr(config, "type_vocab_size", None) or 1)


def _write_bert(
    source: EncoderSource,
    weights: BertWeights,
    model_type: str,
    directory: Path,
    *,
    int8: bool,
    reduced: bool,
    adapters: bool,
) -> None:
    from ml_core.serving.backends.bert_graph import FloatProducts, Products, build_bert
    from ml_core.serving.backends.onnx_lora import build_adapted
    from ml_core.serving.backends.quantise import Int8Products, measure

    own = _own_int8(source, reduced=reduced) if int8 and not adapters else None
    if own is not None:
        _save(own, directory)
        return
    products: Products = FloatProducts()
    if int8:
        probes = EncoderBatch([*probe_ids(source), *random_ids(source)])
        products = Int8Products(measure(weights, probes), reduced=reduced)
    model = (
        build_adapted(weights, products, model_type=model_type)
        if adapters
        else build_bert(weights, products)
    )
    _save(model, directory)


def _own_int8(source: EncoderSource, *, reduced: bool) -> Any:
    """The int8 model that a compressed artefact brings along, whose scales were measured on its own rows; None where
    there is none, or its weights have too many bits for this machine."""
    path = source.directory / INT8_WEIGHTS
    if not path.is_file():
        return None
    import onnx

    from ml_core.models.onnx_encoder import REDUCED

    model = onnx.load(path)
    properties = {each.key: each.value for each in model.metadata_props}
    return model if properties.get(REDUCED) == "1" or not reduced else None


def _save(model: Any, directory: Path) -> None:
    import onnx

    onnx.save_model(
        model,
        directory / _MODEL,
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=_WEIGHTS,
        size_threshold=1024,
    )


def _write_generic(encoder: Any, directory: Path, *, int8: bool, reduced: bool) -> None:
    """Any transformers encoder by torch's exporter, with dynamic numbers of texts and tokens."""
    import onnx
    import torch

    from ml_core.serving.backends.quantise import quantise_exported

    class States(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids: Any, attention_mask: Any, token_type_ids: Any = None) -> Any:
            types = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
            found = self.encoder(input_ids=input_ids, attention_mask=attention_mask, **types)
            return found.last_hidden_state

    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * (_types(encoder.config) > 1)
    ids = torch.ones(2, 16, dtype=torch.long)
    examples = {"input_ids": ids, "attention_mask": ids.clone(), "token_type_ids": ids * 0}
    examples["attention_mask"][0, 9:] = 0
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens")
    # A wrapper is in training mode when it is made, and the exporter takes it as it is: wrong states, no warning.
    module = States().eval()
    plain = directory / "plain.onnx"
    try:
        torch.onnx.export(
            module,
            tuple(examples[name] for name in names),
            plain,
            dynamo=True,
            opset_version=_GENERIC_OPSET,
            dynamic_shapes=tuple({0: texts, 1: tokens} for _ in names),
            input_names=names,
            output_names=["states"],
            verbose=False,
            external_data=True,
        )
        if int8:
            quantise_exported(plain, plain, reduced=reduced)
        model = onnx.load(plain)
    except Exception as error:  # the exporter fails in many ways; the caller has other backends
        reason = next(iter(str(error).splitlines()), "")
        raise BackendError(
            f"a {encoder.config.model_type} cannot be exported: {type(error).__name__}: {reason}"
        ) from error
    for path in directory.iterdir():
        path.unlink()
    _save(model, directory)


def _check(
    made: Export, encoder: Any, source: EncoderSource, *, int8: bool, adapters: bool
) -> float:
    """The mean cosine of the export's vectors to torch's. Raises BackendError for an export that is not true to it."""
    import torch

    texts = probe_ids(source)
    # Every second text as a pair, where the encoder tells types apart.
    types = [
        [place * 2 // len(ids) * (number % 2) for place in range(len(ids))]
        for number, ids in enumerate(texts)
    ]
    session = made.session(torch.get_num_threads())
    more = None
    if adapters:
        from ml_core.serving.backends.onnx_lora import OnnxAdapters

        more = OnnxAdapters(session.session).inputs(None, [len(ids) for ids in texts])
    flat, states = session.states(EncoderBatch(texts, types if made.types > 1 else None), more)
    pairs = zip(texts, types, strict=True)
    expected = [_eager(encoder, ids, each if made.types > 1 else None) for ids, each in pairs]
    together = np.concatenate(expected)
    if not np.isfinite(states).all():
        raise BackendError(
            f"{source.directory}: the exported encoder gives numbers that are not finite"
        )
    difference = float(np.abs(states - together).max() / np.abs(together).max())
    if not int8 and difference > _TOLERANCE:
        raise BackendError(
            f"{source.directory}: the exported encoder differs from torch by {difference:.2g} of "
            "its largest state"
        )
    means = np.stack([each.mean(axis=0) for each in expected])
    cosine = mean_cosine(flat.pool(states), means)
    if cosine < LEAST_COSINE:
        raise BackendError(
            f"{source.directory}: int8 changes the vectors too much: a mean cosine of {cosine:.4f} to float32, and at "
            f"least {LEAST_COSINE} is asked for; use float32"
        )
    return cosine


def _eager(encoder: Any, ids: list[int], types: list[int] | None) -> np.ndarray:
    """The states (tokens, hidden) of one text by torch."""
    import torch

    mask = torch.ones(1, len(ids), dtype=torch.long)
    more = {} if types is None else {"token_type_ids": torch.tensor([types])}
    with torch.inference_mode():
        found = encoder(input_ids=torch.tensor([ids]), attention_mask=mask, **more)
    states: np.ndarray = found.last_hidden_state[0].numpy()
    return states


def mean_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """The mean cosine of the rows of two matrices (texts, hidden)."""
    sizes = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return float(((first * second).sum(axis=1) / np.maximum(sizes, 1e-12)).mean())
