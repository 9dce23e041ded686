"""What result files hold: the JSON objects and the rows of tables, field by field.

Keys that a file has beside these are left alone, and what an older file lacks has a default, so
that the results of other versions are read too. A new stage's record stands in its own module; here
are those that drawings share.
"""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "MEANINGS",
    "BoundaryRow",
    "ChipRateRecord",
    "ChipRow",
    "ChipsRecord",
    "Conditions",
    "CostRow",
    "EnsembleRecord",
    "ErrorsRecord",
    "ErrorsRow",
    "FailureRecord",
    "FallRecord",
    "ProvenanceRecord",
    "RateRecord",
    "Record",
    "SharesRecord",
    "SharesRow",
    "ToleranceRow",
    "ToleratedRow",
    "TradeoffRow",
    "TrainingRow",
    "WearRow",
    "WithoutRecord",
]

MEANINGS = {
    "accuracy": "share of test images classified right",
    "accuracy_without_errors": "accuracy without read errors",
    "activations": "levels of the activations",
    "accumulators_j": "accumulators",
    "all": "with every source on",
    "amplifier_j": "sense operations without clock and word line",
    "architecture": "vgg, resnet or mlp",
    "area_m2": "arrays and amplifiers",
    "arrays": "arrays that each network takes",
    "binary": "rate of wrong signs of binary weights",
    "buffers_j": "activations, kept weights or partial sums",
    "by": "how the rate was found",
    "chip": "number of the chip",
    "chips": "share of all reads of all chips",
    "circuit": "which circuit",
    "clock_energy_j": "mean energy of the driver of SEN",
    "clock_j": "drivers of SEN",
    "command": "the command that wrote last",
    "commands": "every command that wrote",
    "conditions": "one set of conditions",
    "corner": "process corner",
    "correct": "images classified right",
    "count": "number",
    "counts": "senses, written (-1, 0, +1) by read (-1, 0, +1, unconverged)",
    "data": "the images",
    "deviation": "SD between chips",
    "devices": "devices of the layer",
    "draws": "draws of read errors",
    "drivers_j": "drivers of the lines",
    "endurance_writes": "writes that a device survives",
    "energy_j": "mean energy of a sense operation",
    "energy_se_j": "its standard error",
    "engine": "what solved the circuit",
    "ensembles": "one network on chips of one kind",
    "epoch": "number of the epoch",
    "epochs": "epochs of the training",
    "events": "errors",
    "failed": "senses without a result",
    "fault": "what disagreed, or none",
    "files": "SHA-256 of every file",
    "highest": "highest over seeds or chips",
    "images": "number of test images",
    "interval": "which interval",
    "kind": "chip, own (amplifiers) or iid (independent errors)",
    "label": "the conditions in words",
    "latency_s": "time of an inference",
    "lowest": "lowest over seeds or chips",
    "machine": "processor and system",
    "made_from": "the files that a file was made from, as they were then",
    "map_converged": "whether the map's sense converged",
    "map_energy_j": "energy of the map's sense",
    "map_read": "what the map's sense reads",
    "map_resolve_time_s": "resolve time of the map's sense",
    "mean": "mean over chips",
    "module": "the user's own Python that was run, and its SHA-256",
    "network": "name: architecture, width, weights, activations",
    "nominal_read": "what is read",
    "nominal_resolve_time_s": "resolve time of median devices without mismatch",
    "note": "what limits the answer",
    "percentile1": "1st percentile over chips",
    "process": "name and hash of the process",
    "products_j": "products",
    "rate": "error rate",
    "reference": "the engine that repeated senses",
    "remarks": "what else must be known of the results",
    "resets": "RESET pulses",
    "resistances": "distributions of the devices",
    "resolve_time_s": "mean resolve time",
    "resolve_time_sd_s": "its standard deviation",
    "schemas": "format of every file",
    "seed": "seed",
    "rates": "one error type, on the chips and of single senses",
    "reason": "why",
    "seeds": "seeds of the draws",
    "senses": "sense operations",
    "sets": "SET pulses",
    "share": "the fall over the rate with every source on",
    "task": "which task",
    "temperature_c": "temperature",
    "test_accuracy": "share of test images classified right, without read errors",
    "thresholds_j": "thresholds of the activations",
    "total_j": "sum of the parts",
    "tree_j": "popcount trees",
    "trials": "reads that could have made them",
    "type1": "rate of sign flips of written ±1",
    "type1_fall": "how much type 1 falls without the source",
    "type2": "rate of written ±1 read as 0",
    "type2_fall": "how much type 2 falls without the source",
    "type3": "rate of written 0 read as ±1",
    "type3_fall": "how much type 3 falls without the source",
    "type": "error type",
    "unconverged": "without convergence",
    "value": "the fall",
    "vdd_v": "supply",
    "versions": "of rramsim, Python, ngspice and libraries",
    "voltage_v": "voltage of each node",
    "weights": "levels of the weights",
    "width": "channels of the first layer, or hidden neurons",
    "window_s": "sense window",
    "without": "with one source off",
    "word_line_energy_j": "mean energy of the word line's driver",
    "word_line_j": "drivers of the word lines",
    "writes_per_device": "mean writes of a device",
    "written": "when it was written",
}
"""What a name means in every file, where its own field says nothing else."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Counts = Annotated[
    list[Annotated[list[Count], Field(min_length=4, max_length=4)]],
    Field(min_length=3, max_length=3),
]


def _empty(value: object) -> object:
    return None if value in ("", "nan") or value != value else value


Possible = Annotated[Share | None, BeforeValidator(_empty)]
"""A share in a table, whose field is empty where there is none."""

Known = Annotated[float | None, BeforeValidator(_empty)]
"""A number in a table, whose field is empty where there is none."""

Beyond = Annotated[Annotated[float, Field(allow_inf_nan=True)] | None, BeforeValidator(_empty)]
"""As `Known`, infinite where it lies above what was searched."""

Resistance = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=True)] | None, BeforeValidator(_empty)
]
"""Ohm, 0 or infinite where it lies outside what was searched; None where nothing is known."""


class Record(BaseModel):
    """An object or a row: keys beside its own are left alone, numbers are finite."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


