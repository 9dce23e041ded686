"""Do a share of a folder's results again, in a copy, by the way an interrupted run goes on.

Every stage keeps what it has simulated or tested as rows of a file and never does a row twice. So
a copy that has forgotten some of its rows, gone on with, makes just those again, by the code that
made them first; and the tables that a stage folds from all rows are made again as well.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.learning import ImageData
from rramsim.pipeline.ber_map import ber_map_stage
from rramsim.pipeline.chips import chips_stage
from rramsim.pipeline.errors import errors_stage
from rramsim.pipeline.folder import RunFolder
from rramsim.pipeline.shares import shares_stage
from rramsim.pipeline.sweep import sweep_stage
from rramsim.pipeline.tolerance import tolerance_stage
from rramsim.pipeline.tradeoff import tradeoff_stage

__all__ = ["REPEATS", "Difference", "Repeat", "Repeated", "copied_folder", "repeat_share"]

Report = Callable[[], None]
_RELATIVE = 1e-9
"""Sums of times and energies may differ by rounding, where a library or processor differs."""


class _Strays(Exception):
    """The stage does rows that were never forgotten: it does not know those that are there."""


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """A stage that can be done again: its rows (None if it has none) and the files it makes."""

    name: str
    rows: str | None
    makes: tuple[str, ...]
    images: bool
    run: Callable[[Experiment, RunFolder, ImageData | None, Report], object]


def _sweep(experiment: Experiment, folder: RunFolder, _: ImageData | None, tick: Report) -> object:
    return sweep_stage(experiment, folder, report=lambda progress: tick())


def _errors(_: Experiment, folder: RunFolder, __: ImageData | None, tick: Report) -> object:
    return errors_stage(folder)


def _shares(experiment: Experiment, folder: RunFolder, _: ImageData | None, tick: Report) -> object:
    return shares_stage(experiment, folder, report=lambda progress: tick())


def _map(experiment: Experiment, folder: RunFolder, _: ImageData | None, tick: Report) -> object:
    return ber_map_stage(experiment, folder, report=lambda done, total, note: tick())


def _tested(
    stage: Callable[..., object],
) -> Callable[[Experiment, RunFolder, ImageData | None, Report], object]:
    def run(
        experiment: Experiment, folder: RunFolder, data: ImageData | None, tick: Report
    ) -> object:
        return stage(experiment, folder, data, report=lambda *progress: tick())

    return run


REPEATS = (
    Repeat(name="sweep", rows="senses.jsonl", makes=("sense.nc",), images=False, run=_sweep),
    Repeat(name="errors", rows=None, makes=("errors.json",), images=False, run=_errors),
    Repeat(
        name="shares", rows="shares.jsonl", makes=("shares.json",), images=False, run=_shares
    ),
    Repeat(name="map", rows="ber_map.jsonl", makes=("ber_map.csv",), images=False, run=_map),
    Repeat(
        name="tradeoff", rows="evaluations.jsonl", makes=("tradeoff.csv", "costs.csv"),
        images=True, run=_tested(tradeoff_stage),
    ),
    Repeat(
        name="tolerance", rows="evaluations.jsonl",
        makes=("tolerance.csv", "tolerated_rates.csv"), images=True, run=_tested(tolerance_stage),
    ),
    Repeat(
        name="chips", rows="chips.jsonl", makes=("chips.csv", "chips.json"), images=True,
        run=_tested(chips_stage),
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What came out otherwise than the folder has it."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Repeated:
    """Rows done again, of how many, and all differences; `foreign` if none could be done."""

    rows: int
    of: int
    differences: tuple[Difference, ...]
    foreign: bool = False


@contextmanager
def copied_folder(folder: Path) -> Iterator[RunFolder]:
    """A copy of a run's folder that goes away at the end, without its report."""
    with tempfile.TemporaryDirectory(prefix="rramsim-verify-") as name:
        copy = Path(name) / "copy"
        # Links are followed: a link in the copy would let the repeat write where it points.
        shutil.copytree(
            folder,
            copy,
            ignore=shutil.ignore_patterns("report.html"),
            ignore_dangling_symlinks=True,
        )
        yield RunFolder(path=copy)


