"""Tests of networks with frozen error draws; what was tested before is not tested again."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from rramsim.durable import Job, RowFile, Runner, Say
from rramsim.exceptions import InputError
from rramsim.identity import identity
from rramsim.stages.folder import Rows, RunFolder
from rramsim.version import __version__

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rramsim.experiment import Experiment
    from rramsim.learning import Adaptation, ImageData
    from rramsim.networks import WeightErrors
    from rramsim.stages.plans import TrainedNetwork

EVALUATIONS = Rows(
    name="evaluations.jsonl", schema="rramsim evaluations 1",
    holds="which test images each network classifies right, a line a draw of read errors",
)  # fmt: skip

Made = TypeVar("Made")
Right = Callable[["TrainedNetwork", "WeightErrors | None", int], "NDArray[np.bool_]"]
"""Which images, (images,), a network classifies right with the errors of one draw."""


def network_digest(trained: "TrainedNetwork") -> str:
    """Hash of what a network holds; its file differs each time that it is written."""
    digest = hashlib.sha256(repr(trained.plan.spec).encode())
    for key, value in trained.network.state_dict().items():
        digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def network_version() -> str:
    """The software that a test of a network depends on."""
    import torch

    return f"rramsim {__version__}, torch {torch.__version__}"


def tested_images(
    data: "ImageData", wanted: int, key: str, adaptation: "Adaptation"
) -> "ImageData":
    """The images that are tested, as many of each class as can be, with hardly any for training.

    As many training images are kept, drawn by a seed, as an adaptation takes. Raises `InputError`
    for more than there are.
    """
    if wanted > len(data.test_labels):
        raise InputError(f"{key} = {wanted}: {data.label} has {len(data.test_labels)} test images")
    if adaptation.recalibrate > len(data.train_labels):
        raise InputError(
            f"[test] recalibrate = {adaptation.recalibrate}: {data.label} has "
            f"{len(data.train_labels)} training images"
        )
    order = np.random.default_rng(0x2CA1).permutation(len(data.train_labels))
    kept = order[: adaptation.images or 1]
    return replace(
        data.test_part(wanted),
        train_images=data.train_images[kept],
        train_labels=data.train_labels[kept],
    )


@dataclass(frozen=True, kw_only=True)
class _Tested:
    """A network on its images, in any process."""

    id: str
    network: Any
    device: str
    data: "ImageData"
    seed: int
    version: str
    adaptation: "Adaptation"

    def do(self, part: "tuple[WeightErrors | None, int]", say: Say) -> dict[str, Any]:
        """Test it with the errors of one draw; a bit each image."""

        from rramsim.learning import right_with_errors

        errors, draw = part
        right = right_with_errors(
            self.network.to(self.device), self.data, errors,
            images=len(self.data.test_labels), seed=self.seed, draw=draw,
            adaptation=self.adaptation,
        )  # fmt: skip
        packed = base64.b64encode(np.packbits(right).tobytes()).decode()
        return {"correct": int(right.sum()), "right": packed}


def _bits(value: dict[str, Any]) -> bytes:
    """The bits of a row, if they are as many as it counts."""
    bits = base64.b64decode(value["right"], validate=True)
    if int(value["correct"]) != int.from_bytes(bits, "big").bit_count():
        raise ValueError("it counts other images than its bits name")
    return bits


class Evaluations:
    """Which test images each network classifies right, draw by draw, kept in a file of the folder.

    Every image's answer is kept, a bit each: the loss of accuracy is a difference on the same
    images. Raises `InputError` for more images than there are, and for a damaged file.
    """

    def __init__(
        self, folder: RunFolder, data: "ImageData", experiment: "Experiment", runner: Runner
    ) -> None:
        self._path, self._seed = EVALUATIONS.path(folder), experiment.test.seed
        self.adaptation = experiment.test.adaptation
        self._data = tested_images(
            data, experiment.test.images or 0, "[test] images", self.adaptation
        )
        self._runner = runner
        self._tested: dict[str, _Tested] = {}

    @property
    def images(self) -> int:
        """Images that are tested."""
        return len(self._data.test_labels)

    def made(
        self,
        make: Callable[[Right], Made],
        *,
        report: Callable[[int, int, str], None] = lambda done, total, note: None,
    ) -> Made:
        """What `make` makes of tests, which are done beside one another.

        It is called once to learn which tests it asks for (all wrong, as far as it is told), and
        again when they are known; what it asks for only then is tested as it asks.
        """
        asked: dict[str, Job] = {}

        def note(
            trained: "TrainedNetwork", errors: "WeightErrors | None", draw: int
        ) -> "NDArray[np.bool_]":
            job = self._job(trained, errors, draw)
            asked[job.key] = job
            return np.zeros(self.images, dtype=bool)

        make(note)
        with RowFile(self._path, parse=_bits) as rows:
            self._runner.gather(list(asked.values()), rows, safe=True, report=report)

            def known(
                trained: "TrainedNetwork", errors: "WeightErrors | None", draw: int
            ) -> "NDArray[np.bool_]":
                job = self._job(trained, errors, draw)
                found = self._runner.gather([job], rows, safe=True)[job.key]
                if len(found) != -(-self.images // 8):
                    raise InputError(f"{self._path}: {job.name} holds another number of images")
                bits = np.frombuffer(found, dtype=np.uint8)
                return np.unpackbits(bits, count=self.images).astype(bool)

            return make(known)

    def _job(self, trained: "TrainedNetwork", errors: "WeightErrors | None", draw: int) -> Job:
        name = trained.plan.name
        if name not in self._tested:
            digest = network_digest(trained)
            more = {"adaptation": self.adaptation} if self.adaptation else {}
            self._tested[name] = _Tested(
                id=identity("tested network", 1, network=digest, data=self._data.label,
                            source=self._data.source, images=self.images, seed=self._seed, **more),
                network=trained.network, device=trained.plan.settings.device, data=self._data,
                seed=self._seed, version=network_version(), adaptation=self.adaptation,
            )  # fmt: skip
        shared = self._tested[name]
        described = None if errors is None else errors.describe()
        return Job(
            key=identity("evaluation", 1, tested=shared.id, errors=described, draw=draw),
            name=f"{trained.plan.network_name}, draw {draw}", shared=shared, part=(errors, draw),
        )  # fmt: skip
