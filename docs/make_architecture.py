"""Draw docs/images/architecture.svg: the packages in their order, from the import contract.

python docs/make_architecture.py
"""

import tomllib
from html import escape
from pathlib import Path

_ROOT = Path(__file__).parents[1]
PICTURE = _ROOT / "docs" / "images" / "architecture.svg"

_HANDS_ON = {
    "version": ("said once", ""),
    "exceptions": ("the two kinds of error", ""),
    "imports": ("on demand, optional packages", ""),
    "identity": ("canonical values, hashed", "a task's id"),
    "durable": ("jobs, rows, workers", "Runner, RowFile"),
    "numbers": ("SPICE numbers, units", ""),
    "spice": ("reads and elaborates netlists", "elements, models"),
    "records": ("rows and objects of files", "TradeoffRow, …"),
    "compiled": ("numba, with a cache or without", ""),
    "files": ("whole or not at all, caches", ""),
    "processes": ("cards, corners, mismatch", "Process"),
    "devices": ("resistances", "ResistanceModel"),
    "circuits": ("netlists, testbench", "SenseCircuit, SenseConditions"),
    "engines": ("ngspice, batch", "SenseOutcome"),
    "counting": ("campaigns, counts", "ErrorStatistics"),
    "rare": ("every error rate, however rare", "FailureRate"),
    "chips": ("virtual chips, mapping", "Chip, ArrayContents"),
    "networks": ("quantisers, layers, injection", "IntegerNetwork"),
    "learning": ("data, training, tests", "trained weights"),
    "costs": ("energy, latency, area", "costs.csv, lowest supply"),
    "nn": ("any PyTorch model", "converted layers"),
    "figures": ("drawings, the report", "png, svg, html"),
    "experiment": ("reads the TOML file", "Experiment"),
    "stages": ("stages of a run", "files of a folder"),
    "explore": ("page with sliders", "127.0.0.1 only"),
    "verbs": ("what import rramsim gives", "labelled values"),
    "cli": ("commands", "exit status"),
}
_WIDTH, _HEIGHT, _GAP, _COLUMNS = 212, 74, 28, 3


def packages() -> list[str]:
    """The packages from the first to the last, as the import contract has them."""
    settings = tomllib.loads((_ROOT / "pyproject.toml").read_text())
    (contract,) = settings["tool"]["importlinter"]["contracts"]
    return [layer.removeprefix("rramsim.") for layer in reversed(contract["layers"])]


def picture() -> str:
    """The drawing as SVG text: boxes in reading order, an arrow from each package to the next."""
    parts = []
    for index, package in enumerate(packages()):
        row, column = divmod(index, _COLUMNS)
        x, y = _GAP + column * (_WIDTH + _GAP), _GAP + row * (_HEIGHT + _GAP)
        does, gives = _HANDS_ON[package]
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="6" class="room"/>'
        )
        for line, (text, kind) in enumerate(((package, "name"), (does, "does"), (gives, "gives"))):
            parts.append(
                f'<text x="{x + 12}" y="{y + 24 + 19 * line}" class="{kind}">{escape(text)}</text>'
            )
        if index:
            parts.append(_arrow(x, y, first=column == 0))
    rows = -(-len(packages()) // _COLUMNS)
    width = _GAP + _COLUMNS * (_WIDTH + _GAP)
    height = _GAP + rows * (_HEIGHT + _GAP)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" aria-label="The packages of rramsim">\n'
        "<style>svg{background:#fff}.room{fill:#eef3f8;stroke:#34506b}"
        "text{font-family:sans-serif;fill:#1b2733}.name{font-size:16px;font-weight:bold}"
        ".does{font-size:13px}.gives{font-size:12px;font-style:italic;fill:#34506b}"
        "path{fill:none;stroke:#34506b;stroke-width:1.5}.head{fill:#34506b;stroke:none}</style>\n"
        + "\n".join(part for part in parts if part)
        + "\n</svg>\n"
    )


def _arrow(x: int, y: int, *, first: bool) -> str:
    """From the package before to the one at (x, y); at a row's start round from the row above."""
    middle = y + _HEIGHT // 2
    head = f'<path class="head" d="M{x - 8},{middle - 5} L{x},{middle} L{x - 8},{middle + 5} Z"/>'
    if not first:
        return f'<path d="M{x - _GAP},{middle} H{x - 8}"/>{head}'
    right = x + _COLUMNS * (_WIDTH + _GAP) - _GAP
    above, between = y - _GAP - _HEIGHT // 2, y - _GAP // 2
    return (
        f'<path d="M{right},{above} H{right + 12} V{between} H{x - 14} V{middle} H{x - 8}"/>{head}'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture())
