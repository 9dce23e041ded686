"""The stages of a run: sweep, errors, train, trade-off, over the files of one folder."""

from typing import TYPE_CHECKING

from rramsim.lazy import names_on_demand

if TYPE_CHECKING:
    from rramsim.stages.ber_map import ber_map_stage
    from rramsim.stages.boundary import boundary_stage
    from rramsim.stages.chips import chips_stage
    from rramsim.stages.data import choose_data
    from rramsim.stages.errors import errors_stage
    from rramsim.stages.folder import RunFolder
    from rramsim.stages.nominal import nominal_pair, nominal_stage
    from rramsim.stages.provenance import write_provenance
    from rramsim.stages.report import WrittenReport, report_stage
    from rramsim.stages.results import read_tradeoff, swept_circuit
    from rramsim.stages.shares import shares_stage
    from rramsim.stages.sweep import SweepProgress, sweep_stage
    from rramsim.stages.tolerance import tolerance_stage
    from rramsim.stages.tradeoff import tradeoff_stage
    from rramsim.stages.train import TrainedNetwork, network_plans, train_stage
    from rramsim.stages.train_equilibrium import TrainedEquilibrium, train_equilibrium_stage
    from rramsim.stages.verify import Check, verify_folder
else:
    __getattr__ = names_on_demand(__name__)

__all__ = [
    "Check",
    "RunFolder",
    "SweepProgress",
    "TrainedEquilibrium",
    "TrainedNetwork",
    "WrittenReport",
    "ber_map_stage",
    "boundary_stage",
    "chips_stage",
    "choose_data",
    "errors_stage",
    "network_plans",
    "nominal_pair",
    "nominal_stage",
    "read_tradeoff",
    "report_stage",
    "shares_stage",
    "sweep_stage",
    "swept_circuit",
    "tolerance_stage",
    "tradeoff_stage",
    "train_equilibrium_stage",
    "train_stage",
    "verify_folder",
    "write_provenance",
]
