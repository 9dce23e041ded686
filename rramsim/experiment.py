"""The only reader of user configuration: an experiment file, checked and made into values.

Every key is checked here; what comes out are the frozen values of the rooms. Numbers may be
written as SPICE writes them ("50n", "10k"), and a list is a sweep axis wherever one is allowed.
"""

import math
import tomllib
from dataclasses import replace
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from rramsim.biterrors import StopRule, WorkLimits
from rramsim.biterrors.dask_pool import DaskPool
from rramsim.biterrors.local_pool import LocalPool
from rramsim.circuits import Column, ReadOut, SenseCircuit, SenseConditions, sense_circuit
from rramsim.devices import (
    DeviceStatistics,
    LogNormal,
    MismatchCoefficient,
    Persistence,
    Process,
    ResistanceModel,
    Retention,
    fit_devices,
    load_model_file,
    load_process,
    process_from_cards,
    programmed_resistances,
    read_measurements,
    spice_number,
)
from rramsim.devices.cards import read_text
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine
from rramsim.exceptions import InputError

if TYPE_CHECKING:
    from rramsim.chips import ChipModel
    from rramsim.learning.equilibrium import EquilibriumSpec, EquilibriumTraining

__all__ = ["Experiment", "load_experiment"]

T = TypeVar("T")


def _quantity(value: object) -> object:
    if isinstance(value, str):
        return spice_number(value)
    if isinstance(value, bool):
        raise ValueError("must be a number, such as 1.2 or '50n'")
    if isinstance(value, int | float) and not math.isfinite(value):
        raise ValueError("must be a finite number")
    return value


def _list(value: object) -> object:
    return value if isinstance(value, list) else [value]


