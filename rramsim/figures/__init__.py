"""Figures: functions that take data and return matplotlib figures."""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand

if TYPE_CHECKING:
    from rramsim.figures.accuracy import accuracy_figure, energy_accuracy_figure
    from rramsim.figures.ber_map import ber_map_figure
    from rramsim.figures.boundary import boundary_figure
    from rramsim.figures.chips import chips_figure
    from rramsim.figures.costs import front_figure
    from rramsim.figures.devices import probability_figure, programming_figure, pulse_figure
    from rramsim.figures.equilibrium import (
        gradient_bias_figure,
        learning_curves_figure,
        noise_robustness_figure,
    )
    from rramsim.figures.errors import error_rates_figure, error_table_figure
    from rramsim.figures.rare import agreement_figure
    from rramsim.figures.sense import sense_figure
    from rramsim.figures.sensitivity import sensitivity_figure
    from rramsim.figures.shares import shares_figure
    from rramsim.figures.style import save_figure
    from rramsim.figures.tolerance import tolerance_figure
    from rramsim.figures.waveforms import waveform_figure
    from rramsim.figures.widths import width_figure
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "accuracy_figure",
    "agreement_figure",
    "ber_map_figure",
    "boundary_figure",
    "chips_figure",
    "energy_accuracy_figure",
    "error_rates_figure",
    "error_table_figure",
    "front_figure",
    "gradient_bias_figure",
    "learning_curves_figure",
    "noise_robustness_figure",
    "probability_figure",
    "programming_figure",
    "pulse_figure",
    "save_figure",
    "sense_figure",
    "sensitivity_figure",
    "shares_figure",
    "tolerance_figure",
    "waveform_figure",
    "width_figure",
]
