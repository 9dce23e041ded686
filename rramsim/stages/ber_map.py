"""Every error rate over the whole grid of an experiment, rare ones included."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rramsim.identity import identity
from rramsim.records import Conditions, Known, Possible
from rramsim.stages.folder import RunFolder
from rramsim.stages.reading import Results
from rramsim.stages.result_files import Rows, Table
from rramsim.stages.stage import Stage, Work

if TYPE_CHECKING:
    from rramsim.durable import Say
    from rramsim.experiment import Experiment
    from rramsim.figures import Chart
    from rramsim.figures.report import Section
    from rramsim.rare import SenseFailure

__all__ = ["MAP", "RATES"]

_CHUNKS = 20
"""A rate may take as long as so many chunks of a campaign."""


class RateRow(Conditions):
    """A row of `ber_map.csv`: one rate under one set of conditions."""

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


ROWS = Rows(name="ber_map.jsonl", schema="rramsim rates 1", holds="rates, a line each")
RATES = Table(
    name="ber_map.csv", schema="rramsim rates 1", record=RateRow,
    holds="every error rate over the grid, rare ones included",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """What a worker is given: one rate."""

    failure: "SenseFailure"
    relative_error: float
    seed: int

    @property
    def id(self) -> str:
        """Identity of the rate: everything that it depends on."""
        return identity(
            "rate", 1, failure=self.failure.identity, relative_error=self.relative_error,
            seed=self.seed,
        )  # fmt: skip

    @property
    def version(self) -> str:
        """The engine with its version."""
        return self.failure.engine.name

    def do(self, part: None, say: "Say") -> dict[str, Any]:
        """Find the rate."""
        return _row(self)


def _lacks(experiment: "Experiment") -> str:
    if experiment.errors.engine == "batch":
        return ""
    return (
        f"[errors] engine = {experiment.errors.engine!r}: a map takes some hundred thousand "
        'senses; it needs engine = "batch"'
    )


def _run(work: Work) -> None:
    """Find all three rates at every point of [sense] into `ber_map.csv` and a figure."""
    from rramsim.durable import Job, RowFile

    runner = work.runner
    jobs = [
        Job(
            key=cell.id, name=cell.failure.label, shared=cell, part=None,
            limit_s=_CHUNKS * runner.limits.job_s,
        )
        for cell in _cells(work.experiment)
    ]  # fmt: skip
    with RowFile(ROWS.path(work.folder), parse=_checked) as rows:
        found = runner.gather(jobs, rows, safe=True, report=work.report)
    RATES.write(work.folder, [found[job.key] for job in jobs])


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    """What a row holds, if it is a rate inside its interval."""
    row = RateRow.model_validate(value)
    if row.rate is not None and not (row.low or 0.0) <= row.rate <= (row.high or 1.0):
        raise ValueError(f"a rate of {row.rate:g} outside its interval")
    return value


def _cells(experiment: "Experiment") -> list[_Cell]:
    """All rates; supplies vary slowest, so that workers do not extract the same tables at once."""
    from rramsim.stages.rates import ERROR_TYPES, failure_of

    experiment.sense.refuse_spread("the map")
    conditions = sorted(experiment.make_conditions(), key=lambda at: -at.vdd_v)
    return [
        _Cell(
            failure=failure_of(experiment, at, kind),
            relative_error=experiment.errors.relative_error,
            seed=experiment.errors.seed,
        )
        for at in conditions
        for kind in ERROR_TYPES
    ]


def _row(cell: _Cell) -> dict[str, Any]:
    """Solve one cell; plain values for JSON."""
    from rramsim.rare import rate

    failure = cell.failure
    answer = rate(failure, relative_error=cell.relative_error, seed=cell.seed)
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


def _text(row: RateRow) -> str:
    value = "no answer" if row.status == "refused" or row.rate is None else f"{row.rate:.2g}"
    low, high = ("?" if end is None else f"{end:.2g}" for end in (row.low, row.high))
    return f"{value} ({low} to {high})"


def _summary(folder: RunFolder) -> list[str]:
    rows = RATES.need(folder)
    refused = sum(row.status == "refused" for row in rows)
    unsettled = [row for row in rows if not row.settled]
    lines = [
        f"{len(rows)} rates: {len(rows) - len(unsettled)} known to 20 % (standard error) or below "
        f"1e-9, {len(unsettled) - refused} less well, {refused} without an answer"
    ]
    return lines + [
        f"  type {row.type}, {row.vdd_v:g} V, {row.temperature_c:g} °C, {row.corner}: {_text(row)}"
        for row in unsettled
    ]


def _draw(folder: RunFolder) -> "dict[str, Chart]":
    from rramsim.figures import ber_map_figure

    return {"ber_map": ber_map_figure(RATES.frame(folder))}


def _sections(results: Results) -> "list[Section]":
    from rramsim.figures import ber_map_figure
    from rramsim.figures.rates import environment
    from rramsim.figures.report import Section
    from rramsim.figures.table import Table as Texts

    rows = results.read(RATES)
    if rows is None:
        return []
    table = Texts(
        title="Rates with 95 % intervals (simulated)",
        header=("VDD", "environment", "type", "rate", "method", "senses", "note"),
        rows=tuple(
            (f"{row.vdd_v:g} V", environment(row), str(row.type), _text(row), row.method,
             f"{row.senses:,}", row.note)
            for row in rows
        ),
        numeric=(0, 2, 3, 5),
    )  # fmt: skip
    drawn = (ber_map_figure(RATES.frame(results.folder)),)
    title = "Error rates, rare ones included"
    return [Section(key="map", title=title, figures=drawn, tables=(table,))]


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
