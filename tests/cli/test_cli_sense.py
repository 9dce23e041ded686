"""The program as its user meets it: one JSON object, exit codes, one line for what is wrong."""

import json
import sys

import pytest

from rramsim.cli.app import COMMANDS

SENSE = ("sense", "--vdd", "1.2", "--r-bl", "10k", "--r-blb", "350k")


def test_sense_prints_one_json_object_and_nothing_else(rramsim):
    status, out, err = rramsim(*SENSE, "--json")
    assert (status, err) == (0, "")
    value = json.loads(out)
    assert value["read"] == 1 and value["engine"] == "ngspice"
    assert 5e-9 < value["resolve_time_s"] < 20e-9
    assert 1e-13 < value["energy_j"] < 1e-12


def test_an_unresolved_sense_has_no_resolve_time(rramsim):
    _, out, _ = rramsim("sense", "--vdd", 1.2, "--r-bl", "350k", "--r-blb", "360k", "--json")
    value = json.loads(out)
    assert value["read"] == 0 and value["resolve_time_s"] is None
    _, out, _ = rramsim(
        "sense", "--vdd", 1.2, "--r-bl", "350k", "--r-blb", "360k", "--window", "1u", "--json"
    )
    assert json.loads(out)["resolve_time_s"] > 100e-9


def test_a_plot_is_drawn(rramsim, tmp_path):
    status, out, _ = rramsim(*SENSE, "--plot", tmp_path / "waves.svg")
    assert status == 0 and "read +1" in out
    assert "time after SEN" in (tmp_path / "waves.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ((*SENSE[:2], "0", *SENSE[3:]), "vdd_v = 0: must lie between 0.1 and 100 V"),
        ((*SENSE[:2], "nan", *SENSE[3:]), "--vdd nan: must be a number"),
        ((*SENSE[:4], "-10k", *SENSE[5:]), "r_bl_ohm = -10000: a resistance is above 0 ohm"),
        ((*SENSE, "--corner", "best"), "process sky130-5v has tt, ss, ff, sf, fs"),
        ((*SENSE, "--window", "long"), "--window long: must be a number"),
        ((*SENSE, "--temperature", "900"), "temperature_c = 900"),
        ((*SENSE, "--netlist", "no/such.spice"), "no/such.spice: cannot read a netlist"),
        ((*SENSE, "--plot", "waves.exe"), "--plot waves.exe: must end in .png, .svg or .pdf"),
        ((*SENSE, "--plot", "/no/folder/waves.png"), "waves.png: cannot be written"),
        (SENSE[:3], "Missing option '--r-bl'"),
        (("unsense",), "No such command 'unsense'"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(rramsim, arguments, names):
    status, out, err = rramsim(*arguments)
    assert status == 2 and out == ""
    assert names in err and err.count("\n") == 1


def test_doctor_names_a_library_that_is_missing(rramsim, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    status, out, _ = rramsim("doctor")
    assert status == 2
    assert "BAD torch    torch is not installed: pip install torch, or " in out
    assert "ok  sense" in out  # what does not need it is tested all the same


def test_doctor_names_a_cache_that_cannot_be_made(rramsim, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RRAMSIM_CACHE", str(tmp_path / "file" / "cache"))
    status, out, _ = rramsim("doctor")
    assert status == 2 and "BAD cache    RRAMSIM_CACHE = " in out and "name another" in out


def test_doctor_finds_everything_at_work(rramsim, monkeypatch):
    monkeypatch.delenv("RRAMSIM_DATA", raising=False)
    status, out, _ = rramsim("doctor", "--json")
    results = json.loads(out)
    assert status == 0 and all(result["works"] for result in results.values()), results


@pytest.mark.parametrize("command", [name for group in COMMANDS.values() for name in group])
def test_every_help_has_an_example(rramsim, command):
    status, out, _ = rramsim(command, "--help")
    assert status == 0 and "Example: rramsim" in out
