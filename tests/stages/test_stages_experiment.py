"""Experiment files: what is read, and one clear line for what is wrong."""

import pytest

from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.processes.process import netlists_folder


def load(folder, text):
    path = folder / "own.toml"
    path.write_text(text)
    return load_experiment(path)


def test_numbers_read_as_spice_writes_them_and_a_list_is_an_axis(tmp_path):
    experiment = load(
        tmp_path, '[sense]\nvdd_v = [1, "1.2"]\ncorner = ["ss", "ff"]\nwindow_s = "50n"\n'
    )
    points = experiment.make_conditions()
    assert len(points) == 4
    assert {(p.vdd_v, p.corner) for p in points} >= {(1.0, "ss"), (1.2, "ff")}
    assert points[0].window_s == 50e-9


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[sense]\nvolt = 1", r"\[sense\] volt: unknown; known are circuit"),
        ("[sens]\nvdd_v = 1", r"\[sens\]: unknown; known are process"),
        ("[sense]\nvdd_v = 0", r"\[sense\] vdd_v = 0: must be between 0.1 and 100 V"),
        ("[sense]\nvdd_v = [1.2, 0.01]", "vdd_v = .*: 0.01 must be between 0.1 and 100 V"),
        ("[chips]\ncolumns = 0", r"\[chips\] columns = 0: must be a whole number between 1"),
        ("[sense]\nvdd_v = nan", r"\[sense\] vdd_v.* = nan: must be a finite number"),
        ("[sense]\nvdd_v = []", r"\[sense\] vdd_v = \[\]"),
        ("[sense]\nvdd_v = [1.2, 1.2]", "a value is given twice"),
        ("[sense]\nvdd_v = true", "must be a number"),
        ("[sense]\nvdd_v = 'high'", "'high': must be a number, such as 1.2"),
        ("[sense]\nnetlist = 'none.spice'", "none.spice: cannot read a netlist"),
        ("[device]\nlrs_median_ohm = -10e3", "lrs_median_ohm = -10000.0: must be above 0 ohm"),
        ("[device]\nlrs_median_ohm = '2meg'", "must lie below"),
        ("[process]\nname = 'tsmc'", "rramsim has sky130-5v"),
        ("[process]\ncards = 'tt.spice'", "name the devices in them with nmos and pmos"),
        ("[network]\nwidth = 1.5", r"\[network\] width.* = 1.5"),
        ("[network]\nweights = 'quaternary'", r"\[network\] weights.* = 'quaternary'"),
        ("[errors]\nmax_samples = 0", "max_samples = 0: must be a whole number between 1"),
        ("[training]\nerrors_vdd_v = 0.7", "must be 'none' or one of"),
        ("[test]\ndraws = 0", r"\[test\] draws = 0"),
        ("[sense\n", "not TOML"),
        ("folder = '/'", r"\[folder\]: unknown"),
    ],
)
def test_a_wrong_experiment_is_named_file_key_and_value(tmp_path, text, names):
    with pytest.raises(InputError, match=names) as refusal:
        load(tmp_path, text)
    assert "own.toml" in str(refusal.value) and "\n" not in str(refusal.value)


def test_own_cards_and_netlist_start_from_the_experiments_folder(tmp_path):
    shipped = netlists_folder()
    (tmp_path / "tt.spice").write_bytes(
        (shipped / "processes" / "sky130-5v" / "tt.spice").read_bytes()
    )
    (tmp_path / "amp.spice").write_bytes((shipped / "pcsa.spice").read_bytes())
    experiment = load(
        tmp_path,
        """
[process]
cards = "tt.spice"
nmos = "sky130_fd_pr__nfet_g5v0d10v5"
pmos = "sky130_fd_pr__pfet_g5v0d10v5"
mismatch = [{model = "sky130_fd_pr__nfet_g5v0d10v5", parameter = "toxe", kind = "relative", slope_um = 0.02}]
[sense]
netlist = "amp.spice"
""",  # noqa: E501
    )
    circuit = experiment.make_circuit()
    assert circuit.name == "amp"
    assert {site.parameter for site in circuit.mismatch_sites("tt")} == {"toxe"}
