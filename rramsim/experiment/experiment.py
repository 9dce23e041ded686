"""A whole experiment: its sections, the values of the packages that they stand for, and its file.

Every fault in a file is one line that names section, key and value.
"""

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel, Field, PrivateAttr, ValidationError

from rramsim.chips import ArrayShape, ChipModel
from rramsim.circuits import Column, ReadOut, SenseCircuit, SenseConditions, sense_circuit
from rramsim.devices import DeviceStatistics, Persistence, ResistanceModel, Retention
from rramsim.exceptions import InputError
from rramsim.experiment.circuit import ColumnSection, ProcessSection, SenseSection
from rramsim.experiment.device import DeviceSection
from rramsim.experiment.errors import ErrorsSection, ToleranceSection
from rramsim.experiment.ineffective_keys import refuse_ineffective_keys
from rramsim.experiment.network import (
    ChipsSection,
    EquilibriumSection,
    NetworkSection,
    TestSection,
    TrainingSection,
)
from rramsim.experiment.values import Section
from rramsim.processes import Process
from rramsim.spice import read_text

if TYPE_CHECKING:
    from rramsim.learning.equilibrium import EquilibriumSpec, EquilibriumTraining
    from rramsim.networks import ModuleSpec


class Experiment(Section):
    """A whole experiment; the methods turn its sections into the values of the packages below."""

    process: ProcessSection = ProcessSection(name="sky130-5v")
    device: DeviceSection = DeviceSection()
    column: ColumnSection = ColumnSection()
    sense: SenseSection = SenseSection()
    errors: ErrorsSection = ErrorsSection()
    network: NetworkSection = NetworkSection()
    training: TrainingSection = TrainingSection()
    equilibrium: EquilibriumSection = EquilibriumSection()
    test: TestSection = TestSection()
    chips: ChipsSection | None = None
    tolerance: ToleranceSection | None = None
    folder: Path = Field(default=Path(), description="where relative paths start")
    _module_allowed: bool = PrivateAttr(default=False)

    def make_process(self) -> Process:
        """The transistor process."""
        return self.process.make(self.folder)

    def make_circuit(self) -> SenseCircuit:
        """The sense circuit in its column."""
        netlist = self.sense.netlist
        return sense_circuit(
            process=self.make_process(),
            column=Column(**self.column.model_dump()),
            read_out=ReadOut(name=self.sense.circuit),
            netlist=None if netlist is None else self.folder / netlist,
        )

    def make_conditions(self) -> tuple[SenseConditions, ...]:
        """Every point of the sweep's grid."""
        return self.sense.conditions()

    def make_resistances(self) -> ResistanceModel:
        """The devices' resistance statistics."""
        return self.device.make(self.folder)

    def make_chip_conditions(self) -> SenseConditions:
        """The conditions under which the chips are read."""
        assert self.chips is not None
        first = self.make_conditions()[0]
        return replace(first, vdd_v=self.chips.vdd_v or first.vdd_v)

    def make_chip_model(self, *, amplifiers: Literal["shared", "own"] = "shared") -> ChipModel:
        """What the chips have in common."""
        section = self.chips
        assert section is not None
        self.sense.refuse_spread("a chip")
        lrs, hrs = section.cell_share
        return ChipModel(
            circuit=self.make_circuit(),
            statistics=DeviceStatistics(
                resistances=self.make_resistances(),
                lrs=Persistence(cell_share=lrs),
                hrs=Persistence(cell_share=hrs),
            ),
            array=ArrayShape(rows=self.column.rows, columns=section.columns),
            amplifiers=amplifiers if self.sense.mismatch else "none",
            read_noise_ln=section.read_noise_ln,
            retention=Retention(relaxation_ln=section.relaxation_ln) if section.age_s else None,
            verify=section.make_verify(),
        )

    def with_scheduler(self, address: str | None) -> "Experiment":
        """The same experiment, sensed by the workers of a dask scheduler (None: as it says)."""
        if address is None:
            return self
        errors = self.errors.model_copy(update={"scheduler": address})
        return self.model_copy(update={"errors": errors}).check()

    def with_module_allowed(self) -> "Experiment":
        """The same experiment, with leave to run the Python that [network] module names.

        Only for an experiment that the user starts, by name and for this once: nothing that is
        stored gives it.
        """
        if self.network.module is None:
            raise InputError("--allow-module: the experiment has no [network] module")
        allowed = self.model_copy()
        allowed._module_allowed = True
        return allowed

    def require_module_allowed(self) -> None:
        """Raise `InputError` if [network] module names Python that the user did not allow."""
        if self.network.module is not None and not self._module_allowed:
            raise InputError(
                f"[network] module = {self.network.module!r}: is Python that would be run; if you "
                "trust it, start the experiment file itself with rramsim run --allow-module"
            )

    def make_own_networks(
        self, input_shape: tuple[int, int, int], classes: int
    ) -> "tuple[ModuleSpec, ...]":
        """The networks of [network] module, for images of this shape, one for each of weights."""
        from rramsim.files import file_digest
        from rramsim.networks import ModuleSpec, module_file

        section = self.network
        assert section.module is not None
        self.require_module_allowed()
        file = module_file(section.module, self.folder)
        weights = {}
        if section.weights_file is not None:
            path = self.folder / section.weights_file
            weights = {"weights_file": section.weights_file, "weights_sha256": file_digest(path)}
        return tuple(
            ModuleSpec(
                module=section.module, code_sha256=file_digest(file), weights=kind,
                pixels=section.pixels, input_shape=input_shape, classes=classes,
                folder=self.folder, **weights,
            )
            for kind in section.weights
        )  # fmt: skip

    def make_equilibrium(
        self, input_shape: tuple[int, int, int], classes: int
    ) -> "tuple[EquilibriumSpec, EquilibriumTraining]":
        """The energy-based network and its training, for images of this shape."""
        return self.equilibrium.make(self.training, input_shape, classes)

    def check(self) -> "Experiment":
        """Build every value once, so that what cannot be is refused before any work is done.

        So is a key that would do nothing beside the others.
        """
        refuse_ineffective_keys(self)
        self.sense.check(self.make_circuit())
        self.make_resistances()
        self.errors.make_engine()
        self.errors.make_stop_rule()
        self.errors.make_runner()
        if self.training.rule == "backprop":
            self.training.make_settings()
        else:
            if "network" in self.model_fields_set:
                raise InputError(
                    "[network]: goes with [training] rule = 'backprop'; describe the network in "
                    "[equilibrium]"
                )
            # Any image will do for a look at the keys; its size is checked with the data.
            self.make_equilibrium((3, 32, 32), 10)
            injected = [v for v in self.training.errors_vdd_v if v != "none"]
            if injected and self.training.rule != "ternary-ep":
                raise InputError(
                    f"[training] errors_vdd_v = {injected[0]}: read errors are defined for ternary "
                    "weights; use rule = 'ternary-ep' or 'backprop'"
                )
        if self.chips is not None:
            if "resnet" in self.network.architecture:
                raise InputError(
                    "[network] architecture = 'resnet': its shortcuts are not bit-true, so [chips] "
                    "cannot test it; leave one of them out"
                )
            chip, conditions = self.make_chip_model(), self.make_chip_conditions()
            try:
                chip.circuit.process.check(corner=conditions.corner, vdd_v=conditions.vdd_v)
            except InputError as error:
                raise InputError(f"[chips] {error}") from error
            Retention(relaxation_ln=self.chips.relaxation_ln).decades(age_s=self.chips.age_s)
        simulated = set(self.sense.vdd_v)
        for vdd_v in self.training.errors_vdd_v:
            if vdd_v != "none" and vdd_v not in simulated:
                raise InputError(
                    f"[training] errors_vdd_v = {vdd_v}: must be 'none' or one of [sense] "
                    f"vdd_v = {self.sense.vdd_v}"
                )
        return self


