import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rramsim.devices.filament import SKY130_RERAM, FilamentModel, Pulse, SeriesElement, apply_pulse
from rramsim.engines.cells import Ladder, program_and_verify
from rramsim.exceptions import InputError

MODEL = SKY130_RERAM
SERIES = SeriesElement(resistance_ohm=5e3)
HRS, LRS = MODEL.shortest_m, 4.85e-9


def test_the_published_table_of_resistances():
    filament_nm = np.array([4.9, 4.7, 4.5, 4.2, 4.0, 3.8, 3.3])
    expected = [10.0e3, 20.7e3, 42.7e3, 127e3, 263e3, 544e3, 3.35e6]
    assert MODEL.resistance_ohm(filament_nm * 1e-9) == pytest.approx(expected, rel=3e-3)
    assert MODEL.filament_m(MODEL.resistance_ohm(filament_nm * 1e-9)) == pytest.approx(
        filament_nm * 1e-9
    )


def test_set_and_reset_switch_and_the_polarity_matters():
    read = lambda filament_m: MODEL.resistance_ohm(filament_m)[0]  # noqa: E731
    assert read(apply_pulse([HRS], Pulse(bl_v=2.4), series=SERIES).filament_m) < 12e3
    assert read(apply_pulse([LRS], Pulse(sl_v=2.6), series=SERIES).filament_m) > 1e6
    for start, pulse in ((HRS, Pulse(sl_v=2.4)), (LRS, Pulse(bl_v=0.5)), (HRS, Pulse(bl_v=1.2))):
        after = apply_pulse([start], pulse, series=SERIES).filament_m[0]
        assert after == pytest.approx(start, abs=1e-12)


def test_forming_takes_the_documented_voltage():
    """SkyWater: 1 us pulses form at 2.2 to 3.1 V, 2.5 V on average."""
    series = SeriesElement(resistance_ohm=1e3)
    volts = np.array([2.2, 2.6, 3.1])
    after = apply_pulse(np.full(3, MODEL.pristine_m), Pulse(bl_v=volts), series=series)
    formed = MODEL.resistance_ohm(after.filament_m) < 20e3
    assert formed.tolist() == [False, True, True]
    # A SET of the same device takes less.
    assert MODEL.resistance_ohm(
        apply_pulse([HRS], Pulse(bl_v=2.3), series=series).filament_m
    )[0] < 20e3  # fmt: skip


def test_more_reset_voltage_gives_more_resistance():
    volts = np.linspace(1.2, 2.6, 15)
    after = apply_pulse(np.full(15, LRS), Pulse(sl_v=volts), series=SeriesElement()).filament_m
    ohm = MODEL.resistance_ohm(after)
    # At the limit the solver's own error (1e-5) is all that is left.
    assert (np.diff(ohm) > -1e-5 * ohm[1:]).all()
    assert ohm[0] < 40e3 and ohm[-1] > 3e6
    # Gradual: at least three of the voltages stop in between.
    assert ((ohm > 50e3) & (ohm < 2e6)).sum() >= 3


def test_batch_and_single_devices_agree():
    volts = np.array([1.3, 1.5, 1.7])
    together = apply_pulse(np.full(3, LRS), Pulse(sl_v=volts), series=SERIES)
    alone = [apply_pulse([LRS], Pulse(sl_v=v), series=SERIES) for v in volts]
    assert together.filament_m.tolist() == [a.filament_m[0] for a in alone]
    assert together.energy_j.tolist() == [a.energy_j[0] for a in alone]


def reference(pulse, start_m, series, ambient_k):
    """The same equations written anew and solved by scipy's Radau."""
    m = MODEL
    ends = np.cumsum([pulse.edge_s, pulse.width_s, pulse.edge_s])
    bl = lambda t: np.interp(t, [0, *ends], [0, pulse.bl_v, pulse.bl_v, 0])  # noqa: E731
    sl = lambda t: np.interp(t, [0, *ends], [0, pulse.sl_v, pulse.sl_v, 0])  # noqa: E731

    def rates(t, y, slope):
        filament, kelvin, inner = y[0] * 1e-9, y[1], y[2]
        volt = bl(t) - inner
        current = m.current(filament, volt)
        speed = m.growth_m_per_s(filament, volt, kelvin)
        speed = m.fastest_m_per_s * speed / (m.fastest_m_per_s + abs(speed))
        if speed > 0:
            speed *= np.tanh((m.longest_m - filament) / m.edge_m)
        else:
            speed *= max(np.tanh((filament - m.shortest_m) / m.edge_m), 0)
        through = (inner - sl(t)) / series.resistance_ohm
        total_f = m.electrode_f + series.inner_f
        return [
            speed * 1e9,
            abs(volt * current) / m.heat_capacity_j_per_k - (kelvin - ambient_k) / m.thermal_s,
            (current - through + m.electrode_f * slope) / total_f,
        ]

    y, begin = [start_m * 1e9, ambient_k, 0.0], 0.0
    for end, slope in zip(
        ends, (pulse.bl_v / pulse.edge_s, 0.0, -pulse.bl_v / pulse.edge_s), strict=True
    ):
        solved = solve_ivp(
            rates, (begin, end), y, method="Radau", args=(slope,), rtol=1e-8,
            atol=[1e-7, 1e-3, 1e-6], first_step=1e-13,
        )  # fmt: skip
        assert solved.success
        y, begin = solved.y[:, -1], end
    return y[0] * 1e-9


