"""The shipped process against the foundry's published values, and the user's own cards."""

import shutil

import pytest

from rramsim.engines.ngspice_library import ngspice_session
from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.processes import (
    MismatchCoefficient,
    load_process,
    load_process_folder,
    process_from_cards,
)
from rramsim.processes.process import netlists_folder
from rramsim.spice import canonical

CORNERS = ("tt", "ss", "ff", "sf", "fs")
NFET = "sky130_fd_pr__nfet_g5v0d10v5"


def drain_current_a(process, corner, device):
    """|Id| at |Vgs| = |Vds| = 1.0 V, 27 degrees, W = 1 um, L = 0.5 um, in ngspice."""
    card = process.card(corner=corner, device=device, width_m=1e-6, length_m=0.5e-6)
    volt = 1.0 if card.kind == "nmos" else -1.0
    session = ngspice_session()
    session.load(
        f"one transistor\n{card.renamed('one')}\nvg g 0 {volt}\nvd d 0 {volt}\n"
        "m1 d g 0 0 one w=1u l=0.5u\n.op\n.end"
    )
    assert not session.run()
    current = abs(float(session.vector("vd#branch")[0]))
    session.discard_results()
    return current


def test_the_process_is_that_of_the_foundry(sky130):
    # SkyWater PDK: 5 V thick-oxide pair, oxide thickness 11.6 nm, BSIM4; the corners' 6 % either
    # way is the foundry's skew.
    assert tuple(sky130.corners) == CORNERS
    for corner in CORNERS:
        card = sky130.card(corner=corner, device=NFET, width_m=1e-6, length_m=0.5e-6)
        assert card.parameter("toxm") == 1.16e-8
        assert card.parameter("toxe") == pytest.approx(1.16e-8, rel=0.061)
        assert card.parameter("level") == 54


def test_the_corners_are_in_the_order_of_their_names(sky130):
    # In this PDK "sf" is the corner with the fast n-channel and the slow p-channel transistor.
    current = {
        (corner, device): drain_current_a(sky130, corner, device)
        for corner in CORNERS
        for device in (sky130.nmos, sky130.pmos)
    }
    for device, fastest_first in (
        (sky130.nmos, ("sf", "ff", "tt", "ss", "fs")),
        (sky130.pmos, ("fs", "ff", "tt", "ss", "sf")),
    ):
        ordered = [current[corner, device] for corner in fastest_first]
        assert ordered == sorted(ordered, reverse=True)
    # Near threshold a corner is worth far more than at full supply.
    assert current["ff", sky130.nmos] > 4 * current["ss", sky130.nmos]


def test_mismatch_follows_pelgrom(sky130):
    def sigma(parameter, **size):
        found = sky130.transistor(corner="tt", device=NFET, length_m=0.5e-6, **size)
        moves = [move for (move,) in sky130.mismatch_of(found, "tt")]
        return next(m.linear for m in moves if m.parameter == parameter)

    # The foundry's toxe of 11.6 nm varies by 2.9 % at W = 1 um, L = 0.5 um; its voff by 0.13 V
    # over the root of the area in square micrometre.
    assert sigma("toxe", width_m=1e-6) == pytest.approx(0.029 * 11.6e-9, rel=0.01)
    assert sigma("voff", width_m=2e-6) == pytest.approx(0.13)
    assert sigma("voff", width_m=1e-6, sizes="m=4") == pytest.approx(0.13 / 2**0.5)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"corner": "xx"}, "tt, ss, ff, sf, fs"),
        ({"device": "bsim"}, "no model 'bsim'"),
        ({"width_m": 9e-6}, "no card of .* covers W = 9 um"),
    ],
)
def test_what_the_process_lacks_is_named(sky130, change, names):
    with pytest.raises(InputError, match=names):
        sky130.card(**{"corner": "tt", "device": NFET, "width_m": 1e-6, "length_m": 5e-7} | change)


def test_an_unknown_process_names_those_there_are():
    with pytest.raises(InputError, match="rramsim has sky130-5v"):
        load_process("tsmc")


def test_own_cards_are_a_process_with_one_corner(sky130):
    path = netlists_folder() / "processes" / "sky130-5v" / "tt.spice"
    mismatch = (MismatchCoefficient(model=NFET, parameter="toxe", kind="relative", slope_um=0.02),)
    own = process_from_cards((path,), nmos=NFET, pmos=sky130.pmos, mismatch=mismatch)
    assert own.cards("tt") == sky130.cards("tt")
    with pytest.raises(InputError, match="lack the nmos device 'nch'"):
        process_from_cards((path,), nmos="nch", pmos=sky130.pmos)
    with pytest.raises(InputError, match="is a pmos model"):
        process_from_cards((path,), nmos=sky130.pmos, pmos=sky130.pmos)


def test_a_folder_of_ones_own_is_the_process_that_it_holds(sky130, tmp_path):
    shutil.copytree(netlists_folder() / "processes" / "sky130-5v", tmp_path / "mine")
    mine = load_process_folder(tmp_path / "mine")
    assert mine.name == "mine" and list(mine.corners) == list(sky130.corners)
    for corner in CORNERS:
        assert canonical(mine.corners[corner]) == canonical(sky130.corners[corner])
    assert mine.mismatch == sky130.mismatch


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nmos =", "enmos =", "process.toml: nmos: must be the name"),
        ('tt = "tt.spice"', "", r"process.toml: \[corners\]: must name a file for each corner"),
        (
            'tt = "tt.spice"',
            'tt = "../tt.spice"',
            r"\[corners\] tt = '../tt.spice': must be a file",
        ),
        (
            'ff = "ff.spice"',
            '"f f" = "ff.spice"',
            r"\[corners\] f f: must be a name of small letters",
        ),
        ("= 5.5", "= 'high'", "highest_supply_v = 'high': must be a voltage"),
        ("slope_um = 0.0205", "slope = 0.0205", r"\[\[mismatch\]\]: .*slope"),
        ("[corners]", "[corners", "cannot be read as TOML"),
        ('ff = "ff.spice"', 'ff = "gone.spice"', "gone.spice"),
    ],
)
def test_a_folder_that_is_wrong_is_refused(tmp_path, old, new, message):
    shutil.copytree(netlists_folder() / "processes" / "sky130-5v", tmp_path / "mine")
    file = tmp_path / "mine" / "process.toml"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(InputError, match=message):
        load_process_folder(tmp_path / "mine")


def test_an_experiment_names_the_folder(tmp_path):
    shutil.copytree(netlists_folder() / "processes" / "sky130-5v", tmp_path / "mine")
    (tmp_path / "own.toml").write_text('[process]\nfolder = "mine"\n')
    assert load_experiment(tmp_path / "own.toml").make_process().name == "mine"
    (tmp_path / "own.toml").write_text('[process]\nfolder = "mine"\nname = "sky130-5v"\n')
    with pytest.raises(InputError, match="give one of name, pdk, folder, cards"):
        load_experiment(tmp_path / "own.toml")
