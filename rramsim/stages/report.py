"""The report: every result of a folder on one page."""

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import xarray as xr

from rramsim import figures
from rramsim.circuits import SenseCircuit
from rramsim.exceptions import InputError, MachineError
from rramsim.figures import report as parts
from rramsim.figures.networks import chips_table, training_table, wear_table
from rramsim.figures.numbers import engineering
from rramsim.figures.rates import count_table, error_table, fall_table
from rramsim.figures.senses import boundary_table, waveform_label
from rramsim.figures.table import Table
from rramsim.figures.tradeoffs import front_details, front_table
from rramsim.files import atomic_path
from rramsim.stages.folder import RunFolder
from rramsim.stages.nominal import nominal_stage
from rramsim.stages.results import RunResults, read_results
from rramsim.version import __version__

__all__ = ["WrittenReport", "report_stage"]


_ASKED_LOSS = 0.005
"""The loss of accuracy that the report's answer is for: half a point."""


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """Where the report is, and which of its sections have results and which have not."""

    path: Path
    present: tuple[str, ...]
    missing: tuple[str, ...]


def report_stage(
    folder: RunFolder, *, report: Callable[[str], None] = lambda doing: None
) -> WrittenReport:
    """Write `report.html` from what the folder holds; `report` is told what is being done.

    Raises `InputError` for a folder without results or with a damaged one; nothing is written
    then.
    """
    report("read the results")
    results = read_results(folder)
    report("sense the nominal pairs")
    nominal, lack = _nominal(results, folder)
    report("draw")
    sections = _Sections(results, folder, nominal, lack).all()
    page = parts.render_page(
        title=f"rramsim report: {folder.path.resolve().name}",
        subtitle=_subtitle(results),
        sections=sections,
        version=__version__,
    )
    with atomic_path(folder.report) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return WrittenReport(
        path=folder.report,
        present=tuple(s.key for s in sections if not s.missing),
        missing=tuple(s.key for s in sections if s.missing),
    )


def _nominal(results: RunResults, folder: RunFolder) -> tuple[xr.Dataset | None, str]:
    """The nominal senses, or why there are none."""
    if results.experiment is None or results.sense is None:
        return None, ""
    swept = results.sense.attrs.get("circuit_sha256")
    try:
        return nominal_stage(results.experiment, folder, circuit_sha256=swept), ""
    except (InputError, MachineError) as error:
        return None, str(error)


def _subtitle(results: RunResults) -> str:
    found = results.provenance
    if found is None:
        return "Some stages of an experiment."
    return f"{shlex.join(found.command)} — {found.written}"


def _glance(results: RunResults) -> list[tuple[str, str]]:
    facts = []
    if results.sense is not None:
        count = results.sense["count"]
        unconverged = int(count.sel(read="unconverged").sum())
        vdd = results.sense.vdd.values
        facts += [
            ("circuit", f"{results.sense.attrs['circuit']} in {results.sense.attrs['process']}"),
            ("supplies", f"{vdd.min():g} – {vdd.max():g} V ({vdd.size})"),
            ("senses simulated", f"{int(count.sum()):,}, of which {unconverged} did not converge"),
            ("engine", str(results.sense.attrs["engine"])),
        ]
    return facts


