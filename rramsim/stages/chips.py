"""Test every network on many virtual chips, and on independent errors at their mean rates."""

import logging
import math
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rramsim import chips, counting, engines, figures, learning, networks
from rramsim.durable import Job, RowFile, Say
from rramsim.exceptions import InputError
from rramsim.identity import identity
from rramsim.records import ChipRow, ChipsRecord
from rramsim.stages.evaluations import network_digest, network_version, tested_images
from rramsim.stages.folder import Document, Rows, RunFolder, Table
from rramsim.stages.plans import TrainedNetwork
from rramsim.stages.rates import ERROR_TYPES, FOUND, rate_cells, solved_cells
from rramsim.stages.stage import Results, Stage, Work
from rramsim.stages.tradeoff import only_backprop
from rramsim.stages.train import TRAINING, trained_networks

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from rramsim.circuits import SenseConditions
    from rramsim.experiment import Experiment
    from rramsim.figures.chart import Table as Texts

_log = logging.getLogger(__name__)

_SENSED_CHIP_S = 7 * 86400.0
"""A chip whose every synapse is sensed is no chunk of senses: it is taken for hung after a week."""

ROWS = Rows(name="chips.jsonl", schema="rramsim tested chips 1", holds="tests, a line a chip")
CHIPS = Table(
    name="chips.csv", schema="rramsim chips 1", record=ChipRow,
    holds="accuracy, error rates and writes of every virtual chip",
)  # fmt: skip
DISTRIBUTIONS = Document(
    name="chips.json", schema="rramsim chips 1", record=ChipsRecord,
    holds="distributions of the accuracy over chips, with intervals",
)  # fmt: skip


def _lacks(experiment: "Experiment") -> str:
    if experiment.chips is None:
        return "no [chips] section, which says how many chips to draw"
    return only_backprop(experiment)


def _run(work: Work) -> None:
    """Write `chips.csv` (a row a chip), `chips.json` (distributions) and a figure."""
    import pandas as pd

    experiment, folder, data = work.experiment, work.folder, work.images()
    section = experiment.chips
    assert section is not None
    trained = work.kept.get("train") or trained_networks(experiment, folder, data)
    tests = _Tests(experiment, data, work.notice)
    kinds = ["chip", *(kind for kind in ("own", "iid") if kind in section.compare)]
    total, done = len(trained) * (1 + len(kinds) * section.count), 0

    def tell(before: int, have: int, _: int, note: str) -> None:
        work.report(before + have, total, note)

    found: dict[tuple[int, str], list[dict[str, Any]]] = {}
    pooled: dict[int, NDArray[np.int64]] = {}
    with RowFile(ROWS.path(folder), parse=_checked) as known:
        # Independent errors have the mean rates of the chips: they can be drawn only after them.
        for together in (["clean", *(k for k in kinds if k != "iid")], ["iid"][: "iid" in kinds]):
            asked = {
                (number, kind): tests.jobs(
                    one, kind, 1 if kind == "clean" else section.count, known,
                    pooled=pooled.get(number),
                )
                for number, one in enumerate(trained)
                for kind in together
            }  # fmt: skip
            jobs = [job for mine in asked.values() for job in mine]
            values = work.runner.gather(jobs, known, safe=True, report=partial(tell, done))
            done += len(jobs)
            found |= {of: [values[job.key] for job in mine] for of, mine in asked.items()}
            pooled = {
                number: np.sum([chip["counts"] for chip in found[number, "chip"]], axis=0)
                for number in range(len(trained))
            }
    rows = [
        _row(network, data, tests.images, kind, index, one, found[number, "clean"][0]["correct"])
        for number, network in enumerate(trained)
        for kind in kinds
        for index, one in enumerate(found[number, kind])
    ]
    read = counting.ErrorStatistics(counts=np.sum(list(pooled.values()), axis=0))
    table = pd.DataFrame(rows)
    CHIPS.write(folder, rows)
    conditions = experiment.make_chip_conditions()
    array = experiment.make_chip_model().array
    value = {
        "data": data.label,
        "images": tests.images,
        "conditions": conditions.label,
        "surface": tests.surface_record(),
        "rates": _rates(work, conditions, read),
        "adaptation_images": tests.adaptation.inferences,
        "arrays": {
            one.plan.spec.name: chips.WeightMapping.of(
                networks.written_weights(one.network), array=array
            ).arrays
            for one in trained
        },
        "ensembles": [
            _ensemble(mine, tests.images)
            for _, mine in table.groupby(["network", "kind"], sort=False)
        ],
    }
    DISTRIBUTIONS.write(folder, value)


