"""What ngspice refuses, said in the user's names."""

from rramsim.engines.ngspice_library import CircuitError, UnknownParameter
from rramsim.exceptions import InputError
from rramsim.spice import Circuit, ModelCard, Names

__all__ = ["explained", "unknown_parameter"]


def explained(error: CircuitError, circuit: str, elements: Circuit, names: Names) -> InputError:
    """The refusal of a deck that was written with `names`."""
    if isinstance(error, UnknownParameter):
        for element in elements.elements:
            if element.card and names.cards[element.name] == error.model:
                return unknown_parameter(element.card, error.parameter)
    return InputError(f"{circuit}: {names.translated(str(error))}")


def unknown_parameter(card: ModelCard, parameter: str) -> InputError:
    """A parameter that ngspice's model does not know."""
    return InputError(f"{card.where}: card {card.bin_name} has no parameter {parameter}")
