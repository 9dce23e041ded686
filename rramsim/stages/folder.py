"""The output folder of a run: where each stage leaves what the next one reads."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment, parse_experiment
from rramsim.files import atomic_path, output_folder
from rramsim.schemas import FILE_SCHEMAS, check_schema

__all__ = ["RunFolder"]


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """Names of the files in an output folder."""

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
    def experiment(self) -> Path:
        """The experiment as it was read."""
        return self.path / "experiment.json"

    @property
    def rows(self) -> Path:
        """The campaign's rows."""
        return self.path / "senses.jsonl"

    @property
    def sense(self) -> Path:
        """The sweep's dataset."""
        return self.path / "sense.nc"

    @property
    def errors(self) -> Path:
        """Error statistics with intervals."""
        return self.path / "errors.json"

    @property
    def training(self) -> Path:
        """Metrics of every epoch of every network."""
        return self.path / "training.csv"

    @property
    def wear(self) -> Path:
        """Writes of the devices of networks that learned on them."""
        return self.path / "wear.csv"

    @property
    def networks(self) -> Path:
        """Folder of trained networks and checkpoints."""
        return self.path / "networks"

    @property
    def evaluations(self) -> Path:
        """Accuracies of single draws, kept so that a resumed run does not test twice."""
        return self.path / "evaluations.jsonl"

    @property
    def tradeoff(self) -> Path:
        """The trade-off's table."""
        return self.path / "tradeoff.csv"

    @property
    def costs(self) -> Path:
        """What an inference costs, part by part, for every data flow."""
        return self.path / "costs.csv"

    @property
    def chips(self) -> Path:
        """The accuracy of every chip."""
        return self.path / "chips.csv"

    @property
    def chip_rows(self) -> Path:
        """The chips tested so far."""
        return self.path / "chips.jsonl"

    @property
    def chip_summary(self) -> Path:
        """The chips' distributions with intervals."""
        return self.path / "chips.json"

    @property
    def boundary(self) -> Path:
        """Above which resistance two equal devices read 0."""
        return self.path / "boundary.csv"

    @property
    def shares(self) -> Path:
        """What each source of variation does to the errors."""
        return self.path / "shares.json"

    @property
    def ber_map(self) -> Path:
        """Every error rate over the grid."""
        return self.path / "ber_map.csv"

    @property
    def ber_map_rows(self) -> Path:
        """The rates found so far."""
        return self.path / "ber_map.jsonl"

    @property
    def nominal(self) -> Path:
        """Waveforms and read maps without mismatch, for the report."""
        return self.path / "nominal.nc"

    @property
    def report(self) -> Path:
        """The report."""
        return self.path / "report.html"

    @property
    def provenance(self) -> Path:
        """What made the folder's files."""
        return self.path / "provenance.json"

    def save_experiment(self, experiment: Experiment) -> None:
        """Keep the experiment for the stages that are given this folder only."""
        named = {"schema": FILE_SCHEMAS["experiment.json"]}
        self.write_json(self.experiment, named | experiment.model_dump(mode="json"))

    def load_experiment(self) -> Experiment:
        """The experiment that this folder was made from."""
        values = self.read_json(self.experiment, "rramsim sweep or train")
        values.pop("schema", None)
        folder = Path(str(values.pop("folder", ".")))
        return parse_experiment(values, folder=folder, where=str(self.experiment))

    def write_json(self, path: Path, value: Any) -> None:
        """Write JSON, whole or not at all."""
        with atomic_path(path) as temporary:
            temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, path: Path, made_by: str) -> dict[str, Any]:
        """Read JSON that a stage left; raises `InputError` if it is missing or damaged."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(f"{path}: not there; make it with {made_by}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path}: damaged ({error}); make it again with {made_by}") from error
        if not isinstance(value, dict):
            raise InputError(f"{path}: damaged; make it again with {made_by}")
        check_schema(value.get("schema"), FILE_SCHEMAS[path.name], path)
        return value
