"""One of every chart, of results in the shapes of the demo and of the trade-off's experiment.

The values are drawn at random: what is tested is how they are drawn, for any of them.
"""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rramsim import figures
from rramsim.circuits import SenseConditions
from rramsim.costs.sense_parts import SenseParts
from rramsim.counting import ErrorStatistics
from rramsim.figures.rates import rate_bars
from rramsim.figures.senses import sense_chart

LONG = "a_network_of_someone_with_a_name_that_goes_on_and_on_resnet20x4-ternary-ternary"
SHAPES = {
    "demo": {
        "networks": ("vgg8-binary-binary", "vgg8-ternary-ternary"),
        "vdd_v": (0.9, 0.95, 1.0, 1.05, 1.1, 1.2, 1.3), "temperature_c": (27.0,),
        "window_s": (5e-8,),
    },
    "trade-off": {
        "networks": tuple(
            f"vgg{n}-{kind}-{kind}" for n in (4, 8, 16) for kind in ("binary", "ternary")
        ),
        "vdd_v": (0.9, 0.95, 1.0, 1.1, 1.2, 1.3), "temperature_c": (27.0, 85.0),
        "window_s": (2.5e-8, 5e-8, 1e-7),
    },
    "long names": {
        "networks": (LONG, f"{LONG[::-1]} with blanks in it", "short"),
        "vdd_v": (0.9, 1.0, 1.125), "temperature_c": (-40.0, 125.0), "window_s": (5e-8, 1.234e-6),
    },
}  # fmt: skip


def _conditions(shape):
    grid = product(shape["temperature_c"], shape["window_s"], shape["vdd_v"])
    return [SenseConditions(vdd_v=v, temperature_c=t, corner="tt", window_s=w) for t, w, v in grid]


def _tradeoff(shape, rng):
    rows, costs = [], []
    for name, at in product(shape["networks"], _conditions(shape)):
        clean = rng.uniform(0.5, 0.95)
        loss = rng.choice([0.0, 0.02, 0.4]) * rng.uniform(0, 1.2) - 0.002
        half = rng.uniform(0.001, 0.02)
        row = {
            "network": name, "trained_with_errors": rng.choice(["none", "1.1"]), "data": "digits",
            "vdd_v": at.vdd_v, "temperature_c": at.temperature_c, "corner": at.corner,
            "window_s": at.window_s, "type1": 0.0, "type2": 0.1, "type3": 0.01,
            "accuracy": clean - loss, "accuracy_low": clean - loss - half,
            "accuracy_high": clean - loss + half, "accuracy_without_errors": clean, "draws": 4,
            "rates_by": "type1: lines, batch; type2: counted, ngspice; type3: counted, ngspice",
            "limited_by_samples": bool(at.vdd_v > 1.2),
            "images": 10_000, "loss": loss, "loss_low": loss - half, "loss_high": loss + half,
        }  # fmt: skip
        energy = rng.uniform(0.5, 2) * at.vdd_v**3 * 1e-7
        ends = {"": energy, "_low": 0.98 * energy, "_high": 1.02 * energy}
        for flow, end in product(("once", "per_use"), ends):
            row[f"energy_{flow}{end}_j"] = ends[end] * (10 if flow == "per_use" else 1)
        rows.append(row)
        costs.append(
            row
            | {f"total{end}_j": 3 * value for end, value in ends.items()}
            | {"flow": "per_use", "secded_total_j": 5 * energy, "sram_total_j": 9 * energy,
               "tops_per_w": 1e-6 / energy}
        )  # fmt: skip
    return pd.DataFrame(rows), pd.DataFrame(costs)


def _sense(shape, rng):
    dims = {"vdd": list(shape["vdd_v"]), "temperature": list(shape["temperature_c"]),
            "corner": ["tt"], "window": list(shape["window_s"]), "written": [-1, 0, 1]}  # fmt: skip
    size = [len(values) for values in dims.values()]
    found = {
        name: (list(dims), scale * rng.uniform(0.5, 2, size))
        for name, scale in (("energy_j", 3e-13), ("energy_se_j", 1e-15), ("resolve_time_s", 2e-8),
                            ("resolve_time_sd_s", 3e-9))
    }  # fmt: skip
    places = [dim for dim in dims if dim != "window"]
    times = 1e-7 * rng.uniform(0.1, 10, [len(dims[dim]) for dim in places])
    times[0] = np.nan
    found["nominal_resolve_time_s"] = (places, times)
    return xr.Dataset(found, coords=dims, attrs={"engine": "ngspice 39 (step 2e-09 s)"})


