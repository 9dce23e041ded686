"""What a folder holds, for the report: each file read once, by its own reader."""

import shlex
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from rramsim.exceptions import InputError, MachineError
from rramsim.records import ProvenanceRecord
from rramsim.stages.folder import EXPERIMENT, PROVENANCE, RunFolder
from rramsim.stages.result_files import Dataset, ResultFile

if TYPE_CHECKING:
    import xarray as xr

    from rramsim.costs import SupplyTarget
    from rramsim.experiment import Experiment
    from rramsim.figures import Chart
    from rramsim.figures.report import Section
    from rramsim.stages.stage import Stage

__all__ = ["NOMINAL", "Results"]

T = TypeVar("T")

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


class Results:
    """The results of a folder; what is not there is None. A damaged file raises `InputError`.

    `target`: what the report's answer is for; left out, that of `SupplyTarget`.
    """

    def __init__(self, folder: RunFolder, target: "SupplyTarget | None" = None) -> None:
        from rramsim.costs import SupplyTarget

        self.folder = folder
        self.target = target or SupplyTarget()
        self._read: dict[str, Any] = {}

    def read(self, file: ResultFile[T]) -> T | None:
        """What a file holds."""
        if file.name not in self._read:
            self._read[file.name] = file.read(self.folder)
        found: T | None = self._read[file.name]
        return found

    @cached_property
    def experiment(self) -> "Experiment | None":
        """The experiment that the folder was made from."""
        there = EXPERIMENT.path(self.folder).is_file()
        return self.folder.load_experiment() if there else None

    @property
    def provenance(self) -> ProvenanceRecord | None:
        """What made the folder's files."""
        return self.read(PROVENANCE)

    @cached_property
    def _nominal(self) -> "tuple[xr.Dataset | None, str]":
        from rramsim.stages.nominal import nominal_senses
        from rramsim.stages.sweep import SENSE

        sense = self.read(SENSE)
        if self.experiment is None or sense is None:
            return None, ""
        swept = sense.attrs.get("circuit_sha256")
        try:
            return nominal_senses(self.experiment, self.folder, circuit_sha256=swept), ""
        except (InputError, MachineError) as error:
            return None, str(error)

    @property
    def nominal(self) -> "xr.Dataset | None":
        """The nominal senses, made where the folder has none."""
        return self._nominal[0]

    def nominal_section(
        self, key: str, title: str, draw: "Callable[[xr.Dataset], Chart]"
    ) -> "Section":
        """A section of one figure of the nominal senses, or why there is none."""
        from rramsim.figures.report import Section

        nominal, lack = self._nominal
        if nominal is not None:
            return Section(key=key, title=title, figures=(draw(nominal),))
        missing = f"Could not be made: {lack}" if lack else "Made from the sweep's experiment."
        return Section(key=key, title=title, missing=missing)

    def command(self, stage: "Stage") -> str:
        """The command that makes what a stage has not made here."""
        only = "" if stage.of_run else f" --stage {stage.name}"
        return f"rramsim run EXPERIMENT.toml --out {shlex.quote(str(self.folder.path))}{only}"