def repeat_share(
    repeat: Repeat,
    original: RunFolder,
    copy: RunFolder,
    experiment: Experiment,
    data: ImageData | None,
    *,
    share: float,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Repeated:
    """Forget a random `share` (0 to 1) of a stage's rows in the copy, go on, and compare.

    At least one row is forgotten. `report` gets the rows done again and their total. Raises
    `InputError` if a file of the copy cannot be read.
    """
    lines: list[bytes] = []
    forgotten: set[int] = set()
    path = copy.path / (repeat.rows or "none")
    if repeat.rows is not None:
        lines = path.read_bytes().splitlines(keepends=True)
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0x7E57]))
        wanted = min(len(lines), max(1, round(share * len(lines))))
        forgotten = set(rng.choice(len(lines), size=wanted, replace=False).tolist())
        path.write_bytes(b"".join(x for k, x in enumerate(lines) if k not in forgotten))
    kept = len(lines) - len(forgotten)

    def tick() -> None:
        if repeat.rows is None:
            return
        present = path.read_bytes().count(b"\n")
        if present > len(lines):
            raise _Strays
        report(present - kept, len(forgotten))

    try:
        repeat.run(experiment, copy, data, tick)
        tick()
    except _Strays:
        return Repeated(rows=0, of=len(lines), differences=(), foreign=True)
    differences = []
    if repeat.rows is not None:
        differences += _compared_rows(repeat.rows, lines, path.read_bytes().splitlines())
    for name in repeat.makes:
        if (original.path / name).is_file():
            why = _difference(original.path / name, copy.path / name)
            if why:
                differences.append(Difference(what=name, why=why))
    return Repeated(rows=len(forgotten), of=len(lines), differences=tuple(differences))


def _compared_rows(name: str, before: list[bytes], after: list[bytes]) -> list[Difference]:
    """Differences between two files of rows, whatever their order."""
    old, new = ({_key(row): row for row in map(_row, rows)} for rows in (before, after))
    found = []
    for key, row in old.items():
        what = f"{name}, {_name(row)}"
        if key not in new:
            found.append(Difference(what=what, why="was not made again"))
        elif why := _unequal({**row, "crc32": 0}, {**new[key], "crc32": 0}):
            found.append(Difference(what=what, why=why))
    return found


def _row(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
    except (ValueError, RecursionError) as error:
        raise InputError(f"a row is damaged ({error}): {line[:60]!r}") from error
    return value


def _key(row: dict[str, Any]) -> str:
    return str(row.get("key", (row.get("task"), row.get("chunk"), row.get("samples"))))


def _name(row: dict[str, Any]) -> str:
    parts = ("task", "chunk", "network", "kind", "chip", "type", "vdd_v", "temperature_c", "corner")
    return ", ".join(f"{part} {str(row[part])[:24]}" for part in parts if part in row)


def _unequal(one: Any, other: Any, at: str = "") -> str:
    """Where two values of JSON differ first, in words; empty if they do not."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            if why := _unequal(one.get(key), other.get(key), f"{at}.{key}" if at else key):
                return why
        return ""
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        whys = (_unequal(a, b, f"{at}[{k}]") for k, (a, b) in enumerate(zip(one, other)))  # noqa: B905
        return next((why for why in whys if why), "")
    if isinstance(one, float) or isinstance(other, float):
        try:
            if np.isclose(float(one), float(other), rtol=_RELATIVE, atol=0.0, equal_nan=True):
                return ""
        except (TypeError, ValueError):
            pass
    return "" if one == other else f"{at}: there {str(one)[:40]}, made again {str(other)[:40]}"


def _difference(there: Path, again: Path) -> str:
    """How two files of the same kind differ, in words; empty if they hold the same."""
    if not again.is_file():
        return "was not made again"
    if there.suffix == ".nc":
        with xr.open_dataset(there) as one, xr.open_dataset(again) as other:
            if one.equals(other):
                return ""
            changed = [
                str(name)
                for name, values in one.variables.items()
                if name not in other.variables or not values.equals(other.variables[name])
            ]
        return f"other values of {', '.join(changed) or 'its axes'}"
    if there.suffix == ".json":
        values = [json.loads(path.read_text()) for path in (there, again)]
        # What a run that found all chips tested cannot say, and what older versions left out.
        without = {"surface": None, "schema": None}
        return _unequal({**values[0], **without}, {**values[1], **without})
    try:
        pd.testing.assert_frame_equal(
            pd.read_csv(there), pd.read_csv(again), rtol=_RELATIVE, atol=0.0
        )
    except AssertionError as error:
        return "other values: " + " ".join(str(error).split())[:120]
    return ""
