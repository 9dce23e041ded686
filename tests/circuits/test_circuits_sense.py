"""The sense circuit: its transistors, its mismatch, its column, its conditions."""

import pytest

from rramsim.circuits import Column, SenseConditions
from rramsim.circuits.symmetry import mirrored_transistors
from rramsim.exceptions import InputError


def test_a_synapse_and_its_amplifier_have_nine_transistors(pcsa):
    # Precharge 2, latch 4, foot 1, access 2; n-channel: toxe, voff, nfactor; p-channel likewise.
    assert len(pcsa.transistors) == 9
    sites = pcsa.mismatch_sites("tt")
    assert len(sites) == 27
    assert {site.parameter for site in sites} == {"toxe", "voff", "nfactor"}
    assert len({(site.transistor, site.parameter) for site in sites}) == 27


def test_the_wider_transistor_varies_less(pcsa):
    sigma = {
        (site.transistor, site.parameter): site.sigma / abs(site.nominal)
        for site in pcsa.mismatch_sites("tt")
    }
    assert sigma["xpcsa.mp1", "toxe"] < sigma["xpcsa.mpre1", "toxe"]


def test_every_transistor_has_a_card_of_its_own(pcsa):
    deck = pcsa.deck(SenseConditions(vdd_v=1.2, corner="ss", temperature_c=60))
    for transistor in pcsa.transistors:
        (line,) = (x for x in deck.splitlines() if x.startswith(f"m.{transistor.name} "))
        assert deck.count(f".model {line.split()[5]} ") == 1
    assert "temp=60" in deck and "vdd vdd 0 1.2" in deck


def test_parts_access_and_mirror_come_from_the_elements(pcsa):
    assert [t.part for t in pcsa.transistors] == ["amplifier"] * 7 + ["synapse"] * 2
    assert pcsa.access == ("xsynapse.macc1", "xsynapse.macc2")
    image = mirrored_transistors(pcsa, SenseConditions(vdd_v=1.2))
    assert image["xpcsa.mp2"] == "xpcsa.mp1" and image["xpcsa.mfoot"] == "xpcsa.mfoot"
    assert image["xsynapse.macc1"] == "xsynapse.macc2"


def test_the_bit_line_follows_from_the_rows():
    assert Column(rows=32).c_bit_line_f == pytest.approx(400e-15)
    assert Column(rows=64).c_bit_line_f == pytest.approx(480e-15)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"rows": 0}, "rows = 0: must be a whole number between 1 and 4096"),
        ({"c_row_f": -1e-15}, "c_row_f = -1e-15: must be above 0 F"),
        ({"precharge_s": float("nan")}, "precharge_s = nan"),
        ({"precharge_s": 1e-9}, "at least ten times"),
    ],
)
def test_an_impossible_column_is_refused(values, names):
    with pytest.raises(InputError, match=names):
        Column(**values)


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ({"vdd_v": 0.0}, "vdd_v = 0: must be between 0.1 and 100 V"),
        ({"vdd_v": float("nan")}, "vdd_v = nan"),
        ({"vdd_v": 1.2, "temperature_c": 400.0}, "temperature_c = 400"),
        ({"vdd_v": 1.2, "window_s": 0.0}, "window_s = 0"),
        ({"vdd_v": 1.2, "corner": "TT"}, "must be the name of a process corner"),
    ],
)
def test_impossible_conditions_are_refused(values, names):
    with pytest.raises(InputError, match=names):
        SenseConditions(**values)
