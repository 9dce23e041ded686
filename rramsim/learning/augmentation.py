"""Batches of training images, shifted, mirrored and cut out together rather than one by one."""

from collections.abc import Iterator

import torch
from torch import Tensor

__all__ = ["BatchSource"]


class BatchSource:
    """All training images, resident on one device, served in shuffled and augmented batches.

    The images are kept once, edge-padded, channels last. A batch is one gather from them: row and
    column indices carry the shift and the mirroring of each image, so augmentation costs what
    copying the batch costs.
    """

    def __init__(
        self, images: Tensor, labels: Tensor, *, crop_pixels: int, flip: bool,
        cutout_pixels: int = 0,
    ) -> None:  # fmt: skip
        """Take uint8 images (N, C, H, W) and labels (N,) that lie on the device to train on.

        `cutout_pixels`: side of a square around a random pixel of each image (what lies outside is
        lost) that takes the mean colour of all images, as a byte: what `Standardise` makes zero.
        """
        self._size = (images.shape[2], images.shape[3])
        self._crop = crop_pixels
        self._flip = flip
        self._labels = labels
        self._cutout = cutout_pixels
        mean = images.double().mean(dim=(0, 2, 3))
        self._mean = (mean if images.is_floating_point() else mean.round()).to(images.dtype)
        self._images = _edge_padded(images.permute(0, 2, 3, 1), crop_pixels).contiguous()

    def __len__(self) -> int:
        return len(self._labels)

    def epoch(self, batch: int, *, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield one epoch of (images (B, C, H, W) uint8, labels (B,)), in an order of its own.

        `generator` lives on the CPU, so an epoch is the same on every device. A last batch of one
        image is left out: batch-norm cannot use it.
        """
        count = len(self._labels)
        order = torch.randperm(count, generator=generator)
        shifts = torch.randint(0, 2 * self._crop + 1, (count, 2), generator=generator)
        mirrored = torch.rand(count, generator=generator) < (0.5 if self._flip else 0.0)
        device = self._images.device
        if self._cutout:
            corners = torch.stack(
                [torch.randint(0, side, (count,), generator=generator) for side in self._size]
            )
            corners = (corners - self._cutout // 2).to(device)
        order, shifts, mirrored = (t.to(device) for t in (order, shifts, mirrored))
        height, width = self._size
        rows = torch.arange(height, device=device)
        columns = torch.arange(width, device=device)
        for start in range(0, count, batch):
            chosen = order[start : start + batch]
            if len(chosen) < 2 <= count:
                return
            shift = shifts[start : start + batch]
            mirror = mirrored[start : start + batch, None]
            row = shift[:, :1] + rows
            column = shift[:, 1:] + torch.where(mirror, width - 1 - columns, columns)
            images = self._images[chosen[:, None, None], row[:, :, None], column[:, None, :]]
            if self._cutout:
                top, left = (corner[start : start + batch, None] for corner in corners)
                hole_rows = (rows >= top) & (rows < top + self._cutout)
                hole_columns = (columns >= left) & (columns < left + self._cutout)
                hole = hole_rows[:, :, None] & hole_columns[:, None, :]
                images = torch.where(hole[..., None], self._mean, images)
            yield images.permute(0, 3, 1, 2), self._labels[chosen]


def _edge_padded(images: Tensor, pixels: int) -> Tensor:
    """Repeat the edge of (N, H, W, C) images outwards; torch's own padding refuses uint8."""
    if pixels == 0:
        return images
    height, width = images.shape[1:3]
    rows = torch.arange(-pixels, height + pixels, device=images.device).clamp(0, height - 1)
    columns = torch.arange(-pixels, width + pixels, device=images.device).clamp(0, width - 1)
    return images[:, rows][:, :, columns]
