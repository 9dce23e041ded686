"""The error rates of an experiment, asked of the one authority (`rramsim.rare.rate`).

A rate is a row, kept as soon as it is known; the map and the trade-off ask in the same way, so that
the same question has the same answer. The map holds the whole grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rramsim import counting, durable, engines, figures, rare
from rramsim.circuits import SenseConditions
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.identity import identity
from rramsim.records import Conditions, Known, Possible
from rramsim.stages.folder import Rows, RunFolder, Table
from rramsim.stages.stage import Results, Stage, Work

if TYPE_CHECKING:
    import xarray as xr

    from rramsim.devices import ResistanceModel
    from rramsim.experiment import Experiment
    from rramsim.figures.chart import Table as Texts

ERROR_TYPES = ("type 1", "type 2", "type 3")

FOUND = Rows(
    name="rates.jsonl", schema="rramsim rates 1",
    holds="rates of errors of which the sweep saw few or none, a line each",
)  # fmt: skip


FEW = 10
"""Of an error type that was seen less often than this, counts leave more than a factor of two
open: its rate is asked of the authority."""
_CHUNKS = 20
"""A rate may take as long as so many chunks of a campaign."""


class RateRow(Conditions):
    """A row of `ber_map.csv` or `rates.csv`: one rate under one set of conditions."""

    type: Annotated[int, Field(ge=1, le=3, description="error type")]
    status: Annotated[str, Field(description="settled, not settled, or refused")]
    method: Annotated[str, Field(description="how it was found")]
    rate: Possible
    low: Annotated[Possible, Field(description="of the 95 % interval")]
    high: Possible
    deviation: Annotated[Known, Field(description="standard error over the rate")]
    missed_high: Annotated[Possible, Field(description="95 % bound on what may be missed")]
    senses: Annotated[int, Field(ge=0, description="sense operations spent")]
    engine: str
    note: str
    settled: Annotated[bool, Field(description="known to 20 %, or below 1e-9")]


RARE = Table(
    name="rates.csv", schema="rramsim rates 1", record=RateRow,
    holds="rates of errors of which the sweep saw few or none",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RateCell:
    """What a worker is given: one rate."""

    failure: "rare.SenseFailure"
    relative_error: float
    seed: int

    @property
    def id(self) -> str:
        """Identity of the rate: everything that it depends on."""
        return identity(
            "rate", 3, failure=self.failure.identity, relative_error=self.relative_error,
            seed=self.seed,
        )  # fmt: skip

    @property
    def version(self) -> str:
        """The engine with its version."""
        return self.failure.engine.name

    def answer(self) -> "rare.FailureRate":
        """The rate."""
        return rare.rate(self.failure, relative_error=self.relative_error, seed=self.seed)

    def do(self, part: None, say: "durable.Say") -> dict[str, Any]:
        """Find the rate."""
        return _row(self)


def failure_of(
    experiment: Experiment,
    conditions: SenseConditions,
    failure: str,
    *,
    written: int | None = None,
    resistances: "ResistanceModel | None" = None,
) -> "rare.SenseFailure":
    """A failure (`parse_criterion`) of an experiment's circuit and devices, sensed by batch.

    `resistances`: other devices in place of the experiment's.
    Raises `InputError` for a failure that cannot be read, and for an experiment whose senses are
    noisy or draw dies, supplies or temperatures, which a rate would leave out.
    """
    experiment.sense.refuse_spread("a rate")
    return rare.SenseFailure(
        circuit=experiment.make_circuit(),
        conditions=conditions,
        resistances=resistances or experiment.make_resistances(),
        criterion=rare.parse_criterion(failure, written=written),
        engine=engines.BatchEngine(tolerance_v=experiment.errors.tolerance_v, threads=1),
        mismatch=experiment.sense.mismatch,
        noise=experiment.sense.noise,
    )


def rate_cells(
    experiment: Experiment,
    conditions: Sequence[SenseConditions],
    kinds: Sequence[str] = ERROR_TYPES,
    *,
    resistances: "ResistanceModel | None" = None,
) -> list[RateCell]:
    """A cell for each failure; supplies vary slowest, so that workers make different tables."""
    return [
        RateCell(
            failure=failure_of(experiment, at, kind, resistances=resistances),
            relative_error=experiment.errors.relative_error,
            seed=experiment.errors.seed,
        )
        for at in sorted(conditions, key=lambda at: -at.vdd_v)
        for kind in kinds
    ]


def solved_cells(work: Work, cells: Sequence[RateCell], path: Path) -> list[dict[str, Any]]:
    """The cells' rows in their order; those in `path` are not found again, new ones are added."""
    jobs = [
        durable.Job(
            key=cell.id, name=cell.failure.label, shared=cell, part=None,
            limit_s=_CHUNKS * work.runner.limits.chunk_limit_s,
        )
        for cell in cells
    ]  # fmt: skip
    with durable.RowFile(path, parse=_checked) as rows:
        found = work.runner.gather(jobs, rows, safe=True, report=work.report)
    return [found[job.key] for job in jobs]


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    """What a row holds, if it is a rate inside its interval."""
    row = RateRow.model_validate(value)
    if row.rate is not None and not (row.low or 0.0) <= row.rate <= (row.high or 1.0):
        raise ValueError(f"a rate of {row.rate:g} outside its interval")
    return value


