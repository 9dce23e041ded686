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
        ((*SENSE[:2], "0", *SENSE[3:]), "vdd_v = 0: must be between 0.1 and 100 V"),
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


def test_waveforms_and_the_elaborated_deck_are_for_ngspice(rramsim, tmp_path):
    """What is written is read by ngspice: the waves as a plot, the deck as a circuit."""
    from rramsim.engines.ngspice_library import ngspice_session

    raw, table, deck = (tmp_path / name for name in ("w.raw", "w.csv", "d.spice"))
    for path in (raw, table):
        status, _, _ = rramsim(*SENSE, "--waves", path, "--deck", deck)
        assert status == 0
    session = ngspice_session()
    session.command(f"load {raw}")
    q, qb = session.vector("v(q)"), session.vector("v(qb)")
    session.discard_results()
    assert q.size > 100 and min(q.min(), qb.min()) > -0.5
    head, *rows = table.read_text().splitlines()
    columns = head.split(",")
    assert columns[0] == "time_s" and {"q_v", "qb_v"} <= set(columns) and len(rows) == q.size
    last = dict(zip(columns, map(float, rows[-1].split(",")), strict=True))
    assert last["q_v"] == pytest.approx(q[-1], abs=1e-6)
    session.load(f"{deck.read_text()}.op\n.end")
    assert not session.run()
    session.discard_results()


def test_an_experiment_gives_circuit_and_conditions(rramsim, tmp_path):
    path = tmp_path / "own.toml"
    path.write_text('[column]\nc_row_f = "5f"\n[sense]\nvdd_v = [1.1, 1.2]\ncorner = "ss"\n')
    status, out, _ = rramsim("sense", *SENSE[3:], "--experiment", path, "--json")
    found = json.loads(out)
    assert status == 0 and (found["vdd_v"], found["corner"]) == (1.1, "ss")
    _, out, _ = rramsim(*SENSE, "--experiment", path, "--corner", "tt", "--json")
    found = json.loads(out)
    assert (found["vdd_v"], found["corner"]) == (1.2, "tt")
    # A row adds 5 fF for the shipped column's 10 fF or less: other bit lines, another time.
    _, out, _ = rramsim(*SENSE, "--json")
    assert json.loads(out)["energy_j"] != found["energy_j"]
    status, _, err = rramsim("sense", *SENSE[3:])
    assert status == 2 and "give --vdd, or --experiment" in err
    status, _, err = rramsim(*SENSE, "--waves", "w.png")
    assert status == 2 and "must end in .csv or .raw" in err
