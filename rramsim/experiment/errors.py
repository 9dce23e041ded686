"""[errors], [tolerance]: how bit-error rates are counted, and which of them networks stand."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rramsim.counting import SenseTask, StopRule
from rramsim.durable import Limits, Runner
from rramsim.engines import BatchEngine, NgspiceEngine, SenseEngine
from rramsim.experiment.values import ListOf, Quantity, Section, Seed, setting


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


class ToleranceSection(Section):
    """[tolerance]: how much of each error type the networks tolerate, for stage tolerance.

    Binary weights have type 1 only (sign flips). All networks are held to the accuracy of the one
    trained without errors.
    """

    types: ListOf[Literal[1, 2, 3]] = [1, 2, 3]
    """Error types: sign flips (1), a -1 or +1 read as 0 (2), a 0 read as -1 or +1 (3)."""
    rates: ListOf[Quantity] = [0.001, 0.003, 0.01, 0.03, 0.065, 0.1, 0.185, 0.3]
    """Probability with which a value that can make the error is read wrong."""
    train_rates: ListOf[Quantity | Literal["none"]] = ["none", 0.1]
    """Train with errors of the type under test at this rate, or "none"; "none" must be there."""
    seeds: ListOf[Seed] = [0, 1, 2]
    """Of the trainings: the spread between them is the interval."""
    max_loss: Quantity = Field(default=2.0, gt=0.0, le=90.0)
    """The tolerated rate is where this many points of accuracy are lost."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for name, values in (("rates", self.rates), ("seeds", self.seeds)):
            if values != sorted(set(values)):
                raise ValueError(f"{name} = {values}: must rise from value to value")
        for name, values in (
            ("rates", self.rates),
            ("train_rates", [r for r in self.train_rates if r != "none"]),
        ):
            wrong = [rate for rate in values if not 0.0 < float(rate) <= 1.0]
            if wrong:
                raise ValueError(f"{name}: {wrong[0]}: must be above 0 and at most 1")
        if "none" not in self.train_rates:
            raise ValueError(f"train_rates = {self.train_rates}: must hold 'none', the reference")
        return self
