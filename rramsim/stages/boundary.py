"""The boundary between 0 and +1/-1 over the conditions of an experiment."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rramsim import counting, durable, figures
from rramsim.identity import identity
from rramsim.records import BoundaryRow
from rramsim.stages.folder import Rows, RunFolder, Table
from rramsim.stages.stage import Results, Stage, Work

if TYPE_CHECKING:
    from rramsim.circuits import SenseCircuit, SenseConditions
    from rramsim.engines import SenseEngine
    from rramsim.figures.chart import Table as Texts

_SHARES = (0.05, 0.5, 0.95)

ROWS = Rows(
    name="boundary.jsonl", schema="rramsim boundaries 1",
    holds="the boundary of every mismatch draw, a line a set of conditions",
)  # fmt: skip
BOUNDARY = Table(
    name="boundary.csv", schema="rramsim boundary 1", record=BoundaryRow,
    holds="the resistance above which two equal devices read 0, over the mismatch draws",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Boundary:
    """What all conditions share."""

    circuit: "SenseCircuit"
    engine: "SenseEngine"
    draws: int
    seed: int

    @property
    def id(self) -> str:
        """Identity of everything but the conditions."""
        return identity(
            "boundaries", 1, circuit=self.circuit.sha256, engine=self.engine.name,
            draws=self.draws, seed=self.seed,
        )  # fmt: skip

    @property
    def version(self) -> str:
        """The engine with its version."""
        return self.engine.name

    def do(self, part: "SenseConditions", say: "durable.Say") -> dict[str, Any]:
        """The boundary of every draw that converged: JSON knows no infinity."""
        found = counting.zero_boundary(
            self.circuit, part, self.engine, draws=self.draws, seed=self.seed
        )
        return {
            "resistance_ohm": [r for r in found.resistance_ohm.tolist() if math.isfinite(r)],
            "never_zero": int(sum(math.isinf(r) for r in found.resistance_ohm)),
        }


def _draws(value: dict[str, Any]) -> list[float]:
    """The draws of a row: they are sorted, and nothing is below 0."""
    finite = [float(r) for r in value["resistance_ohm"]]
    if finite != sorted(finite) or min(finite, default=0.0) < 0:
        raise ValueError("its resistances are out of order")
    return finite + int(value["never_zero"]) * [math.inf]


def _run(work: Work) -> None:
    """Find the boundary at every point of [sense] into `boundary.csv` and a figure."""
    errors, circuit = work.experiment.errors, work.experiment.make_circuit()
    engine = errors.make_engine()
    conditions = work.experiment.make_conditions()
    shared = _Boundary(
        circuit=circuit, engine=engine, draws=errors.boundary_draws, seed=errors.seed
    )
    jobs = [
        durable.Job(
            key=identity("boundary", 1, shared=shared.id, conditions=at),
            name=f"boundary at {at.label}", shared=shared, part=at,
        )
        for at in conditions
    ]  # fmt: skip
    with durable.RowFile(ROWS.path(work.folder), parse=_draws) as rows:
        values = work.runner.gather(jobs, rows, safe=True, report=work.report)
    found = [
        counting.ZeroBoundary(
            conditions=job.part,
            resistance_ohm=np.array(values[job.key], dtype=float),
            unconverged=errors.boundary_draws - len(values[job.key]),
        )
        for job in jobs
    ]
    name = engine.name.split(" (")[0]
    made_by = {"engine": name, "circuit": circuit.name, "seed": errors.seed}
    BOUNDARY.write(work.folder, [row | made_by for row in boundary_rows(found)])


def boundary_rows(found: "Iterable[counting.ZeroBoundary]") -> list[dict[str, Any]]:
    """One row for each set of conditions: quantiles of the boundary with their 95 % intervals.

    `r05_ohm` is the pair's resistance that reads 0 in 5 % of the draws, and so on. An infinite
    value stands where no resistance reads 0, 0 where all do.
    """
    rows = []
    for boundary in found:
        conditions = boundary.conditions
        row: dict[str, Any] = {
            "vdd_v": conditions.vdd_v,
            "temperature_c": conditions.temperature_c,
            "corner": conditions.corner,
            "window_s": conditions.window_s,
            "draws": len(boundary.resistance_ohm),
            "unconverged": boundary.unconverged,
        }
        for share in _SHARES:
            value, low, high = boundary.quantile(share)
            name = f"r{100 * share:02.0f}"
            row |= {f"{name}_ohm": value, f"{name}_low_ohm": low, f"{name}_high_ohm": high}
        row["never_zero"] = int(sum(math.isinf(r) for r in boundary.resistance_ohm))
        rows.append(row)
    return rows


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    return {"boundary": figures.boundary_figure(BOUNDARY.need(folder))}


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.senses import boundary_table

    return [boundary_table(BOUNDARY.need(folder))]


def _sections(results: Results) -> "list[figures.Section]":
    if results.read(BOUNDARY) is None:
        return []
    return [
        figures.Section(
            key="boundary",
            title="Boundary between 0 and ±1",
            figures=tuple(_draw(results.folder).values()),
            tables=tuple(_summary(results.folder)),
        )
    ]


ZERO = Stage(
    name="boundary",
    title="Boundary between 0 and ±1",
    answers="Above which resistance do two equal devices read 0, and how does mismatch spread it?",
    run=_run,
    unit="conditions",
    files=(ROWS, BOUNDARY),
    rows=ROWS,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
