"""The error rates of an experiment, asked of the one authority (`rramsim.rare.rate`)."""

from rramsim.circuits import SenseConditions
from rramsim.engines import BatchEngine
from rramsim.experiment import Experiment
from rramsim.rare import FailureRate, SenseFailure, parse_criterion, rate

__all__ = ["ERROR_TYPES", "experiment_rate", "failure_of"]

ERROR_TYPES = ("type 1", "type 2", "type 3")


def failure_of(
    experiment: Experiment,
    conditions: SenseConditions,
    failure: str,
    *,
    written: int | None = None,
) -> SenseFailure:
    """A failure (`parse_criterion`) of an experiment's circuit and devices, sensed by batch.

    Raises `InputError` for a failure that cannot be read, or an experiment whose senses are noisy.
    """
    return SenseFailure(
        circuit=experiment.make_circuit(),
        conditions=conditions,
        resistances=experiment.make_resistances(),
        criterion=parse_criterion(failure, written=written),
        engine=BatchEngine(tolerance_v=experiment.errors.tolerance_v, threads=1),
        mismatch=experiment.sense.mismatch,
        noise=experiment.sense.noise,
    )


def experiment_rate(
    experiment: Experiment, conditions: SenseConditions, failure: str
) -> FailureRate:
    """The rate of a failure, with the experiment's relative error and seed."""
    errors = experiment.errors
    return rate(
        failure_of(experiment, conditions, failure),
        relative_error=errors.relative_error,
        seed=errors.seed,
    )
