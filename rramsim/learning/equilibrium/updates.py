"""From gradients to weights: momentum for real weights, flips of devices for ternary ones."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.network import EquilibriumNetwork
from rramsim.learning.equilibrium.ternary import FlipRule, TernaryMemory
from rramsim.networks import WeightErrors

__all__ = ["DescentSettings", "RealWeights", "TernaryWeights", "Weights"]


@dataclass(frozen=True, kw_only=True)
class DescentSettings:
    """Stochastic gradient descent with momentum, along a cosine to zero.

    `learning_rate` is one number, or one for each connection and then the read-out, as in
    Laborieux et al. 2021. `weight_decay` adds that share of every weight to its gradient. Raises
    `InputError` for a value out of range.

    >>> DescentSettings(learning_rate=(0.1,)).rate_at(0, 10)
    1.0
    """

    learning_rate: tuple[float, ...] = (0.1,)
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "learning_rate", tuple(self.learning_rate))
        if not self.learning_rate:
            raise InputError("learning_rate = []: must hold at least one rate")
        for rate in self.learning_rate:
            if not (math.isfinite(rate) and 0 < rate <= 10):
                raise InputError(f"learning_rate = {rate!r}: must be above 0 and at most 10")
        for name, limit in (("momentum", 0.999), ("weight_decay", 1.0)):
            value = getattr(self, name)
            if not (math.isfinite(value) and 0 <= value <= limit):
                raise InputError(f"{name} = {value!r}: must be from 0 to {limit:g}")

    def rate_at(self, step: int, steps: int) -> float:
        """Share of the learning rate at step `step` of `steps`."""
        return 0.5 * (1.0 + math.cos(math.pi * step / max(1, steps)))

    def rates(self, network: EquilibriumNetwork) -> dict[str, float]:
        """Learning rate of every parameter."""
        groups = network.layers + (network.spec.loss == "cross-entropy")
        if len(self.learning_rate) not in (1, groups):
            raise InputError(
                f"learning_rate has {len(self.learning_rate)} values: must be one, or {groups} for "
                f"the connections and the read-out of {network.spec.name}"
            )
        every = self.learning_rate * (groups if len(self.learning_rate) == 1 else 1)
        return {
            name: every[-1 if name.startswith("readout") else _connection(name) - 1]
            for name in network.parameters
        }


def _connection(name: str) -> int:
    """The number in forwardN.weight."""
    return int("".join(ch for ch in name.partition(".")[0] if ch.isdigit()))


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
    level at a time (`rramsim.learning.equilibrium.ternary`). Biases belong to the neurons: they are
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
