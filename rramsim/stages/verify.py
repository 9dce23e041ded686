"""Does a folder still hold what its commands made, and does making it again give the same?"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rramsim.exceptions import InputError, MachineError
from rramsim.records import ProvenanceRecord
from rramsim.stages.folder import EXPERIMENT, PROVENANCE, RunFolder
from rramsim.stages.provenance import file_hashes, known_files, present_versions
from rramsim.stages.repeat import copied_folder, repeat_rows
from rramsim.stages.result_files import check_schema
from rramsim.stages.stage import Stage, Work

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.learning import ImageData

__all__ = ["Check", "verify_folder"]

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
                report=lambda done, total, _: report(stage.name, done, total),
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
