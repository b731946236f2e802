"""Small residual networks for small images (He, Zhang, Ren and Sun 2016), in plain torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor, nn

MODEL_TYPE = "rootstock-resnet"
ARCHITECTURES = ("resnet9", "resnet18")


@dataclass
class ResNetConfig:
    """What `ResNet` is built from; ``hidden_size`` is the length of what it says about an image."""

    architecture: str
    width: int
    model_type: str = MODEL_TYPE

    @property
    def hidden_size(self) -> int:
        return 8 * self.width

    def to_dict(self) -> dict[str, Any]:
        return {
            "model_type": self.model_type,
            "architecture": self.architecture,
            "width": self.width,
        }


class ResNet(nn.Module):
    """(images, 3, side, side) to (images, 8 · width).

    "resnet9": a stem, then three times a convolution that doubles the channels and a pooling that halves the side,
    with a residual block of two convolutions after the first and the third; the maximum over what is left (the layout
    of Page's 2018 DAWNBench entry). "resnet18": four stages of two basic blocks, the mean over what is left.
    """

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        if config.architecture == "resnet9":
            self.layers = nn.Sequential(
                _convolution(3, width),
                _convolution(width, 2 * width),
                nn.MaxPool2d(2),
                Block(2 * width, 2 * width),
                _convolution(2 * width, 4 * width),
                nn.MaxPool2d(2),
                _convolution(4 * width, 8 * width),
                nn.MaxPool2d(2),
                Block(8 * width, 8 * width),
                nn.AdaptiveMaxPool2d(1),
                nn.Flatten(),
            )
        else:
            blocks: list[nn.Module] = [_convolution(3, width)]
            before = width
            for stage in range(4):
                after = width * 2**stage
                blocks += [Block(before, after, stride=2 if stage else 1), Block(after, after)]
                before = after
            self.layers = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def load_directory(self, directory: Path) -> None:
        """Take the weights of an artefact's encoder. Raises OSError, SafetensorError or RuntimeError."""
        tensors = load_file(directory / "model.safetensors")
        self.load_state_dict(
            {
                name.removeprefix("encoder."): tensor
                for name, tensor in tensors.items()
                if name.startswith("encoder.")
            }
        )

    def forward(self, pixels: Tensor) -> Tensor:
        states: Tensor = self.layers(pixels)
        return states


class Block(nn.Module):
    """y = relu(x + f(x)) with f two convolutions; x goes through a 1 × 1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, *, stride: int = 1) -> None:
        super().__init__()
        self.first = _convolution(before, after, stride=stride)
        self.second = _convolution(after, after, rectify=False)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after)
            )
        norm: Any = self.second[1]
        nn.init.zeros_(norm.weight)  # the block begins as the identity (Goyal et al. 2017)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = nn.functional.relu(self.shortcut(x) + self.second(self.first(x)))
        return y


def _convolution(
    before: int, after: int, *, stride: int = 1, rectify: bool = True
) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    parts: list[nn.Module] = [convolution, nn.BatchNorm2d(after)]
    return nn.Sequential(*parts, nn.ReLU(inplace=True)) if rectify else nn.Sequential(*parts)