class _Sections:
    """The page's sections from the results; what is not there names its command."""

    def __init__(
        self, results: RunResults, folder: RunFolder, nominal: xr.Dataset | None, lack: str
    ) -> None:
        self._results, self._folder, self._nominal = results, folder, nominal
        self._lack = lack
        self._dir = shlex.quote(str(folder.path))

    def all(self) -> list[parts.Section]:
        """Every section in the order of the page; boundary and wear only where they are."""
        return [
            *self._answer(), self._accuracy(), self._front(), self._errors(), self._sense(),
            self._shares(), *self._boundary(), self._waveforms(), self._map(), self._training(),
            *self._wear(), self._chips(), self._run(),
        ]  # fmt: skip

    def _answer(self) -> list[parts.Section]:
        rows = self._results.tradeoff
        return [] if rows is None else [parts.answer_section(rows, max_loss=_ASKED_LOSS)]

    def _command(self, stage: str) -> str:
        return f"Not there yet. Make it with: rramsim {stage} EXPERIMENT.toml --out {self._dir}"

    def _run(self) -> parts.Section:
        results = self._results
        circuit, lack = self._circuit()
        notes = [lack] if lack else []
        notes += [
            f"{f.senses} senses gave no result and are in no count: {f.task} ({f.reason})"
            for f in (results.errors.failed if results.errors else [])
        ]
        if results.provenance is None:
            notes.append(
                "No provenance.json: versions, seeds and hashes are written by "
                f"rramsim run EXPERIMENT.toml --out {self._dir}"
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
        return parts.Section(
            key="run",
            title="What was run",
            notes=tuple(notes),
            facts=(*_glance(results), *self._run_facts(circuit)),
            figures=() if circuit is None else (parts.schematic_figure(circuit),),
            tables=tuple(self._hashes()),
            listings=tuple(listings),
        )

    def _circuit(self) -> tuple[SenseCircuit | None, str]:
        """The circuit that was sensed, or why it cannot be shown."""
        if self._results.experiment is None:
            return None, ""
        try:
            circuit = self._results.experiment.make_circuit()
        except InputError as error:
            return None, f"The circuit cannot be shown: {error}"
        sense = self._results.sense
        swept = circuit.sha256 if sense is None else sense.attrs.get("circuit_sha256")
        if circuit.sha256 != swept:
            return None, (
                "The circuit cannot be shown: its netlist, column or process is no longer the one "
                "that was swept."
            )
        return circuit, ""

    def _run_facts(self, circuit: SenseCircuit | None) -> list[tuple[str, str]]:
        facts = []
        results = self._results
        if results.sense is not None:
            attrs = results.sense.attrs
            facts += [
                ("mismatch", "on" if attrs.get("mismatch") else "off"),
                ("noise", "on" if attrs.get("noise") else "off"),
                ("engine's certification", str(attrs.get("certification", "not recorded"))),
            ]
        if circuit is not None:
            facts.insert(0, ("resistances", self._resistances()))
            column = circuit.column
            facts.append(
                ("column", f"{column.rows} rows, precharge {column.precharge_s * 1e9:g} ns")
            )
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

    def _resistances(self) -> str:
        """Both states by their medians and middle 68 %, and where they come from."""
        experiment = self._results.experiment
        assert experiment is not None
        device, model = experiment.device, experiment.make_resistances()
        source = "assumed log-normal"
        if device.measurements is not None or device.model is not None:
            source = "fitted to measurements"
        elif device.set_word_line_v is not None:
            source = "estimated from the programming voltages"
        states = []
        for name, state in (("LRS", model.lrs), ("HRS", model.hrs)):
            low, middle, high = (
                engineering(float(state.quantile(u)), "Ω") for u in (-1.0, 0.0, 1.0)
            )
            states.append(f"{name} {middle} ({low} – {high})")
        return f"{', '.join(states)}; median and middle 68 %, {source}"

    def _hashes(self) -> list[Table]:
        found = self._results.provenance
        if found is None:
            return []
        rows = []
        for name, digest in found.files.items():
            path = self._folder.path / name
            inside = path.resolve().is_relative_to(self._folder.path.resolve())
            if not (inside and path.is_file()):
                state = "not there now"
            else:
                same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
                state = "as written" if same else "changed since"
            rows.append((name, state, digest))
        return [
            Table(
                title="Files with their SHA-256, as provenance.json recorded them",
                header=("file", "now", "SHA-256"),
                rows=tuple(rows),
                folded=True,
            )
        ]

    def _nominal_section(
        self, key: str, title: str, draw: Callable[[xr.Dataset], figures.Chart]
    ) -> parts.Section:
        if self._nominal is not None:
            return parts.Section(key=key, title=title, figures=(draw(self._nominal),))
        missing = f"Could not be made: {self._lack}" if self._lack else self._command("sweep")
        return parts.Section(key=key, title=title, missing=missing)

    def _waveforms(self) -> parts.Section:
        return self._nominal_section("waveforms", "Waveforms", figures.nominal_waveforms_figure)

    def _map(self) -> parts.Section:
        return self._nominal_section("map", "Read map", figures.read_map_figure)

    def _sense(self) -> parts.Section:
        key, title = "sense", "Time and energy of a sense"
        dataset = self._results.sense
        if dataset is None:
            return parts.Section(key=key, title=title, missing=self._command("sweep"))
        drawn = (figures.time_figure(dataset), figures.energy_figure(dataset))
        return parts.Section(key=key, title=title, figures=drawn)

    def _errors(self) -> parts.Section:
        key, title = "errors", "Bit errors"
        record = self._results.errors
        if record is None:
            missing = f"Not there yet. Make it with: rramsim errors {self._dir}"
            if self._results.sense is None:
                missing = self._command("sweep") + f", then: rramsim errors {self._dir}"
            return parts.Section(key=key, title=title, missing=missing)
        return parts.Section(
            key=key,
            title=title,
            text=(
                "Simulated. Rates are over converged senses: types 1 and 2 of written ±1, type 3 "
                "of written 0."
            ),
            figures=(
                figures.error_rates_figure(
                    [(row, row) for row in record.conditions], source=f"Simulated, {record.engine}"
                ),
            ),
            tables=(error_table(record.conditions), count_table(record.conditions)),
        )

    def _shares(self) -> parts.Section:
        key, title = "shares", "What causes the errors"
        record = self._results.shares
        if record is None:
            return parts.Section(key=key, title=title, missing=self._command("shares"))
        return parts.Section(
            key=key,
            title=title,
            text="Simulated: the same senses with one source of variation switched off at a time.",
            figures=(figures.shares_figure(record),),
            tables=(fall_table(record),),
            notes=tuple(f"{f.senses} senses gave no result: {f.task}" for f in record.failed),
        )

    def _training(self) -> parts.Section:
        key, title = "training", "Training"
        rows = self._results.training
        if rows is None:
            return parts.Section(key=key, title=title, missing=self._command("train"))
        return parts.Section(
            key=key,
            title=title,
            figures=(figures.training_figure(rows),),
            tables=(training_table(rows),),
        )

    def _boundary(self) -> list[parts.Section]:
        rows = self._results.boundary
        if rows is None:
            return []
        return [
            parts.Section(
                key="boundary",
                title="Boundary between 0 and ±1",
                figures=(figures.boundary_figure(rows),),
                tables=(boundary_table(rows),),
            )
        ]

    def _wear(self) -> list[parts.Section]:
        rows = self._results.wear
        if rows is None:
            return []
        return [
            parts.Section(
                key="wear",
                title="Wear",
                figures=(figures.wear_figure(rows),),
                tables=(wear_table(rows),),
            )
        ]

    def _lacks_tradeoff(self) -> str:
        experiment = self._results.experiment
        if experiment is not None and experiment.training.rule != "backprop":
            return (
                f"Not for this experiment: the trade-off knows networks trained with rule "
                f"'backprop', these were with {experiment.training.rule!r}."
            )
        if self._results.sense is None or self._results.training is None:
            return self._command("run")
        return f"Not there yet. Make it with: rramsim tradeoff {self._dir}"

    def _accuracy(self) -> parts.Section:
        key, title = "accuracy", "Accuracy lost to read errors"
        rows = self._results.tradeoff
        if rows is None:
            return parts.Section(key=key, title=title, missing=self._lacks_tradeoff())
        return parts.Section(key=key, title=title, figures=(figures.loss_figure(rows),))

    def _chips(self) -> parts.Section:
        key, title = "chips", "Chips"
        rows, record = self._results.chips, self._results.chip_summary
        if rows is None or record is None:
            missing = self._command("chips") + " (needs a [chips] section)"
            return parts.Section(key=key, title=title, missing=missing)
        return parts.Section(
            key=key,
            title=title,
            figures=(
                figures.chips_figure(
                    rows, data=record.data, images=record.images, conditions=record.conditions
                ),
            ),
            tables=(chips_table(record.ensembles),),
        )

    def _front(self) -> parts.Section:
        key, title = "front", "Energy and accuracy"
        rows = self._results.tradeoff
        if rows is None:
            return parts.Section(key=key, title=title, missing=self._lacks_tradeoff())
        errors = self._results.errors.conditions if self._results.errors else []
        drawn = frozenset(
            waveform_label(v)
            for v in ([] if self._nominal is None else self._nominal.vdd.values.tolist())
        )
        return parts.Section(
            key=key,
            title=title,
            figures=(figures.energy_accuracy_figure(rows, errors),),
            details=front_details(rows, errors, drawn),
            tables=(front_table(rows),),
        )