class RateRecord(Record):
    """`events` of `trials` with the exact 95 % interval; `rate` is None without a trial."""

    rate: Share | None
    low: Share
    high: Share
    events: Count
    trials: Count


class FailureRecord(Record):
    """Senses that gave no result, and why."""

    task: str
    senses: Count
    reason: str


class Conditions(Record):
    """Where a sense takes place."""

    vdd_v: float
    temperature_c: float
    corner: str
    window_s: Annotated[float, Field(gt=0)]


class ErrorsRow(Conditions):
    """Counts (written x read) and rates under one set of conditions."""

    counts: Counts
    type1: RateRecord
    type2: RateRecord
    type3: RateRecord
    binary: RateRecord
    unconverged: RateRecord


class ErrorsRecord(Record):
    """`errors.json`."""

    engine: str
    resistances: str = ""
    interval: str
    conditions: Annotated[list[ErrorsRow], Field(min_length=1)]
    failed: list[FailureRecord] = []


class _Rates(Record):
    type1: RateRecord
    type2: RateRecord
    type3: RateRecord


class FallRecord(Record):
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


class SharesRow(Conditions):
    """Rates with everything on and with each source off."""

    label: str
    all: _Rates
    without: dict[str, WithoutRecord]


class SharesRecord(Record):
    """`shares.json`."""

    engine: str
    circuit: str
    interval: str
    conditions: Annotated[list[SharesRow], Field(min_length=1)]
    failed: list[FailureRecord] = []


class EnsembleRecord(Record):
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
    type1: Share | None = None
    type2: Share | None = None
    type3: Share | None = None
    writes_per_device: float | None = None


class ChipRateRecord(Record):
    """How often chips misread with one type of error, and the rate of these devices as it is.

    `chips`: share of all reads of all chips, decided by the fitted surface; `rate` with its 95 %
    interval: of single senses, None where the chips' devices are not those of [device].
    """

    type: str
    chips: Share | None
    rate: Share | None
    low: Share | None
    high: Share | None
    by: str


