"""Every error rate over the whole grid of an experiment, rare ones included."""

from typing import TYPE_CHECKING

from rramsim.stages.folder import RunFolder
from rramsim.stages.rates import RateRow, rate_cells, rate_table, rate_text, solved_cells
from rramsim.stages.reading import Results
from rramsim.stages.result_files import Rows, Table
from rramsim.stages.stage import Stage, Work

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.figures import Chart
    from rramsim.figures.report import Section

__all__ = ["MAP", "RATES"]

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


def _draw(folder: RunFolder) -> "dict[str, Chart]":
    from rramsim.figures import ber_map_figure

    return {"ber_map": ber_map_figure(RATES.frame(folder))}


def _sections(results: Results) -> "list[Section]":
    from rramsim.figures import ber_map_figure
    from rramsim.figures.report import Section

    rows = results.read(RATES)
    if rows is None:
        return []
    drawn = (ber_map_figure(RATES.frame(results.folder)),)
    title = "Error rates, rare ones included"
    return [Section(key="map", title=title, figures=drawn, tables=(rate_table(rows),))]


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
