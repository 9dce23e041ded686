"""The self-contained HTML report: figures as SVG from data, tables, one page of them."""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand

if TYPE_CHECKING:
    from rramsim.figures.report.boundary_figures import boundary_figure, boundary_table
    from rramsim.figures.report.explorer_figures import rate_panel, sense_panel
    from rramsim.figures.report.explorer_page import (
        Choice,
        ExplorerPanel,
        Slider,
        explorer_assets,
        render_answer,
        render_frame,
    )
    from rramsim.figures.report.figure import (
        DetailPoint,
        ReportFigure,
        ReportTable,
        Section,
        Variant,
    )
    from rramsim.figures.report.front_figure import front_details, front_figure, front_table
    from rramsim.figures.report.network_figures import (
        accuracy_figure,
        chips_figure,
        chips_table,
        training_figure,
        training_table,
    )
    from rramsim.figures.report.nominal_figures import (
        read_map_figure,
        waveform_figure,
        waveform_label,
    )
    from rramsim.figures.report.numbers import (
        engineering,
        engineering_error,
        percent,
        percent_interval,
        rate_text,
    )
    from rramsim.figures.report.page import render_page
    from rramsim.figures.report.rate_figures import (
        TYPES,
        count_table,
        error_figure,
        error_table,
        fall_table,
        shares_figure,
    )
    from rramsim.figures.report.records import (
        BoundaryRow,
        ChipRow,
        ChipsRecord,
        ErrorsRecord,
        ProvenanceRecord,
        RateRecord,
        SharesRecord,
        TradeoffRow,
        TrainingRow,
        WearRow,
        by_network,
    )
    from rramsim.figures.report.schematic import schematic_figure
    from rramsim.figures.report.sense_figures import energy_figure, time_figure
    from rramsim.figures.report.wear_figures import wear_figure, wear_table
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "TYPES",
    "BoundaryRow",
    "ChipRow",
    "ChipsRecord",
    "Choice",
    "DetailPoint",
    "ErrorsRecord",
    "ExplorerPanel",
    "ProvenanceRecord",
    "RateRecord",
    "ReportFigure",
    "ReportTable",
    "Section",
    "SharesRecord",
    "Slider",
    "TradeoffRow",
    "TrainingRow",
    "Variant",
    "WearRow",
    "accuracy_figure",
    "boundary_figure",
    "boundary_table",
    "by_network",
    "chips_figure",
    "chips_table",
    "count_table",
    "energy_figure",
    "engineering",
    "engineering_error",
    "error_figure",
    "error_table",
    "explorer_assets",
    "fall_table",
    "front_details",
    "front_figure",
    "front_table",
    "percent",
    "percent_interval",
    "rate_panel",
    "rate_text",
    "read_map_figure",
    "render_answer",
    "render_frame",
    "render_page",
    "schematic_figure",
    "sense_panel",
    "shares_figure",
    "time_figure",
    "training_figure",
    "training_table",
    "waveform_figure",
    "waveform_label",
    "wear_figure",
    "wear_table",
]
