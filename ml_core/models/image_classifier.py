"""An image classifier: normalised pixels, a vision model, one linear layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from ml_core.models.bases import BaseModelError, quiet_transformers, resolve_base
from ml_core.models.image_augmentation import Augmentation
from ml_core.models.resnet import ARCHITECTURES, MODEL_TYPE, ResNet, ResNetConfig
from ml_core.models.weights_io import load_weights, save_weights
from ml_core.registry.artifact import CONFIG, WEIGHTS, Artifact, ArtifactError

_SMALL_SIDE = 32
_LARGE_SIDE = 224
# The preprocessing of a transformers vision model.
_PREPROCESSOR = "preprocessor_config.json"
_HALF = (0.5, 0.5, 0.5)


class ImageClassifier(nn.Module):
    """logits = W · dropout(encoder((x / 255 − mean) / std)) + b.

    ``forward`` takes ``pixel_values`` of 0..255, (images, 3, side, side), bytes or floats, and gives (images, labels).
    Of a vision transformer with a class token its state is taken, of any other model the mean of its states. In
    training the images are varied by ``augmentation`` first.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: Any,
        label_count: int,
        *,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        dropout: float = 0.0,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        self.encoder: Any = encoder
        self.augmentation = augmentation or Augmentation()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(hidden_size(encoder.config), label_count)
        nn.init.normal_(self.classifier.weight, std=0.01)
        nn.init.zeros_(self.classifier.bias)
        # Not among the weights: they are in the artefact's manifest.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixel_values: Tensor) -> Tensor:
        images = (pixel_values.to(torch.float32) / 255 - self.mean) / self.std
        if self.training:
            images = self.augmentation(images)
        images = images.contiguous(memory_format=torch.channels_last)
        logits: Tensor = self.classifier(self.dropout(self._states(images)))
        return logits

    def _states(self, images: Tensor) -> Tensor:
        output = self.encoder(images)
        if isinstance(output, Tensor):
            return output
        states: Tensor = output.last_hidden_state
        if states.ndim == 4:
            return states.mean((2, 3))
        embeddings = getattr(self.encoder, "embeddings", None)
        return states[:, 0] if hasattr(embeddings, "cls_token") else states.mean(1)


def hidden_size(config: Any) -> int:
    """Length of what a vision model says about an image."""
    sizes = getattr(config, "hidden_sizes", None)
    return int(sizes[-1] if sizes else config.hidden_size)


def new_resnet(architecture: str, width: int) -> ResNet:
    """A small ResNet with fresh weights; convolutions on a CPU run faster with channels last."""
    model = ResNet(ResNetConfig(architecture, width))
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def load_vision_model(name: str, *, random_weights: bool) -> Any:
    """The vision model of a directory (an image-classification artefact too) or hub name.

    Raises BaseModelError when there is none, or when it is no vision model.
    """
    quiet_transformers()
    source = resolve_base(name)
    own = _own_config(source)
    if own is not None:
        model = new_resnet(own.architecture, own.width)
        if not random_weights:
            try:
                model.load_directory(Path(source))
            except (OSError, SafetensorError, RuntimeError) as error:
                raise BaseModelError(f"{source}: its weights cannot be used: {error}") from error
        return model
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        model = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
        if model.main_input_name != "pixel_values":
            raise BaseModelError(
                f"{name}: a {config.model_type} model, which reads no images; name a vision model, or set "
                "image_architecture: resnet9 and weights: random"
            )
        if not random_weights:
            model = AutoModel.from_pretrained(
                source,
                config=config,
                trust_remote_code=False,
                use_safetensors=True,
                dtype="float32",
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise BaseModelError(f"{name}: cannot be loaded: {reason}") from error
    drop_trained_pooler(model)
    return model


def drop_trained_pooler(model: Any) -> None:
    """Remove a pooler with weights of its own (a vision transformer's): the head takes the states themselves."""
    pooler = getattr(model, "pooler", None)
    if pooler is not None and any(True for _ in pooler.parameters()):
        model.pooler = None


def preprocessing(name: str, config: Any) -> dict[str, Any]:
    """``size``, ``mean`` and ``std`` that a base was trained with; what it does not say is None."""
    found: dict[str, Any] = {"size": None, "mean": None, "std": None}
    size = getattr(config, "image_size", None)
    if isinstance(size, int):
        found["size"] = size
    elif isinstance(config, ResNetConfig):
        found["size"] = _SMALL_SIDE
    source = resolve_base(name)
    if not isinstance(source, Path):
        from transformers.utils.hub import cached_file

        file = cached_file(source, _PREPROCESSOR, _raise_exceptions_for_missing_entries=False)
        settings = _json(Path(file)) if file else {}
    else:
        manifest = _json(source / "manifest.json").get("options", {})
        if isinstance(manifest, dict) and isinstance(manifest.get("image"), dict):
            return {**found, **manifest["image"]}
        settings = _json(source / _PREPROCESSOR)
    given = settings.get("size")
    if found["size"] is None and given is not None:
        found["size"] = given if isinstance(given, int) else _first_side(given)
    found["mean"], found["std"] = settings.get("image_mean"), settings.get("image_std")
    if found["mean"] is None and not isinstance(config, ResNetConfig):
        found["mean"] = found["std"] = _HALF
    found["size"] = found["size"] or _LARGE_SIDE
    return found


def _first_side(size: dict[str, Any]) -> int | None:
    return size.get("height") or size.get("shortest_edge")


def save_image_classifier(model: ImageClassifier, directory: Path) -> None:
    """Write ``model.safetensors`` and ``config.json``; the size and normalisation are in the manifest's options."""
    save_weights(model, directory / WEIGHTS)
    config: dict[str, Any] = model.encoder.config.to_dict()
    config.pop("_name_or_path", None)
    text = json.dumps(config, indent=2, sort_keys=True)
    (directory / CONFIG).write_text(text + "\n", encoding="utf-8")


def load_image_classifier(artifact: Artifact) -> ImageClassifier:
    """Rebuild the model of an artefact, in evaluation mode; raises ArtifactError naming the file at fault."""
    quiet_transformers()
    try:
        own = _own_config(artifact.path)
        if own is not None:
            encoder: Any = new_resnet(own.architecture, own.width)
        else:
            config = AutoConfig.from_pretrained(artifact.path, trust_remote_code=False)
            encoder = AutoModel.from_config(config, trust_remote_code=False)  # type: ignore[no-untyped-call]
            drop_trained_pooler(encoder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(artifact.path / CONFIG, f"cannot be used: {error}") from error
    image = artifact.manifest.options.get("image")
    if not isinstance(image, dict) or not {"size", "mean", "std"} <= image.keys():
        raise ArtifactError(artifact.path, "the manifest's options say no image size, mean and std")
    model = ImageClassifier(
        encoder,
        len(artifact.manifest.labels),
        mean=tuple(image["mean"]),
        std=tuple(image["std"]),
    )
    load_weights(model, artifact)
    return model.eval()


def _own_config(source: Path | str) -> ResNetConfig | None:
    """The configuration of one of our small ResNets, or None when ``source`` is another model."""
    if not isinstance(source, Path):
        return None
    values = _json(source / CONFIG)
    if values.get("model_type") != MODEL_TYPE:
        return None
    architecture, width = values.get("architecture"), values.get("width")
    if architecture not in ARCHITECTURES or not isinstance(width, int) or width < 1:
        raise BaseModelError(f"{source / CONFIG}: says no known architecture and width")
    return ResNetConfig(str(architecture), width)


def _json(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
