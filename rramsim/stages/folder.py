"""The output folder of a run, and its files: each with its format, its content and its one reader.

A format's name ends in a version, "rramsim errors 1". It goes up when an older rramsim would
misread the file. JSON and netCDF hold the name themselves; of tables and rows `provenance.json`
holds it.
"""

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args

from pydantic import ConfigDict, ValidationError

from rramsim import counting, learning
from rramsim.exceptions import InputError
from rramsim.files import atomic_path, cache_folder, check_regular, output_folder
from rramsim.records import MEANINGS, ProvenanceRecord, Record

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from rramsim.experiment import Experiment

T = TypeVar("T")
R = TypeVar("R", bound=Record)


def check_schema(found: object, wanted: str, where: object) -> None:
    """Pass a file whose schema is `wanted`, an older version of it, or not named.

    Raises `InputError`, beginning with `where`, for another kind of file or a newer version.

    >>> check_schema("rramsim errors 1", "rramsim errors 2", "errors.json")
    >>> check_schema("rramsim errors 2", "rramsim errors 1", "errors.json")
    Traceback (most recent call last):
    rramsim.exceptions.InputError: errors.json: written by a newer rramsim (schema 'rramsim errors \
2', this one reads 'rramsim errors 1'); update rramsim, or make the file again
    """
    if found is None:
        return
    kind, _, number = wanted.rpartition(" ")
    name, _, version = found.rpartition(" ") if isinstance(found, str) else ("", "", "")
    if name != kind or not (version.isascii() and version.isdigit()):
        raise InputError(f"{where}: its schema is {found!r}, must be {wanted!r}")
    if int(version) > int(number):
        raise InputError(
            f"{where}: written by a newer rramsim (schema {found!r}, this one reads {wanted!r}); "
            "update rramsim, or make the file again"
        )


@dataclass(frozen=True, kw_only=True)
class ResultFile(Generic[T]):
    """A file of a folder: `holds` says in a line what is in it, `schema` names its format.

    A file that is not a `result` is made anew whenever it is wanted, and is in no provenance.
    """

    name: str
    schema: str
    holds: str
    result: bool = True

    def path(self, folder: "RunFolder") -> Path:
        """Where it lies."""
        return folder.path / self.name

    def read(self, folder: "RunFolder") -> T | None:
        """What it holds, checked, or None where it is not there.

        Raises `InputError` of one line for a damaged file, or one of a newer rramsim.
        """
        path = self.path(folder)
        check_regular(path)
        try:
            return self._load(path)
        except FileNotFoundError:
            return None
        except InputError:
            raise
        except ValidationError as error:
            raise self._damaged(path, _first(error), folder) from error
        except (OSError, ValueError, RecursionError, csv.Error) as error:
            raise self._damaged(path, error, folder) from error

    def need(self, folder: "RunFolder") -> T:
        """As `read`; raises `InputError` where the file is not there."""
        found = self.read(folder)
        if found is None:
            made_by = self.made_by(folder)
            raise InputError(f"{self.path(folder)}: not there; make it with {made_by}")
        return found

    def made_by(self, folder: "RunFolder") -> str:
        """The command that makes it."""
        from rramsim.stages import STAGES

        stage = next((stage for stage in STAGES if self in stage.files), None)
        only = f" --stage {stage.name}" if stage else ""
        return f"'rramsim run EXPERIMENT.toml --out {folder.path}{only}'"

    def told(self, folder: "RunFolder") -> Any:
        """The content as plain values for JSON, or the file's path where it is too much."""
        return str(self.path(folder))

    def columns(self) -> tuple[tuple[str, str], ...]:
        """Names and meanings of what a row or the object holds; none where nothing is said."""
        return ()

    def _load(self, path: Path) -> T:
        raise NotImplementedError

    def _damaged(self, path: Path, what: object, folder: "RunFolder") -> InputError:
        line = " ".join(str(what).split())
        return InputError(
            f"{path}: damaged ({line}); remove it and make it again with {self.made_by(folder)}"
        )


@dataclass(frozen=True, kw_only=True)
class Rows(ResultFile[None]):
    """Appended lines of JSON by which an interrupted stage goes on; it alone reads them."""


@dataclass(frozen=True, kw_only=True)
class Page(ResultFile[None]):
    """A page to look at."""


@dataclass(frozen=True, kw_only=True)
class Document(ResultFile[R]):
    """A JSON object, checked by `record`."""

    record: type[R]

    def write(self, folder: "RunFolder", value: Mapping[str, Any]) -> None:
        """Write it, whole or not at all."""
        self.record.model_validate(value)
        text = json.dumps({"schema": self.schema, **value}, indent=1, ensure_ascii=False)
        with atomic_path(self.path(folder)) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")

    def told(self, folder: "RunFolder") -> Any:
        """The object."""
        return json.loads(self.path(folder).read_text(encoding="utf-8"))

    def columns(self) -> tuple[tuple[str, str], ...]:
        """The object's keys."""
        return _columns(self.record)

    def _load(self, path: Path) -> R:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
        if isinstance(value, dict):
            check_schema(value.get("schema"), self.schema, path)
        return self.record.model_validate_json(text)


