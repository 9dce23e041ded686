"""Figures: functions that take results and return a `Chart`; matplotlib or a page draws it."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.figures.chart import (
        COLOURS,
        Axis,
        Band,
        Bars,
        Cells,
        Chart,
        Panel,
        Point,
        Rule,
        Series,
    )
    from rramsim.figures.devices import probability_figure, programming_figure, pulse_figure
    from rramsim.figures.draw_matplotlib import matplotlib_figure, save_figure, save_one
    from rramsim.figures.draw_svg import svg_figure
    from rramsim.figures.networks import (
        chips_figure,
        gradient_bias_figure,
        noise_robustness_figure,
        tolerance_figure,
        training_figure,
        wear_figure,
        width_figure,
    )
    from rramsim.figures.rates import (
        ber_map_figure,
        error_rates_figure,
        error_table_figure,
        shares_figure,
    )
    from rramsim.figures.report.answer import answer_section
    from rramsim.figures.report.page import (
        Choice,
        ExplorerPanel,
        Picture,
        Section,
        Slider,
        explorer_assets,
        render_answer,
        render_frame,
        render_page,
    )
    from rramsim.figures.report.schematic import schematic_figure
    from rramsim.figures.senses import (
        boundary_figure,
        energy_figure,
        nominal_waveforms_figure,
        read_map_figure,
        sense_parts_figure,
        time_figure,
        waveform_figure,
    )
    from rramsim.figures.tradeoffs import (
        efficiency_figure,
        energy_accuracy_figure,
        front_figure,
        loss_figure,
    )
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "COLOURS", "Axis", "Band", "Bars", "Cells", "Chart", "Choice", "ExplorerPanel", "Panel",
    "Picture", "Point", "Rule", "Section", "Series", "Slider", "answer_section",
    "ber_map_figure", "boundary_figure", "chips_figure", "efficiency_figure",
    "energy_accuracy_figure", "energy_figure", "error_rates_figure", "error_table_figure",
    "explorer_assets", "front_figure", "gradient_bias_figure", "loss_figure",
    "matplotlib_figure", "noise_robustness_figure", "nominal_waveforms_figure",
    "probability_figure", "programming_figure", "pulse_figure", "read_map_figure",
    "render_answer", "render_frame", "render_page", "save_figure", "save_one",
    "schematic_figure", "sense_parts_figure", "shares_figure", "svg_figure", "time_figure",
    "tolerance_figure", "training_figure", "waveform_figure", "wear_figure", "width_figure",
]  # fmt: skip
