"""The pages: the self-contained HTML report and the explorer's, made of charts and tables."""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
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
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "Choice", "ExplorerPanel", "Picture", "Section", "Slider", "answer_section", "explorer_assets",
    "render_answer", "render_frame", "render_page", "schematic_figure",
]  # fmt: skip