def _nominal(shape, rng):
    vdd, written, nodes = shape["vdd_v"], [-1, 0, 1], ["q", "qb", "bl", "blb", "sen"]
    time, ohm, angles = np.linspace(-1e-8, 1e-7, 30), np.geomspace(1e3, 3e7, 9), range(12)
    turn = np.linspace(0, 2 * np.pi, 12)
    pair = {1: (1e4, 6e5), 0: (6e5, 6.2e5), -1: (6e5, 1e4)}
    medians = np.array([pair[w] for w in written])
    size = (len(vdd), 9, 9)
    return xr.Dataset(
        {
            "voltage_v": (("vdd", "written", "node", "time"),
                          rng.uniform(0, 1.2, (len(vdd), 3, 5, 30))),
            "nominal_read": (("vdd", "written"), np.tile(written, (len(vdd), 1))),
            "r_bl_ohm": ("written", medians[:, 0]), "r_blb_ohm": ("written", medians[:, 1]),
            "state_bl_ohm": (("written", "angle"), medians[:, :1] * np.exp(0.5 * np.cos(turn))),
            "state_blb_ohm": (("written", "angle"), medians[:, 1:] * np.exp(0.5 * np.sin(turn))),
            "map_read": (("vdd", "r_bl", "r_blb"), rng.integers(-1, 2, size)),
            "map_converged": (("vdd", "r_bl", "r_blb"), np.ones(size)),
            "map_resolve_time_s": (("vdd", "r_bl", "r_blb"), rng.uniform(0, 5e-8, size)),
            "map_energy_j": (("vdd", "r_bl", "r_blb"), rng.uniform(1e-13, 3e-13, size)),
        },
        coords={"vdd": list(vdd), "written": written, "node": nodes, "time": time, "r_bl": ohm,
                "r_blb": ohm, "angle": list(angles)},
        attrs={"temperature_c": 27.0, "corner": "tt", "window_s": 5e-8, "waveform_engine": "batch",
               "map_engine": "batch"},
    )  # fmt: skip


def _counts(rng):
    found = np.zeros((3, 4), dtype=int)
    for k in range(3):
        found[k] = rng.multinomial(300, rng.dirichlet([0.02, 0.02, 0.02, 0.001]))
    return ErrorStatistics(counts=found)


def _shares(shape, rng):
    names = ("device spread", "transistor mismatch of the latch", "noise")
    rows = [
        SimpleNamespace(label=at.label, all=_counts(rng), without={n: _counts(rng) for n in names})
        for at in _conditions(shape)
    ]
    return SimpleNamespace(engine="batch 5.11", circuit="pcsa", conditions=rows)


def _boundary(shape, rng):
    for at, corner in product(_conditions(shape), ("tt", "ss", "ff")):
        middle = rng.choice([0.0, 3e4, 5e4, np.inf], p=[0.1, 0.4, 0.4, 0.1])
        yield SimpleNamespace(
            vdd_v=at.vdd_v, temperature_c=at.temperature_c, corner=corner, window_s=at.window_s,
            draws=100, unconverged=0, r05_ohm=0.6 * middle, r50_ohm=middle, r95_ohm=1.7 * middle,
            r50_low_ohm=0.9 * middle, r50_high_ohm=1.1 * middle, engine="batch", circuit="pcsa",
        )  # fmt: skip