class ChipsRecord(Record):
    """`chips.json`."""

    rates: list[ChipRateRecord] = []
    data: str
    images: Count
    conditions: str
    adaptation_images: Annotated[
        Count, Field(description="inferences with which each chip was adapted to first")
    ] = 0
    arrays: dict[str, int] = {}
    ensembles: Annotated[list[EnsembleRecord], Field(min_length=1)]


class ProvenanceRecord(Record):
    """`provenance.json`."""

    written: str
    command: list[str]
    commands: list[list[str]] = []
    versions: dict[str, str]
    machine: dict[str, str] = {}
    seeds: dict[str, int]
    engine: str
    process: dict[str, str]
    circuit: dict[str, str]
    module: dict[str, str] = {}
    remarks: list[str] = []
    data: dict[str, str | int | float | None] = {"label": "none"}
    files: dict[str, str]
    made_from: dict[str, dict[str, str]] = {}
    schemas: dict[str, str] = {}


class _OfNetwork(Record):
    """What every row about a network says first."""

    network: str


TrainedWith = Annotated[
    str, Field(description="supply whose read errors were injected in training, or none")
]
LimitedBySamples = Annotated[
    bool, Field(description="an error type that was never seen is drawn from its prior")
]
TrainedAgainst = Annotated[str, Field(description="error type and rate in training, or none")]


class TrainingRow(_OfNetwork):
    """A row of `training.csv`: one epoch of one network."""

    trained_with_errors: TrainedWith
    data: str
    seed: int
    epoch: Count
    train_loss: Annotated[Known, Field(description="mean loss over the epoch")]
    train_accuracy: Annotated[
        Possible, Field(description="share of augmented training images, while weights still move")
    ]
    test_accuracy: Share
    seconds: Annotated[Known, Field(description="wall time of the epoch")]
    learning_rate: Annotated[Known, Field(description="at the epoch's last step")]


class WearRow(_OfNetwork):
    """A row of `wear.csv`: the writes of the devices of one layer."""

    trained_with_errors: TrainedWith
    data: str
    seed: int
    weight: Annotated[str, Field(description="the layer's weight")]
    devices: Annotated[int, Field(gt=0)]
    sets: Count
    resets: Count
    most: Annotated[Count, Field(description="writes of the most written device")]
    endurance_writes: Annotated[float, Field(gt=0)]
    mean_writes: Annotated[float, Field(description="mean writes of a device")]
    most_of_endurance: Annotated[
        Known, Field(description="writes of the most written device, as a share of the endurance")
    ]


class _Tested(_OfNetwork):
    """A network under one set of conditions, with its accuracy."""

    architecture: str
    width: Count
    weights: str
    activations: str
    trained_with_errors: TrainedWith
    data: str


class TradeoffRow(Conditions, _Tested):
    """A row of `tradeoff.csv`: one network under one set of conditions."""

    type1: Possible
    type2: Possible
    type3: Possible
    binary: Possible
    rates_by: Annotated[str, Field(description="how each rate was found, and by which engine")]
    limited_by_samples: LimitedBySamples
    accuracy: Annotated[Share, Field(description="mean over draws of read errors")]
    accuracy_low: Share
    accuracy_high: Share
    accuracy_without_errors: Share
    draws: Count
    images: Count
    loss: Annotated[float, Field(ge=-1, le=1, description="of accuracy, on the same images")]
    loss_low: float
    loss_high: float
    loss_deviation: Annotated[Known, Field(description="standard deviation between draws")]
    loss_image_error: Annotated[Known, Field(description="standard error from the test images")]
    energy_once_j: Annotated[float, Field(description="weight reads of an image, each once")]
    energy_once_low_j: float
    energy_once_high_j: float
    energy_per_use_j: Annotated[
        float, Field(description="weight reads of an image, again for every use")
    ]
    energy_per_use_low_j: float
    energy_per_use_high_j: float
    adaptation_images: Annotated[
        Count, Field(description="inferences with which each chip was adapted to first")
    ] = 0
    adaptation_j: Annotated[
        float, Field(description="their weight reads, again for every use; once in a chip's life")
    ] = 0.0


