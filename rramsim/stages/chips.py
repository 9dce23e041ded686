"""Test every network on many virtual chips, and on independent errors at their mean rates."""

import hashlib
import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.files import append_line, whole_lines
from rramsim.records import ChipRow, ChipsRecord
from rramsim.stages.evaluations import network_digest
from rramsim.stages.folder import RunFolder
from rramsim.stages.reading import Results
from rramsim.stages.result_files import Document, Rows, Table
from rramsim.stages.stage import Stage, Work
from rramsim.stages.tradeoff import only_backprop
from rramsim.stages.train import TRAINING, TrainedNetwork, trained_networks

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray
    from rich.table import Table as Shown

    from rramsim.chips import ReadSurface
    from rramsim.counting import ErrorStatistics
    from rramsim.engines import SenseEngine
    from rramsim.figures import Chart
    from rramsim.figures.report import Section
    from rramsim.learning import ImageData
    from rramsim.networks import IntegerNetwork

__all__ = ["CHIPS", "DISTRIBUTIONS", "VIRTUAL_CHIPS"]

_log = logging.getLogger(__name__)

ROWS = Rows(name="chips.jsonl", schema="rramsim tested chips 1", holds="tests, a line a chip")
CHIPS = Table(
    name="chips.csv", schema="rramsim chips 1", record=ChipRow,
    holds="accuracy, error rates and writes of every virtual chip",
)  # fmt: skip
DISTRIBUTIONS = Document(
    name="chips.json", schema="rramsim chips 1", record=ChipsRecord,
    holds="distributions of the accuracy over chips, with intervals",
)  # fmt: skip


def _lacks(experiment: Experiment) -> str:
    if experiment.chips is None:
        return "no [chips] section, which says how many chips to draw"
    return only_backprop(experiment)


def _run(work: Work) -> None:
    """Write `chips.csv` (a row a chip), `chips.json` (distributions) and a figure."""
    import numpy as np
    import pandas as pd

    from rramsim.chips import WeightMapping
    from rramsim.counting import ErrorStatistics
    from rramsim.networks import written_weights

    experiment, folder, data = work.experiment, work.folder, work.images()
    section = experiment.chips
    assert section is not None
    networks = work.kept.get("train") or trained_networks(experiment, folder, data)
    tests = _Tests(experiment, folder, data)
    kinds = ["chip", *(kind for kind in ("own", "iid") if kind in section.compare)]
    total, done = len(networks) * len(kinds) * section.count, 0
    rows: list[dict[str, Any]] = []
    for trained in networks:
        clean = tests.clean(trained)
        pooled = ErrorStatistics(counts=np.zeros((3, 4), dtype=np.int64))
        for kind in kinds:
            for index in range(section.count):
                found = tests.test(trained, kind, index, pooled)
                if kind == "chip":
                    pooled += ErrorStatistics(counts=np.array(found["counts"]))
                rows.append(_row(trained, data, tests.images, kind, index, found, clean))
                work.report(done := done + 1, total, "")
    table = pd.DataFrame(rows)
    CHIPS.write(folder, rows)
    conditions = experiment.make_chip_conditions()
    array = experiment.make_chip_model().array
    value = {
        "data": data.label,
        "images": tests.images,
        "conditions": conditions.label,
        "surface": tests.surface_record(),
        "arrays": {
            one.plan.spec.name: WeightMapping.of(written_weights(one.network), array=array).arrays
            for one in networks
        },
        "ensembles": [
            _ensemble(mine, tests.images)
            for _, mine in table.groupby(["network", "kind"], sort=False)
        ],
    }
    DISTRIBUTIONS.write(folder, value)


def _row(
    trained: TrainedNetwork, data: "ImageData", images: int, kind: str, index: int,
    found: dict[str, Any], clean: int,
) -> dict[str, Any]:  # fmt: skip
    import numpy as np

    from rramsim.counting import ErrorStatistics

    statistics = ErrorStatistics(counts=np.array(found["counts"]))
    return {
        "network": trained.plan.spec.name,
        "kind": kind,
        "chip": index,
        "data": data.label,
        "images": images,
        "correct": found["correct"],
        "accuracy": found["correct"] / images,
        "accuracy_without_errors": clean / images,
        "type1": statistics.type1.value,
        "type2": statistics.type2.value,
        "type3": statistics.type3.value,
        "writes_per_device": found["writes_per_device"],
        "verify_failed": found["failed"],
    }


