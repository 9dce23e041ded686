"""A stage: one question that a run answers, and all that is to be known of it.

Commands, help, report, verification, provenance, locking, resuming and the documents' tables are
made from the list of stages (`rramsim.stages.STAGES`) alone. A new stage is a module that makes a
`Stage`, and a line in that list.
"""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from rramsim.exceptions import InputError, MachineError
from rramsim.records import ProvenanceRecord
from rramsim.stages.folder import EXPERIMENT, PROVENANCE, ResultFile, Rows, RunFolder

if TYPE_CHECKING:
    import xarray as xr

    from rramsim.costs import SupplyTarget
    from rramsim.durable import Runner
    from rramsim.experiment import Experiment
    from rramsim.figures import Chart, Section
    from rramsim.figures.chart import Table
    from rramsim.learning import ImageData

T = TypeVar("T")

Progress = Callable[[float, int, str], None]
"""Called with what is done, the total, and a note."""


def _silent(*_: object) -> None: ...


def _no_images() -> "ImageData":
    raise AssertionError("this stage has not said that it needs images")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a stage is given: the experiment, the folder, and whom to tell.

    `images` loads the experiment's images when it is first called. `report` is called often, after
    what was done is safe on disk: it may raise to stop the stage there. `notice` says what must be
    known of a result. `kept` holds, by the stage's name, what stages before it returned.
    """

    experiment: "Experiment"
    folder: RunFolder
    images: Callable[[], "ImageData"] = _no_images
    report: Progress = _silent
    notice: Callable[[str], None] = _silent
    retry_failed: bool = False
    kept: dict[str, Any] = field(default_factory=dict)
    stop_at_s: float = float("inf")

    @property
    def runner(self) -> "Runner":
        """Where its jobs run, and until when, by the clock of `time.monotonic`."""
        return self.experiment.errors.make_runner(stop_at_s=self.stop_at_s)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What came out otherwise than the folder has it."""

    what: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Redone:
    """A share of a stage's work done again: how much of how much, and all differences.

    `lacking`: work that the results need is not there. `unchecked` says why it cannot be compared.
    """

    done: int
    of: int
    unit: str = "rows"
    differences: tuple[Difference, ...] = ()
    lacking: bool = False
    unchecked: str = ""


def _always(_: "Experiment") -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage.

    `answers` says in one line what one learns from it. `run` makes its files out of those of
    `needs`; run again it goes on from `rows`, the lines that it appends. `unit` is what its
    progress counts. `lacks` says in one line why an experiment cannot have it, and is empty where
    it can; a stage `of_run` is done by `rramsim run` wherever it can be. `images`: it needs them.

    `draw` makes its figures, by their files' names, `sections` its parts of the report, `summary`
    what a terminal shows when it is done; a stage that is `first` begins the report. `again` does a
    random share of it again in a copy of a folder (arguments: the work in the copy, the folder, the
    share, a seed) and compares; left out, it is done by forgetting a share of its rows.
    """

    name: str
    title: str
    answers: str
    run: Callable[[Work], Any]
    unit: str
    files: tuple[ResultFile[Any], ...]
    needs: tuple[ResultFile[Any], ...] = ()
    rows: ResultFile[Any] | None = None
    of_run: bool = False
    first: bool = False
    images: bool = False
    lacks: "Callable[[Experiment], str]" = _always
    draw: "Callable[[RunFolder], Mapping[str, Chart]]" = lambda folder: {}
    again: "Callable[[Work, RunFolder, float, int], Redone] | None" = None
    sections: "Callable[[Results], Sequence[Section]]" = lambda results: ()
    summary: "Callable[[RunFolder], Sequence[Table | str]]" = lambda folder: ()

    @property
    def made(self) -> tuple[ResultFile[Any], ...]:
        """The files that it makes out of its rows."""
        return tuple(f for f in self.files if f.result and not isinstance(f, Rows))

    def present(self, folder: RunFolder) -> bool:
        """Whether the folder holds any of what it makes."""
        return any(file.path(folder).is_file() for file in self.made)


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
        from rramsim.figures import Section

        nominal, lack = self._nominal
        if nominal is not None:
            return Section(key=key, title=title, figures=(draw(nominal),))
        missing = f"Could not be made: {lack}" if lack else "Made from the sweep's experiment."
        return Section(key=key, title=title, missing=missing)

    def command(self, stage: Stage) -> str:
        """The command that makes what a stage has not made here."""
        only = "" if stage.of_run else f" --stage {stage.name}"
        return f"rramsim run EXPERIMENT.toml --out {shlex.quote(str(self.folder.path))}{only}"
