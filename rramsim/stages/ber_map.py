"""Every error rate over the whole grid of an experiment, rare ones included."""

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.files import append_line, whole_lines
from rramsim.records import Conditions, Known, Possible
from rramsim.stages.folder import RunFolder
from rramsim.stages.reading import Results
from rramsim.stages.result_files import Rows, Table
from rramsim.stages.stage import Stage, Work

if TYPE_CHECKING:
    from rramsim.figures import Chart
    from rramsim.figures.report import Section
    from rramsim.rare import SenseFailure

__all__ = ["MAP", "RATES"]

_log = logging.getLogger(__name__)


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
    def key(self) -> str:
        """Identity of the rate: everything that it depends on."""
        return f"{self.failure.identity} {self.relative_error:g} {self.seed}"


def _lacks(experiment: Experiment) -> str:
    if experiment.errors.engine == "batch":
        return ""
    return (
        f"[errors] engine = {experiment.errors.engine!r}: a map takes some hundred thousand "
        'senses; it needs engine = "batch"'
    )


def _run(work: Work) -> None:
    """Find all three rates at every point of [sense] into `ber_map.csv` and a figure."""
    from rramsim.durable import available_workers

    experiment, path = work.experiment, ROWS.path(work.folder)
    cells = _cells(experiment)
    known = _known(path)
    missing = [cell for cell in cells if cell.key not in known]
    work.report(len(cells) - len(missing), len(cells), "")
    _log.debug("%d of %d rates known", len(cells) - len(missing), len(cells))
    workers = min(experiment.errors.workers or available_workers(), max(1, len(missing)))
    for cell, row in _solved(missing, workers):
        append_line(path, json.dumps({"key": cell.key} | row))
        known[cell.key] = row
        work.report(sum(c.key in known for c in cells), len(cells), cell.failure.label)
    RATES.write(work.folder, [known[cell.key] for cell in cells])


def _cells(experiment: Experiment) -> list[_Cell]:
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


def _solved(cells: list[_Cell], workers: int) -> Iterator[tuple[_Cell, dict[str, Any]]]:
    """Every cell with its row, as they come."""
    if workers <= 1:
        yield from ((cell, _row(cell)) for cell in cells)
        return
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor, as_completed

    os.environ.setdefault("OMP_THREAD_LIMIT", "1")  # ngspice in the workers
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = {pool.submit(_row, cell): cell for cell in cells}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


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


def _known(path: Path) -> dict[str, dict[str, Any]]:
    rows = {}
    for line in whole_lines(path):
        try:
            row = json.loads(line)
            rows[str(row.pop("key"))] = row
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"{path}: damaged; remove it and run again") from error
    return rows


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
