"""Line sampling against closed forms, importance sampling, plain counting and ngspice."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.stats import norm
from typer.testing import CliRunner

from rramsim.circuits import SenseConditions
from rramsim.cli.app import app
from rramsim.devices import LogNormal, ResistanceModel
from rramsim.engines import BatchEngine, NgspiceEngine
from rramsim.exceptions import InputError
from rramsim.rare import (
    RareSettings,
    SenseFailure,
    line_rate,
    map_rate,
    rare_rate,
    sharpened,
    tie_direction,
)

AT = SenseConditions(vdd_v=1.2)
DEVICES = ResistanceModel(
    lrs=LogNormal(median_ohm=10e3, sigma_ln=0.22), hrs=LogNormal(median_ohm=630e3, sigma_ln=1.0)
)


@dataclass(frozen=True, kw_only=True)
class Slab:
    """Reads +1 before a tilted slab, 0 in it, -1 behind it: rates known in closed form."""

    error_type: int
    begin: float = 4.0
    end: float = 4.01
    dimension: int = 12
    label: str = "slab"
    written: int = 1

    @property
    def normal(self):
        return np.arange(1.0, 1 + self.dimension) / np.linalg.norm(np.arange(1, 1 + self.dimension))

    def reads(self, points):
        depth = points @ self.normal
        read = np.where(depth < self.begin, 1, np.where(depth < self.end, 0, -1))
        return read, np.ones(len(points), dtype=bool)

    def is_error(self, read):
        return read == (-1 if self.error_type == 1 else 0)

    @property
    def truth(self):
        if self.error_type == 1:
            return norm.sf(self.end)
        return norm.sf(self.begin) - norm.sf(self.end)


@pytest.mark.parametrize("error_type", [1, 2])
def test_a_slab_along_its_normal_is_exact(error_type):
    slab = Slab(error_type=error_type)
    answer = line_rate(slab, slab.normal)
    assert answer.value == pytest.approx(slab.truth, rel=0.02)  # bisection: 3e-5 of 0.01


@pytest.mark.parametrize("error_type", [1, 2])
def test_any_other_direction_gives_the_same_rate_with_an_honest_interval(error_type):
    slab = Slab(error_type=error_type)
    tilted = slab.normal + 0.15 * np.eye(slab.dimension)[0]
    covered = 0
    for seed in range(40):
        answer = line_rate(slab, tilted, seed=seed)
        assert answer.status == "estimated" and answer.coefficient_of_variation < 0.11
        covered += answer.low <= slab.truth <= answer.high
    # 95 % each: 33 of 40 or fewer have a chance of 0.3 %.
    assert covered >= 34


def test_failures_on_both_ends_of_a_line_are_added():
    class Both(Slab):
        def reads(self, points):
            read, known = Slab.reads(self, points)
            return np.where(points @ self.normal < -2.0, 0, read), known

    both = Both(error_type=2)
    answer = line_rate(both, both.normal)
    assert answer.value == pytest.approx(both.truth + norm.cdf(-2.0), rel=1e-3)


def test_a_direction_that_is_none_is_refused():
    slab = Slab(error_type=1)
    with pytest.raises(InputError, match=r"direction of shape \(3,\)"):
        line_rate(slab, np.ones(3))
    with pytest.raises(InputError, match="not all zero"):
        line_rate(slab, np.zeros(12))


def test_lines_that_meet_nothing_give_no_rate():
    slab = Slab(error_type=1, begin=20.0, end=21.0)
    answer = line_rate(slab, slab.normal)
    assert answer.status == "refused" and answer.value is None
    assert "met a failure within 8 sigma" in answer.note


@pytest.mark.parametrize("error_type", [1, 2])
def test_lines_and_importance_sampling_agree_on_the_pcsa(pcsa, error_type):
    # Type 2 at 1.0 V is slow reads, not a slab: the lines do not depend on which it is.
    at = AT if error_type == 1 else replace(AT, vdd_v=1.0)
    failure = SenseFailure(
        circuit=pcsa, conditions=at, resistances=DEVICES, written=1, error_type=error_type,
        engine=BatchEngine(),
    )  # fmt: skip
    direction, _ = tie_direction(failure)
    lines = line_rate(failure, direction)
    other = rare_rate(failure, settings=RareSettings(method="importance", max_calls=4000, seed=5))
    assert lines.low < other.high and other.low < lines.high
    assert lines.coefficient_of_variation < 0.13


def test_ngspice_draws_the_same_slab(pcsa):
    common = {"circuit": pcsa, "conditions": AT, "resistances": DEVICES, "written": 1}
    batch = sharpened(SenseFailure(**common, error_type=2, engine=BatchEngine()))
    direction, _ = tie_direction(batch)
    # Few lines, but the same ones: only the engines differ.
    ours = line_rate(batch, direction, max_calls=130, relative_error=1.0)
    reference = replace(batch, engine=NgspiceEngine(max_step_s=1e-9))
    theirs = line_rate(reference, direction, max_calls=130, relative_error=1.0)
    assert ours.low > 0
    mine = (ours.low * ours.high) ** 0.5
    assert mine == pytest.approx((theirs.low * theirs.high) ** 0.5, rel=0.04)


def test_the_map_takes_lines_where_a_slab_is_too_thin(pcsa):
    failure = SenseFailure(
        circuit=pcsa, conditions=replace(AT, vdd_v=1.3), resistances=DEVICES, written=1,
        error_type=2, engine=BatchEngine(),
    )  # fmt: skip
    answer, senses = map_rate(failure)
    assert answer.method == "line" and answer.coefficient_of_variation <= 0.1
    assert 1e-8 < answer.value < 1e-6 and senses < 30_000


def test_the_command_draws_lines(capsys):
    result = CliRunner().invoke(app, ["rare", "--vdd", "1.2", "--type", "2", "--method", "line"])
    assert result.exit_code == 0 and "simulated, line" in result.output
    result = CliRunner().invoke(app, ["rare", "--vdd", "1.2", "--type", "3", "--method", "line"])
    assert isinstance(result.exception, InputError)