Quantity = Annotated[float, BeforeValidator(_quantity)]
ListOf = Annotated[list[T], BeforeValidator(_list), Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class MismatchSection(_Section):
    """One mismatch coefficient of the user's own cards."""

    model: str
    parameter: str
    kind: Literal["relative", "absolute"]
    slope_um: Quantity


class ProcessSection(_Section):
    """[process]: one of rramsim's by name, or cards by path with their device names."""

    name: str | None = None
    cards: ListOf[str] | None = None
    nmos: str | None = None
    pmos: str | None = None
    mismatch: list[MismatchSection] = []


class DeviceSection(_Section):
    """[device]: where the resistances' statistics come from.

    A log-normal LRS and HRS by their medians and deviations; or a `model` file of `rramsim devices
    fit`; or `measurements`, fitted when the experiment is read; or the programming voltages
    `set_word_line_v` and `reset_source_line_v`. With the last three a median given too replaces
    theirs and the shape is kept. `kind` chooses the fitted family. `age_s` lets relaxation widen
    both states before they are read (`rramsim.devices.Retention`).
    """

    model: str | None = None
    measurements: str | None = None
    kind: Literal["best", "lognormal", "skewed", "empirical"] | None = None
    condition: str | None = None
    drop: bool = False
    set_word_line_v: Quantity | None = None
    reset_source_line_v: Quantity | None = None
    pulse_s: Quantity | None = None
    lrs_median_ohm: Quantity | None = None
    lrs_sigma_ln: Quantity | None = None
    hrs_median_ohm: Quantity | None = None
    hrs_sigma_ln: Quantity | None = None
    age_s: Quantity | None = None
    age_temperature_c: Quantity | None = None
    relaxation_ln: Quantity | None = None

    def make(self, folder: Path) -> ResistanceModel:
        """The resistance model; relative paths start at `folder`."""
        fresh = self._fresh(folder)
        if self.age_s is None:
            for key in ("age_temperature_c", "relaxation_ln"):
                if getattr(self, key) is not None:
                    raise InputError(f"[device] {key} = {getattr(self, key):g}: goes with age_s")
            return fresh
        retention = Retention(relaxation_ln=_or(self.relaxation_ln, Retention.relaxation_ln))
        lrs, hrs = (
            retention.aged_marginal(
                state, age_s=self.age_s, temperature_c=_or(self.age_temperature_c, 27.0)
            )
            for state in (fresh.lrs, fresh.hrs)
        )
        return ResistanceModel(lrs=lrs, hrs=hrs)

    def _fresh(self, folder: Path) -> ResistanceModel:
        programmed = self.set_word_line_v is not None or self.reset_source_line_v is not None
        sources = [name for name in ("model", "measurements") if getattr(self, name) is not None]
        sources += ["set_word_line_v, reset_source_line_v"] if programmed else []
        if len(sources) > 1:
            raise InputError(f"[device]: give one of {' and '.join(sources)}, not both")
        self._check_keys(sources[0] if sources else None)
        if not sources:
            return ResistanceModel(
                lrs=LogNormal(
                    median_ohm=_or(self.lrs_median_ohm, 10e3),
                    sigma_ln=_or(self.lrs_sigma_ln, 0.22),
                ),
                hrs=LogNormal(
                    median_ohm=_or(self.hrs_median_ohm, 630e3),
                    sigma_ln=_or(self.hrs_sigma_ln, 1.0),
                ),
            )
        kind = self.kind or "best"
        if self.model is not None:
            found = load_model_file(folder / self.model, kind=kind).resistances
        elif self.measurements is not None:
            path = folder / self.measurements
            found = _fitted(path, _stamp(path), kind, self.condition, self.drop)
        else:
            if self.set_word_line_v is None or self.reset_source_line_v is None:
                raise InputError("[device]: give both set_word_line_v and reset_source_line_v")
            found = programmed_resistances(
                set_word_line_v=self.set_word_line_v,
                reset_source_line_v=self.reset_source_line_v,
                pulse_s=_or(self.pulse_s, 100e-9),
            )
        return ResistanceModel(
            lrs=found.lrs if self.lrs_median_ohm is None else found.lrs.scaled(self.lrs_median_ohm),
            hrs=found.hrs if self.hrs_median_ohm is None else found.hrs.scaled(self.hrs_median_ohm),
        )

    def _check_keys(self, source: str | None) -> None:
        """Refuse keys that would do nothing."""
        goes_with = {
            "kind": ("model", "measurements"),
            "condition": ("measurements",),
            "drop": ("measurements",),
            "pulse_s": ("set_word_line_v, reset_source_line_v",),
            "lrs_sigma_ln": (None,),
            "hrs_sigma_ln": (None,),
        }
        for key, owners in goes_with.items():
            if getattr(self, key) not in (None, False) and source not in owners:
                raise InputError(
                    f"[device] {key} = {getattr(self, key)!r}: goes with "
                    f"{' or '.join(str(o) for o in owners if o) or 'medians only'}"
                    + (f", not with {source}" if source else "")
                )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot read measurements ({error.strerror})") from error
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _fitted(
    path: Path, stamp: tuple[int, int], kind: str, condition: str | None, drop: bool
) -> ResistanceModel:
    """Fit measurements once for each state of the file (`stamp`)."""
    del stamp
    measured = read_measurements(path, condition=condition, drop=drop)
    return fit_devices(measured).statistics(kind).resistances


class ColumnSection(_Section):
    """[column]: what loads the bit lines, and the clocking."""

    rows: int = Column.rows
    c_row_f: Quantity = Column.c_row_f
    c_periphery_f: Quantity = Column.c_periphery_f
    c_source_line_f: Quantity = Column.c_source_line_f
    c_out_f: Quantity = Column.c_out_f
    precharge_s: Quantity = Column.precharge_s
    edge_s: Quantity = Column.edge_s
    wl_setup_s: Quantity = Column.wl_setup_s
    threshold: Quantity = Column.threshold
    r_row_ohm: Quantity = Column.r_row_ohm
    selected_row: int | None = Column.selected_row
    leakage: bool = Column.leakage
    neighbour_ohm: Quantity = Column.neighbour_ohm


class SenseSection(_Section):
    """[sense]: the circuit and the conditions; every list is an axis of the sweep."""

    circuit: Literal["pcsa", "pcsa_xnor", "gxnor", "column"] = "pcsa"
    netlist: str | None = None
    vdd_v: ListOf[Quantity] = [1.2]
    temperature_c: ListOf[Quantity] = [27.0]
    corner: ListOf[str] = ["tt"]
    window_s: ListOf[Quantity] = [50e-9]
    mismatch: bool = True
    noise: bool = False


class ErrorsSection(_Section):
    """[errors]: how the bit-error rates are counted.

    `max_step_s` is ngspice's largest step, `tolerance_v` batch's local error; `certify_samples`
    of a batch campaign are sensed again by ngspice.
    """

    engine: Literal["ngspice", "batch"] = "ngspice"
    max_step_s: Quantity = NgspiceEngine.max_step_s
    tolerance_v: Quantity = BatchEngine.tolerance_v
    certify_samples: int = Field(default=200, ge=0)
    relative_error: Quantity = 0.1
    max_samples: int = 1000
    workers: int | None = None
    scheduler: str | None = None
    chunk_limit_s: Quantity = WorkLimits.chunk_s
    seed: int = 1


class NetworkSection(_Section):
    """[network]: every list is an axis."""

    architecture: ListOf[Literal["vgg", "mlp"]] = ["vgg"]
    width: ListOf[int] = [8]
    weights: ListOf[Literal["binary", "ternary"]] = ["binary", "ternary"]
    activations: ListOf[Literal["same", "full", "binary", "ternary"]] = ["same"]


class TrainingSection(_Section):
    """[training]: `errors_vdd_v` trains with the errors read at that supply injected.

    `min_steps` raises `epochs` on a small data set until that many batches have been seen.
    """

    rule: Literal["backprop", "ep", "holomorphic-ep", "ternary-ep"] = "backprop"
    data: Literal["auto", "cifar10", "digits"] = "auto"
    epochs: int = 10
    min_steps: int = Field(default=0, ge=0, le=10_000_000)
    batch: int | None = None
    learning_rate: Quantity | None = None
    seed: int = 0
    bfloat16: bool | None = None
    device: str = "cpu"
    errors_vdd_v: ListOf[Quantity | Literal["none"]] = ["none"]


class EquilibriumSection(_Section):
    """[equilibrium]: the energy-based network and how it settles, for every rule but "backprop".

    What is left out is as `EquilibriumSpec`, `EstimatorSettings`, `DescentSettings` and `FlipRule`
    have it.
    """

    channels: ListOf[int] | None = None
    paddings: ListOf[int] | None = None
    hidden: ListOf[int] | None = None
    activation: str | None = None
    pooling: Literal["max", "softmax", "none"] | None = None
    loss: Literal["squared", "cross-entropy"] | None = None
    wiring: Literal["symmetric", "asymmetric"] | None = None
    gain: Quantity | None = None
    pixels: Literal["unit", "standardised"] | None = None
    estimator: (
        Literal["one-sided", "random-sign", "symmetric", "holomorphic", "continuous", "bptt"] | None
    ) = None
    beta: Quantity | None = None
    points: int | None = None
    free_steps: int | None = None
    nudged_steps: int | None = None
    periods: int | None = None
    noise: Quantity | None = None
    order: Literal["synchronous", "asynchronous"] | None = None
    settle_tolerance: Quantity | None = None
    shared_update: bool | None = None
    learning_rates: ListOf[Quantity] | None = None
    momentum: Quantity | None = None
    weight_decay: Quantity | None = None
    levels: Literal["binary", "ternary"] | None = None
    averaging: Quantity | None = None
    threshold: Quantity | None = None
    most_moves: Quantity | None = None
    zero_share: Quantity | None = None
    endurance_writes: Quantity | None = None

    def given(self, *names: str) -> dict[str, Any]:
        """The keys among `names` that were given, lists as tuples."""
        values = {name: getattr(self, name) for name in names}
        return {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
            if value is not None
        }


class TestSection(_Section):
    """[test]: draws of the read errors at each point, and test images used (0 for all)."""

    draws: int = Field(default=3, ge=1, le=1000)
    images: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)


