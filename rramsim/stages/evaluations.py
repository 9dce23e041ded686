"""Tests of networks with frozen error draws; what was tested before is not tested again."""

import base64
import hashlib
import json
import logging
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rramsim.exceptions import InputError
from rramsim.experiment import Experiment
from rramsim.files import append_line, whole_lines
from rramsim.stages.folder import RunFolder
from rramsim.stages.result_files import Rows

if TYPE_CHECKING:
    from rramsim.learning import ImageData
    from rramsim.networks import WeightErrors
    from rramsim.stages.train import TrainedNetwork

__all__ = ["EVALUATIONS", "Evaluations", "network_digest"]

EVALUATIONS = Rows(
    name="evaluations.jsonl", schema="rramsim evaluations 1",
    holds="which test images each network classifies right, a line a draw of read errors",
)  # fmt: skip

_log = logging.getLogger(__name__)


def network_digest(trained: "TrainedNetwork") -> str:
    """Hash of what a network holds; its file differs each time that it is written."""
    digest = hashlib.sha256(repr(trained.plan.spec).encode())
    for key, value in trained.network.state_dict().items():
        digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


class Evaluations:
    """Which test images each network classifies right, draw by draw, kept in a file of the folder.

    Every image's answer is kept, a bit each: the loss of accuracy is a difference on the same
    images. Raises `InputError` for more images than there are, and for a damaged file.
    """

    def __init__(self, folder: RunFolder, data: "ImageData", experiment: Experiment) -> None:
        self._path = EVALUATIONS.path(folder)
        self._seed = experiment.test.seed
        wanted = experiment.test.images or len(data.test_labels)
        if wanted > len(data.test_labels):
            raise InputError(
                f"[test] images = {wanted}: {data.label} has {len(data.test_labels)} test images"
            )
        self.images = wanted
        self._data = data
        self._known: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        for line in whole_lines(self._path):
            try:
                row = json.loads(line)
                # Rows of an older rramsim held their number only; those are tested again.
                if "right" in row:
                    self._known[str(row["key"])] = str(row["right"])
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise InputError(f"{self._path}: damaged; remove it and run again") from error
        _log.debug("%d tests known from %s", len(self._known), self._path)

    def _digest(self, trained: "TrainedNetwork") -> str:
        name = trained.plan.name
        if name not in self._digests:
            self._digests[name] = network_digest(trained)
        return self._digests[name]

    def right(
        self, trained: "TrainedNetwork", errors: "WeightErrors | None", *, draw: int
    ) -> NDArray[np.bool_]:
        """Which images, shape (images,), are classified right with one draw of read errors."""
        from rramsim.learning import right_with_errors

        parts = (
            self._digest(trained),
            self._data.label,
            json.dumps(self._data.source, sort_keys=True),
            json.dumps(errors.describe(), sort_keys=True) if errors else "none",
            f"{self._seed} {draw} {self.images}",
        )
        key = hashlib.sha256("\n".join(parts).encode()).hexdigest()
        if key in self._known:
            return self._unpacked(self._known[key])
        trained.network.to(trained.plan.settings.device)
        right = right_with_errors(
            trained.network, self._data, errors, images=self.images, seed=self._seed, draw=draw
        )
        packed = base64.b64encode(np.packbits(right).tobytes()).decode()
        row = {
            "key": key,
            "network": trained.plan.spec.name,
            "correct": int(right.sum()),
            "right": packed,
        }
        append_line(self._path, json.dumps(row))
        self._known[key] = packed
        return right

    def _unpacked(self, packed: str) -> NDArray[np.bool_]:
        try:
            content = np.frombuffer(base64.b64decode(packed, validate=True), dtype=np.uint8)
        except ValueError as error:
            raise InputError(f"{self._path}: damaged; remove it and run again") from error
        if len(content) != -(-self.images // 8):
            raise InputError(f"{self._path}: damaged; remove it and run again")
        return np.unpackbits(content, count=self.images).astype(bool)
