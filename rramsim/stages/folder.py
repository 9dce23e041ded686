"""The output folder of a run: where each stage leaves what the next one reads."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ConfigDict

from rramsim.exceptions import InputError
from rramsim.files import cache_folder, output_folder
from rramsim.records import ProvenanceRecord, Record
from rramsim.stages.result_files import Document

if TYPE_CHECKING:
    from rramsim.experiment import Experiment
    from rramsim.learning import ImageData

__all__ = ["EXPERIMENT", "PROVENANCE", "RunFolder", "choose_data"]


class _Values(Record):
    """An object whose keys are checked by another reader."""

    model_config = ConfigDict(extra="allow")


EXPERIMENT = Document(
    name="experiment.json", schema="rramsim experiment 1", record=_Values,
    holds="the experiment as it was read, every key",
)  # fmt: skip
PROVENANCE = Document(
    name="provenance.json", schema="rramsim provenance 1", record=ProvenanceRecord,
    holds="versions, seeds, commands, and the SHA-256 and format of every file", result=False,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The folder that a run writes into."""

    path: Path

    @staticmethod
    def create(path: Path) -> "RunFolder":
        """Make the folder; raises `InputError` if it cannot be written."""
        output_folder(path)
        return RunFolder(path=path)

    @staticmethod
    def existing(path: Path) -> "RunFolder":
        """The folder of an earlier run; raises `InputError` if there is none."""
        if not path.is_dir():
            raise InputError(
                f"{path}: no such folder; make one with 'rramsim run ... --out {path}'"
            )
        return RunFolder(path=path)

    @property
    def networks(self) -> Path:
        """Folder of trained networks and checkpoints."""
        return self.path / "networks"

    def save_experiment(self, experiment: "Experiment") -> None:
        """Keep the experiment for those who are given this folder only."""
        EXPERIMENT.write(self, experiment.model_dump(mode="json"))

    def load_experiment(self) -> "Experiment":
        """The experiment that this folder was made from; raises `InputError` without one."""
        from rramsim.experiment import parse_experiment

        values = EXPERIMENT.need(self).model_dump()
        values.pop("schema", None)
        folder = Path(str(values.pop("folder", ".")))
        return parse_experiment(values, folder=folder, where=str(EXPERIMENT.path(self)))


def choose_data(name: str, *, path: Path | None) -> "ImageData":
    """Load the data set of an experiment.

    "auto" is what lies at `path` if it is given, else scikit-learn's digits; "cifar10" without a
    path is downloaded from its official address into the user's cache. Raises `InputError` if the
    set is damaged or not there.
    """
    from rramsim.learning import download_cifar10, load_images

    if name == "auto":
        name = "digits" if path is None else "images"
    if name == "digits":
        return load_images("digits")
    if path is None and name == "cifar10":
        path = download_cifar10(cache_folder())
    return load_images(name, path=path)