class ChipsSection(_Section):
    """[chips]: virtual chips that hold the networks; its presence makes `rramsim run` test them.

    Conditions: `vdd_v` (one of [sense]; its first if left out) at the first temperature, corner and
    window of [sense]. `compare` also tests as many "iid" draws at the chips' mean rates, and chips
    whose synapses each have an amplifier of their "own". `cell_share` is the part of ln R's
    variance that stays with a cell when it is written again (LRS, HRS). Verify acts if
    `verify_hrs_min_ohm` or `verify_lrs_max_ohm` is given. `read_noise_ln` per read; `age_s` with
    `relaxation_ln` per root decade (see `rramsim.devices.Retention`).
    """

    count: int = Field(default=100, ge=2, le=100_000)
    vdd_v: Quantity | None = None
    columns: int = Field(default=32, ge=1, le=4096)
    compare: list[Literal["iid", "own"]] = ["iid"]
    read_noise_ln: Quantity = 0.0
    age_s: Quantity = 0.0
    relaxation_ln: Quantity = Retention.relaxation_ln
    cell_share: tuple[Quantity, Quantity] = Field(default=(0.47, 0.60), strict=False)
    verify_lrs_max_ohm: Quantity | None = None
    verify_hrs_min_ohm: Quantity | None = None
    verify_max_writes: int = 10
    surface_points: int = Field(default=1600, ge=350, le=1_000_000)
    images: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)


