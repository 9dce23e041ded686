"""What the three examples share: data, a training loop, simulated errors, two models' forms."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

import rramsim
from rramsim.learning import load_images

SUPPLIES_V = (0.95, 1.0, 1.05, 1.1, 1.2)


def digits(side: int = 32, channels: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scikit-learn's digits as images of `side` pixels, 0 to 1: 1,297 to train on and 500 to test.

    Each part with its labels. The 50 images that rramsim's own split lacks for 500 are taken from
    its training images.
    """
    data = load_images("digits")
    more = 500 - len(data.test_labels)

    def scaled(images: Any) -> Tensor:
        pixels = torch.from_numpy(images).float().div(255).repeat(1, channels, 1, 1)
        return nn.functional.interpolate(pixels, size=(side, side), mode="bilinear")

    return (
        scaled(data.train_images[more:]), torch.from_numpy(data.train_labels[more:]),
        scaled(np.concatenate([data.test_images, data.train_images[:more]])),
        torch.from_numpy(np.concatenate([data.test_labels, data.train_labels[:more]])),
    )  # fmt: skip


def fit(
    model: nn.Module, inputs: Tensor, labels: Tensor, *, steps: int, batch: int = 64,
    rate: float = 2e-3, after_step: Callable[[], None] = lambda: None,
) -> nn.Module:  # fmt: skip
    """Train as anybody would: the converted model is an ordinary one."""
    generator = torch.Generator().manual_seed(0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate)
    model.train()
    for _ in range(steps):
        chosen = torch.randint(len(labels), (batch,), generator=generator)
        loss = nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        after_step()
    return model.eval()


@cache
def simulated_errors(senses: int = 4000) -> xr.Dataset:
    """The shipped amplifier's read errors at five supplies, simulated by the batch engine."""
    return rramsim.sweep(rramsim.circuit(), vdd_v=SUPPLIES_V, samples=senses)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2015), as torchvision writes them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Module | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, values: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        shortcut = values if self.downsample is None else self.downsample(values)
        found = torch.relu(self.bn1(self.conv1(values)))
        return torch.relu(self.bn2(self.conv2(found)) + shortcut)


class ResNet18(nn.Module):
    """ResNet-18 of torchvision's form and names: 7 x 7 stem, max-pool, four layers."""

    def __init__(self, classes: int = 10, *, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = width
        for index in range(1, 5):
            outputs = width * 2 ** (index - 1)
            first = BasicBlock(inputs, outputs, 1 if index == 1 else 2)
            self.add_module(f"layer{index}", nn.Sequential(first, BasicBlock(outputs, outputs, 1)))
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) to scores (B, classes)."""
        values: Tensor = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        for index in range(1, 5):
            values = getattr(self, f"layer{index}")(values)
        scores: Tensor = self.fc(self.avgpool(values).flatten(1))
        return scores


class EncoderBlock(nn.Module):
    """Attention and a feed-forward part of plain linear layers, normalised before each."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T, width) to the same."""
        batch, length, width = tokens.shape
        parts = self.qkv(self.norm1(tokens)).reshape(batch, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(mixed.transpose(1, 2).reshape(batch, length, width))
        return tokens + self.down(torch.relu(self.up(self.norm2(tokens))).square())


class Transformer(nn.Module):
    """A small encoder of `depth` blocks that classifies sequences (B, T, features)."""

    def __init__(
        self, *, features: int, width: int = 64, depth: int = 2, heads: int = 4, length: int = 8,
        classes: int = 10,
    ) -> None:  # fmt: skip
        super().__init__()
        self.embed = nn.Linear(features, width)
        self.position = nn.Parameter(0.02 * torch.randn(length, width))
        self.blocks = nn.Sequential(*(EncoderBlock(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, sequences: Tensor) -> Tensor:
        """(B, T, features) to scores (B, classes)."""
        tokens = self.blocks(self.embed(sequences) + self.position)
        scores: Tensor = self.head(self.norm(tokens).mean(dim=1))
        return scores
