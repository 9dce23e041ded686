"""Keys that would do nothing beside the others, and are refused instead of ignored."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from rramsim.exceptions import InputError
from rramsim.experiment.network import EquilibriumSection
from rramsim.experiment.values import Section
from rramsim.learning.equilibrium.settings import FlipRule

if TYPE_CHECKING:
    from rramsim.experiment.experiment import Experiment


@dataclass(frozen=True, kw_only=True)
class _Tie:
    """Keys of a section that act only where `holds`; `needs` says so in a message."""

    section: str
    keys: tuple[str, ...]
    holds: Callable[[Any], bool]
    needs: str


def _estimator(experiment: "Experiment") -> str:
    default = "holomorphic" if experiment.training.rule == "holomorphic-ep" else "symmetric"
    return experiment.equilibrium.estimator or default


def _verifies(experiment: "Experiment") -> bool:
    assert experiment.chips is not None
    chips = experiment.chips
    return chips.verify_lrs_max_ohm is not None or chips.verify_hrs_min_ohm is not None


_OF_EQUILIBRIUM = tuple(EquilibriumSection.model_fields)

_TIES = (
    _Tie(
        section="network",
        keys=(
            "architecture",
            "width",
            "activations",
            "recipe",
            "weight_threshold",
            "activation_threshold",
        ),
        holds=lambda x: x.network.module is None,
        needs="no module beside it",
    ),
    _Tie(
        section="network",
        keys=("weights_file", "pixels"),
        holds=lambda x: x.network.module is not None,
        needs="a module",
    ),
    _Tie(
        section="training",
        keys=("epochs", "min_steps", "batch", "learning_rate", "bfloat16", "errors_vdd_v"),
        holds=lambda x: x.network.weights_file is None,
        needs="no [network] weights_file, which ends the training",
    ),
    _Tie(
        section="column",
        keys=("selected_row",),
        holds=lambda x: x.column.r_row_ohm > 0 or x.sense.circuit == "column",
        needs="r_row_ohm above 0, or [sense] circuit = 'column'",
    ),
    _Tie(
        section="column",
        keys=("neighbour_ohm",),
        holds=lambda x: x.column.leakage or x.sense.circuit == "column",
        needs="leakage = true, or [sense] circuit = 'column'",
    ),
    _Tie(
        section="errors",
        keys=("max_step_s",),
        holds=lambda x: x.errors.engine == "ngspice",
        needs="engine = 'ngspice'",
    ),
    _Tie(
        section="errors",
        keys=("tolerance_v", "certify_samples"),
        holds=lambda x: x.errors.engine == "batch",
        needs="engine = 'batch'",
    ),
    _Tie(
        section="training",
        keys=(
            "min_steps",
            "bfloat16",
            "schedule",
            "warmup",
            "weight_decay",
            "label_smoothing",
            "cutout_pixels",
            "average",
            "distillation",
        ),
        holds=lambda x: x.training.rule == "backprop",
        needs="rule = 'backprop'",
    ),
    _Tie(
        section="training",
        keys=("distillation_temperature",),
        holds=lambda x: x.training.rule == "backprop" and x.training.distillation > 0,
        needs="distillation above 0",
    ),
    _Tie(
        section="network",
        keys=("weight_threshold",),
        holds=lambda x: "ternary" in x.network.weights,
        needs="weights = 'ternary'",
    ),
    _Tie(
        section="network",
        keys=("activation_threshold",),
        holds=lambda x: (
            "ternary" in x.network.activations
            or ("ternary" in x.network.weights and "same" in x.network.activations)
        ),
        needs="activations = 'ternary'",
    ),
    _Tie(
        section="training",
        keys=("learning_rate",),
        holds=lambda x: x.equilibrium.learning_rates is None,
        needs="no [equilibrium] learning_rates beside it",
    ),
    _Tie(
        section="equilibrium",
        keys=_OF_EQUILIBRIUM,
        holds=lambda x: x.training.rule != "backprop",
        needs="a [training] rule other than 'backprop'",
    ),
    _Tie(
        section="equilibrium",
        keys=tuple(field.name for field in fields(FlipRule)),
        holds=lambda x: x.training.rule == "ternary-ep",
        needs="[training] rule = 'ternary-ep'",
    ),
    _Tie(
        section="equilibrium",
        keys=("paddings", "pooling"),
        holds=lambda x: bool(x.equilibrium.channels),
        needs="channels",
    ),
    _Tie(
        section="equilibrium",
        keys=("points",),
        holds=lambda x: _estimator(x) in ("holomorphic", "continuous"),
        needs="estimator = 'holomorphic' or 'continuous'",
    ),
    _Tie(
        section="equilibrium",
        keys=("periods",),
        holds=lambda x: _estimator(x) == "continuous",
        needs="estimator = 'continuous'",
    ),
    _Tie(
        section="equilibrium",
        keys=("beta",),
        holds=lambda x: _estimator(x) != "bptt",
        needs="an estimator other than 'bptt'",
    ),
    _Tie(
        section="equilibrium",
        keys=("shared_update",),
        holds=lambda x: x.equilibrium.wiring == "asymmetric",
        needs="wiring = 'asymmetric'",
    ),
    _Tie(
        section="equilibrium",
        keys=("zero_share",),
        holds=lambda x: x.equilibrium.levels != "binary",
        needs="levels = 'ternary'",
    ),
    _Tie(
        section="chips",
        keys=("relaxation_ln",),
        holds=lambda x: x.chips.age_s > 0,
        needs="age_s above 0",
    ),
    _Tie(
        section="chips",
        keys=("verify_max_writes", "cell_share"),
        holds=_verifies,
        needs="verify_lrs_max_ohm or verify_hrs_min_ohm",
    ),
)


def _unmet(experiment: "Experiment", section: str, key: str) -> str:
    """What a key lacks to act beside the others; empty if it acts."""
    if getattr(experiment, section) is None:
        return ""
    ties = (t for t in _TIES if t.section == section and key in t.keys)
    return next((tie.needs for tie in ties if not tie.holds(experiment)), "")


def acts(experiment: "Experiment", section: str, key: str) -> bool:
    """Whether a key of a section, if it is written, changes anything."""
    return not _unmet(experiment, section, key)


def needs(section: str, key: str) -> str:
    """What a key acts with alone, in words; empty if it acts wherever its section does."""
    ties = (t for t in _TIES if t.section == section and key in t.keys)
    return "; needs ".join(tie.needs for tie in ties if tie.keys != _OF_EQUILIBRIUM)


def refuse_ineffective_keys(experiment: "Experiment") -> None:
    """Raise `InputError` for a key that was written, at its default or not, and does nothing."""
    for name in type(experiment).model_fields:
        section = getattr(experiment, name)
        if not isinstance(section, Section):
            continue
        for key in type(section).model_fields:
            if key in section.model_fields_set and (lacks := _unmet(experiment, name, key)):
                value = getattr(section, key)
                raise InputError(f"[{name}] {key} = {value!r}: does nothing here; it needs {lacks}")
