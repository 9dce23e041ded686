"""The only reader of user configuration: an experiment file, checked and made into values.

Every key is checked here; what comes out are the frozen values of the packages below. Numbers
may be written as SPICE writes them ("50n", "10k"), and a list is a sweep axis wherever one is
allowed. A section of the file is a class; `Experiment` holds them all.
"""

from typing import TYPE_CHECKING

from rramsim.imports import names_on_demand

if TYPE_CHECKING:
    from rramsim.experiment.errors import ToleranceSection
    from rramsim.experiment.experiment import Experiment, load_experiment, parse_experiment
    from rramsim.experiment.template import experiment_keys, experiment_template
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "Experiment",
    "ToleranceSection",
    "experiment_keys",
    "experiment_template",
    "load_experiment",
    "parse_experiment",
]