def _rates(
    work: Work, conditions: "SenseConditions", read: "counting.ErrorStatistics"
) -> list[dict[str, Any]]:
    """What chips misread beside the rates of single senses, where the devices are the same."""
    experiment = work.experiment
    section = experiment.chips
    assert section is not None
    other = {"age_s": section.age_s, "read_noise_ln": section.read_noise_ln,
             "verify": section.make_verify()}  # fmt: skip
    changed = ", ".join(name for name, value in other.items() if value)
    found: list[dict[str, Any]] = [dict.fromkeys(("rate", "low", "high"))] * len(ERROR_TYPES)
    by = [f"not asked: [chips] {changed} changes the devices"] * len(ERROR_TYPES)
    if not changed:
        try:
            cells = rate_cells(experiment, [conditions])
            found = solved_cells(work, cells, FOUND.path(work.folder))
            by = [f"{one['method']}, {one['engine']}" for one in found]
        except InputError as error:
            by = [f"not asked: {error}"] * len(ERROR_TYPES)
    rows = []
    for kind, one, how in zip(ERROR_TYPES, found, by, strict=True):
        seen = getattr(read, kind.replace(" ", ""))
        ends = {name: one[name] for name in ("rate", "low", "high")}
        rows.append({"type": kind, "chips": seen.value if seen.trials else None, **ends, "by": how})
    return rows


def _row(
    trained: TrainedNetwork, data: "learning.ImageData", images: int, kind: str, index: int,
    found: dict[str, Any], clean: int,
) -> dict[str, Any]:  # fmt: skip
    statistics = counting.ErrorStatistics(counts=np.array(found["counts"]))
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
    ensemble = learning.EnsembleAccuracy(correct=rows.correct.to_numpy(), images=images)
    first = rows.iloc[0]
    mean_low, mean_high = ensemble.mean_interval()
    low, high = ensemble.percentile_interval()
    return {
        "network": first.network,
        "kind": first.kind,
        "count": len(rows),
        "mean": ensemble.mean,
        "mean_low": mean_low,
        "mean_high": mean_high,
        "deviation": ensemble.deviation,
        "percentile1": ensemble.percentile(),
        "percentile1_low": low,
        "percentile1_high": high,
        "percentile1_bootstrap": list(ensemble.bootstrap_percentile_interval()),
        "lowest": float(ensemble.values.min()),
        "accuracy_without_errors": float(first.accuracy_without_errors),
        **{name: _known(rows[name].mean()) for name in ("type1", "type2", "type3")},
        "writes_per_device": _known(rows.writes_per_device.mean()),
    }


def _known(value: float) -> float | None:
    """None for what does not exist: the type 3 errors of binary weights, a draw's writes."""
    return None if math.isnan(value) else float(value)


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    """What a row holds, if its counts are counts."""
    counts = [n for row in value["counts"] for n in row]
    if not 0 <= value["correct"] <= value["images"] or min(counts, default=0) < 0:
        raise ValueError("it counts what cannot be")
    return value


