"""Variation of training images, on a whole batch at once, wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image: moved by up to ``padding`` pixels (He et al. 2016), mirrored, and a square
    of ``erase`` times its side wiped out (cutout, DeVries and Taylor 2017)."""

    padding: int = 0
    flip: bool = False
    erase: float = 0.0

    def __call__(self, images: Tensor) -> Tensor:
        """Vary normalised float images of shape (images, channels, side, side); random numbers come from torch's
        global generator."""
        if self.padding:
            images = _shifted(images, self.padding)
        if self.flip:
            turned = torch.rand(len(images)).to(images.device) < 0.5
            images = torch.where(turned.view(-1, 1, 1, 1), images.flip(3), images)
        if self.erase:
            images = _erased(images, round(self.erase * images.shape[-1]))
        return images


def _shifted(images: Tensor, padding: int) -> Tensor:
    count, _, height, width = images.shape
    padded = torch.nn.functional.pad(images, [padding] * 4, mode="reflect")
    offsets = torch.randint(0, 2 * padding + 1, (2, count, 1)).to(images.device)
    rows = offsets[0] + torch.arange(height, device=images.device)
    columns = offsets[1] + torch.arange(width, device=images.device)
    place = torch.arange(count, device=images.device).view(-1, 1, 1)
    # (images, height, width, channels), as indexed dimensions come first
    picked = padded.permute(0, 2, 3, 1)[place, rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


def _erased(images: Tensor, side: int) -> Tensor:
    count, _, height, width = images.shape
    centre = torch.stack(
        [torch.randint(0, height, (count,)), torch.randint(0, width, (count,))]
    ).to(images.device)
    rows = torch.arange(height, device=images.device) - centre[0].view(-1, 1)
    columns = torch.arange(width, device=images.device) - centre[1].view(-1, 1)
    low, high = -(side // 2), side - side // 2
    inside = ((rows >= low) & (rows < high))[:, :, None] & ((columns >= low) & (columns < high))[
        :, None, :
    ]
    return images.masked_fill(inside[:, None], 0.0)  # the mean colour of normalised images
