"""[process], [column] and [sense]: the circuit and the conditions in which it senses."""

from itertools import product
from pathlib import Path
from typing import Any, Literal

from rramsim.circuits import Column, SenseConditions
from rramsim.devices import MismatchCoefficient, Process, load_process, process_from_cards
from rramsim.exceptions import InputError
from rramsim.experiment.values import ListOf, Quantity, Section

__all__ = ["ColumnSection", "MismatchSection", "ProcessSection", "SenseSection"]


class MismatchSection(Section):
    """One mismatch coefficient of the user's own cards."""

    model: str
    parameter: str
    kind: Literal["relative", "absolute"]
    slope_um: Quantity


class ProcessSection(Section):
    """[process]: one of rramsim's by name, or cards by path with their device names."""

    name: str | None = None
    cards: ListOf[str] | None = None
    nmos: str | None = None
    pmos: str | None = None
    mismatch: list[MismatchSection] = []

    def make(self, folder: Path) -> Process:
        """The transistor process; relative paths start at `folder`."""
        if (self.name is None) == (self.cards is None):
            raise InputError("[process]: give either name or cards")
        if self.cards is None:
            for key in ("nmos", "pmos", "mismatch"):
                if getattr(self, key):
                    raise InputError(f"[process] {key}: goes with cards, not with name")
            assert self.name is not None
            return load_process(self.name)
        if not (self.nmos and self.pmos):
            raise InputError("[process] cards: name the devices in them with nmos and pmos")
        return process_from_cards(
            tuple(folder / path for path in self.cards),
            nmos=self.nmos,
            pmos=self.pmos,
            mismatch=tuple(MismatchCoefficient(**m.model_dump()) for m in self.mismatch),
        )


class ColumnSection(Section):
    """[column]: what loads the bit lines, and the clocking."""

    rows: int = Column.rows
    c_row_f: Quantity = Column.c_row_f
    c_periphery_f: Quantity = Column.c_periphery_f
    c_source_line_f: Quantity = Column.c_source_line_f
    c_out_f: Quantity = Column.c_out_f
    precharge_s: Quantity = Column.precharge_s
    edge_s: Quantity = Column.edge_s
    wl_setup_s: Quantity = Column.wl_setup_s
    threshold: Quantity = Column.threshold
    r_row_ohm: Quantity = Column.r_row_ohm
    selected_row: int | None = Column.selected_row
    leakage: bool = Column.leakage
    neighbour_ohm: Quantity = Column.neighbour_ohm


class SenseSection(Section):
    """[sense]: the circuit and the conditions; every list is an axis of the sweep."""

    circuit: Literal["pcsa", "pcsa_xnor", "gxnor", "column"] = "pcsa"
    netlist: str | None = None
    vdd_v: ListOf[Quantity] = [1.2]
    temperature_c: ListOf[Quantity] = [27.0]
    corner: ListOf[str] = ["tt"]
    window_s: ListOf[Quantity] = [50e-9]
    mismatch: bool = True
    noise: bool = False

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
                raise InputError(f"[sense] {name} = {axis}: a value stands there twice")
        return tuple(
            SenseConditions(vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=w)
            for vdd_v, temperature_c, corner, w in product(*axes.values())
        )
