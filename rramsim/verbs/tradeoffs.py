"""What networks cost and how accurate they are at every supply."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rramsim.circuits import SenseCircuit, SenseConditions
from rramsim.devices import ResistanceModel
from rramsim.exceptions import InputError
from rramsim.verbs.campaigns import conditions_at
from rramsim.verbs.sensing import resistances

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from rramsim.counting import FoundRate
    from rramsim.learning import Adaptation, ImageData, TrainingResult

__all__ = ["Tradeoff", "inference_costs", "tradeoff"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Tradeoff:
    """Accuracy and energy of networks under conditions.

    `table`: a row for each network and set of conditions: accuracy and loss (shares) with 95 %
    intervals, error rates, energy of an image's reads in joule (`energy_once_j`: each weight read
    once, `energy_per_use_j`: for every use). `costs`: the same points part by part, a row for each
    data flow. Columns: the page of result files (`make docs`).
    """

    table: "pd.DataFrame"
    costs: "pd.DataFrame"

    @staticmethod
    def of_run(folder: str | Path) -> "Tradeoff":
        """The trade-off in a run's folder (`rramsim run`), to plot or to look into.

        Raises `InputError` where it is not there.
        """
        from rramsim.stages import RunFolder
        from rramsim.stages.tradeoff import COSTS, TRADEOFF

        run = RunFolder.existing(Path(folder))
        return Tradeoff(table=TRADEOFF.frame(run), costs=COSTS.frame(run))

    def to_pandas(self) -> "pd.DataFrame":
        """The table."""
        return self.table

    def to_xarray(self) -> "xr.Dataset":
        """The table over (network, vdd_v, temperature_c, corner, window_s)."""
        axes = ["network", "vdd_v", "temperature_c", "corner", "window_s"]
        return self.table.set_index(axes).to_xarray()

    def __str__(self) -> str:
        rows: Any = self.table.itertuples()
        lines = [
            f"{row.network} at {row.vdd_v:g} V, {row.temperature_c:g} °C, {row.corner}, "
            f"{row.window_s * 1e9:g} ns: {100 * row.accuracy:.1f} % "
            f"({100 * row.accuracy_low:.1f} to {100 * row.accuracy_high:.1f}), reads once "
            f"{row.energy_once_j * 1e9:.3g} nJ ({row.energy_once_low_j * 1e9:.3g} to "
            f"{row.energy_once_high_j * 1e9:.3g})"
            for row in rows
        ]
        return "\n".join(lines)


def tradeoff(
    networks: "TrainingResult | Sequence[TrainingResult]",
    counted: "xr.Dataset",
    data: "ImageData",
    *,
    circuit: SenseCircuit,
    devices: ResistanceModel | None = None,
    rare: bool = True,
    draws: int = 3,
    test_images: int = 0,
    seed: int = 0,
    adaptation: "Adaptation | None" = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Tradeoff:
    """Test networks with the read errors of every condition of a sweep, and count their energy.

    `circuit` and `devices`: what was swept. Each of `draws` draws the error rates from what the
    counts leave open, then the errors. `rare`: of an error type that was seen less than ten times
    the rate is asked for (`rramsim.rate`, some seconds each), as the command does; without, or
    where it cannot be found, the points are `limited_by_samples`. `test_images`: 0 for all.
    `adaptation`: what a network does on each draw before it is tested
    (`rramsim.learning.Adaptation`), None for nothing. Raises `InputError` for networks that do not
    take these images, and for devices that were not swept.

    >>> import rramsim as rs
    >>> circuit, data = rs.circuit(), rs.images()
    >>> counted = rs.sweep(circuit, vdd_v=1.2, samples=100, workers=1)
    >>> trained = rs.train(data, architecture="mlp", width=16, epochs=1)
    >>> front = rs.tradeoff(trained, counted, data, circuit=circuit, test_images=100, rare=False)
    >>> len(front.table), bool(front.table.energy_once_j.iloc[0] > 0)
    (1, True)
    """
    from rramsim.costs import TestedNetwork, tradeoff_tables
    from rramsim.learning import right_with_errors

    several = networks if isinstance(networks, Sequence) else (networks,)
    tested = min(test_images or len(data.test_labels), len(data.test_labels))

    def right(one: TestedNetwork, errors: Any, draw: int) -> Any:
        return right_with_errors(
            one.network, data, errors, images=tested, seed=seed, draw=draw, adaptation=adaptation
        )

    table, costs = tradeoff_tables(
        [TestedNetwork(spec=one.spec, network=one.network) for one in several],
        counted,
        data,
        circuit=circuit,
        right=right,
        draws=draws,
        seed=seed,
        found=_found(counted, circuit, devices or resistances()) if rare else lambda at: {},
        adapted_with=adaptation.inferences if adaptation else 0,
        report=report,
    )
    return Tradeoff(table=table, costs=costs)


def _found(
    counted: "xr.Dataset", circuit: SenseCircuit, devices: ResistanceModel
) -> "Callable[[SenseConditions], dict[str, FoundRate]]":
    """What gives the rates of the error types that a sweep saw too little of."""
    from rramsim.engines import BatchEngine
    from rramsim.rare import SenseFailure, parse_criterion
    from rramsim.stages.rates import RateCell, found_rate, seen_rarely

    if counted.attrs["resistances"] != repr(devices):
        raise InputError("devices: the sweep's are others; give the same, or rare=False")

    def found(at: SenseConditions) -> "dict[str, FoundRate]":
        known: dict[str, FoundRate] = {}
        for kind in seen_rarely(counted, at):
            failure = SenseFailure(
                circuit=circuit, conditions=at, resistances=devices,
                criterion=parse_criterion(kind), engine=BatchEngine(threads=1),
                mismatch=bool(counted.attrs["mismatch"]), noise=bool(counted.attrs["noise"]),
            )  # fmt: skip
            cell = RateCell(failure=failure, relative_error=0.1, seed=int(counted.attrs["seed"]))
            try:
                known |= found_rate(kind, cell.do(None, lambda *_: None))
            except InputError:  # what the batch engine cannot read: the counts stand
                return known
        return known

    return found


def inference_costs(
    network: "TrainingResult",
    counted: "xr.Dataset",
    data: "ImageData",
    *,
    circuit: SenseCircuit,
    vdd_v: float | None = None,
    temperature_c: float | None = None,
    corner: str | None = None,
    window_s: float | None = None,
) -> "pd.DataFrame":
    """What one image costs under one set of conditions, part by part, a row for each data flow.

    Columns in joule, second and square metre: reads are simulated, logic is counted from simulated
    gates, drivers and buffers are estimates. `total_low_j` and `total_high_j` are the 95 % interval
    that the simulated reads give. Raises `InputError` unless exactly one point of the sweep fits.

    >>> import rramsim as rs
    >>> circuit, data = rs.circuit(), rs.images()
    >>> counted = rs.sweep(circuit, vdd_v=1.2, samples=100, workers=1)
    >>> trained = rs.train(data, architecture="mlp", width=16, epochs=1)
    >>> rs.inference_costs(trained, counted, data, circuit=circuit).flow.tolist()
    ['once', 'per_row', 'per_use', 'parallel']
    """
    import pandas as pd

    from rramsim.costs import DATA_FLOWS, census_on, cost_row, gates_of_process, sense_energy_at

    at: SenseConditions = conditions_at(
        counted, vdd_v=vdd_v, temperature_c=temperature_c, corner=corner, window_s=window_s
    )
    census, sense = census_on(network.network, data), sense_energy_at(counted, at)
    gates = gates_of_process(circuit.process)
    rows = [
        {"flow": flow}
        | cost_row(
            census, sense, flow=flow, circuit=circuit, vdd_v=at.vdd_v,
            window_s=at.window_s, gates=gates,
        )
        for flow in DATA_FLOWS
    ]  # fmt: skip
    return pd.DataFrame(rows)
