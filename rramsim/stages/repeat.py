"""Do a share of a folder's results again, in a copy, by the way an interrupted run goes on.

Every stage keeps what it has simulated or tested as rows of a file and never does a row twice. So
gone on with in a copy, it makes its tables again from the rows alone, and has nothing left to
simulate or test, if the rows are those of this experiment. And a copy that has forgotten some of
its rows makes those again, by the code that made them first.

Rows that count for nothing are no fault: an earlier setting left them, or several workers sensed
them before it was known that there were enough.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from rramsim.exceptions import InputError
from rramsim.stages.folder import RunFolder
from rramsim.stages.result_files import ResultFile
from rramsim.stages.stage import Difference, Redone, Stage, Work

__all__ = ["compared_files", "copied_folder", "repeat_rows"]

_RELATIVE = 1e-9
"""Sums of times and energies may differ by rounding, where a library or processor differs."""


class _Stop(Exception):
    """What was to be learnt of the stage is known."""


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


def repeat_rows(
    stage: Stage, work: Work, original: RunFolder, *, share: float, seed: int
) -> Redone:
    """Make a stage's tables again in a copy, then a random `share` (0 to 1) of its rows.

    At least one row that counts is done again, if there is one. `work.report` gets the rows done
    again and their total. Raises `InputError` if a file of the copy cannot be read.
    """
    import numpy as np

    path = work.folder.path / (stage.rows.name if stage.rows else "none")
    lines: list[bytes] = []
    if stage.rows:
        # Without the torn row that a kill may have left, as every stage leaves it out.
        lines = [x for x in path.read_bytes().splitlines(keepends=True) if x.endswith(b"\n")]
        path.write_bytes(b"".join(lines))
    made = _Made(path)

    def refuse(*_: object) -> None:
        if made.rows():
            raise _Stop

    try:
        stage.run(replace(work, report=refuse))
        refuse()
    except _Stop:
        return Redone(done=0, of=len(lines), lacking=True)
    differences = compared_files(stage.made, original, work.folder)
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
            stage, work, path, old.keys(), lambda found: work.report(found, wanted, "")
        )
        done = len(old.keys() & new.keys())
        differences += _compared_rows(path.name, old, new)
    return Redone(done=done, of=len(lines), differences=tuple(differences))


def compared_files(
    files: Iterable[ResultFile[Any]], original: RunFolder, copy: RunFolder
) -> list[Difference]:
    """How files that were made again differ from those of the folder."""
    found = []
    for file in files:
        there, again = file.path(original), file.path(copy)
        if there.is_file() and (why := _difference(there, again)):
            found.append(Difference(what=file.name, why=why))
    return found


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
    stage: Stage, work: Work, path: Path, wanted: Set[str], report: Callable[[int], None]
) -> dict[str, dict[str, Any]]:
    """The rows that the stage makes when it goes on, until it has made those that are wanted."""
    made = _Made(path)

    def tick(*_: object) -> None:
        found = made.rows().keys()
        report(len(found & wanted))
        if found >= wanted:
            raise _Stop

    with suppress(_Stop):
        stage.run(replace(work, report=tick))
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
            if _close(float(one), float(other)):
                return ""
        except (TypeError, ValueError):
            pass
    return "" if one == other else f"{at}: there {str(one)[:40]}, made again {str(other)[:40]}"


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_RELATIVE) or (math.isnan(one) and math.isnan(other))


def _difference(there: Path, again: Path) -> str:
    """How two files of the same kind differ, in words; empty if they hold the same."""
    import pandas as pd
    import xarray as xr

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
