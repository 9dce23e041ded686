"""From gradients to weights: momentum for real weights, flips of devices for ternary ones."""

import torch
from torch import Tensor

from rramsim.learning.equilibrium.network import EquilibriumNetwork
from rramsim.learning.equilibrium.settings import DescentSettings, FlipRule
from rramsim.learning.equilibrium.ternary import TernaryMemory
from rramsim.networks import WeightErrors

__all__ = ["RealWeights", "TernaryWeights", "Weights"]


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