@dataclass(frozen=True, kw_only=True, eq=False)
class _Bench:
    """A network read from chips of one kind, or with errors drawn independently of one another."""

    id: str
    version: str
    network: Any
    spec: Any
    data: "learning.ImageData"
    kind: str
    seed: int
    model: "chips.ChipModel | None"
    surface: "chips.ReadSurface | chips.EngineReads | None"
    age_s: float
    pooled: "NDArray[np.int64] | None"
    adaptation: "learning.Adaptation"

    @cached_property
    def packed(self) -> "networks.IntegerNetwork":
        """The network in integers."""
        return networks.IntegerNetwork.of(self.network)

    def _right(self, weights: dict[str, Any], index: int) -> "NDArray[np.bool_]":
        """Which images are right with these digits: in integers, a user's own module in floats.

        The network adapts to them first, if it is to; in integers that moves its thresholds.
        """
        data, own = self.data, isinstance(self.spec, networks.ModuleSpec)
        images, labels = data.test_images, data.test_labels
        wanted = learning.Adaptation() if self.kind == "clean" else self.adaptation
        if not own and not wanted:
            packed = self.packed
        else:
            networks.set_read_weights(self.network, weights)
            try:
                with learning.adapted(
                    self.network, wanted, data.train_images, data.train_labels, seed=index
                ):
                    if own:
                        return learning.classified_right(self.network, images, labels)
                    packed = networks.IntegerNetwork.of(self.network)
            finally:
                networks.set_weight_errors(self.network, None)
        found: NDArray[np.bool_] = packed.with_weights(weights).predict(images) == labels
        return found

    def do(self, part: int, say: Say) -> dict[str, Any]:
        """Test the chip, or the draw, of this number."""
        if self.kind == "clean":
            weights: dict[str, Any] = networks.written_weights(self.network)
            found: dict[str, Any] = {"counts": []}
        elif self.kind == "iid":
            weights, found = self._independent(part)
        else:
            weights, found = self._chip(part)
        right = self._right(weights, part)
        return {"correct": int(right.sum()), "images": len(right)} | found

    def _chip(self, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
        assert self.model is not None and self.surface is not None
        chip = chips.Chip(
            self.model,
            networks.written_weights(self.network),
            seed=self.seed,
            index=index,
            binary=networks.binary_layers(self.network),
        )
        read = chip.read(self.surface, age_s=self.age_s)
        return read.weights, {
            "counts": read.statistics.counts.tolist(),
            "writes_per_device": chip.writes / (2 * chip.mapping.synapses),
            "failed": chip.failed,
        }

    def _independent(self, index: int) -> tuple[dict[str, Any], dict[str, Any]]:
        import torch

        assert self.pooled is not None
        matrix = self.pooled[:, :3].astype(float)
        empty = matrix.sum(axis=1) == 0  # binary networks hold no written 0
        matrix[empty] = np.eye(3)[empty]
        errors = networks.TransitionErrors(matrix / matrix.sum(axis=1, keepdims=True))
        if self.spec.weights == "binary":
            errors = errors.without_zero_reads()
        seed = np.random.SeedSequence([self.seed, index, 0x11D])
        generator = torch.Generator().manual_seed(int(seed.generate_state(1)[0]))
        counts = np.zeros((3, 4), dtype=np.int64)
        weights = {}
        for name, values in networks.written_weights(self.network).items():
            read = errors.apply(torch.from_numpy(values).float(), generator=generator)
            weights[name] = read.numpy().astype(np.int8)
            pair = 3 * (values.astype(np.int64) + 1) + weights[name] + 1
            counts[:, :3] += np.bincount(pair.ravel(), minlength=9).reshape(3, 3)
        return weights, {"counts": counts.tolist(), "writes_per_device": None, "failed": None}


class _Tests:
    """The jobs of testing chips; the surface is fitted when a chip first needs it."""

    def __init__(
        self, experiment: "Experiment", data: "learning.ImageData", notice: "Callable[[str], None]"
    ) -> None:
        assert experiment.chips is not None
        self._section = experiment.chips
        self.adaptation = experiment.test.adaptation
        self._data = tested_images(
            data, self._section.images or 0, "[chips] images", self.adaptation
        )
        self._resistances = experiment.make_resistances()
        self._notice = notice
        self._engine = _engine(experiment)
        self._conditions = experiment.make_chip_conditions()
        self._models = {
            "chip": experiment.make_chip_model(),
            "own": experiment.make_chip_model(amplifiers="own"),
        }
        self._surface: chips.ReadSurface | chips.EngineReads | None = None
        self._limit_s: float | None = None

    @property
    def images(self) -> int:
        """Images that are tested."""
        return len(self._data.test_labels)

    def jobs(
        self, trained: TrainedNetwork, kind: str, count: int, known: RowFile[Any], *,
        pooled: "NDArray[np.int64] | None" = None,
    ) -> list[Job]:  # fmt: skip
        """One for each chip of a kind, or one for the network without errors."""
        section, model = self._section, self._models.get(kind)
        setting: dict[str, Any] = {}
        if model is not None:
            setting = {
                "engine": self._engine.name, "circuit": model.circuit.sha256,
                "conditions": self._conditions, "statistics": model.statistics,
                "array": model.array, "devices": model.devices, "amplifiers": model.amplifiers,
                "read_noise_ln": model.read_noise_ln, "retention": model.retention,
                "verify": model.verify, "age_s": section.age_s, "points": section.surface_points,
            }  # fmt: skip
        elif kind == "iid":
            setting = {"pooled": pooled}
        if self.adaptation and kind != "clean":
            setting["adaptation"] = self.adaptation
        of = identity(
            "tested chips", 2, network=network_digest(trained), data=self._data.label,
            source=self._data.source, images=self.images, kind=kind, seed=section.seed, **setting,
        )  # fmt: skip
        keys = [identity("chip", 1, of=of, index=index) for index in range(count)]
        if model is not None and any(known.lacks(key) for key in keys):
            self._fit()
        shared = _Bench(
            id=of, version=f"{network_version()}, {self._engine.name}", network=trained.network,
            spec=trained.plan.spec, data=self._data, kind=kind,
            seed=section.seed, model=model, surface=self._surface, age_s=section.age_s,
            pooled=pooled, adaptation=self.adaptation,
        )  # fmt: skip
        return [
            Job(
                key=key, name=f"{trained.plan.network_name}, {kind} {index}", shared=shared,
                part=index,
                limit_s=self._limit_s,
            )
            for index, key in enumerate(keys)
        ]  # fmt: skip

    def surface_record(self) -> dict[str, Any]:
        """How the reads were decided, or None's where every chip was known already."""
        reads = self._surface
        surface = reads if isinstance(reads, chips.ReadSurface) else None
        return {
            "engine": self._engine.name,
            "points": self._section.surface_points,
            "residual_ln": surface.residual_ln if surface else None,
            "otherwise": surface.otherwise if surface else None,
            "senses": surface.senses if surface else None,
            "none_because": reads.why if isinstance(reads, chips.EngineReads) else None,
        }

    def _fit(self) -> None:
        if self._surface is None:
            _log.debug("read surface: fitted to %d points", self._section.surface_points)
            self._surface = chips.read_decision(
                self._engine,
                self._models["chip"].circuit,
                self._conditions,
                self._resistances,
                points=self._section.surface_points,
                seed=self._section.seed,
            )
            if isinstance(self._surface, chips.EngineReads):
                self._limit_s = _SENSED_CHIP_S
                self._notice(f"{self._surface.why}; so every synapse is sensed, which takes longer")


def _engine(experiment: "Experiment") -> "engines.SenseEngine":
    engine = experiment.errors.make_engine()
    # The surface is fitted in one process: it may use every core.
    return replace(engine, threads=None) if isinstance(engine, engines.BatchEngine) else engine


def _draw(folder: RunFolder) -> "dict[str, figures.Chart]":
    return {"chips": _chart(CHIPS.need(folder), DISTRIBUTIONS.need(folder))}


def _chart(rows: tuple[ChipRow, ...], record: ChipsRecord) -> "figures.Chart":
    return figures.chips_figure(
        rows, data=record.data, images=record.images, conditions=record.conditions
    )


def _summary(folder: RunFolder) -> "list[Texts]":
    from rramsim.figures.networks import chip_rates_table, chips_table

    record = DISTRIBUTIONS.need(folder)
    return [chips_table(record.ensembles), *chip_rates_table(record.rates)]


def _sections(results: Results) -> "list[figures.Section]":
    if results.read(CHIPS) is None or results.read(DISTRIBUTIONS) is None:
        return []
    return [
        figures.Section(
            key="chips",
            title="Chips",
            figures=tuple(_draw(results.folder).values()),
            tables=tuple(_summary(results.folder)),
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
