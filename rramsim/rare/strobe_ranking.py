"""Sign flips ranked by what the latch shows at the strobe.

The margin of `SenseFailure` measures the distance to a tie. Where the latch is slow (most reads are
0), a tie is no step towards a flip: it comes near 0 at ties that are never decided in time, and
what is moved by it ends there. This ranking has no such trap. It goes by the outputs at the strobe,

    read right   2 + L,                  L the distance to a tie (see `sense_failure`), >= 0
    read as 0    1 + (v(QB) - v(Q)) / VDD, times the written sign, within (0, 2)
    flipped      (v(QB) - v(Q)) / VDD,     times the written sign, below 0

and falls all the way from a right read through an undecided one to a flip, in a quick latch as in
a slow one. It has steps, on which an ordering does not depend and a descent would founder.
"""

from dataclasses import dataclass

import numpy as np

from rramsim.exceptions import InputError
from rramsim.rare.limit_states import Bools, Floats, LimitState
from rramsim.rare.sense_failure import SenseFailure

__all__ = ["StrobeRanking", "ranking_of"]


@dataclass(frozen=True)
class StrobeRanking:
    """A flip of a written +-1 (type 1) with the margin above; no longer window is run for it."""

    failure: SenseFailure

    def __post_init__(self) -> None:
        if self.failure.error_type != 1:
            raise InputError(
                f"type = {self.failure.error_type}: flips (type 1) are what a strobe ranks"
            )

    @property
    def dimension(self) -> int:
        """As the failure's."""
        return self.failure.dimension

    @property
    def label(self) -> str:
        """As the failure's."""
        return self.failure.label

    def fails(self, points: Floats) -> tuple[Bools, Bools]:
        """As the failure's."""
        return self.failure.fails(points)

    def margin(self, points: Floats) -> Floats:
        """The ranking of each point, shape (n,); NaN where the run did not converge."""
        failure = self.failure
        outcome = failure.reader.sense(
            failure.circuit, failure.conditions, failure.samples(points), waveforms=True
        )
        apart = failure.written * outcome.margin_v / failure.conditions.vdd_v
        read = failure.written * outcome.read
        tie = np.maximum(failure.imbalance(outcome, failure.conditions.window_s), 0.0)
        undecided = 1 + np.clip(apart, -0.999, 0.999)
        flipped = np.minimum(apart, -1e-6)
        ranking = np.where(read == 1, 2 + tie, np.where(read == 0, undecided, flipped))
        return np.where(outcome.converged, ranking, np.nan)


def ranking_of(failure: LimitState) -> LimitState:
    """By what to move towards a failure: a flip by `StrobeRanking`, others by their margin."""
    if isinstance(failure, SenseFailure) and failure.error_type == 1:
        return StrobeRanking(failure)
    return failure