@dataclass(frozen=True, kw_only=True)
class Table(ResultFile[tuple[R, ...]]):
    """A CSV table, each row checked by `record`, whose fields are its columns."""

    record: type[R]

    def write(self, folder: "RunFolder", rows: Iterable[Mapping[Any, Any]]) -> None:
        """Write rows, whole or not at all; empty fields stand for None and NaN.

        What a row leaves out is the field's default, or empty where it has none.
        """
        names = list(self.record.model_fields)
        empty = {name: None for name, f in self.record.model_fields.items() if f.is_required()}
        with StringIO() as text:
            writer = csv.DictWriter(text, names, lineterminator="\n")
            writer.writeheader()
            for row in rows:
                checked = self.record.model_validate(empty | dict(row))
                assert row.keys() <= set(names), row.keys() - set(names)
                writer.writerow({name: getattr(checked, name) for name in names})
            with atomic_path(self.path(folder)) as temporary:
                temporary.write_text(text.getvalue(), encoding="utf-8")

    def frame(self, folder: "RunFolder") -> "pd.DataFrame":
        """The checked rows as a data frame."""
        import pandas as pd

        return pd.DataFrame([row.model_dump() for row in self.need(folder)])

    def told(self, folder: "RunFolder") -> Any:
        """The rows."""
        return [row.model_dump() for row in self.need(folder)]

    def columns(self) -> tuple[tuple[str, str], ...]:
        """The table's columns."""
        return _columns(self.record)

    def _load(self, path: Path) -> tuple[R, ...]:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = []
            for row in reader:
                try:
                    rows.append(self.record.model_validate(row))
                except ValidationError as error:
                    # Line 1 is the header.
                    raise ValueError(f"line {reader.line_num}, {_first(error)}") from error
        if not rows:
            raise ValueError("holds no row")
        return tuple(rows)


@dataclass(frozen=True, kw_only=True)
class Dataset(ResultFile["xr.Dataset"]):
    """A netCDF file; `variables` with their dimensions and `attributes` must be in it."""

    variables: Mapping[str, tuple[str, ...]]
    attributes: tuple[str, ...] = ()

    def write(self, folder: "RunFolder", dataset: "xr.Dataset") -> None:
        """Write it, whole or not at all."""
        counting.save_dataset(dataset.assign_attrs(schema=self.schema), self.path(folder))

    def columns(self) -> tuple[tuple[str, str], ...]:
        """The variables."""
        return tuple((name, _meaning(name, None)) for name in self.variables)

    def _load(self, path: Path) -> "xr.Dataset":
        if not path.is_file():
            raise FileNotFoundError(path)
        dataset = counting.load_dataset(path)
        check_schema(dataset.attrs.get("schema"), self.schema, path)
        lacks = [k for k, at in self.variables.items() if k not in dataset or dataset[k].dims != at]
        lacks += [name for name in self.attributes if name not in dataset.attrs]
        if lacks:
            raise ValueError(f"lacks {', '.join(lacks)}")
        return dataset


_UNITS = {"v": "V", "s": "s", "c": "°C", "j": "J", "ohm": "Ω", "m2": "m²"}


def _meaning(name: str, text: str | None) -> str:
    """What a field means, with the unit that its name ends in."""
    unit = _UNITS.get(name.rpartition("_")[2], "") if "_" in name else ""
    return "; ".join(part for part in (unit, text or MEANINGS.get(name)) if part)


def _columns(record: type[Record]) -> tuple[tuple[str, str], ...]:
    """Fields with their unit and meaning; those of an object inside it follow, behind a dot."""
    found = []
    for name, field in record.model_fields.items():
        found.append((name, _meaning(name, field.description)))
        inner = _inner(field.annotation)
        found += [(f"{name}.{part}", text) for part, text in _columns(inner)] if inner else []
    return tuple(found)


def _inner(annotation: Any) -> type[Record] | None:
    """The record of an object, or of a list or table of objects."""
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return annotation
    return next((found for part in get_args(annotation) if (found := _inner(part))), None)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    at = ".".join(str(part) for part in first["loc"])
    return f"{at}: {first['msg']}" if at else first["msg"]


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


def choose_data(name: str, *, path: Path | None) -> "learning.ImageData":
    """Load the data set of an experiment.

    "auto" is what lies at `path` if it is given, else scikit-learn's digits; "cifar10" without a
    path is downloaded from its official address into the user's cache. Raises `InputError` if the
    set is damaged or not there.
    """
    if name == "auto":
        name = "digits" if path is None else "images"
    if name == "digits":
        return learning.load_images("digits")
    if path is None and name == "cifar10":
        path = learning.download_cifar10(cache_folder())
    return learning.load_images(name, path=path)
