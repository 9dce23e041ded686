"""A transistor process: model cards per corner and the mismatch of its parameters."""

import hashlib
import math
import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from rramsim.exceptions import InputError
from rramsim.processes.cards import read_library, sections
from rramsim.spice import (
    Body,
    Element,
    Library,
    ModelCard,
    Scope,
    canonical,
    elaborate,
    merged,
    parse_deck,
)

__all__ = [
    "CORNERS",
    "MismatchCoefficient",
    "Process",
    "load_process",
    "load_process_folder",
    "netlists_folder",
    "process_from_cards",
]

CORNERS = ("tt", "ss", "ff", "sf", "fs")
_NAME = re.compile(r"[A-Za-z_][\w.]*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class MismatchCoefficient:
    """Local variation of one model parameter: deviation = slope_um / sqrt(W L in um^2).

    `kind` "relative" multiplies the deviation by the parameter's nominal value. `model` names a
    device (all its bins) or one bin.
    """

    model: str
    """The model's name in the cards."""
    parameter: str
    """The parameter of it that varies."""
    kind: Literal["relative", "absolute"]
    """Whether the deviation is a share of the nominal value or is added to it."""
    slope_um: float
    """The deviation times the square root of the gate's area, in the parameter's unit times µm."""

    def __post_init__(self) -> None:
        for key in ("model", "parameter"):
            value = getattr(self, key)
            if not (isinstance(value, str) and _NAME.fullmatch(value)):
                raise InputError(
                    f"[[mismatch]] {key} = {value!r}: must be a name of letters, digits, _ and ."
                )

    def sigma(self, *, nominal: float, width_m: float, length_m: float) -> float:
        """Standard deviation of the parameter, in its own unit.

        >>> toxe = MismatchCoefficient(
        ...     model="n", parameter="toxe", kind="relative", slope_um=0.0205
        ... )
        >>> round(toxe.sigma(nominal=1.16e-8, width_m=1e-6, length_m=0.5e-6) / 1.16e-8, 4)
        0.029
        """
        area_um2 = width_m * length_m * 1e12
        scale = abs(nominal) if self.kind == "relative" else 1.0
        return self.slope_um * scale / math.sqrt(area_um2)


@dataclass(frozen=True, kw_only=True)
class Process:
    """Models of one transistor pair, by corner, with their mismatch coefficients.

    `corners` holds what each corner's file says. `size_unit_m` is the unit of the sizes on X lines
    that name a plain model, as a PDK's netlists have it (None: X lines of models are refused).
    """

    name: str
    nmos: str
    pmos: str
    corners: dict[str, Body]
    mismatch: tuple[MismatchCoefficient, ...]
    size_unit_m: float | None = None

    def __post_init__(self) -> None:
        for corner in self.corners:
            kinds = {card.name: card.kind for card in self.cards(corner)}
            wrapped = self.corners[corner].subcircuits
            for role, device in (("nmos", self.nmos), ("pmos", self.pmos)):
                kind = role if device.lower() in wrapped else kinds.get(device.lower())
                if kind is None:
                    known = sorted({*kinds, *wrapped})
                    raise InputError(
                        f"process {self.name}, corner {corner}: the cards lack the {role} device "
                        f"{device!r}; they hold {', '.join(known) or 'nothing'}"
                    )
                if kind != role:
                    raise InputError(
                        f"process {self.name}, corner {corner}: {device!r} is a {kind} model, "
                        f"but named as the {role} device"
                    )

    @cached_property
    def _libraries(self) -> dict[str, Library]:
        aliases = {
            "nch": self.nmos.lower(), "pch": self.pmos.lower(),
        }  # fmt: skip
        return {
            corner: Library(scope=Scope(body).opened(), aliases=aliases, unit_m=self.size_unit_m)
            for corner, body in self.corners.items()
        }

    def library(self, corner: str) -> Library:
        """The names that a netlist finds at a corner; raises `InputError` if there is none."""
        if corner not in self.corners:
            raise InputError(
                f"corner = {corner!r}: process {self.name} has {', '.join(self.corners)}"
            )
        return self._libraries[corner]

    def cards(self, corner: str) -> tuple[ModelCard, ...]:
        """The models of a corner that stand outside of subcircuits."""
        scope = self.library(corner).scope
        return tuple(scope.card(statement) for statement in scope.body.models.values())

    def transistor(
        self, *, corner: str, device: str, width_m: float, length_m: float, sizes: str = ""
    ) -> Element:
        """A transistor of `device` (or `nch`, `pch`) with its card; `sizes` as on an M line.

        Raises `InputError` for a corner, a device or a geometry that the process does not have.
        """
        line = f"m1 d g s 0 {device.lower()} w={width_m!r} l={length_m!r} {sizes}"
        deck = parse_deck("\n".join([line, *(f"r{n} {n} 0 1" for n in "dgs")]), Path(self.name))
        elements = elaborate(deck.body, self.library(corner)).elements
        return next(element for element in elements if element.kind == "m")

    def card(self, *, corner: str, device: str, width_m: float, length_m: float) -> ModelCard:
        """The card of `device` that covers a geometry; raises as `transistor` does."""
        found = self.transistor(
            corner=corner, device=device, width_m=width_m, length_m=length_m
        ).card
        assert found is not None
        return found

    def coefficients(self, card: ModelCard) -> tuple[MismatchCoefficient, ...]:
        """The mismatch coefficients that apply to a card."""
        return tuple(
            c
            for c in self.mismatch
            if c.model.lower() in (card.bin_name.lower(), card.name.lower())
        )

    @property
    def sha256(self) -> str:
        """Hash of every model and coefficient: the process's part of a task's id."""
        digest = hashlib.sha256(f"{self.name} {self.nmos} {self.pmos}".encode())
        for corner in sorted(self.corners):
            for card in self.cards(corner):
                digest.update(f"{corner} {card.bin_name} {card.kind} {card.limits_m}".encode())
                digest.update(card.body.encode())
            if self.corners[corner].subcircuits:
                digest.update(canonical(self.corners[corner]).encode())
        for coefficient in self.mismatch:
            digest.update(repr(coefficient).encode())
        return digest.hexdigest()


def netlists_folder() -> Path:
    """The folder of the netlists: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "netlists", package.parent / "netlists"):
        if folder.is_dir():
            return folder
    raise InputError("the netlists that belong to rramsim are missing; install it again")


@cache
def load_process(name: str) -> Process:
    """Load a process that comes with rramsim, `sky130-5v`.

    >>> load_process("sky130-5v").nmos
    'sky130_fd_pr__nfet_g5v0d10v5'
    """
    folder = netlists_folder() / "processes"
    shipped = sorted(path.parent.name for path in folder.glob("*/process.toml"))
    if name not in shipped:
        raise InputError(
            f"[process] name = {name!r}: rramsim has {', '.join(shipped)}; "
            'name your own cards with cards = ["path"]'
        )
    return load_process_folder(folder / name)


def load_process_folder(folder: Path) -> Process:
    """Load a process of one's own: a folder with `process.toml` and a file of cards a corner.

    `process.toml` holds `nmos` and `pmos`, the names of the transistors in the cards, a table
    `[corners]` of file names inside the folder, and any number of `[[mismatch]]` (see
    `MismatchCoefficient`), as `netlists/processes/sky130-5v` does. The process takes the folder's
    name. Raises `InputError`, naming file and key, for what is missing, wrong or outside.
    """
    file = folder / "process.toml"
    try:
        description = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{file}: cannot be read as TOML ({reason})") from error
    for key in ("nmos", "pmos"):
        if not isinstance(description.get(key), str):
            raise InputError(f"{file}: {key}: must be the name of a transistor in the cards")
    corners = description.get("corners")
    if not isinstance(corners, dict) or "tt" not in corners:
        raise InputError(f"{file}: [corners]: must name a file for each corner, tt among them")
    for corner, name in corners.items():
        if corner not in CORNERS:
            raise InputError(f"{file}: [corners] {corner}: must be one of {', '.join(CORNERS)}")
        if not isinstance(name, str) or Path(name).name != name:
            raise InputError(f"{file}: [corners] {corner} = {name!r}: must be a file in the folder")
    try:
        mismatch = tuple(MismatchCoefficient(**entry) for entry in description.get("mismatch", []))
    except TypeError as error:
        raise InputError(f"{file}: [[mismatch]]: {error}") from error
    return Process(
        name=folder.name,
        nmos=description["nmos"],
        pmos=description["pmos"],
        corners={corner: read_library(folder / name) for corner, name in corners.items()},
        mismatch=mismatch,
        size_unit_m=description.get("size_unit_m"),
    )


def process_from_cards(
    paths: tuple[Path, ...],
    *,
    nmos: str,
    pmos: str,
    mismatch: tuple[MismatchCoefficient, ...] = (),
) -> Process:
    """Make a process of the user's own cards.

    Its corners are the `.lib` sections of the files; without any, it has the one corner `tt`.

    Raises `InputError` when a file cannot be read or the cards lack a device.
    """
    named = [(path, sections(path)) for path in paths]
    corners: dict[str, Body] = {}
    for corner in dict.fromkeys(name for _, names in named for name in names) or ("tt",):
        corners[corner] = merged(
            [
                read_library(p, corner if names else None)
                for p, names in named
                if not names or corner in names
            ]
        )
    name = "+".join(path.name for path in paths)
    return Process(name=name, nmos=nmos, pmos=pmos, corners=corners, mismatch=mismatch)
