"""Test every network on many virtual chips, and on independent errors at their mean rates."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rramsim.chips import Chip, ReadSurface, WeightMapping, fit_surface
from rramsim.counting import ErrorStatistics
from rramsim.engines import BatchEngine, SenseEngine
from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.figures import chips_figure, save_figure
from rramsim.files import append_line, atomic_path, folder_lock, whole_lines
from rramsim.learning import EnsembleAccuracy, ImageData
from rramsim.networks import (
    IntegerNetwork,
    TransitionErrors,
    binary_layers,
    written_weights,
)
from rramsim.schemas import FILE_SCHEMAS
from rramsim.stages.folder import RunFolder
from rramsim.stages.train import TrainedNetwork, trained_networks

__all__ = ["chips_stage"]

_log = logging.getLogger(__name__)


def chips_stage(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    *,
    networks: tuple[TrainedNetwork, ...] | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Write `chips.csv` (a row a chip), `chips.json` (distributions) and a figure.

    Chips tested before are not tested again. Returns what `chips.json` holds. Raises `InputError`
    if the experiment has no [chips] section, or another run is writing in the folder.
    """
    with folder_lock(folder.path):
        return _chips(experiment, folder, data, networks, report)


def _chips(
    experiment: Experiment,
    folder: RunFolder,
    data: ImageData,
    networks: tuple[TrainedNetwork, ...] | None,
    report: Callable[[int, int], None],
) -> dict[str, Any]:
    section = experiment.chips
    if section is None:
        raise InputError("no [chips] section")
    networks = networks or trained_networks(experiment, folder, data)
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
                report(done := done + 1, total)
    table = pd.DataFrame(rows)
    with atomic_path(folder.chips) as temporary:
        table.to_csv(temporary, index=False)
    conditions = experiment.make_chip_conditions()
    array = experiment.make_chip_model().array
    value = {
        "schema": FILE_SCHEMAS["chips.json"],
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
    folder.write_json(folder.chip_summary, value)
    save_figure(chips_figure(table, conditions=conditions.label), folder.path, "chips")
    return value


def _row(
    trained: TrainedNetwork, data: ImageData, images: int, kind: str, index: int,
    found: dict[str, Any], clean: int,
) -> dict[str, Any]:  # fmt: skip
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


def _ensemble(rows: pd.DataFrame, images: int) -> dict[str, Any]:
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
    return None if np.isnan(value) else float(value)


class _Tests:
    """Tests of single chips, kept in `chips.jsonl`; the surface is fitted when first needed."""

    def __init__(self, experiment: Experiment, folder: RunFolder, data: ImageData) -> None:
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
        self._path = folder.chip_rows
        self._known: dict[str, dict[str, Any]] = {}
        for line in whole_lines(self._path):
            try:
                row = json.loads(line)
                self._known[str(row["key"])] = row
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{self._path}: damaged; remove it and run again") from error

    def clean(self, trained: TrainedNetwork) -> int:
        """Images classified right without read errors."""

        def make() -> dict[str, Any]:
            return {"correct": self._correct(trained, written_weights(trained.network))}

        return self._keep(trained, "clean", 0, "", make)["correct"]

    def test(
        self, trained: TrainedNetwork, kind: str, index: int, pooled: ErrorStatistics
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
        self, trained: TrainedNetwork, index: int, pooled: ErrorStatistics
    ) -> dict[str, Any]:
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

    def _correct(self, trained: TrainedNetwork, weights: dict[str, NDArray[np.int8]]) -> int:
        """Images classified right with these weights read."""
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
            hashlib.sha256(trained.path.read_bytes()).hexdigest(),
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


def _engine(experiment: Experiment) -> SenseEngine:
    engine = experiment.errors.make_engine()
    # The surface is fitted in one process: it may use every core.
    return replace(engine, threads=None) if isinstance(engine, BatchEngine) else engine
