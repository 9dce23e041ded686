"""`rramsim tradeoff --max-loss`: an answer from the table, in one line."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from rramsim.circuits import SenseConditions
from rramsim.records import TradeoffRow
from rramsim.stages import RunFolder
from rramsim.stages.tradeoff import TRADE_OFF


@pytest.fixture
def folder(tmp_path):
    """A trade-off whose loss is 10, 1 and 0.1 points at 1.0, 1.1 and 1.2 V."""
    rows = []
    for vdd_v, loss in ((1.0, 0.1), (1.1, 0.01), (1.2, 0.001)):
        row = dict.fromkeys(TradeoffRow.model_fields, 0.0) | dict.fromkeys(
            ("architecture", "weights", "activations", "data", "rates_by"), "x"
        )
        row |= {
            "network": "net", "trained_with_errors": "none", "vdd_v": vdd_v, "temperature_c": 85.0,
            "corner": "tt", "window_s": 50e-9, "accuracy": 0.7 - loss, "loss": loss,
            "loss_low": loss, "loss_high": loss, "draws": 4, "energy_per_use_j": 1e-6 * vdd_v**2,
            "limited_by_samples": False, "images": 1000, "adaptation_images": 100,
            "adaptation_j": 1e-4 * vdd_v**2,
        }  # fmt: skip
        rows.append(row)
    pd.DataFrame(rows).to_csv(tmp_path / "tradeoff.csv", index=False)
    return tmp_path


def test_the_answer_in_words_and_as_json(rramsim, folder):
    status, out, _ = rramsim("tradeoff", folder, "--max-loss", "2", "--temperature", "85")
    assert status == 0 and out.startswith("1.1 V is the lowest simulated supply")
    assert "adapting, once" in out and "121 µJ" in out
    status, out, _ = rramsim("tradeoff", folder, "--max-loss", "0.2", "--json")
    value = json.loads(out)
    assert status == 0 and value["met"] and value["best"]["vdd_v"] == 1.2
    assert value["best"]["bound"] == pytest.approx(0.001)
    assert value["best"]["adaptation_j"] == pytest.approx(1.44e-4)


def test_the_report_answers_for_the_loss_that_it_is_asked(rramsim, folder):
    for options, supply, loss in (((), "1.2", "0.5"), (("--max-loss", "2"), "1.1", "2")):
        assert rramsim("report", folder, *options)[0] == 0
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert (
            f"{supply} V is the lowest simulated supply with a loss of at most {loss} points"
            in page
        )
    status, _, line = rramsim("report", folder, "--max-loss", "nan")
    assert status == 2 and "max loss = nan points: must lie between 0 and 100" in line


@pytest.mark.parametrize(
    ("images", "draws", "says"),
    [(0.01, 0.0, "it takes more test images, not draws: these alone leave ±1.96 points open"),
     (0.0, 0.005, "it takes about 63 draws")],
)  # fmt: skip
def test_an_undecided_network_says_what_it_takes(rramsim, folder, images, draws, says):
    table = pd.read_csv(folder / "tradeoff.csv")
    table.assign(loss_image_error=images, loss_deviation=draws).to_csv(
        folder / "tradeoff.csv", index=False
    )
    _, out, _ = rramsim("tradeoff", folder, "--max-loss", "0.3")
    assert "undecided: net at 1.2 V" in out and says in out
    here = "meets it at 1.2 V: 0.10 points, at most 0.10" if images else "is undecided at 1.2 V"
    assert f"on these test images themselves net {here}" in out


def test_draws_that_a_question_added_stay_when_the_trade_off_is_made_again(folder, monkeypatch):
    table = pd.read_csv(folder / "tradeoff.csv").assign(draws=[4, 32, 2])
    table.to_csv(folder / "tradeoff.csv", index=False)
    one = SimpleNamespace(spec=SimpleNamespace(name="net"), trained_with="none")
    asked = {}

    def made(work, draws):
        for vdd_v in (1.0, 1.1, 1.2, 1.3):
            asked[vdd_v] = draws(one, SenseConditions(vdd_v=vdd_v, temperature_c=85))
        return table, pd.DataFrame()

    monkeypatch.setattr("rramsim.stages.tradeoff._tables", made)
    experiment = SimpleNamespace(test=SimpleNamespace(draws=4))
    TRADE_OFF.run(SimpleNamespace(folder=RunFolder.existing(folder), experiment=experiment))
    assert asked == {1.0: 4, 1.1: 32, 1.2: 4, 1.3: 4}


def test_none_that_meets_it_is_an_answer_too(rramsim, folder):
    status, out, _ = rramsim("tradeoff", folder, "--max-loss", "0.05")
    assert status == 0 and out.startswith("none does") and "the nearest is 1.2 V" in out
    _, out, _ = rramsim("tradeoff", folder, "--max-loss", "0.05", "--json")
    assert json.loads(out)["met"] is False


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--max-loss", "-1"), "max loss = -1 points"),
        (("--max-loss", "1", "--temperature", "27"), "temperature = 27: the trade-off has 85"),
        (("--max-loss", "1", "--yield", "99"), "yield = 99: must be 0.5 or above, and below 1"),
        (("--yield", "0.9"), "--yield 0.9: goes with --max-loss"),
    ],
)
def test_a_question_that_is_none(rramsim, folder, options, says):
    status, _, line = rramsim("tradeoff", folder, *options)
    assert status == 2 and says in line and line.count("\n") == 1


def test_tables_that_cannot_answer(rramsim, folder, tmp_path):
    path = folder / "tradeoff.csv"
    table = pd.read_csv(path)
    table.iloc[:1].to_csv(path, index=False)
    _, _, line = rramsim("tradeoff", folder, "--max-loss", "1")
    assert "one supply only was simulated (1 V)" in line
    table.drop(columns="loss_high").to_csv(path, index=False)
    status, _, line = rramsim("tradeoff", folder, "--max-loss", "1")
    assert status == 2 and "damaged (line 2, loss_high: Field required); remove it and" in line
    table.assign(vdd_v="1,2").to_csv(path, index=False)
    _, _, line = rramsim("tradeoff", folder, "--max-loss", "1")
    assert "line 2, vdd_v: Input should be a valid number" in line
    path.write_bytes(b"\x00\xff")
    status, _, line = rramsim("tradeoff", folder, "--max-loss", "1")
    assert status == 2 and "tradeoff.csv: damaged" in line
    path.unlink()
    status, _, line = rramsim("tradeoff", folder, "--max-loss", "1")
    assert status == 2 and "experiment.json: not there; make it with 'rramsim run" in line
