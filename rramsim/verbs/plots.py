"""Plots of what the verbs return; each gives matplotlib's Axes, to change and to save."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from rramsim import counting, figures
from rramsim.verbs.sensing import Sense
from rramsim.verbs.tradeoffs import Tradeoff

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes


__all__ = ["plot_costs", "plot_error_rates", "plot_loss", "plot_tradeoff", "plot_waveforms"]


def _axes(chart: "figures.Chart", width_in: float | None) -> "tuple[Axes, ...]":
    return tuple(figures.matplotlib_figure(chart, width_in=width_in).axes)


def plot_waveforms(
    senses: Sense | Mapping[str, Sense], *, width_in: float | None = None
) -> "tuple[Axes, ...]":
    """Outputs, bit lines and SEN against time, an Axes for each sense (title -> sense).

    The senses must hold their waveforms (`rs.sense(..., waveforms=True)`). `width_in`: how wide
    the figure shall be in inches, such as 3.5 for a column of a paper.

    >>> import rramsim as rs
    >>> one = rs.sense(rs.circuit(), vdd_v=1.2, r_bl_ohm=1e4, r_blb_ohm=3.5e5, waveforms=True)
    >>> rs.plot_waveforms(one)[0].get_xlabel()
    'time after SEN (ns)'
    """
    named = {str(senses): senses} if isinstance(senses, Sense) else dict(senses)
    first = next(iter(named.values()))
    waves = {title: one.waveforms for title, one in named.items() if one.waveforms is not None}
    return _axes(figures.waveform_figure(waves, first.conditions, engine=first.engine), width_in)


def plot_error_rates(counted: "xr.Dataset", *, width_in: float | None = None) -> "tuple[Axes, ...]":
    """The three error rates of a sweep against the supply, with 95 % intervals.

    An Axes for each temperature, corner and window. `width_in`: as of
    `plot_waveforms`.

    >>> import rramsim as rs
    >>> counted = rs.sweep(rs.circuit(), vdd_v=[1.0, 1.2], samples=100, workers=1)
    >>> rs.plot_error_rates(counted)[0].get_yscale()
    'log'
    """
    rows = [(c, counting.statistics_at(counted, c)) for c in counting.conditions_of(counted)]
    return _axes(
        figures.error_rates_figure(rows, source=f"Simulated, {counted.attrs['engine']}"), width_in
    )


def plot_tradeoff(front: Tradeoff, *, width_in: float | None = None) -> "tuple[Axes, ...]":
    """Energy of an image's weight reads against accuracy, with the front.

    An Axes for each data flow and set of temperature and corner. `width_in`: how wide the figure
    shall be in inches, such as 3.5 for a column of a paper.

    >>> import rramsim as rs
    >>> circuit, data = rs.circuit(), rs.images()
    >>> counted = rs.sweep(circuit, vdd_v=[1.1, 1.2], samples=20, workers=1)
    >>> trained = rs.train(data, architecture="mlp", width=16, epochs=1)
    >>> front = rs.tradeoff(trained, counted, data, circuit=circuit, test_images=100, rare=False)
    >>> rs.plot_tradeoff(front)[0].get_ylabel()
    'test accuracy (%)'
    """
    return _axes(figures.energy_accuracy_figure(front.table), width_in)


def plot_loss(front: Tradeoff, *, width_in: float | None = None) -> "tuple[Axes, ...]":
    """The loss of accuracy to read errors against the supply, with 95 % intervals.

    `width_in`: as of `plot_tradeoff`.

    >>> import rramsim as rs
    >>> circuit, data = rs.circuit(), rs.images()
    >>> counted = rs.sweep(circuit, vdd_v=[1.1, 1.2], samples=20, workers=1)
    >>> trained = rs.train(data, architecture="mlp", width=16, epochs=1)
    >>> front = rs.tradeoff(trained, counted, data, circuit=circuit, test_images=100, rare=False)
    >>> rs.plot_loss(front)[0].get_xlabel()
    'supply VDD (V)'
    """
    return _axes(figures.loss_figure(front.table), width_in)


def plot_costs(
    front: Tradeoff, *, flow: str = "per_use", width_in: float | None = None
) -> "tuple[Axes, ...]":
    """All that an image costs against accuracy; `flow`: once, per_row, per_use or parallel.

    `width_in`: as of `plot_tradeoff`.

    >>> import rramsim as rs
    >>> circuit, data = rs.circuit(), rs.images()
    >>> counted = rs.sweep(circuit, vdd_v=[1.1, 1.2], samples=20, workers=1)
    >>> trained = rs.train(data, architecture="mlp", width=16, epochs=1)
    >>> front = rs.tradeoff(trained, counted, data, circuit=circuit, test_images=100, rare=False)
    >>> rs.plot_costs(front)[0].get_ylabel()
    'test accuracy (%)'
    """
    return _axes(figures.front_figure(front.costs, flow=flow), width_in)