def _ensemble(rows: "pd.DataFrame", images: int) -> dict[str, Any]:
    from rramsim.learning import EnsembleAccuracy

    chips = EnsembleAccuracy(correct=rows.correct.to_numpy(), images=images)
    first = rows.iloc[0]
    mean_low, mean_high = chips.mean_interval()
    low, high = chips.percentile_interval()
    return {
        "network": first.network,
        "kind": first.kind,
        "count": len(rows),
        "mean": chips.mean,
        "mean_low": mean_low,
        "mean_high": mean_high,
        "deviation": chips.deviation,
        "percentile1": chips.percentile(),
        "percentile1_low": low,
        "percentile1_high": high,
        "percentile1_bootstrap": list(chips.bootstrap_percentile_interval()),
        "lowest": float(chips.values.min()),
        "accuracy_without_errors": float(first.accuracy_without_errors),
        **{name: _known(rows[name].mean()) for name in ("type1", "type2", "type3")},
        "writes_per_device": _known(rows.writes_per_device.mean()),
    }


def _known(value: float) -> float | None:
    """None for what does not exist: the type 3 errors of binary weights, a draw's writes."""
    return None if math.isnan(value) else float(value)


class _Tests:
    """Tests of single chips, kept in `chips.jsonl`; the surface is fitted when first needed."""

    def __init__(self, experiment: Experiment, folder: RunFolder, data: "ImageData") -> None:
        assert experiment.chips is not None
        self._experiment, self._section, self._data = experiment, experiment.chips, data
        self.images = self._section.images or len(data.test_labels)
        if self.images > len(data.test_labels):
            raise InputError(
                f"[chips] images = {self.images}: {data.label} has {len(data.test_labels)} test "
                "images"
            )
        self._engine = _engine(experiment)
        self._conditions = experiment.make_chip_conditions()
        self._models = {
            "chip": experiment.make_chip_model(),
            "own": experiment.make_chip_model(amplifiers="own"),
        }
        self._surface: ReadSurface | None = None
        self._packed: dict[str, IntegerNetwork] = {}
        self._path = ROWS.path(folder)
        self._known: dict[str, dict[str, Any]] = {}
        for line in whole_lines(self._path):
            try:
                row = json.loads(line)
                self._known[str(row["key"])] = row
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{self._path}: damaged; remove it and run again") from error

    def clean(self, trained: TrainedNetwork) -> int:
        """Images classified right without read errors."""
        from rramsim.networks import written_weights

        def make() -> dict[str, Any]:
            return {"correct": self._correct(trained, written_weights(trained.network))}

        return self._keep(trained, "clean", 0, "", make)["correct"]

    def test(
        self, trained: TrainedNetwork, kind: str, index: int, pooled: "ErrorStatistics"
    ) -> dict[str, Any]:
        """Images classified right, counts and writes of one chip or one independent draw."""
        if kind == "iid":
            rates = json.dumps(pooled.counts.tolist())
            return self._keep(
                trained, kind, index, rates, lambda: self._independent(trained, index, pooled)
            )
        model = self._models[kind]
        setting = "\n".join(
            (
                self._engine.name,
                model.circuit.sha256,
                repr(self._conditions),
                repr((model.statistics, model.array, model.devices, model.amplifiers)),
                repr((model.read_noise_ln, model.retention, model.verify)),
                f"{self._section.age_s} {self._section.surface_points}",
            )
        )
        return self._keep(trained, kind, index, setting, lambda: self._chip(trained, kind, index))

    def surface_record(self) -> dict[str, Any]:
        """How the surface was fitted, or None's where every chip was known already."""
        surface = self._surface
        return {
            "engine": self._engine.name,
            "points": self._section.surface_points,
            "residual_ln": surface.residual_ln if surface else None,
            "senses": surface.senses if surface else None,
        }

    def _chip(self, trained: TrainedNetwork, kind: str, index: int) -> dict[str, Any]:
        from rramsim.chips import Chip, fit_surface
        from rramsim.networks import binary_layers, written_weights

        if self._surface is None:
            _log.debug("read surface: fitted to %d points", self._section.surface_points)
            model = self._models["chip"]
            self._surface = fit_surface(
                self._engine,
                model.circuit,
                self._conditions,
                points=self._section.surface_points,
                seed=self._section.seed,
            )
        chip = Chip(
            self._models[kind],
            written_weights(trained.network),
            seed=self._section.seed,
            index=index,
            binary=binary_layers(trained.network),
        )
        read = chip.read(self._surface, age_s=self._section.age_s)
        return {
            "correct": self._correct(trained, read.weights),
            "counts": read.statistics.counts.tolist(),
            "writes_per_device": chip.writes / (2 * chip.mapping.synapses),
            "failed": chip.failed,
        }

    def _independent(
        self, trained: TrainedNetwork, index: int, pooled: "ErrorStatistics"
    ) -> dict[str, Any]:
        import numpy as np
        import torch

        from rramsim.networks import TransitionErrors, written_weights

        matrix = pooled.counts[:, :3].astype(float)
        empty = matrix.sum(axis=1) == 0  # binary networks hold no written 0
        matrix[empty] = np.eye(3)[empty]
        errors = TransitionErrors(matrix / matrix.sum(axis=1, keepdims=True))
        written = written_weights(trained.network)
        if trained.plan.spec.weights == "binary":
            errors = errors.without_zero_reads()
        seed = np.random.SeedSequence([self._section.seed, index, 0x11D])
        generator = torch.Generator().manual_seed(int(seed.generate_state(1)[0]))
        counts = np.zeros((3, 4), dtype=np.int64)
        weights = {}
        for name, values in written.items():
            read = errors.apply(torch.from_numpy(values).float(), generator=generator)
            weights[name] = read.numpy().astype(np.int8)
            pair = 3 * (values.astype(np.int64) + 1) + weights[name] + 1
            counts[:, :3] += np.bincount(pair.ravel(), minlength=9).reshape(3, 3)
        return {
            "correct": self._correct(trained, weights),
            "counts": counts.tolist(),
            "writes_per_device": None,
            "failed": None,
        }

    def _correct(self, trained: TrainedNetwork, weights: "dict[str, NDArray[np.int8]]") -> int:
        """Images classified right with these weights read."""
        from rramsim.networks import IntegerNetwork

        name = trained.plan.name
        if name not in self._packed:
            self._packed[name] = IntegerNetwork.of(trained.network)
        found = (
            self._packed[name].with_weights(weights).predict(self._data.test_images[: self.images])
        )
        return int((found == self._data.test_labels[: self.images]).sum())

    def _keep(
        self, trained: TrainedNetwork, kind: str, index: int, setting: str,
        make: Callable[[], dict[str, Any]],
    ) -> dict[str, Any]:  # fmt: skip
        parts = (
            network_digest(trained),
            self._data.label,
            json.dumps(self._data.source, sort_keys=True),
            f"{kind} {index} {self._section.seed} {self.images}",
            setting,
        )
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        if key not in self._known:
            row = {"key": key, "network": trained.plan.spec.name, "kind": kind, "chip": index}
            row |= make()
            append_line(self._path, json.dumps(row))
            self._known[key] = row
        return self._known[key]


