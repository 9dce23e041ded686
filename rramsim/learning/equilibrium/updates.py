"""From gradients to weights: momentum for real weights, flips of devices for ternary ones.

Ternary and binary weights have no latent ones here; the writes of their devices are counted. After
Laydevant et al. 2021 (arXiv 2103.08953) for binary weights: W = alpha sign(W) with a fixed alpha, m
a moving average of the gradient of equilibrium propagation, and a weight flips when its m asks for
it by more than a threshold. Here the levels may be -1, 0, +1, and a weight moves one level at a
time, which is one SET or one RESET of one device of a 2T2R pair: +1 is LRS on BL and HRS on BLB, -1
the reverse, 0 is HRS on both.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rramsim.learning.equilibrium.network import EquilibriumNetwork
from rramsim.learning.equilibrium.settings import DescentSettings, FlipRule
from rramsim.networks import WeightErrors


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
        """Mean writes of a device."""
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


class RealWeights:
    """Full-precision weights; what is read is what was written."""

    def __init__(self, network: EquilibriumNetwork, settings: DescentSettings) -> None:
        self.network = network
        self._settings = settings
        self._rates = settings.rates(network)
        self._velocity = {name: torch.zeros_like(p) for name, p in network.parameters.items()}

    def read(self) -> EquilibriumNetwork:
        """The network as it computes now."""
        return self.network

    def start_epoch(self, seed: int) -> None:
        """Nothing here is drawn."""

    def update(self, gradients: dict[str, Tensor], *, share: float) -> None:
        """Take one step at `share` of the learning rate."""
        settings = self._settings
        for name, parameter in self.network.parameters.items():
            gradient = gradients[name]
            if settings.weight_decay and name.endswith("weight"):
                gradient = gradient + settings.weight_decay * parameter
            velocity = self._velocity[name].mul_(settings.momentum).add_(gradient)
            parameter.add_(velocity, alpha=-share * self._rates[name])

    def state(self) -> dict[str, Tensor]:
        """All that a resumed run needs, by name."""
        kept = {f"parameter.{name}": p for name, p in self.network.parameters.items()}
        return kept | {f"velocity.{name}": v for name, v in self._velocity.items()}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up the state of an earlier run."""
        _copy_into(self.state(), state)


class TernaryWeights:
    """Weights in {-1, 0, +1} times a scale of their layer, in devices that wear, read with errors.

    There is no latent weight: a moving average of the gradient and a threshold decide a move, one
    level at a time (`rramsim.learning.equilibrium.updates`). Biases belong to the neurons: they are
    real, and descend.
    """

    def __init__(
        self,
        network: EquilibriumNetwork,
        settings: DescentSettings,
        rule: FlipRule,
        errors: WeightErrors | None,
    ) -> None:
        if errors is not None:
            errors.check_weights(rule.levels)
        self._biases = {n: p for n, p in network.parameters.items() if n.endswith("bias")}
        self._rates = settings.rates(network)
        self._settings = settings
        self._velocity = {name: torch.zeros_like(p) for name, p in self._biases.items()}
        self._errors = errors
        self._generator = torch.Generator()
        self._network = network
        self.memories = {
            name: TernaryMemory.programmed(weight, rule)
            for name, weight in network.parameters.items()
            if name.endswith("weight")
        }

    @property
    def network(self) -> EquilibriumNetwork:
        """The network as it was written, without read errors."""
        return self._with({name: m.written() for name, m in self.memories.items()})

    def read(self) -> EquilibriumNetwork:
        """The network as its weights are read now: every device once, with its errors."""
        if self._errors is None:
            return self.network
        return self._with(
            {
                name: memory.scale * self._errors.apply(memory.levels, generator=self._generator)
                for name, memory in self.memories.items()
            }
        )

    def start_epoch(self, seed: int) -> None:
        """Seed the read errors of an epoch."""
        self._generator.manual_seed(seed)

    def update(self, gradients: dict[str, Tensor], *, share: float) -> None:
        """Write the devices whose averaged gradient passes the threshold; move the biases."""
        for name, memory in self.memories.items():
            memory.update(gradients[name], share=share)
        for name, bias in self._biases.items():
            velocity = self._velocity[name].mul_(self._settings.momentum).add_(gradients[name])
            bias.add_(velocity, alpha=-share * self._rates[name])

    def state(self) -> dict[str, Tensor]:
        """All that a resumed run needs, by name."""
        kept = {f"parameter.{name}": p for name, p in self._biases.items()}
        kept |= {f"velocity.{name}": v for name, v in self._velocity.items()}
        for name, memory in self.memories.items():
            kept |= {f"{part}.{name}": value for part, value in memory.state().items()}
        return kept

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up the state of an earlier run."""
        _copy_into(self.state(), state)

    def _with(self, weights: dict[str, Tensor]) -> EquilibriumNetwork:
        return self._network.with_parameters({**self._biases, **weights})


Weights = RealWeights | TernaryWeights


def _copy_into(mine: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for name, value in mine.items():
        value.copy_(other[name])
