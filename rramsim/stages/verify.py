"""Does a folder still hold what its commands made, and does making it again give the same?"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rramsim.exceptions import InputError, MachineError
from rramsim.experiment import Experiment
from rramsim.learning import ImageData
from rramsim.schemas import FILE_SCHEMAS, check_schema
from rramsim.stages.folder import RunFolder
from rramsim.stages.provenance import file_hashes, present_versions
from rramsim.stages.repeat import REPEATS, Repeat, copied_folder, repeat_share

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
    data: Callable[[Experiment], ImageData],
    share: float = 0.02,
    seed: int = 0,
    report: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> tuple[Check, ...]:
    """Compare a folder with its `provenance.json`, and a random share of its results with a repeat.

    Nothing is written into the folder: the repeat is done in a copy. `data` loads the images of an
    experiment, and may raise `InputError` where they are not at hand. `report` gets the stage
    that is repeated, its rows done and their total.

    Raises `InputError` if there is no provenance, it is damaged, or `share` is not above 0 and at
    most 1.
    """
    if not 0.0 < share <= 1.0:
        raise InputError(f"--share {share:g}: must be above 0 and at most 1")
    recorded = folder.read_json(folder.provenance, "any command of rramsim that writes there")
    for key, kind in (("files", dict), ("versions", dict), ("circuit", dict), ("process", dict)):
        if not isinstance(recorded.get(key), kind):
            raise InputError(f"{folder.provenance}: damaged (no {key}); run the command again")
    checks = [*_files(folder, recorded), _versions(recorded)]
    checks += _schemas(folder, recorded)
    if not folder.experiment.is_file():
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
    for repeat in REPEATS:
        if all((folder.path / name).is_file() for name in (*repeat.makes, repeat.rows) if name):
            if repeat.images and images is None:
                checks.append(_unchecked(repeat, missing))
            else:
                checks.append(
                    _repeated(repeat, folder, experiment, images, share, seed, other, report)
                )
    if folder.training.is_file():
        text = "networks are not trained again: rramsim train into another folder does it"
        checks.append(Check(check="train", verdict="not checked", found=text))
    return tuple(checks)


def _files(folder: RunFolder, recorded: dict[str, object]) -> list[Check]:
    files = recorded["files"]
    assert isinstance(files, dict)
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


def _versions(recorded: dict[str, object]) -> Check:
    then = recorded["versions"]
    assert isinstance(then, dict)
    now = present_versions()
    other = [f"{k} {then[k]} then, {now[k]} now" for k in now if k in then and then[k] != now[k]]
    return Check(
        check="versions",
        verdict="note" if other else "holds",
        found="; ".join(other) or f"as then: rramsim {now['rramsim']}, ngspice {now['ngspice']}, …",
    )


def _schemas(folder: RunFolder, recorded: dict[str, object]) -> list[Check]:
    """A table or file of rows that a newer rramsim wrote."""
    schemas = recorded.get("schemas", {})
    found = []
    for name, schema in schemas.items() if isinstance(schemas, dict) else ():
        try:
            if name in FILE_SCHEMAS:
                check_schema(schema, FILE_SCHEMAS[name], folder.path / name)
        except InputError as error:
            found.append(Check(check="schemas", verdict="fails", found=str(error)))
    return found


def _inputs(experiment: Experiment, recorded: dict[str, object]) -> Check:
    circuit = experiment.make_circuit()
    other = []
    for name, now in (("circuit", circuit.sha256), ("process", circuit.process.sha256)):
        then = recorded[name]
        assert isinstance(then, dict)
        if then.get("sha256") != now:
            other.append(f"{name} {then.get('name')}: its netlists or cards have changed since")
    return Check(
        check="circuit",
        verdict="fails" if other else "holds",
        found="; ".join(other) or "netlists and cards have their SHA-256",
    )


def _other_makers(experiment: Experiment, recorded: dict[str, object]) -> str:
    """What made the rows and is another now, so that they cannot be known again; else empty."""
    versions = recorded["versions"]
    assert isinstance(versions, dict)
    pairs = {
        "engine": (recorded.get("engine"), experiment.errors.make_engine().name),
        "rramsim": (versions.get("rramsim"), present_versions()["rramsim"]),
    }
    return "; ".join(f"{name} {a} then, {b} now" for name, (a, b) in pairs.items() if a != b)


def _images(
    experiment: Experiment,
    recorded: dict[str, object],
    load: Callable[[Experiment], ImageData],
) -> tuple[ImageData | None, str]:
    """The images of the experiment, or why they cannot be used."""
    then = recorded.get("data")
    if not isinstance(then, dict) or then.get("label") in (None, "none"):
        return None, "no images were used"
    try:
        images = load(experiment)
    except InputError as error:
        return None, f"images: {error}"
    now = {"label": images.label, **images.source}
    if now != then:
        return None, f"images: {then.get('label')} then, {images.label} here; name them by --data"
    return images, ""


def _repeated(
    repeat: Repeat,
    folder: RunFolder,
    experiment: Experiment,
    images: ImageData | None,
    share: float,
    seed: int,
    other: str,
    report: Callable[[str, int, int], None],
) -> Check:
    """Do a stage again; `other` says what made its rows, if that is not what would make them."""
    try:
        with copied_folder(folder.path) as copy:
            found = repeat_share(
                repeat, folder, copy, experiment, images, share=share, seed=seed,
                report=lambda done, total: report(repeat.name, done, total),
            )  # fmt: skip
    except (InputError, MachineError) as error:
        return Check(check=repeat.name, verdict="fails", found=f"cannot be done again: {error}")
    if found.lacking:
        text = f"needs rows that are not among the {found.of} of {repeat.rows}"
        if other:
            return _unchecked(repeat, f"{text}: {other}")
        text += ", which are of another experiment or were changed"
        return Check(check=repeat.name, verdict="fails", found=text)
    made = ", ".join(repeat.makes)
    if found.differences:
        lines = [f"{d.what}: {d.why}" for d in found.differences]
        return Check(check=repeat.name, verdict="fails", found=_listed(lines, "; "))
    rows = f"{found.rows} of {found.of} rows done again, and " if repeat.rows else ""
    text = f"{rows}{made} made again: the same"
    return Check(check=repeat.name, verdict="holds", found=text)


def _unchecked(repeat: Repeat, why: str) -> Check:
    return Check(check=repeat.name, verdict="not checked", found=why)


def _listed(names: list[str], separator: str = ", ") -> str:
    more = len(names) - _SHOWN
    return separator.join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