class CostRow(Conditions, _OfNetwork):
    """A row of `costs.csv`: what an image costs with one network, conditions and data flow."""

    width: Count
    weights: str
    trained_with_errors: TrainedWith
    data: str
    limited_by_samples: LimitedBySamples = False
    accuracy: Share
    accuracy_low: Share
    accuracy_high: Share
    accuracy_without_errors: Share
    flow: Annotated[str, Field(description="how often each weight is read")]
    senses: Count
    amplifier_j: Known
    clock_j: Known
    word_line_j: Known
    drivers_j: Known
    products_j: Known
    tree_j: Known
    accumulators_j: Known
    thresholds_j: Known
    buffers_j: Known
    total_j: Known
    total_low_j: Known
    total_high_j: Known
    latency_s: Known
    area_m2: Known
    tops_per_w: Annotated[Known, Field(description="10¹² operations per joule")]
    programming_j: Annotated[Known, Field(description="writing all weights once")]
    secded_total_j: Annotated[Known, Field(description="total, with SECDED after each read")]
    sram_total_j: Annotated[Known, Field(description="total, with weights in SRAM")]
    place: Annotated[str, Field(description="on the front, within error of it, or behind")]


class ChipRow(_OfNetwork):
    """A row of `chips.csv`: one chip that holds one network."""

    kind: str
    chip: Count
    data: str
    images: Count
    correct: Count
    accuracy: Share
    accuracy_without_errors: Share
    type1: Possible
    type2: Possible
    type3: Possible
    writes_per_device: Known
    verify_failed: Annotated[Known, Field(description="devices that no write verified")]


class BoundaryRow(Conditions):
    """A row of `boundary.csv`: quantiles of the boundary with their 95 % intervals."""

    draws: Annotated[Count, Field(description="mismatch draws")]
    unconverged: Count
    r05_ohm: Annotated[Resistance, Field(description="reads 0 in 5 % of the draws")]
    r05_low_ohm: Resistance
    r05_high_ohm: Resistance
    r50_ohm: Annotated[Resistance, Field(description="reads 0 in half of the draws")]
    r50_low_ohm: Resistance
    r50_high_ohm: Resistance
    r95_ohm: Annotated[Resistance, Field(description="reads 0 in 95 % of the draws")]
    r95_low_ohm: Resistance
    r95_high_ohm: Resistance
    never_zero: Annotated[Count, Field(description="draws in which no resistance reads 0")]
    engine: str
    circuit: str
    seed: int


class ToleranceRow(_OfNetwork):
    """A row of `tolerance.csv`: one trained network read with one rate of one error type."""

    weights: str
    seed: int
    trained_with: TrainedAgainst
    data: str
    epochs: Count
    type: Annotated[int, Field(ge=1, le=3, description="error type")]
    rate: Share
    accuracy: Share
    lowest: Share
    highest: Share
    draws: Count
    images: Count
    accuracy_without_errors: Share


class ToleratedRow(_OfNetwork):
    """A row of `tolerated_rates.csv`: the rate at which `max_loss` points are lost."""

    trained_with: TrainedAgainst
    type: Annotated[int, Field(ge=1, le=3, description="error type")]
    seeds: Annotated[Count, Field(description="number of trainings")]
    accuracy_without_errors: Share
    max_loss: Annotated[float, Field(description="points of accuracy")]
    tolerated_rate: Annotated[Beyond, Field(description="geometric mean over seeds")]
    lowest: Beyond
    highest: Beyond
    factor: Annotated[Beyond, Field(description="against training without errors")]
    factor_low: Beyond
    factor_high: Beyond
    own_factor: Annotated[
        Beyond, Field(description="factor, each network held to its own error-free accuracy")
    ]
    own_factor_low: Beyond
    own_factor_high: Beyond
