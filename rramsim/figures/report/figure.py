"""What the page is made of: figures with their data, tables, sections."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import StringIO

from pydantic import BaseModel

__all__ = [
    "DetailPoint",
    "ReportFigure",
    "ReportTable",
    "Section",
    "Variant",
    "csv_text",
    "record_csv",
]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One drawing of a figure, under a label that the reader chooses it by."""

    label: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class ReportFigure:
    """A figure with its drawings, its caption and its data as CSV.

    `choice` says what its variants differ in, `first` which one is shown first; `key` names it in
    the page and in file names.
    """

    key: str
    title: str
    caption: str
    variants: tuple[Variant, ...]
    csv: str
    choice: str = ""
    first: int = 0


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """A table of texts; `numeric` columns (by index) are set to the right."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()
    folded: bool = False


@dataclass(frozen=True, kw_only=True)
class DetailPoint:
    """What is told of one point of the front when it is chosen."""

    key: str
    title: str
    facts: tuple[tuple[str, str], ...]
    waveforms: str | None


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page; `missing` says, where results lack, which command makes them."""

    key: str
    title: str
    text: str = ""
    missing: str = ""
    notes: tuple[str, ...] = ()
    figures: tuple[ReportFigure, ...] = ()
    tables: tuple[ReportTable, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    listings: tuple[tuple[str, str], ...] = ()
    details: tuple[DetailPoint, ...] = ()


def csv_text(header: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Rows as CSV, floats to six digits and empty where there is no number.

    >>> csv_text(["name", "value"], [["a,b", 0.1234567], ["c", float("nan")]])
    'name,value\\n"a,b",0.123457\\nc,\\n'
    """

    def cell(value: object) -> object:
        if isinstance(value, float):
            return f"{value:.6g}" if math.isfinite(value) else None
        return value

    with StringIO() as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([cell(value) for value in row] for row in rows)
        return text.getvalue()


def record_csv(rows: Sequence[BaseModel]) -> str:
    """Records of one kind as CSV, a column for each field."""
    return csv_text(list(type(rows[0]).model_fields), (row.model_dump().values() for row in rows))
