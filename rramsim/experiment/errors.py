"""[errors]: how the bit-error rates are counted, and by which engine."""

from typing import Literal

from pydantic import Field

from rramsim.counting import SenseTask, StopRule
from rramsim.durable import Limits, Runner
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine
from rramsim.experiment.values import Quantity, Section, Seed, setting

__all__ = ["ErrorsSection"]


class ErrorsSection(Section):
    """[errors]: how the bit-error rates are counted."""

    engine: Literal["ngspice", "batch"] = "ngspice"
    """ngspice, the reference; or batch, hundreds of times faster and checked by it."""
    max_step_s: Quantity = setting(NgspiceEngine, "max_step_s")
    tolerance_v: Quantity = setting(BatchEngine, "tolerance_v")
    certify_samples: int = Field(default=200, ge=0)
    """Senses of a batch campaign that ngspice repeats; 0 for none."""
    relative_error: Quantity = setting(StopRule, "relative_error")
    max_samples: int = setting(StopRule, "max_samples")
    boundary_draws: int = Field(default=400, ge=2, le=1_000_000)
    """Mismatch draws at each set of conditions, for the boundary between 0 and ±1."""
    workers: int | None = setting(Runner, "workers")
    scheduler: str | None = setting(Runner, "scheduler")
    chunk_limit_s: Quantity = setting(Limits, "chunk_limit_s")
    seed: Seed = setting(SenseTask, "seed")

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
            limits=Limits(chunk_limit_s=self.chunk_limit_s),
            stop_at_s=stop_at_s,
        )