class Experiment(_Section):
    """A whole experiment; the methods turn its sections into the rooms' values."""

    process: ProcessSection = ProcessSection(name="sky130-5v")
    device: DeviceSection = DeviceSection()
    column: ColumnSection = ColumnSection()
    sense: SenseSection = SenseSection()
    errors: ErrorsSection = ErrorsSection()
    network: NetworkSection = NetworkSection()
    training: TrainingSection = TrainingSection()
    equilibrium: EquilibriumSection = EquilibriumSection()
    test: TestSection = TestSection()
    chips: ChipsSection | None = None
    folder: Path = Field(default=Path(), description="where relative paths start")

    def make_process(self) -> Process:
        """The transistor process."""
        section = self.process
        if (section.name is None) == (section.cards is None):
            raise InputError("[process]: give either name or cards")
        if section.cards is None:
            for key in ("nmos", "pmos", "mismatch"):
                if getattr(section, key):
                    raise InputError(f"[process] {key}: goes with cards, not with name")
            assert section.name is not None
            return load_process(section.name)
        if not (section.nmos and section.pmos):
            raise InputError("[process] cards: name the devices in them with nmos and pmos")
        return process_from_cards(
            tuple(self.folder / path for path in section.cards),
            nmos=section.nmos,
            pmos=section.pmos,
            mismatch=tuple(MismatchCoefficient(**m.model_dump()) for m in section.mismatch),
        )

    def make_circuit(self) -> SenseCircuit:
        """The sense circuit in its column."""
        netlist = self.sense.netlist
        return sense_circuit(
            process=self.make_process(),
            column=Column(**self.column.model_dump()),
            read_out=ReadOut(name=self.sense.circuit),
            netlist=None if netlist is None else self.folder / netlist,
        )

    def make_conditions(self) -> tuple[SenseConditions, ...]:
        """Every point of the sweep's grid."""
        sense = self.sense
        axes: dict[str, list[Any]] = {
            "vdd_v": sense.vdd_v,
            "temperature_c": sense.temperature_c,
            "corner": sense.corner,
            "window_s": sense.window_s,
        }
        for name, axis in axes.items():
            if len(set(axis)) != len(axis):
                raise InputError(f"[sense] {name} = {axis}: a value stands there twice")
        return tuple(
            SenseConditions(vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=w)
            for vdd_v, temperature_c, corner, w in product(*axes.values())
        )

    def make_resistances(self) -> ResistanceModel:
        """The devices' resistance statistics."""
        return self.device.make(self.folder)

    def make_engine(self) -> SenseEngine:
        """The engine that senses."""
        if self.errors.engine == "batch":
            # One thread: a campaign runs as many processes as there are cores.
            return BatchEngine(tolerance_v=self.errors.tolerance_v, threads=1)
        return NgspiceEngine(max_step_s=self.errors.max_step_s)

    def make_chip_conditions(self) -> SenseConditions:
        """The conditions under which the chips are read."""
        assert self.chips is not None
        first = self.make_conditions()[0]
        return replace(first, vdd_v=self.chips.vdd_v or first.vdd_v)

    def make_chip_model(self, *, amplifiers: Literal["shared", "own"] = "shared") -> "ChipModel":
        """What the chips have in common."""
        # Chips need numba, which takes a second to import: only those who use them wait for it.
        from rramsim.chips import ArrayShape, ChipModel, Verify

        section = self.chips
        assert section is not None
        lrs, hrs = section.cell_share
        verify = None
        low, high = section.verify_lrs_max_ohm, section.verify_hrs_min_ohm
        if low is not None or high is not None:
            # A limit that is left out is the other one.
            verify = Verify(
                lrs_max_ohm=high if low is None else low,  # type: ignore[arg-type]
                hrs_min_ohm=low if high is None else high,  # type: ignore[arg-type]
                max_writes=section.verify_max_writes,
            )
        return ChipModel(
            circuit=self.make_circuit(),
            statistics=DeviceStatistics(
                resistances=self.make_resistances(),
                lrs=Persistence(cell_share=lrs),
                hrs=Persistence(cell_share=hrs),
            ),
            array=ArrayShape(rows=self.column.rows, columns=section.columns),
            amplifiers=amplifiers if self.sense.mismatch else "none",
            read_noise_ln=section.read_noise_ln,
            retention=Retention(relaxation_ln=section.relaxation_ln) if section.age_s else None,
            verify=verify,
        )

    def make_stop_rule(self) -> StopRule:
        """When a task has counted enough."""
        return StopRule(
            relative_error=self.errors.relative_error, max_samples=self.errors.max_samples
        )

    def make_limits(self) -> WorkLimits:
        """How long a worker may be without an answer, and how often a chunk is tried."""
        return WorkLimits(chunk_s=self.errors.chunk_limit_s)

    def with_scheduler(self, address: str | None) -> "Experiment":
        """The same experiment, sensed by the workers of a dask scheduler (None: as it says)."""
        if address is None:
            return self
        errors = self.errors.model_copy(update={"scheduler": address})
        return self.model_copy(update={"errors": errors}).check()

    def make_equilibrium(
        self, input_shape: tuple[int, int, int], classes: int
    ) -> "tuple[EquilibriumSpec, EquilibriumTraining]":
        """The energy-based network and its training, for images of this shape.

        Raises `InputError` for keys that go with another rule.
        """
        # PyTorch takes seconds to load; only these rules need it here.
        from rramsim.learning.equilibrium import (
            DescentSettings,
            EquilibriumSpec,
            EquilibriumTraining,
            EstimatorSettings,
            FlipRule,
        )

        section, training = self.equilibrium, self.training
        given = section.given
        flips = given(
            "levels", "averaging", "threshold", "most_moves", "zero_share", "endurance_writes"
        )
        if training.rule != "ternary-ep" and flips:
            raise InputError(f"[equilibrium] {next(iter(flips))}: goes with rule = 'ternary-ep'")
        holomorphic = training.rule == "holomorphic-ep"
        estimator = section.estimator or ("holomorphic" if holomorphic else "symmetric")
        if holomorphic != (estimator in ("holomorphic", "continuous")):
            raise InputError(
                f"[equilibrium] estimator = {estimator!r}: does not go with [training] rule = "
                f"{training.rule!r}"
            )
        spec = EquilibriumSpec(
            input_shape=input_shape,
            classes=classes,
            **given(
                "channels", "paddings", "hidden", "activation", "pooling", "loss", "wiring", "gain"
            ),
        )
        settings = EstimatorSettings(
            **{"points": 4 if holomorphic else 2}
            | {"estimator": estimator}
            | given(
                "beta",
                "points",
                "free_steps",
                "nudged_steps",
                "periods",
                "noise",
                "order",
                "settle_tolerance",
                "shared_update",
            )
        )
        if settings.is_complex and not spec.holomorphic:
            raise InputError(
                f"[equilibrium] activation = {spec.activation!r}, pooling = {spec.pooling!r}: not "
                "holomorphic; use 'sigmoid' or 'smooth-clip' with 'softmax' or 'none', or points "
                "= 2"
            )
        descent = given("momentum", "weight_decay")
        rates = section.learning_rates
        if rates is None and training.learning_rate is not None:
            rates = [training.learning_rate]
        if rates is not None:
            descent["learning_rate"] = tuple(rates)
        chosen: dict[str, Any] = given("pixels")
        if training.batch is not None:
            chosen["batch"] = training.batch
        made = EquilibriumTraining(
            estimator=settings,
            descent=DescentSettings(**descent),
            flips=FlipRule(**flips) if training.rule == "ternary-ep" else None,
            epochs=training.epochs,
            seed=training.seed,
            device=training.device,
            **chosen,
        )
        made.descent.rates(spec.build(seed=0))
        return spec, made

    def check(self) -> "Experiment":
        """Build every value once, so that what cannot be is refused before any work is done."""
        self.make_circuit()
        self.make_conditions()
        self.make_resistances()
        self.make_engine()
        self.make_stop_rule()
        limits = self.make_limits()
        if self.errors.scheduler is not None:
            DaskPool(address=self.errors.scheduler, limits=limits)
        if self.errors.workers is not None:
            LocalPool(workers=self.errors.workers, limits=limits)
        if self.training.rule == "backprop":
            if "equilibrium" in self.model_fields_set:
                raise InputError("[equilibrium]: goes with a [training] rule other than 'backprop'")
        else:
            if "network" in self.model_fields_set:
                raise InputError(
                    "[network]: goes with [training] rule = 'backprop'; describe the network in "
                    "[equilibrium]"
                )
            # Any image will do for a look at the keys; its size is checked with the data.
            self.make_equilibrium((3, 32, 32), 10)
            injected = [v for v in self.training.errors_vdd_v if v != "none"]
            if injected and self.training.rule != "ternary-ep":
                raise InputError(
                    f"[training] errors_vdd_v = {injected[0]}: read errors are defined for ternary "
                    "weights; use rule = 'ternary-ep' or 'backprop'"
                )
        if self.chips is not None:
            self.make_chip_model()
            self.make_chip_conditions()
            Retention(relaxation_ln=self.chips.relaxation_ln).decades(age_s=self.chips.age_s)
        simulated = set(self.sense.vdd_v)
        for vdd_v in self.training.errors_vdd_v:
            if vdd_v != "none" and vdd_v not in simulated:
                raise InputError(
                    f"[training] errors_vdd_v = {vdd_v}: must be 'none' or one of [sense] "
                    f"vdd_v = {self.sense.vdd_v}"
                )
        return self


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises `InputError` of one line that names file, section, key, value and what would be right.
    """
    path = Path(path)
    try:
        values = tomllib.loads(read_text(path, "an experiment (TOML)"))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    if "folder" in values:
        raise InputError(f"{path}: [folder]: unknown; {_known(())}")
    experiment = parse_experiment(values, folder=path.resolve().parent, where=str(path))
    try:
        return experiment.check()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_experiment(values: dict[str, Any], *, folder: Path, where: str) -> Experiment:
    """Check the values of an experiment; `where` names their source in messages."""
    try:
        return Experiment.model_validate({**values, "folder": folder})
    except ValidationError as error:
        raise InputError(f"{where}: {_describe(error)}") from error


def _describe(error: ValidationError) -> str:
    """Say the first fault in the file's own words."""
    first, *rest = error.errors()
    location = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
    section, keys = location[0], [part for part in location[1:] if not _is_variant(part)]
    name = f"[{section}] {'.'.join(keys)}".strip()
    more = f" (and {len(rest)} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown; {_known(location[:-1])}{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{name} = {first['input']!r}: {message}{more}"


def _is_variant(part: str) -> bool:
    """pydantic names the tried alternatives of a union in a location; they are not keys."""
    return part in {"float", "str"} or part.startswith(("literal[", "list["))


def _known(location: list[str] | tuple[str, ...]) -> str:
    model: type[BaseModel] = Experiment
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    names = [name for name in model.model_fields if name != "folder"]
    return f"known are {', '.join(names)}"
