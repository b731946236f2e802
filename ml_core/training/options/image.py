"""How images are read and varied."""

from __future__ import annotations

from dataclasses import dataclass

from ml_core.training.options.base import option

_IMAGES = ("image-classification",)


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    image_architecture: str = option(
        '"base": the vision model named by base. "resnet9" and "resnet18": a small ResNet for small images, learned '
        "from nothing (set weights: random).",
        default="base",
        choices=("base", "resnet9", "resnet18"),
        tasks=_IMAGES,
    )
    resnet_width: int = option(
        "Channels of the first stage of resnet9 and resnet18; time and memory grow with its square.",
        default=64,
        at_least=4,
        at_most=512,
        tasks=_IMAGES,
    )
    image_size: int | None = option(
        "Images are brought to squares of this many pixels a side: the shorter side is scaled, the middle is kept. "
        "Unset: what the base was trained on; 32 for the small ResNets.",
        default=None,
        at_least=8,
        at_most=1024,
        tasks=_IMAGES,
    )
    crop_padding: int | None = option(
        "Augmentation: a training image is moved by up to this many pixels in each direction, its border mirrored. "
        "0: never; unset: an eighth of the side.",
        default=None,
        at_least=0,
        tasks=_IMAGES,
    )
    horizontal_flip: bool = option(
        "Augmentation: half of the training images are mirrored; not for writing or signs.",
        default=True,
        tasks=_IMAGES,
    )
    erase: float = option(
        "Augmentation: side of the square that is wiped out of each training image (cutout), as a part of the "
        "image's side; 0: none.",
        default=0.0,
        at_least=0,
        below=1,
        tasks=_IMAGES,
    )
