"""The figures of rare rates show what they are given."""

import numpy as np
import pytest

from rramsim.figures import agreement_figure, save_one, sensitivity_figure
from rramsim.rare import RareSettings, linear_state, rare_rate, sensitivities


def test_sensitivity_bars_are_the_importance_factors(tmp_path):
    answer = rare_rate(linear_state(1e-6))
    names = tuple((f"pcsa_mn{i // 2}", f"p{i}") for i in range(6))
    parts = sensitivities(answer, names)
    figure = sensitivity_figure(parts, title=answer.label, source="known answer")
    left, right = figure.panels
    assert left.bars[0].length == pytest.approx([100 * part.importance for part in parts])
    assert [name for _, name in left.y.ticks] == ["MN2", "MN1", "MN0"]
    assert len(right.bars[0].length) == 6
    save_one(figure, tmp_path / "parts.png")
    assert (tmp_path / "parts.png").stat().st_size > 5000


def test_agreement_shows_both_rates_and_their_ratio(tmp_path):
    state = linear_state(1e-2)
    one = rare_rate(state, settings=RareSettings(method="importance"))
    other = rare_rate(state, settings=RareSettings(method="monte-carlo", max_calls=20_000))
    figure = agreement_figure([("linear", one, other)], source="known answer")
    rates, ratios = figure.panels
    assert rates.x.log and [len(series.points) for series in rates.series] == [1, 1]
    ratio = ratios.series[0].points[0].x
    assert ratio == pytest.approx(one.value / other.value)
    assert abs(np.log(ratio)) < 0.5
    save_one(figure, tmp_path / "agreement.png")
