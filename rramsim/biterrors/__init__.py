"""Bit-error rates of sensed weights: counts, intervals, campaigns."""

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
from rramsim.biterrors.rates import Rate
from rramsim.biterrors.statistics import READ_LABELS, ErrorStatistics
from rramsim.biterrors.tally import SenseTally
from rramsim.biterrors.task import SenseTask

__all__ = [
    "CHUNK_SAMPLES",
    "READ_LABELS",
    "CampaignProgress",
    "CampaignResult",
    "ErrorStatistics",
    "FailedTask",
    "Rate",
    "RateDifference",
    "SenseTally",
    "SenseTask",
    "StopRule",
    "WorkLimits",
    "available_workers",
    "conditions_of",
    "load_dataset",
    "run_campaign",
    "save_dataset",
    "sense_dataset",
    "statistics_at",
]
