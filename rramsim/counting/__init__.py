"""Counted bit errors of sensed weights: tasks, rows, workers, rates with intervals."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.counting.boundary import (
        ZeroBoundary,
        zero_boundary,
    )
    from rramsim.counting.campaign import (
        CampaignProgress,
        CampaignResult,
        FailedTask,
        StopRule,
        certify_campaign,
        run_campaign,
    )
    from rramsim.counting.dataset import (
        conditions_of,
        load_dataset,
        rate_dataset,
        sample_dataset,
        save_dataset,
        sense_dataset,
        statistics_at,
    )
    from rramsim.counting.statistics import (
        READ_LABELS,
        ErrorStatistics,
        FoundRate,
        Rate,
        RateDifference,
        SenseTally,
    )
    from rramsim.counting.task import (
        CHUNK_SAMPLES,
        SenseTask,
        Spread,
        draw_samples,
        sense_chunk,
        sense_tasks,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "CHUNK_SAMPLES",
    "READ_LABELS",
    "CampaignProgress",
    "CampaignResult",
    "ErrorStatistics",
    "FailedTask",
    "FoundRate",
    "Rate",
    "RateDifference",
    "SenseTally",
    "SenseTask",
    "Spread",
    "StopRule",
    "ZeroBoundary",
    "certify_campaign",
    "conditions_of",
    "draw_samples",
    "load_dataset",
    "rate_dataset",
    "run_campaign",
    "sample_dataset",
    "save_dataset",
    "sense_chunk",
    "sense_dataset",
    "sense_tasks",
    "statistics_at",
    "zero_boundary",
]