def found_rates(
    work: Work, dataset: "xr.Dataset"
) -> "dict[SenseConditions, dict[str, counting.FoundRate]]":
    """Of every condition of a sweep, the rates of the error types seen less than `FEW` times.

    What the authority cannot say is left out (a notice says why), and so is a bound: there the
    counts stand.
    """
    found: dict[SenseConditions, dict[str, counting.FoundRate]] = {
        at: {} for at in counting.conditions_of(dataset)
    }
    unseen = [(at, kind) for at in found for kind in seen_rarely(dataset, at)]
    if FOUND.path(work.folder).is_file():  # damaged rows end the stage; what follows only warns
        with durable.RowFile(FOUND.path(work.folder), parse=_checked):
            pass
    try:
        cells = [rate_cells(work.experiment, [at], [kind])[0] for at, kind in unseen]
        rows = solved_cells(work, cells, FOUND.path(work.folder))
    except InputError as error:
        work.notice(f"rates below what was counted are limited by samples: {error}")
        return found
    RARE.path(work.folder).unlink(missing_ok=True)
    if rows:
        RARE.write(work.folder, rows)
    for (at, kind), row in zip(unseen, rows, strict=True):
        found[at] |= found_rate(kind, row)
    return found


def seen_rarely(dataset: "xr.Dataset", at: SenseConditions) -> list[str]:
    """The error types of which a sweep saw less than `FEW` under some conditions."""
    counted = counting.statistics_at(dataset, at)
    return [k for k in ERROR_TYPES if getattr(counted, k.replace(" ", "")).events < FEW]


def found_rate(kind: str, row: dict[str, Any]) -> "dict[str, counting.FoundRate]":
    """An error type's rate as a draw of errors takes it; empty where there is none."""
    if not row["rate"]:
        return {}
    by = f"{row['method']}, {row['engine']}"
    one = counting.FoundRate(value=row["rate"], deviation=row["deviation"], by=by)
    return {kind.replace(" ", ""): one}


def rate_text(row: RateRow) -> str:
    """A rate with its interval, as a table has it."""
    value = "no answer" if row.status == "refused" or row.rate is None else f"{row.rate:.2g}"
    low, high = ("?" if end is None else f"{end:.2g}" for end in (row.low, row.high))
    return f"{value} ({low} to {high})"


def rate_table(rows: Sequence[RateRow]) -> "Texts":
    """Rates with how they were found."""
    from rramsim.figures.chart import Table as Texts
    from rramsim.figures.rates import environment

    return Texts(
        title="Rates with 95 % intervals (simulated)",
        header=("VDD", "environment", "type", "rate", "method", "engine", "senses", "note"),
        rows=tuple(
            (f"{row.vdd_v:g} V", environment(row), str(row.type), rate_text(row), row.method,
             row.engine, f"{row.senses:,}", row.note)
            for row in rows
        ),
        numeric=(0, 2, 3, 6),
        folded=len(rows) > 12,
    )  # fmt: skip


def _row(cell: RateCell) -> dict[str, Any]:
    """Solve one cell; plain values for JSON."""
    failure, answer = cell.failure, cell.answer()
    at = failure.conditions
    found = answer.as_dict()
    return {
        "vdd_v": at.vdd_v,
        "temperature_c": at.temperature_c,
        "corner": at.corner,
        "window_s": at.window_s,
        "type": int(failure.criterion.name.removeprefix("type ")),
        **{
            name: found[name]
            for name in (
                "status", "method", "rate", "low", "high", "deviation", "missed_high", "senses",
                "engine", "note",
            )
        },
        "settled": answer.is_settled,
    }  # fmt: skip


ROWS = Rows(name="ber_map.jsonl", schema="rramsim rates 1", holds="rates, a line each")
RATES = Table(
    name="ber_map.csv", schema="rramsim rates 1", record=RateRow,
    holds="every error rate over the grid, rare ones included",
)  # fmt: skip


def _lacks(experiment: "Experiment") -> str:
    if experiment.errors.engine == "batch":
        return ""
    return (
        f"[errors] engine = {experiment.errors.engine!r}: a map takes some hundred thousand "
        'senses; it needs engine = "batch"'
    )


def _run(work: Work) -> None:
    """Find all three rates at every point of [sense] into `ber_map.csv` and a figure."""
    cells = rate_cells(work.experiment, work.experiment.make_conditions())
    RATES.write(work.folder, solved_cells(work, cells, ROWS.path(work.folder)))


def _summary(folder: RunFolder) -> list[str]:
    rows = RATES.need(folder)
    refused = sum(row.status == "refused" for row in rows)
    unsettled = [row for row in rows if not row.settled]
    lines = [
        f"{len(rows)} rates: {len(rows) - len(unsettled)} known to 20 % (standard error) or below "
        f"1e-9, {len(unsettled) - refused} less well, {refused} without an answer"
    ]
    return lines + [
        f"  type {row.type}, {row.vdd_v:g} V, {row.temperature_c:g} °C, {row.corner}: "
        + rate_text(row)
        for row in unsettled
    ]


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    return {"ber_map": figures.ber_map_figure(RATES.frame(folder))}


def _sections(results: Results) -> "list[figures.Section]":
    rows = results.read(RATES)
    if rows is None:
        return []
    drawn = (figures.ber_map_figure(RATES.frame(results.folder)),)
    title = "Error rates, rare ones included"
    return [figures.Section(key="map", title=title, figures=drawn, tables=(rate_table(rows),))]


MAP = Stage(
    name="map",
    title="Error rates, rare ones included",
    answers="How often is each weight read wrong where errors are too rare to count?",
    run=_run,
    unit="rates",
    files=(ROWS, RATES),
    rows=ROWS,
    lacks=_lacks,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
