"""The report: the results of a folder on a page, section by section as the stages have them."""

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rramsim import figures
from rramsim.exceptions import InputError
from rramsim.files import atomic_path, file_digest
from rramsim.stages.folder import Dataset, Page, RunFolder
from rramsim.stages.provenance import known_files, outdated
from rramsim.stages.stage import Results, Stage, Work
from rramsim.stages.sweep import SENSE

if TYPE_CHECKING:
    from rramsim.circuits import SenseCircuit
    from rramsim.costs import SupplyTarget
    from rramsim.figures.chart import Table

PAGE = Page(
    name="report.html",
    schema="rramsim report 1",
    holds="the answer, figures and provenance",
    result=False,
)

NOMINAL = Dataset(
    name="nominal.nc",
    schema="rramsim nominal 1",
    holds="waveforms and read maps of nominal pairs without mismatch, for the report",
    variables={
        "voltage_v": ("vdd", "written", "node", "time"),
        "nominal_read": ("vdd", "written"),
        "map_read": ("vdd", "r_bl", "r_blb"),
        "map_converged": ("vdd", "r_bl", "r_blb"),
        "map_resolve_time_s": ("vdd", "r_bl", "r_blb"),
        "map_energy_j": ("vdd", "r_bl", "r_blb"),
    },
    result=False,
)


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """Where the report is, and which of its sections have results and which have not."""

    path: Path
    present: tuple[str, ...]
    missing: tuple[str, ...]


def write_report(
    folder: RunFolder,
    *,
    target: "SupplyTarget | None" = None,
    report: Callable[[str], None] = lambda doing: None,
) -> WrittenReport:
    """Write `report.html` from what the folder holds, with the answer for `target`.

    `report` is told what is being done.

    Raises `InputError` for a folder without results or with a damaged one; nothing is written
    then.
    """
    from rramsim.stages import STAGES
    from rramsim.version import __version__

    report("read the results")
    results = Results(folder, target)
    for stage in STAGES:
        for file in stage.made:
            results.read(file)
    if not any(stage.present(folder) for stage in STAGES):
        raise InputError(
            f"{folder.path}: holds no results of rramsim; make them with 'rramsim run "
            f"EXPERIMENT.toml --out {folder.path}'"
        )
    report("draw")
    sections: list[figures.Section] = []
    for stage in sorted(STAGES, key=lambda stage: not stage.first):
        made = list(stage.sections(results)) if stage.present(folder) else []
        if stage.made and stage.of_run and not made:
            made = [_missing(stage, results)]
        if made and (told := outdated(folder, stage.made)):
            note = f"{told}. Make it again with: {results.command(stage)}"
            made[0] = replace(made[0], notes=(note, *made[0].notes))
        sections += made
    sections += [_run_section(results), *_more(results)]
    page = figures.render_page(
        title=f"rramsim report: {folder.path.resolve().name}",
        subtitle=_subtitle(results),
        sections=sections,
        version=__version__,
    )
    with atomic_path(PAGE.path(folder)) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return WrittenReport(
        path=PAGE.path(folder),
        present=tuple(s.key for s in sections if not s.missing),
        missing=tuple(s.key for s in sections if s.missing),
    )


def _missing(stage: Stage, results: Results) -> "figures.Section":
    """What stands in the place of a stage of every run that has no results here."""
    lacks = "" if results.experiment is None else stage.lacks(results.experiment)
    text = f"Not for this experiment: {lacks}" if lacks else ""
    return figures.Section(
        key=stage.name,
        title=stage.title,
        missing=text or f"Not there yet. Make it with: {results.command(stage)}",
    )


def _more(results: Results) -> "list[figures.Section]":
    """What else could be asked: the stages that no run does by itself."""
    from rramsim.figures.chart import Table
    from rramsim.stages import STAGES

    rows = tuple(
        (stage.title, stage.answers, results.command(stage))
        for stage in STAGES
        if not stage.of_run and not stage.present(results.folder)
        and not (results.experiment and stage.lacks(results.experiment))
    )  # fmt: skip
    if not rows:
        return []
    table = Table(title="", header=("", "answers", "made with"), rows=rows)
    return [figures.Section(key="more", title="What else can be asked", tables=(table,))]


def _subtitle(results: Results) -> str:
    found = results.provenance
    if found is None:
        return "Some stages of an experiment."
    return f"{shlex.join(found.command)} — {found.written}"


def _glance(results: Results) -> list[tuple[str, str]]:
    facts = []
    sense = results.read(SENSE)
    if sense is not None:
        count = sense["count"]
        unconverged = int(count.sel(read="unconverged").sum())
        vdd = sense.vdd.values
        facts += [
            ("circuit", f"{sense.attrs['circuit']} in {sense.attrs['process']}"),
            ("supplies", f"{vdd.min():g} – {vdd.max():g} V ({vdd.size})"),
            ("senses simulated", f"{int(count.sum()):,}, of which {unconverged} did not converge"),
            ("engine", str(sense.attrs["engine"])),
        ]
    return facts