def _map(shape, rng):
    rows = [
        {"vdd_v": at.vdd_v, "temperature_c": at.temperature_c, "corner": corner,
         "window_s": at.window_s, "type": kind, "settled": True, "engine": "batch 5.11",
         "status": str(rng.choice(["estimated", "bounded", "refused"], p=[0.8, 0.1, 0.1])),
         "rate": (rate := 10.0 ** rng.uniform(-11, 0)), "high": 2 * rate}
        for at in _conditions(shape) for corner in ("tt", "ss", "sf") for kind in (1, 2, 3)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def _of_networks(shape, rng):
    """Training, tolerance, chips, wear and widths of the shape's networks."""
    names = shape["networks"]
    training = [
        {"network": n, "trained_with_errors": "none", "data": "digits", "seed": s, "epoch": e,
         "test_accuracy": 1 - 0.5 / e * rng.uniform(0.5, 1)}
        for n in names for s in (0, 1) for e in range(1, 12)
    ]  # fmt: skip
    tolerance = [
        {"network": n, "seed": s, "trained_with": t, "data": "digits", "epochs": 4, "type": k,
         "rate": r, "accuracy": 0.9 - r * rng.uniform(0, 2), "draws": 4,
         "accuracy_without_errors": 0.9}
        for n in names for s in (0, 1) for k in (1, 2, 3)
        for t in ("none", f"type {k} at 0.05") for r in (0.001, 0.01, 0.1, 0.3)
    ]  # fmt: skip
    chips = [
        {"network": n, "kind": k, "accuracy": rng.uniform(0.8, 0.9), "data": "digits",
         "accuracy_without_errors": 0.9, "images": 100}
        for n in names for k in ("chip", "own", "iid") for _ in range(20)
    ]  # fmt: skip
    wear = [
        SimpleNamespace(
            network=n, trained_with_errors="none", data="digits", weight=w, endurance_writes=1e6,
            mean_writes=rng.uniform(0.1, 3), most=int(rng.integers(5, 90)),
        )
        for n in names for w in ("features.0.weight", "features.3.weight", "readout")
    ]  # fmt: skip
    widths = [
        {"network": f"vgg{w}-{k}-{k}", "seed": s, "epochs": 8 if w < 64 else 146,
         "data": "CIFAR-10", "test_accuracy": rng.uniform(0.6, 0.7) + w / 500}
        for w in (8, 16, 32, 64, 128) for k in ("binary", "ternary") for s in (0, 1)
    ]  # fmt: skip
    return (*map(pd.DataFrame, (training, tolerance, chips)), wear, pd.DataFrame(widths))


def _charts(name):
    shape, rng = SHAPES[name], np.random.default_rng(3)
    table, costs = _tradeoff(shape, rng)
    conditions = _conditions(shape)
    rows = [(at, _counts(rng)) for at in conditions]
    sense, nominal = _sense(shape, rng), _nominal(shape, rng)
    training, tolerance, chips, wear, widths = _of_networks(shape, rng)
    yield figures.loss_figure(table)
    yield figures.energy_accuracy_figure(table)
    yield figures.front_figure(costs)
    yield figures.efficiency_figure(costs)
    found = [
        SimpleNamespace(**row, low=row["rate"] / 2, method="lines")
        for row in _map(shape, rng).to_dict("records")
        if row["corner"] == "tt" and row["type"] == 1 and row["vdd_v"] > 1
    ]
    yield figures.error_rates_figure(rows, source="Simulated, batch.", found=found)
    yield figures.error_table_figure(rows, source="Simulated, batch.")
    yield figures.shares_figure(_shares(shape, rng))
    yield figures.ber_map_figure(_map(shape, rng))
    yield figures.time_figure(sense)
    yield figures.energy_figure(sense)
    yield figures.boundary_figure(list(_boundary(shape, rng)))
    yield figures.nominal_waveforms_figure(nominal)
    yield figures.read_map_figure(nominal)
    yield figures.training_figure(training)
    yield figures.tolerance_figure(tolerance, max_loss=0.5)
    yield figures.chips_figure(chips, conditions=conditions[0].label)
    yield figures.wear_figure(wear)
    yield figures.width_figure(widths)
    yield rate_bars({kind: getattr(rows[0][1], kind) for kind in ("type1", "type2", "type3")})
    yield sense_chart(None, conditions[0], highest_vdd_v=1.4, title="Waveforms")
    parts = [
        (w, SenseParts(
            vdd_v=v, supply_j=5e-13 * v, clock_j=1e-14, word_line_j=1e-14, bit_lines_j=2e-13 * v,
            outputs_j=1e-13 * v, latch_j=5e-14, swing_j=3e-13 * v,
        ))
        for w in (1, 0) for v in shape["vdd_v"]
    ]  # fmt: skip
    yield figures.sense_parts_figure(parts)
    noise = [
        {"estimator": n, "noise": x, "seed": s, "test_error": rng.uniform(0.01, 0.9)}
        for n in shape["networks"] for x in (0.0, 0.01, 0.02) for s in (0, 1)
    ]  # fmt: skip
    yield figures.noise_robustness_figure(pd.DataFrame(noise), caption="digits")
    bias = [
        {"estimator": n, "beta": b, "relative_error": b**2 * rng.uniform(0.1, 1)}
        for n in shape["networks"] for b in (0.025, 0.05, 0.1, 0.2)
    ]  # fmt: skip
    yield figures.gradient_bias_figure(pd.DataFrame(bias), caption="toy network (simulated)")


@pytest.fixture(scope="session", params=list(SHAPES))
def charts(request):
    """Every chart of one shape, by its key."""
    return {chart.key: chart for chart in _charts(request.param)}


@pytest.fixture(scope="session")
def drawn(charts):
    """Each chart with what matplotlib made of it."""
    return {key: (chart, figures.matplotlib_figure(chart)) for key, chart in charts.items()}
