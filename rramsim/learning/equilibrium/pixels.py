"""How the pixels of an image become the clamped inputs of an energy-based network."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rramsim.learning.equilibrium.settings import PixelKind
from rramsim.learning.image_data import ImageData

__all__ = ["Pixels"]


@dataclass(frozen=True, kw_only=True)
class Pixels:
    """(pixel - mean) / deviation, one of each for every channel; pixels run from 0 to 255."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @staticmethod
    def of(data: ImageData, kind: PixelKind) -> "Pixels":
        """From 0 to 1, or with the training images' mean 0 and deviation 1 in each channel."""
        channels = data.input_shape[0]
        if kind == "unit":
            return Pixels(mean=(0.0,) * channels, deviation=(255.0,) * channels)
        return Pixels(
            mean=tuple(data.train_images.mean(axis=(0, 2, 3)).tolist()),
            deviation=tuple(data.train_images.std(axis=(0, 2, 3)).clip(min=1.0).tolist()),
        )

    def prepare(self, images: Tensor, dtype: torch.dtype) -> Tensor:
        """uint8 images (B, C, H, W) as inputs."""
        mean, deviation = (
            torch.tensor(values, dtype=dtype, device=images.device)[:, None, None]
            for values in (self.mean, self.deviation)
        )
        return (images.to(dtype) - mean) / deviation
