"""Waveforms for other programs: CSV tables, and the raw files that ngspice and its viewers read."""

from pathlib import Path

import numpy as np

from rramsim.engines.protocol import Waveforms
from rramsim.exceptions import InputError
from rramsim.files import atomic_path

__all__ = ["write_waveforms"]


def write_waveforms(path: Path, waveforms: Waveforms) -> None:
    """Write one sense in time as `.csv` or as `.raw` (ngspice's binary form), whole or not at all.

    Time counts from the middle of the SEN edge. Raises `InputError` for another ending.
    """
    names = [f"v({node})" for node in waveforms.voltages_v]
    table = np.column_stack([waveforms.time_s, *waveforms.voltages_v.values()])
    if path.suffix == ".csv":
        head = ",".join(["time_s", *(f"{name[2:-1]}_v" for name in names)])
        text = "\n".join([head, *(",".join(f"{x:.9g}" for x in row) for row in table)])
        data = f"{text}\n".encode()
    elif path.suffix == ".raw":
        lines = [
            "Title: rramsim: read of a synapse", "Date: Thu Jan  1 00:00:00  1970",
            "Plotname: Transient Analysis", "Flags: real", f"No. Variables: {table.shape[1]}",
            f"No. Points: {len(table)}", "Variables:", "\t0\ttime\ttime",
            *(f"\t{k}\t{name}\tvoltage" for k, name in enumerate(names, start=1)), "Binary:",
        ]  # fmt: skip
        data = ("\n".join(lines) + "\n").encode() + table.astype("<f8").tobytes()
    else:
        raise InputError(f"{path}: waveforms are written as .csv or .raw")
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