@pytest.mark.parametrize(
    ("start", "pulse"),
    [
        (LRS, Pulse(sl_v=1.8, width_s=200e-9)),
        (4.7e-9, Pulse(sl_v=2.1, width_s=200e-9)),
        (4.0e-9, Pulse(bl_v=1.2, width_s=200e-9)),
        (HRS, Pulse(bl_v=2.4, width_s=200e-9)),
    ],
)
def test_the_solver_agrees_with_scipys_radau(start, pulse):
    series = SeriesElement(resistance_ohm=2e3)
    found = apply_pulse([start], pulse, series=series, temperature_c=26.85).filament_m[0]
    expected = reference(pulse, start, series, 300.0)
    # 0.2 pm is 0.07 % of resistance.
    assert found == pytest.approx(expected, abs=2e-13)


def test_energy_and_waveforms_are_consistent():
    done = apply_pulse([LRS], Pulse(sl_v=1.8), series=SERIES, samples=20_001)
    w = done.waveforms
    power = w.current_a[0] * (w.bl_v[0] - w.sl_v[0])
    integral = np.sum((power[1:] + power[:-1]) / 2 * np.diff(w.time_s))
    assert done.energy_j[0] == pytest.approx(integral, rel=2e-3)
    assert done.peak_a[0] == pytest.approx(np.abs(w.current_a).max(), rel=1e-3)
    assert w.filament_m[0, -1] == pytest.approx(done.filament_m[0], abs=1e-13)
    assert w.temperature_k.min() >= 299.9 and w.temperature_k.max() > 320
    # While the current is steady the resistor carries what the device carries.
    middle = 10_000
    assert w.current_a[0, middle] == pytest.approx(
        (w.inner_v[0, middle] - w.sl_v[0, middle]) / 5e3, rel=1e-3
    )


def test_a_thousand_devices_are_verified_into_a_band():
    rng = np.random.default_rng(1)
    scale = 1 + 0.03 * rng.standard_normal(1000)

    def apply(filament, pulse, mask):
        return apply_pulse(filament, pulse, series=SeriesElement(), enhancement_scale=scale[mask])

    done = program_and_verify(
        np.full(1000, LRS),
        band_ohm=(300e3, 600e3),
        apply_set=apply,
        apply_reset=apply,
        set_ladder=Ladder(start_v=1.2, step_v=0.05),
        reset_ladder=Ladder(start_v=1.0, step_v=0.02),
        max_pulses=60,
    )
    assert done.reached.mean() > 0.95
    final = done.resistance_ohm[:, -1]
    assert ((final >= 300e3) & (final <= 600e3) == done.reached).all()
    assert (done.pulses > 0).all() and done.amplitude_v.shape[1] <= 60
    assert (done.energy_j > 0).all()
    # Without verify the same mean pulse leaves a far wider spread.
    blind = apply(np.full(1000, LRS), Pulse(sl_v=1.5), np.ones(1000, bool)).filament_m
    spread = np.log(MODEL.resistance_ohm(blind)).std()
    assert spread > 2 * np.log(final[done.reached]).std()


def test_a_device_already_in_its_band_gets_no_pulse():
    done = program_and_verify(
        [LRS],
        band_ohm=(0, 20e3),
        apply_set=apply_pulse,
        apply_reset=apply_pulse,
        set_ladder=Ladder(start_v=1.0),
        reset_ladder=Ladder(start_v=1.0),
    )
    assert done.reached.all() and done.pulses.tolist() == [0] and done.energy_j[0] == 0


def test_a_ladder_that_ends_is_given_up():
    def nothing(filament, pulse, mask):
        return apply_pulse(filament, Pulse(), series=SERIES)

    done = program_and_verify(
        [HRS],
        band_ohm=(0, 20e3),
        apply_set=nothing,
        apply_reset=nothing,
        set_ladder=Ladder(start_v=1.0, step_v=0.1, limit_v=1.3),
        reset_ladder=Ladder(start_v=1.0),
    )
    assert not done.reached.any() and done.amplitude_v[0].tolist() == pytest.approx(
        [1.0, 1.1, 1.2, 1.3]
    )


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Pulse(bl_v=9), "bl_v"),
        (lambda: Pulse(width_s=0), "width_s"),
        (lambda: apply_pulse([6e-9], Pulse(bl_v=1)), "filament_m"),
        (lambda: apply_pulse([np.nan], Pulse(bl_v=1)), "filament_m"),
        (lambda: apply_pulse([HRS], Pulse(bl_v=1), temperature_c=900), "temperature_c"),
        (lambda: SeriesElement(resistance_ohm=0), "resistance_ohm"),
        (lambda: SeriesElement(word_line_v=(1.0,)).level(2.0), "word_line_v = 2"),
        (lambda: FilamentModel(longest_m=6e-9), "must rise"),
        (lambda: Ladder(start_v=3, limit_v=2), "ladder"),
        (
            lambda: program_and_verify(
                [HRS],
                band_ohm=(2, 1),
                apply_set=apply_pulse,
                apply_reset=apply_pulse,
                set_ladder=Ladder(start_v=1),
                reset_ladder=Ladder(start_v=1),
            ),
            "band_ohm",
        ),
    ],
)
def test_invalid_values_are_refused(make, said):
    with pytest.raises(InputError, match=said):
        make()
