"""Error rates too rare to count: limit states and the estimators of their probability."""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand

if TYPE_CHECKING:
    from rramsim.rare.limit_states import (
        AnalyticState,
        LimitState,
        curved_state,
        linear_state,
        two_lobed_state,
    )
    from rramsim.rare.line_sampling import (
        line_rate,
        sharpened,
        tie_direction,
    )
    from rramsim.rare.rare import (
        RareRate,
        RareSettings,
        rare_rate,
    )
    from rramsim.rare.rate_map import (
        FLOOR,
        is_settled,
        is_slow,
        map_rate,
    )
    from rramsim.rare.sense_failure import (
        SenseFailure,
    )
    from rramsim.rare.sensitivity import (
        PartSensitivity,
        sensitivities,
    )
    from rramsim.rare.splitting import (
        splitting_rate,
    )
    from rramsim.rare.strobe_ranking import (
        ranking_of,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "FLOOR",
    "AnalyticState",
    "LimitState",
    "PartSensitivity",
    "RareRate",
    "RareSettings",
    "SenseFailure",
    "curved_state",
    "is_settled",
    "is_slow",
    "line_rate",
    "linear_state",
    "map_rate",
    "ranking_of",
    "rare_rate",
    "sensitivities",
    "sharpened",
    "splitting_rate",
    "tie_direction",
    "two_lobed_state",
]
