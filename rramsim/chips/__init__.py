"""Virtual chips: a network's weights on arrays whose devices and amplifiers are drawn once."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.chips.chip import Chip, ChipRead
    from rramsim.chips.contents import ArrayContents, ArrayShape, LayerMapping, Tile, WeightMapping
    from rramsim.chips.programming import ChipModel, Programmed, Verify, program_layer
    from rramsim.chips.surface import EngineReads, ReadSurface, fit_surface, read_decision
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "ArrayContents",
    "ArrayShape",
    "Chip",
    "ChipModel",
    "ChipRead",
    "EngineReads",
    "LayerMapping",
    "Programmed",
    "ReadSurface",
    "Tile",
    "Verify",
    "WeightMapping",
    "fit_surface",
    "program_layer",
    "read_decision",
]
