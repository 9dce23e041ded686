"""Every error rate over the whole grid of an experiment, rare ones included."""

import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rramsim.durable import available_workers
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.figures import ber_map_figure, save_figure
from rramsim.files import append_line, atomic_path, folder_lock, whole_lines
from rramsim.rare import SenseFailure, rate
from rramsim.stages.folder import RunFolder
from rramsim.stages.rates import ERROR_TYPES, failure_of

__all__ = ["ber_map_stage"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """What a worker is given: one rate."""

    failure: SenseFailure
    relative_error: float
    seed: int

    @property
    def key(self) -> str:
        """Identity of the rate: everything that it depends on."""
        return f"{self.failure.identity} {self.relative_error:g} {self.seed}"


def ber_map_stage(
    experiment: Experiment,
    folder: RunFolder,
    *,
    report: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> pd.DataFrame:
    """Find all three rates at every point of [sense] into `ber_map.csv` and a figure.

    Each rate is kept in `ber_map.jsonl` as soon as it is known: an interrupted run goes on.
    `report` is called with the rates known, all of them, and the one found last. Raises
    `InputError` for an engine other than batch, or if another run is writing in the folder.
    """
    if experiment.errors.engine != "batch":
        raise InputError(
            '[errors] engine = "ngspice": a map takes some hundred thousand senses; it needs '
            'engine = "batch"'
        )
    cells = _cells(experiment)
    with folder_lock(folder.path):
        folder.save_experiment(experiment)
        known = _known(folder)
        missing = [cell for cell in cells if cell.key not in known]
        report(len(cells) - len(missing), len(cells), "")
        _log.debug("%d of %d rates known", len(cells) - len(missing), len(cells))
        workers = min(experiment.errors.workers or available_workers(), max(1, len(missing)))
        for cell, row in _solved(missing, workers):
            append_line(folder.ber_map_rows, json.dumps({"key": cell.key} | row))
            known[cell.key] = row
            report(sum(c.key in known for c in cells), len(cells), cell.failure.label)
        table = pd.DataFrame([known[cell.key] for cell in cells])
        with atomic_path(folder.ber_map) as temporary:
            table.to_csv(temporary, index=False)
        save_figure(ber_map_figure(table), folder.path, "ber_map")
    return table


def _cells(experiment: Experiment) -> list[_Cell]:
    """All rates; supplies vary slowest, so that workers do not extract the same tables at once."""
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


def _known(folder: RunFolder) -> dict[str, dict[str, Any]]:
    rows = {}
    for line in whole_lines(folder.ber_map_rows):
        try:
            row = json.loads(line)
            rows[str(row.pop("key"))] = row
        except (ValueError, KeyError, AttributeError, RecursionError) as error:
            raise InputError(f"{folder.ber_map_rows}: damaged; remove it and run again") from error
    return rows
