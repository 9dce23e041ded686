"""Bit-error rates of sensed weights: counts, intervals, campaigns."""

from rramsim.biterrors.boundary import ZeroBoundary, zero_boundary
from rramsim.biterrors.campaign import (
    CHUNK_SAMPLES,
    CampaignProgress,
    CampaignResult,
    FailedTask,
    StopRule,
    available_workers,
    run_campaign,
)
from rramsim.biterrors.chunk import WorkLimits
from rramsim.biterrors.dataset import (
    conditions_of,
    load_dataset,
    save_dataset,
    sense_dataset,
    statistics_at,
)
from rramsim.biterrors.differences import RateDifference
from rramsim.biterrors.limit_states import (
    AnalyticState,
    LimitState,
    curved_state,
    linear_state,
    two_lobed_state,
)
from rramsim.biterrors.line_sampling import line_rate, sharpened, tie_direction
from rramsim.biterrors.rare import RareRate, RareSettings, rare_rate
from rramsim.biterrors.rate_map import FLOOR, is_settled, is_slow, map_rate
from rramsim.biterrors.rates import Rate
from rramsim.biterrors.sense_failure import SenseFailure
from rramsim.biterrors.sensitivity import PartSensitivity, sensitivities
from rramsim.biterrors.splitting import splitting_rate
from rramsim.biterrors.statistics import READ_LABELS, ErrorStatistics
from rramsim.biterrors.strobe_ranking import ranking_of
from rramsim.biterrors.tally import SenseTally
from rramsim.biterrors.task import SenseTask

__all__ = [
    "CHUNK_SAMPLES",
    "FLOOR",
    "READ_LABELS",
    "AnalyticState",
    "CampaignProgress",
    "CampaignResult",
    "ErrorStatistics",
    "FailedTask",
    "LimitState",
    "PartSensitivity",
    "RareRate",
    "RareSettings",
    "Rate",
    "RateDifference",
    "SenseFailure",
    "SenseTally",
    "SenseTask",
    "StopRule",
    "WorkLimits",
    "ZeroBoundary",
    "available_workers",
    "conditions_of",
    "curved_state",
    "is_settled",
    "is_slow",
    "line_rate",
    "linear_state",
    "load_dataset",
    "map_rate",
    "ranking_of",
    "rare_rate",
    "run_campaign",
    "save_dataset",
    "sense_dataset",
    "sensitivities",
    "sharpened",
    "splitting_rate",
    "statistics_at",
    "tie_direction",
    "two_lobed_state",
    "zero_boundary",
]
