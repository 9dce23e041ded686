"""Do a share of a folder's results again, in a copy, by the way an interrupted run goes on.

Every stage keeps what it has simulated or tested as rows of a file and never does a row twice. So
gone on with in a copy, it makes its tables again from the rows alone, and has nothing left to
simulate or test, if the rows are those of this experiment. And a copy that has forgotten some of
its rows makes those again, by the code that made them first.

Rows that count for nothing are no fault: an earlier setting left them, or several workers sensed
them before it was known that there were enough.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.learning import ImageData
from rramsim.stages.ber_map import ber_map_stage
from rramsim.stages.chips import chips_stage
from rramsim.stages.errors import errors_stage
from rramsim.stages.folder import RunFolder
from rramsim.stages.shares import shares_stage
from rramsim.stages.sweep import sweep_stage
from rramsim.stages.tolerance import tolerance_stage
from rramsim.stages.tradeoff import tradeoff_stage

__all__ = ["REPEATS", "Difference", "Repeat", "Repeated", "copied_folder", "repeat_share"]

Report = Callable[[], None]
_RELATIVE = 1e-9
"""Sums of times and energies may differ by rounding, where a library or processor differs."""


class _Stop(Exception):
    """What was to be learnt of the stage is known."""


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
    """Rows done again, of how many, and all differences; `lacking` if rows that the stage needs
    are not there, so that nothing could be done again.
    """

    rows: int
    of: int
    differences: tuple[Difference, ...] = ()
    lacking: bool = False


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
    """Make a stage's tables again in the copy, then a random `share` (0 to 1) of its rows.

    At least one row that counts is done again, if there is one. `report` gets the rows done again
    and their total. Raises `InputError` if a file of the copy cannot be read.
    """
    path = copy.path / (repeat.rows or "none")
    lines: list[bytes] = []
    if repeat.rows is not None:
        # Without the torn row that a kill may have left, as every stage leaves it out.
        lines = [x for x in path.read_bytes().splitlines(keepends=True) if x.endswith(b"\n")]
        path.write_bytes(b"".join(lines))
    made = _Made(path)

    def refuse() -> None:
        if made.rows():
            raise _Stop

    try:
        repeat.run(experiment, copy, data, refuse)
        refuse()
    except _Stop:
        return Repeated(rows=0, of=len(lines), lacking=True)
    differences = []
    for name in repeat.makes:
        if (original.path / name).is_file():
            why = _difference(original.path / name, copy.path / name)
            if why:
                differences.append(Difference(what=name, why=why))
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x7E57]))
    # Rows by their order of chance: where those forgotten count for nothing, the next are taken.
    order = rng.permutation(len(lines)).tolist()
    wanted = max(1, round(share * len(lines)))
    done = 0
    while order and not done:
        forgotten, order = set(order[:wanted]), order[wanted:]
        path.write_bytes(b"".join(x for k, x in enumerate(lines) if k not in forgotten))
        old = {_key(row): row for k in sorted(forgotten) for row in (_row(lines[k]),)}
        new = _done_again(
            repeat, experiment, copy, data, old.keys(), lambda found: report(found, wanted)
        )
        done = len(old.keys() & new.keys())
        differences += _compared_rows(str(repeat.rows), old, new)
    return Repeated(rows=done, of=len(lines), differences=tuple(differences))


class _Made:
    """The rows that a file has gained since it was looked at first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._start = path.stat().st_size if path.is_file() else 0

    def rows(self) -> dict[str, dict[str, Any]]:
        """By their keys; without a last row that is not whole yet."""
        if not self._path.is_file():
            return {}
        with self._path.open("rb") as file:
            file.seek(self._start)
            *whole, _ = file.read().split(b"\n")
        return {_key(row): row for row in map(_row, whole)}


def _done_again(
    repeat: Repeat,
    experiment: Experiment,
    copy: RunFolder,
    data: ImageData | None,
    wanted: Set[str],
    report: Callable[[int], None],
) -> dict[str, dict[str, Any]]:
    """The rows that the stage makes when it goes on, until it has made those that are wanted."""
    made = _Made(copy.path / str(repeat.rows))

    def tick() -> None:
        found = made.rows().keys()
        report(len(found & wanted))
        if found >= wanted:
            raise _Stop

    with suppress(_Stop):
        repeat.run(experiment, copy, data, tick)
    return made.rows()


def _compared_rows(
    name: str, old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]
) -> list[Difference]:
    """Differences between rows and those that were made again."""
    found = []
    for key in old.keys() & new.keys():
        why = _unequal({**old[key], "crc32": 0}, {**new[key], "crc32": 0})
        if why:
            found.append(Difference(what=f"{name}, {_name(old[key])}", why=why))
    return found


def _row(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
        if not isinstance(value, dict) or "key" not in value:
            raise ValueError("not a row of results")
    except (ValueError, RecursionError) as error:
        raise InputError(f"a row is damaged ({error}): {line[:60]!r}") from error
    return value


def _key(row: dict[str, Any]) -> str:
    return str(row["key"])


def _name(row: dict[str, Any]) -> str:
    parts = ("name", "network", "kind", "chip", "type", "vdd_v", "temperature_c", "corner")
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
