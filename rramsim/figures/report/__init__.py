"""The self-contained HTML report: figures as SVG from data, tables, one page of them."""

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
from rramsim.figures.report.numbers import engineering, percent_interval
from rramsim.figures.report.page import render_page
from rramsim.figures.report.rate_figures import (
    count_table,
    error_figure,
    error_table,
    fall_table,
    shares_figure,
)
from rramsim.figures.report.records import (
    ChipRow,
    ChipsRecord,
    ErrorsRecord,
    ProvenanceRecord,
    SharesRecord,
    TradeoffRow,
    TrainingRow,
)
from rramsim.figures.report.schematic import schematic_figure
from rramsim.figures.report.sense_figures import energy_figure, time_figure

__all__ = [
    "ChipRow",
    "ChipsRecord",
    "DetailPoint",
    "ErrorsRecord",
    "ProvenanceRecord",
    "ReportFigure",
    "ReportTable",
    "Section",
    "SharesRecord",
    "TradeoffRow",
    "TrainingRow",
    "Variant",
    "accuracy_figure",
    "chips_figure",
    "chips_table",
    "count_table",
    "energy_figure",
    "engineering",
    "error_figure",
    "error_table",
    "fall_table",
    "front_details",
    "front_figure",
    "front_table",
    "percent_interval",
    "read_map_figure",
    "render_page",
    "schematic_figure",
    "shares_figure",
    "time_figure",
    "training_figure",
    "training_table",
    "waveform_figure",
    "waveform_label",
]
