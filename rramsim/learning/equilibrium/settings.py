"""How a gradient is estimated from equilibria."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rramsim.exceptions import InputError
from rramsim.learning.equilibrium.relaxation import Order

__all__ = ["Estimator", "EstimatorSettings"]

Estimator = Literal["one-sided", "random-sign", "symmetric", "holomorphic", "continuous", "bptt"]


@dataclass(frozen=True, kw_only=True)
class EstimatorSettings:
    """An estimator of the gradient and the lengths of its phases.

    "one-sided": one nudge of strength `beta`, compared with the free equilibrium, bias O(beta).
    "random-sign": the same with a sign drawn for every batch. "symmetric": +beta and -beta, bias
    O(beta^2) (Laborieux et al. 2021). "holomorphic": `points` nudges on the circle |beta|, bias
    O(beta^points) inside the radius of holomorphy; "continuous": beta turns all the time, `periods`
    times, with no free phase, and the first period is not counted (Laborieux and Zenke 2022).
    "bptt": back-propagation through the last `nudged_steps` of the free phase, the reference.

    `free_steps` is T1, `nudged_steps` T2 (for "continuous", the steps at each point). `noise` is
    the deviation of the noise of every neuron's input in every step. Points of the upper half
    circle stand for their conjugates unless `conjugates` is False. A sample counts as settled when
    no neuron moves more than `settle_tolerance` in the last step (ten times the noise are allowed
    on top). `shared_update` gives forward and backward weights of an asymmetric network the mean of
    their updates. Raises `InputError` for a value out of range.

    >>> EstimatorSettings(estimator="holomorphic", points=3, beta=0.4).nudges()[0]
    (0.4+0j)
    """

    estimator: Estimator = "symmetric"
    beta: float = 0.5
    points: int = 2
    free_steps: int = 60
    nudged_steps: int = 20
    periods: int = 3
    noise: float = 0.0
    order: Order = "synchronous"
    conjugates: bool = True
    settle_tolerance: float = 0.1
    shared_update: bool = False

    def __post_init__(self) -> None:
        for name, kind in (("estimator", Estimator), ("order", Order)):
            if getattr(self, name) not in get_args(kind):
                known = ", ".join(get_args(kind))
                raise InputError(f"{name} = {getattr(self, name)!r}: must be one of {known}")
        if self.beta == 0:
            raise InputError("beta = 0: must be above 0; without a nudge there is no gradient")
        for name, low, high in (
            ("beta", 0.0, 100.0),
            ("noise", None, 10.0),
            ("settle_tolerance", 0.0, 1e6),
        ):
            value = getattr(self, name)
            inside = math.isfinite(value) and value <= high
            inside = inside and (value >= 0.0 if low is None else value > low)
            if not inside:
                floor = "at least 0" if low is None else "above 0"
                raise InputError(f"{name} = {value!r}: must be {floor} and at most {high:g}")
        for name, low_whole, high_whole in (
            ("points", 1, 256),
            ("free_steps", 1, 100_000),
            ("nudged_steps", 1, 100_000),
            ("periods", 2, 1000),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise InputError(f"{name} = {value!r}: must be a whole number")
            if not low_whole <= value <= high_whole:
                raise InputError(f"{name} = {value}: must be from {low_whole} to {high_whole}")
        if self.estimator == "continuous" and self.points < 3:
            raise InputError(
                f"points = {self.points} with estimator = 'continuous': a turn needs 3 or more"
            )

    @property
    def is_complex(self) -> bool:
        """Whether the neurons take complex values."""
        if self.estimator == "holomorphic":
            return self.points > 2
        return self.estimator == "continuous"

    @property
    def motion_allowed(self) -> float:
        """Largest last change of a sample that counts as settled."""
        return self.settle_tolerance + 10.0 * self.noise

    def nudges(self) -> list[complex]:
        """The strengths at which the network settles, for a positive sign."""
        if self.estimator in ("one-sided", "random-sign"):
            return [complex(self.beta)]
        if self.estimator == "symmetric":
            return [complex(self.beta), complex(-self.beta)]
        return [self._on_circle(k) for k in range(self._relaxed_points())]

    def coefficients(self) -> list[complex]:
        """c of each nudge: the gradient is -sum Re(c dPhi/dw), less that of the free phase.

        The first Fourier coefficient, (1/N) sum 1/beta_k; a point that stands for its conjugate
        too counts twice. For one nudge, and for two, this is the finite difference.
        """
        nudges = self.nudges()
        if self.estimator in ("one-sided", "random-sign", "symmetric"):
            return [1.0 / (len(nudges) * beta) for beta in nudges]
        folded = self.conjugates and self.estimator == "holomorphic"
        return [
            (2.0 if folded and k % self.points and 2 * k != self.points else 1.0)
            / (self.points * beta)
            for k, beta in enumerate(nudges)
        ]

    @property
    def free_coefficient(self) -> float:
        """c of the free phase: the coefficients of a difference sum to zero."""
        single = len(self.nudges()) == 1 and self.estimator != "bptt"
        return -1.0 / self.beta if single else 0.0

    def _on_circle(self, k: int) -> complex:
        # Exact where it should be: a real point must have no imaginary dust.
        if k == 0:
            return complex(self.beta)
        if 2 * k == self.points:
            return complex(-self.beta)
        angle = 2.0 * math.pi * k / self.points
        return self.beta * complex(math.cos(angle), math.sin(angle))

    def _relaxed_points(self) -> int:
        if self.conjugates and self.estimator == "holomorphic":
            return self.points // 2 + 1
        return self.points
