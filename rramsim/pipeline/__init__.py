"""The stages of a run: sweep, errors, train, trade-off, over the files of one folder."""

from rramsim.pipeline.ber_map import ber_map_stage
from rramsim.pipeline.boundary import boundary_stage
from rramsim.pipeline.chips import chips_stage
from rramsim.pipeline.data import choose_data
from rramsim.pipeline.errors import errors_stage
from rramsim.pipeline.folder import RunFolder
from rramsim.pipeline.nominal import nominal_pair, nominal_stage
from rramsim.pipeline.provenance import write_provenance
from rramsim.pipeline.report import WrittenReport, report_stage
from rramsim.pipeline.results import read_tradeoff, swept_circuit
from rramsim.pipeline.shares import shares_stage
from rramsim.pipeline.sweep import SweepProgress, sweep_stage
from rramsim.pipeline.tolerance import tolerance_stage
from rramsim.pipeline.tradeoff import tradeoff_stage
from rramsim.pipeline.train import TrainedNetwork, network_plans, train_stage
from rramsim.pipeline.train_equilibrium import TrainedEquilibrium, train_equilibrium_stage
from rramsim.pipeline.verify import Check, verify_folder

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
