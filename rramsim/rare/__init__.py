"""Error rates: one authority, counting where it can and drawing lines where it cannot."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.rare.authority import FLOOR, FailureRate, rate
    from rramsim.rare.corners import FailureCorner, failure_corners
    from rramsim.rare.failures import AnalyticFailure, CountedFailure, Failure, Seen, linear_failure
    from rramsim.rare.proposals import widened
    from rramsim.rare.sense_failure import MEASURES, Criterion, SenseFailure, parse_criterion
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "FLOOR",
    "MEASURES",
    "AnalyticFailure",
    "CountedFailure",
    "Criterion",
    "Failure",
    "FailureCorner",
    "FailureRate",
    "Seen",
    "SenseFailure",
    "failure_corners",
    "linear_failure",
    "parse_criterion",
    "rate",
    "widened",
]