def _run_section(results: Results) -> "figures.Section":
    circuit, lack = _circuit(results)
    notes = [lack] if lack else []
    if results.provenance is None:
        notes.append(
            "No provenance.json: versions, seeds and hashes are written by "
            f"rramsim run EXPERIMENT.toml --out {shlex.quote(str(results.folder.path))}"
        )
    experiment = results.experiment
    listings = []
    if experiment is not None:
        values = experiment.model_dump(mode="json", exclude={"folder"})
        shown = json.dumps(values, indent=1, ensure_ascii=False)
        listings.append(("The experiment, every key", shown))
    if circuit is not None and experiment is not None:
        at = experiment.make_conditions()[0]
        listings.append((f"The netlist that was simulated, at {at.label}", circuit.listing(at)))
    return figures.Section(
        key="run",
        title="What was run",
        notes=tuple(notes),
        facts=(*_glance(results), *_run_facts(results, circuit)),
        figures=() if circuit is None else (figures.schematic_figure(circuit),),
        tables=tuple(_hashes(results)),
        listings=tuple(listings),
    )


def _circuit(results: Results) -> "tuple[SenseCircuit | None, str]":
    """The circuit that was sensed, or why it cannot be shown."""
    if results.experiment is None:
        return None, ""
    try:
        circuit = results.experiment.make_circuit()
    except InputError as error:
        return None, f"The circuit cannot be shown: {error}"
    sense = results.read(SENSE)
    swept = circuit.sha256 if sense is None else sense.attrs.get("circuit_sha256")
    if circuit.sha256 != swept:
        return None, (
            "The circuit cannot be shown: its netlist, column or process is no longer the one "
            "that was swept."
        )
    return circuit, ""


def _run_facts(results: Results, circuit: "SenseCircuit | None") -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    sense = results.read(SENSE)
    if sense is not None:
        attrs = sense.attrs
        facts += [
            ("mismatch", "on" if attrs.get("mismatch") else "off"),
            ("noise", "on" if attrs.get("noise") else "off"),
            ("engine's certification", str(attrs.get("certification", "not recorded"))),
        ]
    if circuit is not None:
        facts.insert(0, ("resistances", _resistances(results)))
        column = circuit.column
        facts.append(("column", f"{column.rows} rows, precharge {column.precharge_s * 1e9:g} ns"))
    found = results.provenance
    if found is not None:
        facts += [
            ("data", ", ".join(f"{k}: {v}" for k, v in found.data.items())),
            ("seeds", ", ".join(f"{name} {seed}" for name, seed in found.seeds.items())),
            ("versions", ", ".join(f"{name} {v}" for name, v in found.versions.items())),
            ("machine", ", ".join(found.machine.values())),
            ("circuit's hash", found.circuit.get("sha256", "–")),
            ("process's hash", found.process.get("sha256", "–")),
        ]
    return facts


def _resistances(results: Results) -> str:
    """Both states by their medians and middle 68 %, and where they come from."""
    from rramsim.figures.numbers import engineering

    experiment = results.experiment
    assert experiment is not None
    device, model = experiment.device, experiment.make_resistances()
    source = "assumed log-normal"
    if device.measurements is not None or device.model is not None:
        source = "fitted to measurements"
    elif device.set_word_line_v is not None:
        source = "estimated from the programming voltages"
    states = []
    for name, state in (("LRS", model.lrs), ("HRS", model.hrs)):
        low, middle, high = (engineering(float(state.quantile(u)), "Ω") for u in (-1.0, 0.0, 1.0))
        states.append(f"{name} {middle} ({low} – {high})")
    return f"{', '.join(states)}; median and middle 68 %, {source}"


def _hashes(results: Results) -> "list[Table]":
    """Every result file with what it holds, and whether it is as provenance.json recorded it."""
    from rramsim.figures.chart import Table

    known = known_files()
    recorded = results.provenance.files if results.provenance else {}
    there = {name for name, file in known.items() if file.path(results.folder).is_file()}
    rows = []
    for name in sorted(there | recorded.keys()):
        path, digest = results.folder.path / name, recorded.get(name, "")
        inside = path.resolve().is_relative_to(results.folder.path.resolve())
        if not (inside and path.is_file()):
            state = "not there now"
        elif not digest:
            state = "not recorded"
        else:
            same = file_digest(path) == digest
            state = "as written" if same else "changed since"
        rows.append((name, known[name].holds if name in known else "", state, digest))
    return [
        Table(
            title="Files with their SHA-256, as provenance.json recorded them",
            header=("file", "holds", "now", "SHA-256"),
            rows=tuple(rows),
            folded=True,
        )
    ]


def _run(work: Work) -> WrittenReport:
    written = write_report(work.folder, report=lambda doing: work.report(0, 1, doing))
    work.report(1, 1, "")
    return written


REPORT = Stage(
    name="report",
    title="What was run",
    answers="What do the results of the folder say? One page that needs no network.",
    run=_run,
    unit="page",
    files=(PAGE, NOMINAL),
    of_run=True,
)
