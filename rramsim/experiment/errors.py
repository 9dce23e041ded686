"""[errors]: how the bit-error rates are counted, and by which engine."""

from typing import Literal

from pydantic import Field

from rramsim.counting import StopRule
from rramsim.durable import Limits, Runner
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine
from rramsim.experiment.values import Quantity, Section, Seed

__all__ = ["ErrorsSection"]


class ErrorsSection(Section):
    """[errors]: how the bit-error rates are counted.

    `max_step_s` is ngspice's largest step, `tolerance_v` batch's local error; `certify_samples`
    of a batch campaign are sensed again by ngspice.
    """

    engine: Literal["ngspice", "batch"] = "ngspice"
    """ngspice, the reference; or batch, hundreds of times faster and checked by it."""
    max_step_s: Quantity = NgspiceEngine.max_step_s
    """Largest time step of ngspice."""
    tolerance_v: Quantity = BatchEngine.tolerance_v
    """Local error that a step of the batch engine may make."""
    certify_samples: int = Field(default=200, ge=0)
    """Senses of a batch campaign that ngspice repeats; 0 for none."""
    relative_error: Quantity = 0.1
    """A rate is counted until its 95 % interval is this share of it to either side,"""
    max_samples: int = 1000
    """or until this many senses of each written weight."""
    boundary_draws: int = Field(default=400, ge=2, le=1_000_000)
    """Mismatch draws at each set of conditions, for the boundary between 0 and ±1."""
    workers: int | None = None
    """Worker processes. Left out: one for each core."""
    scheduler: str | None = None
    """Address of a dask scheduler, tcp://HOST:PORT. Left out: this machine's cores."""
    chunk_limit_s: Quantity = Limits.job_s
    """How long a worker may take for a piece of work before it is taken for hung."""
    seed: Seed = 1
    """Of the devices, mismatch and noise that are drawn."""

    def make_engine(self) -> SenseEngine:
        """The engine that senses."""
        if self.engine == "batch":
            # One thread: a campaign runs as many processes as there are cores.
            return BatchEngine(tolerance_v=self.tolerance_v, threads=1)
        return NgspiceEngine(max_step_s=self.max_step_s)

    def make_stop_rule(self) -> StopRule:
        """When a task has counted enough."""
        return StopRule(relative_error=self.relative_error, max_samples=self.max_samples)

    def make_runner(self, *, stop_at_s: float = float("inf")) -> Runner:
        """Where jobs run, how long one may take, and until when, by `time.monotonic`."""
        return Runner(
            workers=self.workers,
            scheduler=self.scheduler,
            limits=Limits(job_s=self.chunk_limit_s),
            stop_at_s=stop_at_s,
        )
