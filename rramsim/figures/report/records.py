"""What the report reads: the stages' JSON files and tables, checked field by field.

Keys that a file has beside these are left alone, and what an older file lacks has a default, so
that the results of other versions are read too.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "BoundaryRow",
    "ChipRow",
    "ChipsRecord",
    "EnsembleRecord",
    "ErrorsRecord",
    "ErrorsRow",
    "FailureRecord",
    "FallRecord",
    "ProvenanceRecord",
    "RateRecord",
    "SharesRecord",
    "SharesRow",
    "TradeoffRow",
    "TrainingRow",
    "WearRow",
    "WithoutRecord",
]

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Counts = Annotated[
    list[Annotated[list[Count], Field(min_length=4, max_length=4)]],
    Field(min_length=3, max_length=3),
]


Known = Annotated[Share | None, BeforeValidator(lambda v: None if v in ("", "nan") else v)]
"""A share in a table, whose field is empty where there is none."""


Resistance = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=True)] | None,
    BeforeValidator(lambda v: None if v in ("", "nan") else v),
]
"""Ohm, 0 or infinite where it lies outside what was searched; None where nothing is known."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class RateRecord(_Record):
    """`events` of `trials` with the exact 95 % interval; `rate` is None without a trial."""

    rate: Share | None
    low: Share
    high: Share
    events: Count
    trials: Count


class FailureRecord(_Record):
    """Senses that gave no result, and why."""

    task: str
    senses: Count
    reason: str


class _Conditions(_Record):
    vdd_v: float
    temperature_c: float
    corner: str
    window_s: Annotated[float, Field(gt=0)]


class ErrorsRow(_Conditions):
    """Counts (written x read) and rates under one set of conditions."""

    counts: Counts
    type1: RateRecord
    type2: RateRecord
    type3: RateRecord
    binary: RateRecord
    unconverged: RateRecord


class ErrorsRecord(_Record):
    """`errors.json`."""

    engine: str
    resistances: str = ""
    interval: str
    conditions: Annotated[list[ErrorsRow], Field(min_length=1)]
    failed: list[FailureRecord] = []


class _Rates(_Record):
    type1: RateRecord
    type2: RateRecord
    type3: RateRecord


class FallRecord(_Record):
    """How much a rate falls without a source: absolutely, and as a share of the whole."""

    value: float | None
    low: float | None
    high: float | None
    share: float | None


class WithoutRecord(_Rates):
    """Rates with one source of variation switched off."""

    type1_fall: FallRecord
    type2_fall: FallRecord
    type3_fall: FallRecord


class SharesRow(_Conditions):
    """Rates with everything on and with each source off."""

    label: str
    all: _Rates
    without: dict[str, WithoutRecord]


class SharesRecord(_Record):
    """`shares.json`."""

    engine: str
    circuit: str
    interval: str
    conditions: Annotated[list[SharesRow], Field(min_length=1)]
    failed: list[FailureRecord] = []


class EnsembleRecord(_Record):
    """The distribution of the accuracy of chips of one kind that hold one network."""

    network: str
    kind: str
    count: Count
    mean: Share
    mean_low: float
    mean_high: float
    deviation: float
    percentile1: Share
    percentile1_low: float | None
    percentile1_high: float | None
    lowest: Share
    accuracy_without_errors: Share


class ChipsRecord(_Record):
    """`chips.json`."""

    data: str
    images: Count
    conditions: str
    ensembles: Annotated[list[EnsembleRecord], Field(min_length=1)]


class ProvenanceRecord(_Record):
    """`provenance.json`."""

    written: str
    command: list[str]
    versions: dict[str, str]
    machine: dict[str, str] = {}
    seeds: dict[str, int]
    engine: str
    process: dict[str, str]
    circuit: dict[str, str]
    data: dict[str, str | int | float | None]
    files: dict[str, str]


class TrainingRow(_Record):
    """A row of `training.csv`: one epoch of one network."""

    network: str
    trained_with_errors: str
    data: str
    seed: int
    epoch: Count
    test_accuracy: Share


class TradeoffRow(_Conditions):
    """A row of `tradeoff.csv`: one network under one set of conditions."""

    network: str
    trained_with_errors: str
    data: str
    type1: Known
    type2: Known
    type3: Known
    accuracy: Share
    accuracy_low: Share
    accuracy_high: Share
    accuracy_without_errors: Share
    draws: Count
    images: Count
    loss: float
    loss_low: float
    loss_high: float
    loss_deviation: Annotated[float | None, BeforeValidator(lambda v: None if v == "" else v)]
    loss_image_error: float
    energy_once_j: float
    energy_once_low_j: float
    energy_once_high_j: float
    energy_per_use_j: float
    energy_per_use_low_j: float
    energy_per_use_high_j: float


class ChipRow(_Record):
    """A row of `chips.csv`: one chip that holds one network."""

    network: str
    kind: str
    chip: Count
    accuracy: Share
    accuracy_without_errors: Share


class BoundaryRow(_Conditions):
    """A row of `boundary.csv`: quantiles of the boundary with their 95 % intervals."""

    draws: Count
    unconverged: Count
    r05_ohm: Resistance
    r05_low_ohm: Resistance
    r05_high_ohm: Resistance
    r50_ohm: Resistance
    r50_low_ohm: Resistance
    r50_high_ohm: Resistance
    r95_ohm: Resistance
    r95_low_ohm: Resistance
    r95_high_ohm: Resistance
    engine: str
    circuit: str


class WearRow(_Record):
    """A row of `wear.csv`: the writes of the devices of one layer."""

    network: str
    trained_with_errors: str
    data: str
    weight: str
    devices: Annotated[int, Field(gt=0)]
    sets: Count
    resets: Count
    most: Count
    endurance_writes: Annotated[float, Field(gt=0)]

    @property
    def mean_writes(self) -> float:
        """Writes of a device in the mean."""
        return (self.sets + self.resets) / self.devices
