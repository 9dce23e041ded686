"""Ternary and binary weights without latent ones, and the writes that they cost their devices.

After Laydevant et al. 2021 (arXiv 2103.08953) for binary weights: W = alpha sign(W) with a fixed
alpha, m a moving average of the gradient of equilibrium propagation, and a weight flips when its
m asks for it by more than a threshold. Here the levels may be -1, 0, +1, and a weight moves one
level at a time, which is one SET or one RESET of one device of a 2T2R pair: +1 is LRS on BL and
HRS on BLB, -1 the reverse, 0 is HRS on both.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rramsim.learning.equilibrium.settings import FlipRule

__all__ = ["TernaryMemory", "Wear"]


@dataclass(frozen=True, kw_only=True)
class Wear:
    """Writes (SET and RESET alike) that the devices of one or more layers have had."""

    devices: int
    sets: int
    resets: int
    most: int
    endurance_writes: float

    @property
    def mean_writes(self) -> float:
        """Writes of a device in the mean."""
        return (self.sets + self.resets) / self.devices

    @property
    def most_of_endurance(self) -> float:
        """Writes of the most written device as a share of the endurance."""
        return self.most / self.endurance_writes

    def __add__(self, other: "Wear") -> "Wear":
        return Wear(
            devices=self.devices + other.devices,
            sets=self.sets + other.sets,
            resets=self.resets + other.resets,
            most=max(self.most, other.most),
            endurance_writes=self.endurance_writes,
        )


class TernaryMemory:
    """One layer's weights in 2T2R pairs.

    `levels` hold -1, 0, +1 (or -1, +1) in the shape of the weight; `scale` is alpha. `sets` and
    `resets` count the writes of each device, shape (2, *weight): BL's devices, then BLB's. The
    writes that programmed the start are not counted: training starts with them done.
    """

    def __init__(self, levels: Tensor, scale: Tensor, rule: FlipRule) -> None:
        self.levels = levels
        self.scale = scale
        self.rule = rule
        self.average = torch.zeros_like(levels)
        self.square = torch.zeros((), dtype=torch.float64, device=levels.device)
        self.seen = torch.zeros((), dtype=torch.int64, device=levels.device)
        self.sets = torch.zeros((2, *levels.shape), dtype=torch.int32, device=levels.device)
        self.resets = torch.zeros_like(self.sets)

    @staticmethod
    def programmed(weight: Tensor, rule: FlipRule) -> "TernaryMemory":
        """Program real initial weights: their signs, or 0 for the smallest `zero_share`.

        alpha keeps the root mean square of the layer as it was drawn, so the dynamics start as
        those of the real network.
        """
        sign = torch.where(weight < 0, -1.0, 1.0).to(weight.dtype)
        if rule.levels == "ternary" and rule.zero_share > 0:
            limit = torch.quantile(weight.abs().flatten().double(), rule.zero_share)
            sign = torch.where(weight.abs() <= limit, torch.zeros_like(sign), sign)
        scale = weight.square().mean().sqrt() / sign.square().mean().sqrt().clamp_min(1e-12)
        return TernaryMemory(sign, scale, rule)

    def written(self) -> Tensor:
        """The weight as it was written."""
        return self.scale * self.levels

    def update(self, gradient: Tensor, *, share: float = 1.0) -> int:
        """Average one gradient; write what passes the threshold. Returns the number of moves.

        `share` (0 to 1) raises the threshold as 1 / share: towards the end of training fewer
        weights move.
        """
        rule = self.rule
        self.average.lerp_(gradient, rule.averaging)
        self.square += gradient.double().square().mean()
        self.seen += 1
        size = float((self.square / self.seen).sqrt())
        limit = rule.threshold * math.sqrt(rule.averaging) * size / max(share, 1e-3)
        wanted = torch.where(self.average.abs() > limit, -self.average.sign(), 0.0)
        step = 2.0 if rule.levels == "binary" else 1.0
        target = (self.levels + step * wanted).clamp(-1.0, 1.0)
        moved = target != self.levels
        most = max(1, round(rule.most_moves * moved.numel()))
        if int(moved.sum()) > most:
            asked = torch.where(moved, self.average.abs(), 0.0).flatten()
            chosen = torch.topk(asked, most).indices
            moved = torch.zeros_like(asked, dtype=torch.bool).index_fill_(0, chosen, True)
            moved = moved.view_as(self.levels)
            target = torch.where(moved, target, self.levels)
        self._count(self.levels, target)
        self.levels = target
        self.average.masked_fill_(moved, 0.0)
        return int(moved.sum())

    def wear(self) -> Wear:
        """The writes so far."""
        writes = self.sets + self.resets
        return Wear(
            devices=writes.numel(),
            sets=int(self.sets.sum()),
            resets=int(self.resets.sum()),
            most=int(writes.max()),
            endurance_writes=self.rule.endurance_writes,
        )

    def state(self) -> dict[str, Tensor]:
        """All that a resumed run needs; the tensors themselves, not copies."""
        return {
            "levels": self.levels,
            "scale": self.scale,
            "average": self.average,
            "square": self.square,
            "seen": self.seen,
            "sets": self.sets,
            "resets": self.resets,
        }

    def _count(self, before: Tensor, after: Tensor) -> None:
        """A device is in LRS when the level has its sign; a change of that is a write."""
        for device, sign in enumerate((1.0, -1.0)):
            was, becomes = before == sign, after == sign
            self.sets[device] += (~was & becomes).to(torch.int32)
            self.resets[device] += (was & ~becomes).to(torch.int32)
