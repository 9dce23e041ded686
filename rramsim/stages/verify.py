"""Does a folder still hold what its commands made, and does making it again give the same?

A share is done again in a copy, by the way an interrupted run goes on: every stage keeps what it
has simulated or tested as rows of a file and never does a row twice. So gone on with in a copy, it
makes its tables again from the rows alone, and has nothing left to simulate or test, if the rows
are those of this experiment. And a copy that has forgotten some of its rows makes those again, by
the code that made them first.

Rows that count for nothing are no fault: an earlier setting left them, or several workers sensed
them before it was known that there were enough.
"""

import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from rramsim.exceptions import InputError, MachineError
from rramsim.records import ProvenanceRecord
from rramsim.stages.folder import EXPERIMENT, PROVENANCE, ResultFile, RunFolder, check_schema
from rramsim.stages.provenance import file_hashes, known_files, present_versions
from rramsim.stages.stage import Difference, Redone, Stage, Work

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.learning import ImageData

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


Verdict = Literal["holds", "fails", "note", "not checked"]
_SHOWN = 5
"""So many differences of one kind are named; the rest is counted."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing looked at: `verdict` is what came of it, `found` says it in words."""

    check: str
    verdict: Verdict
    found: str


def verify_folder(
    folder: RunFolder,
    *,
    data: "Callable[[Experiment], ImageData]",
    share: float = 0.02,
    seed: int = 0,
    stages: Iterable[str] | None = None,
    report: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[Check, ...]:
    """Compare a folder with its `provenance.json`, and a random share of its results with a repeat.

    Nothing is written into the folder: the repeat is done in a copy. `data` loads the images of an
    experiment, and may raise `InputError` where they are not at hand. `stages` names those to do
    again (left out: all that the folder has). `report` gets the stage
    that is repeated, its rows done and their total.

    Raises `InputError` if there is no provenance, it is damaged, or `share` is not above 0 and at
    most 1.
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"--share {share:g}: must be above 0 and at most 1")
    from rramsim.stages import STAGES, stage_named

    again = STAGES if stages is None else [stage_named(name) for name in stages]
    recorded = PROVENANCE.need(folder)
    checks = [*_files(folder, recorded), _versions(recorded)]
    checks += _schemas(folder, recorded)
    if not EXPERIMENT.path(folder).is_file():
        text = "no experiment.json: nothing here can be done again by itself"
        return (*checks, Check(check="repeat", verdict="not checked", found=text))
    experiment = folder.load_experiment()
    # The repeat stays on this machine: an address in a file is not one that the user named.
    here = experiment.errors.model_copy(update={"scheduler": None})
    experiment = experiment.model_copy(update={"errors": here})
    checks.append(_inputs(experiment, recorded))
    if checks[-1].verdict == "fails":
        text = "the circuit is another now: nothing of it can be done again"
        return (*checks, Check(check="repeat", verdict="not checked", found=text))
    images, missing = _images(experiment, recorded, data)
    other = _other_makers(experiment, recorded)
    for stage in again:
        if not stage.present(folder):
            continue
        if stage.images and images is None:
            checks.append(_unchecked(stage, missing))
        else:
            checks.append(_redone(stage, folder, experiment, images, share, seed, other, report))
    return tuple(checks)


def _files(folder: RunFolder, recorded: ProvenanceRecord) -> list[Check]:
    files = recorded.files
    present = file_hashes(folder.path)
    missing = [name for name in files if name not in present]
    changed = [name for name, digest in files.items() if present.get(name, digest) != digest]
    strange = [name for name in present if name not in files]
    checks = [
        Check(
            check="files",
            verdict="fails" if missing or changed else "holds",
            found="; ".join(
                [f"changed: {_listed(changed)}"] * bool(changed)
                + [f"missing: {_listed(missing)}"] * bool(missing)
            )
            or f"all {len(files)} have their SHA-256",
        )
    ]
    if strange:
        text = f"not listed in provenance.json: {_listed(strange)}"
        checks.append(Check(check="files", verdict="note", found=text))
    return checks


def _versions(recorded: ProvenanceRecord) -> Check:
    then = recorded.versions
    now = present_versions()
    other = [f"{k} {then[k]} then, {now[k]} now" for k in now if k in then and then[k] != now[k]]
    return Check(
        check="versions",
        verdict="note" if other else "holds",
        found="; ".join(other) or f"as then: rramsim {now['rramsim']}, ngspice {now['ngspice']}, …",
    )


def _schemas(folder: RunFolder, recorded: ProvenanceRecord) -> list[Check]:
    """A table or file of rows that a newer rramsim wrote."""
    known = known_files()
    found = []
    for name, schema in recorded.schemas.items():
        try:
            if name in known:
                check_schema(schema, known[name].schema, folder.path / name)
        except InputError as error:
            found.append(Check(check="schemas", verdict="fails", found=str(error)))
    return found


def _inputs(experiment: "Experiment", recorded: ProvenanceRecord) -> Check:
    circuit = experiment.make_circuit()
    other = []
    for name, then, now in (
        ("circuit", recorded.circuit, circuit.sha256),
        ("process", recorded.process, circuit.process.sha256),
    ):
        if then.get("sha256") != now:
            other.append(f"{name} {then.get('name')}: its netlists or cards have changed since")
    return Check(
        check="circuit",
        verdict="fails" if other else "holds",
        found="; ".join(other) or "netlists and cards have their SHA-256",
    )


def _other_makers(experiment: "Experiment", recorded: ProvenanceRecord) -> str:
    """What made the rows and is another now, so that they cannot be known again; else empty."""
    pairs = {
        "engine": (recorded.engine, experiment.errors.make_engine().name),
        "rramsim": (recorded.versions.get("rramsim"), present_versions()["rramsim"]),
    }
    return "; ".join(f"{name} {a} then, {b} now" for name, (a, b) in pairs.items() if a != b)


def _images(
    experiment: "Experiment",
    recorded: ProvenanceRecord,
    load: "Callable[[Experiment], ImageData]",
) -> tuple["ImageData | None", str]:
    """The images of the experiment, or why they cannot be used."""
    then = recorded.data
    if then.get("label") in (None, "none"):
        return None, "no images were used"
    try:
        images = load(experiment)
    except InputError as error:
        return None, f"images: {error}"
    now = {"label": images.label, **images.source}
    if now != then:
        return None, f"images: {then.get('label')} then, {images.label} here; name them by --data"
    return images, ""


def _redone(
    stage: Stage,
    folder: RunFolder,
    experiment: "Experiment",
    images: "ImageData | None",
    share: float,
    seed: int,
    other: str,
    report: Callable[[str, int, int], None],
) -> Check:
    """Do a stage again; `other` says what made its rows, if that is not what would make them."""
    if stage.images and experiment.network.module is not None:
        return _unchecked(
            stage, f"[network] module = {experiment.network.module!r} is Python, which is not run"
        )
    lost = [f.name for f in stage.files if f is stage.rows and not f.path(folder).is_file()]
    if lost:
        return Check(check=stage.name, verdict="fails", found=f"missing: {_listed(lost)}")
    try:
        with copied_folder(folder.path) as copy:
            work = Work(
                experiment=experiment,
                folder=copy,
                images=lambda: images,  # type: ignore[arg-type, return-value]
                report=lambda done, total, _: report(stage.name, int(done), total),
            )
            if stage.again is not None:
                found = stage.again(work, folder, share, seed)
            else:
                found = repeat_rows(stage, work, folder, share=share, seed=seed)
    except (InputError, MachineError) as error:
        return Check(check=stage.name, verdict="fails", found=f"cannot be done again: {error}")
    if found.unchecked:
        return _unchecked(stage, found.unchecked)
    if found.lacking:
        text = f"needs {found.unit} that are not among the {found.of} of this folder"
        if other:
            return _unchecked(stage, f"{text}: {other}")
        text += ", which are of another experiment or were changed"
        return Check(check=stage.name, verdict="fails", found=text)
    if found.differences:
        lines = [f"{d.what}: {d.why}" for d in found.differences]
        return Check(check=stage.name, verdict="fails", found=_listed(lines, "; "))
    made = ", ".join(file.name for file in stage.made if file.path(folder).is_file())
    rows = f"{found.done} of {found.of} {found.unit} done again, and " if found.of else ""
    return Check(check=stage.name, verdict="holds", found=f"{rows}{made} made again: the same")


def _unchecked(stage: Stage, why: str) -> Check:
    return Check(check=stage.name, verdict="not checked", found=why)


def _listed(names: list[str], separator: str = ", ") -> str:
    more = len(names) - _SHOWN
    return separator.join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
