"""From the sweep's dataset to error statistics with intervals."""

import json
from typing import TYPE_CHECKING, Any

from rramsim import counting, figures
from rramsim.records import ErrorsRecord
from rramsim.stages.folder import Document, RunFolder
from rramsim.stages.rates import RARE, rate_table
from rramsim.stages.stage import Results, Stage, Work
from rramsim.stages.sweep import SENSE

if TYPE_CHECKING:
    import xarray as xr

    from rramsim.circuits import SenseConditions
    from rramsim.figures.chart import Table as Texts

ERRORS = Document(
    name="errors.json", schema="rramsim errors 1", record=ErrorsRecord,
    holds="counts and rates of every error type, with exact 95 % intervals",
)  # fmt: skip


def _run(work: Work) -> None:
    dataset = SENSE.need(work.folder)
    value: dict[str, Any] = {
        "status": "simulated",
        "engine": dataset.attrs["engine"],
        "resistances": dataset.attrs["resistances"],
        "failed": json.loads(dataset.attrs["failed"]),
        "interval": "exact (Clopper-Pearson), 95 %",
        "conditions": [
            {
                "vdd_v": conditions.vdd_v,
                "temperature_c": conditions.temperature_c,
                "corner": conditions.corner,
                "window_s": conditions.window_s,
                **statistics.as_dict(),
            }
            for conditions, statistics in _rows(dataset)
        ],
    }
    ERRORS.write(work.folder, value)


def _rows(dataset: "xr.Dataset") -> "list[tuple[SenseConditions, counting.ErrorStatistics]]":
    return [(at, counting.statistics_at(dataset, at)) for at in counting.conditions_of(dataset)]


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    dataset = SENSE.need(folder)
    rows = _rows(dataset)
    source = f"Simulated, {dataset.attrs['engine'].split(' (')[0]}."
    return {
        "errors_table": figures.error_table_figure(rows, source=source),
        "errors": figures.error_rates_figure(rows, source=source, found=RARE.read(folder) or ()),
    }


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.rates import error_table

    return [error_table(ERRORS.need(folder).conditions)]


def _sections(results: Results) -> "list[figures.Section]":
    from rramsim.figures.rates import count_table

    record, rare = results.read(ERRORS), results.read(RARE) or ()
    if record is None:
        return []
    return [
        figures.Section(
            key="errors",
            title="Bit errors",
            text=(
                "Simulated. Rates are over converged senses: types 1 and 2 of written ±1, type 3 "
                "of written 0."
            ),
            notes=tuple(
                f"{f.senses} senses gave no result and are in no count: {f.task} ({f.reason})"
                for f in record.failed
            ),
            figures=(
                figures.error_rates_figure(
                    [(row, row) for row in record.conditions],
                    source=f"Simulated, {record.engine}",
                    found=rare,
                ),
            ),
            tables=(
                *_summary(results.folder),
                *([rate_table(rare)] if rare else []),
                count_table(record.conditions),
            ),
        )
    ]


ERROR_STATISTICS = Stage(
    name="errors",
    title="Bit errors",
    answers="How often is each weight read wrong, with which interval?",
    run=_run,
    unit="files",
    files=(ERRORS,),
    needs=(SENSE,),
    of_run=True,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
