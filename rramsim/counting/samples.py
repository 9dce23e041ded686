"""Every sample of a task, as a labelled dataset."""

from dataclasses import fields

import numpy as np
import xarray as xr

from rramsim.counting.task import CHUNK_SAMPLES, SenseTask, draw_samples
from rramsim.engines import SenseOutcome
from rramsim.exceptions import InputError

__all__ = ["sample_dataset"]

_UNITS = {"ohm": "ohm", "s": "s", "v": "V", "j": "J"}


def sample_dataset(task: SenseTask, *, samples: int) -> xr.Dataset:
    """Sense the first `samples` of a task: what was drawn and what came out, over `sample`.

    The draws are those of a campaign (`draw_samples`), in its order. Raises `InputError` for less
    than one sample.
    """
    if samples < 1:
        raise InputError(f"samples = {samples}: must be at least 1")
    parts = []
    for chunk, first in enumerate(range(0, samples, CHUNK_SAMPLES)):
        drawn = draw_samples(
            task, chunk=chunk, samples=min(CHUNK_SAMPLES, samples - first),
            chunk_samples=CHUNK_SAMPLES,
        )  # fmt: skip
        outcome = task.engine.sense(task.circuit, task.conditions, drawn)
        columns = {"r_bl_ohm": drawn.r_bl_ohm, "r_blb_ohm": drawn.r_blb_ohm}
        for field in fields(SenseOutcome):
            if field.name != "waveforms":
                columns[field.name] = getattr(outcome, field.name)
        parts.append(columns)
    return xr.Dataset(
        {
            name: ("sample", np.concatenate([part[name] for part in parts]), _unit(name))
            for name in parts[0]
        },
        coords={"sample": np.arange(samples), "written": task.written},
        attrs=task.attributes(),
    )


def _unit(name: str) -> dict[str, str]:
    unit = _UNITS.get(name.rsplit("_", 1)[-1])
    return {"units": unit} if unit else {}
