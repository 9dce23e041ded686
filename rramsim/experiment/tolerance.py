"""[tolerance]: which error rates the networks tolerate, type by type."""

from typing import Literal, Self

from pydantic import Field, model_validator

from rramsim.experiment.values import ListOf, Quantity, Section, Seed

__all__ = ["ToleranceSection"]


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
