"""Model cards: what is read, what is refused."""

from pathlib import Path

import pytest

from rramsim.exceptions import InputError
from rramsim.processes import read_cards

CARD = """.model n.0 nmos
+ lmin = 4e-7 lmax = 6e-7 wmin = 1e-6 wmax = 2e-6
+ level = 54 toxe = 5n
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "card.spice"
    path.write_text(text)
    return path


def test_a_binned_card_knows_its_geometry_and_its_parameters(tmp_path):
    (card,) = read_cards(write(tmp_path, "* title\n" + CARD))
    assert (card.name, card.bin_name, card.kind) == ("n", "n.0", "nmos")
    assert card.limits_m == (4e-7, 6e-7, 1e-6, 2e-6)
    assert card.covers(1e-6, 0.5e-6)
    assert not card.covers(2e-6, 0.5e-6), "ngspice's upper limit is exclusive"
    assert card.parameter("toxe") == 5e-9
    assert card.parameter("voff") is None
    assert card.where.line == 2
    assert "lmin" not in card.renamed("copy") and ".model copy nmos" in card.renamed("copy")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "no '.model'"),
        (".control\nshell rm x\n.endc\n", "'.control' is refused"),
        (".include other\n", "which is no file"),
        (".model n\n", "expected '.model NAME TYPE"),
        (".model n nmos vth0={agauss(0,1,1)}\n", "draws variation itself"),
        (".model n nmos file=\"x\"\n", "cannot evaluate"),
        (".model n nmos level=54 vth0\n", "'vth0' sets nothing"),
        ("m1 d g s b n w=1u l=1u\n.model n nmos\n", "line 1: 'm1' is not allowed"),
        ("+ level=54\n", "continues nothing"),
        (CARD.replace("4e-7", "small"), "cannot evaluate 'small'"),
    ],
)  # fmt: skip
def test_anything_but_plain_models_is_refused_with_its_line(tmp_path, text, names):
    with pytest.raises(InputError, match=names.replace("(", r"\(")) as refusal:
        read_cards(write(tmp_path, text))
    assert "\n" not in str(refusal.value)


def test_a_card_that_is_no_text_or_not_there_is_refused(tmp_path):
    path = tmp_path / "binary"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not text"):
        read_cards(path)
    with pytest.raises(InputError, match="cannot read a model card"):
        read_cards(tmp_path / "none")
