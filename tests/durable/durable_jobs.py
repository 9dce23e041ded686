"""Jobs with which the tests provoke what a piece of work may do to its worker."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rramsim.durable import Job
from rramsim.exceptions import InputError


@dataclass(frozen=True, kw_only=True)
class Squares:
    """Squares numbers, and misbehaves on those in `victims`.

    `folder` holds a file for each misbehaviour that happened; one happens `times` times.
    """

    act: str = ""
    victims: tuple[int, ...] = ()
    folder: str = ""
    times: int = 1
    pause_s: float = 0.0
    version: str = "squares 1"

    @property
    def id(self):
        return f"squares {self.act}"

    def do(self, part, say):
        time.sleep(self.pause_s)
        if part in self.victims and len(list(Path(self.folder).iterdir())) < self.times:
            (Path(self.folder) / f"{self.act}-{len(list(Path(self.folder).iterdir()))}").touch()
            self._misbehave()
        say(-part)
        return {"square": part * part, "digits": [int(d) for d in str(part * part)]}

    def _misbehave(self):
        if self.act == "hang":
            time.sleep(3600)
        elif self.act == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.act == "exhaust":
            np.ones(2**33)  # 64 GiB
        elif self.act == "refuse":
            raise InputError("this number cannot be squared")
        else:
            raise ZeroDivisionError("a fault")


def jobs(shared, *, count=8):
    return [
        Job(key=f"square of {n}", name=f"number {n}", shared=shared, part=n) for n in range(count)
    ]


def square(value):
    """What a row holds, if its digits are those of its number."""
    if [int(d) for d in str(value["square"])] != value["digits"]:
        raise ValueError("the digits are another number's")
    return value["square"]
