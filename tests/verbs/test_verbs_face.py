"""The public face: the example in ten statements, its types, and its agreement with a run."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

import rramsim as rs

ROOT = Path(__file__).parents[2]
TEN_LINES = ROOT / "examples" / "ten_lines.py"

RIGHT = """
import rramsim as rs

circuit: rs.SenseCircuit = rs.circuit(process="sky130-5v")
one: rs.Sense = rs.sense(circuit, vdd_v=1.2, r_bl_ohm=10e3, r_blb_ohm=350e3)
energy_j: float = one.energy_j
counted = rs.sweep(circuit, vdd_v=[1.0, 1.2])
flips: rs.Rate = rs.error_statistics(counted, vdd_v=1.2).type1
errors: rs.WeightErrors = rs.weight_errors(counted, vdd_v=1.2)
trained: rs.TrainingResult = rs.train(rs.images(), weights="ternary", errors=errors)
accuracy: rs.MeanAccuracy = rs.evaluate(trained, rs.images(), errors=errors)
front: rs.Tradeoff = rs.tradeoff(trained, counted, rs.images(), circuit=circuit)
label: str = rs.plot_tradeoff(front)[0].get_title()
"""
WRONG = {
    "rs.swep(rs.circuit(), vdd_v=1.0)": "attr-defined",
    "rs.sense(rs.circuit(), 1.2, 1e4, 3e5)": "call-arg",
    "rs.sense(rs.circuit(), vdd_v='1.2 V', r_bl_ohm=1e4, r_blb_ohm=3e5)": "arg-type",
    "rs.train(rs.images(), weights='quaternary')": "arg-type",
}


def test_ten_statements_go_from_a_netlist_to_a_figure(tmp_path):
    body = ast.parse(TEN_LINES.read_text()).body
    after = [n for n in body if not isinstance(n, ast.Import | ast.Expr) or _calls(n)]
    assert len(after) <= 10
    assert len({name for node in after for name in _verbs(node)}) >= 5
    figure = tmp_path / "figure.png"
    done = subprocess.run(
        [sys.executable, TEN_LINES, figure],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    image = matplotlib.image.imread(figure)
    assert image.shape[0] > 200 and len(np.unique(image.reshape(-1, image.shape[2]), axis=0)) > 10
    # Intermediate values, with intervals.
    assert "read +1" in done.stdout and "low" in done.stdout
    assert done.stdout.count("%") >= 5 and done.stdout.count(" to ") >= 9


def _calls(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _verbs(node):
    return [
        n.attr
        for n in ast.walk(node)
        if isinstance(n, ast.Attribute) and isinstance(n.value, ast.Name) and n.value.id == "rs"
    ]


def test_mypy_knows_the_types_of_a_users_script(tmp_path):
    (tmp_path / "right.py").write_text(RIGHT)
    lines = ["import rramsim as rs", *WRONG]
    (tmp_path / "wrong.py").write_text("\n".join(lines))
    done = subprocess.run(
        # With the cache of `make lint`: what rramsim's own modules are is known by then.
        [sys.executable, "-m", "mypy", tmp_path / "right.py", tmp_path / "wrong.py"],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    ours = [line for line in done.stdout.splitlines() if re.search(r"(right|wrong)\.py:", line)]
    faults = {int(line.split(":")[1]): line for line in ours if ": error:" in line}
    assert not any("right.py:" in line for line in ours), done.stdout
    for number, (statement, kind) in enumerate(WRONG.items(), start=2):
        assert f"[{kind}]" in faults.get(number, ""), (statement, done.stdout)


def test_every_public_name_is_there_with_a_docstring():
    for name in rs.__all__:
        value = getattr(rs, name)
        assert name.startswith("__") or value.__doc__, name
    assert set(dir(rs)) >= {"sweep", "train", "tradeoff"}
    with pytest.raises(AttributeError, match="swep"):
        _ = rs.swep


def test_many_senses_are_the_first_of_a_campaign():
    circuit = rs.circuit()
    many = rs.senses(circuit, vdd_v=1.1, samples=250)
    counted = rs.sweep(circuit, vdd_v=1.1, samples=250, relative_error=1e-9, workers=1)
    for written in (-1, 0, 1):
        one = many.sel(written=written)
        reads = [int((one.read == value).sum()) for value in (-1, 0, 1)]
        assert reads == counted["count"].sel(written=written).squeeze().values[:3].tolist()
        mean = float(one.energy_j.mean())
        found = float(counted.energy_j.sel(written=written).squeeze())
        assert mean == pytest.approx(found, rel=1e-12)
    assert many.resolve_time_s.attrs["units"] == "s"


def test_rates_are_labelled_and_hold_their_intervals():
    counted = rs.sweep(rs.circuit(), vdd_v=[1.0, 1.2], samples=200, workers=1)
    rates = rs.error_rates(counted)
    assert rates.sizes["vdd"] == 2 and rates.rate.sel(error="type3").shape[0] == 2
    assert bool((rates.low <= rates.rate).all()) and bool((rates.rate <= rates.high).all())
    same = rs.error_statistics(counted, vdd_v=1.2)
    assert float(rates.rate.sel(error="type3", vdd=1.2).squeeze()) == same.type3.value
    with pytest.raises(rs.InputError, match="2 of the sweep's conditions"):
        rs.error_statistics(counted)
    with pytest.raises(rs.InputError, match=r"vdd_v = 1.1: none"):
        rs.error_statistics(counted, vdd_v=1.1)


def test_a_campaign_goes_on_from_its_rows(tmp_path):
    rows = tmp_path / "rows.jsonl"
    first = rs.sweep(rs.circuit(), vdd_v=1.2, samples=200, workers=1, rows=rows)
    before = rows.read_bytes()
    again = rs.sweep(rs.circuit(), vdd_v=1.2, samples=200, workers=1, rows=rows)
    assert rows.read_bytes() == before
    assert again.identical(first)


def test_bad_input_is_one_line():
    circuit = rs.circuit()
    for call in (
        lambda: rs.sense(circuit, vdd_v=9.0, r_bl_ohm=1e4, r_blb_ohm=1e5),
        lambda: rs.senses(circuit, vdd_v=1.2, samples=0),
        lambda: rs.resistances(lrs_median_ohm=1e6),
        lambda: rs.circuit(process="nowhere"),
        lambda: rs.train(rs.images(), width=0),
    ):
        with pytest.raises(rs.InputError) as told:
            call()
        assert "\n" not in str(told.value)