def load_experiment(path: Path) -> Experiment:
    """Read and check an experiment file.

    Raises `InputError` of one line that names file, section, key, value and what would be right.
    """
    path = Path(path)
    try:
        values = tomllib.loads(read_text(path, "an experiment (TOML)"))
    # A number of thousands of digits and arrays thousands deep are not in its own class of errors.
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not TOML: {error}") from error
    if "folder" in values:
        raise InputError(f"{path}: [folder]: unknown; {_known(())}")
    experiment = parse_experiment(values, folder=path.resolve().parent, where=str(path))
    try:
        return experiment.check()
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def parse_experiment(values: dict[str, Any], *, folder: Path, where: str) -> Experiment:
    """Check the values of an experiment; `where` names their source in messages."""
    try:
        return Experiment.model_validate({**values, "folder": folder})
    except ValidationError as error:
        raise InputError(f"{where}: {_describe(error)}") from error


def _describe(error: ValidationError) -> str:
    """Say the first fault in the file's own words."""
    first, *rest = error.errors()
    location = [str(part) for part in first["loc"] if not str(part).startswith("function-")]
    section, keys = location[0], [part for part in location[1:] if not _is_variant(part)]
    name = f"[{section}] {'.'.join(keys)}".strip()
    more = f" (and {len(rest)} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        return f"{name}: unknown; {_known(location[:-1])}{more}"
    message = first["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    return f"{name} = {first['input']!r}: {message}{more}"


def _is_variant(part: str) -> bool:
    """pydantic names the tried alternatives of a union in a location; they are not keys."""
    return part in {"float", "str"} or part.startswith(("literal[", "list["))


def _known(location: list[str] | tuple[str, ...]) -> str:
    model: type[BaseModel] = Experiment
    for part in location:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        for kind in (annotation, *get_args(annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                model = kind
    names = [name for name in model.model_fields if name != "folder"]
    return f"known are {', '.join(names)}"