def _engine(experiment: Experiment) -> "SenseEngine":
    from rramsim.engines import BatchEngine

    engine = experiment.errors.make_engine()
    # The surface is fitted in one process: it may use every core.
    return replace(engine, threads=None) if isinstance(engine, BatchEngine) else engine


def _summary(folder: RunFolder) -> "list[Shown]":
    from rich.table import Table as Shown

    record = DISTRIBUTIONS.need(folder)
    label = f"{record.data}, {record.images} images; {record.conditions}"
    shown = Shown(title=f"accuracy of virtual chips (simulated), {label}", title_justify="left")
    for name in (
        "network", "chips", "mean (95 %)", "standard deviation", "1st percentile (95 %)", "lowest",
        "no errors", "type 2", "type 3", "writes a device",
    ):  # fmt: skip
        shown.add_column(name, justify="right")
    for row in record.ensembles:
        low, high = (
            "?" if end is None else f"{100 * end:.2f}"
            for end in (row.percentile1_low, row.percentile1_high)
        )
        shown.add_row(
            row.network,
            f"{row.count} {row.kind}",
            f"{100 * row.mean:.2f} ({100 * row.mean_low:.2f}–{100 * row.mean_high:.2f}) %",
            f"{100 * row.deviation:.2f}",
            f"{100 * row.percentile1:.2f} ({low}–{high}) %",
            f"{100 * row.lowest:.2f} %",
            f"{100 * row.accuracy_without_errors:.2f} %",
            *(
                "" if value is None else f"{value:.3g}"
                for value in (row.type2, row.type3, row.writes_per_device)
            ),
        )
    arrays = ", ".join(f"{name} takes {n}" for name, n in record.arrays.items())
    shown.caption, shown.caption_justify = f"arrays of a chip: {arrays}", "left"
    return [shown]


def _draw(folder: RunFolder) -> "dict[str, Chart]":
    return {"chips": _chart(CHIPS.need(folder), DISTRIBUTIONS.need(folder))}


def _chart(rows: tuple[ChipRow, ...], record: ChipsRecord) -> "Chart":
    from rramsim.figures import chips_figure

    return chips_figure(rows, data=record.data, images=record.images, conditions=record.conditions)


def _sections(results: Results) -> "list[Section]":
    from rramsim.figures.networks import chips_table
    from rramsim.figures.report import Section

    rows, record = results.read(CHIPS), results.read(DISTRIBUTIONS)
    if rows is None or record is None:
        return []
    return [
        Section(
            key="chips",
            title="Chips",
            figures=(_chart(rows, record),),
            tables=(chips_table(record.ensembles),),
        )
    ]


VIRTUAL_CHIPS = Stage(
    name="chips",
    title="Chips",
    answers="How does the accuracy spread from chip to chip?",
    run=_run,
    unit="chips",
    files=(ROWS, CHIPS, DISTRIBUTIONS),
    needs=(TRAINING,),
    rows=ROWS,
    of_run=True,
    images=True,
    lacks=_lacks,
    draw=_draw,
    sections=_sections,
    summary=_summary,
)
