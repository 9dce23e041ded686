import pytest

from rramsim.exceptions import InputError
from rramsim.experiment import load_experiment
from rramsim.stages import RunFolder, run_stages
from rramsim.stages.chips import CHIPS, DISTRIBUTIONS, ROWS

EXPERIMENT = """
[sense]
vdd_v = 1.2
[errors]
engine = "batch"
workers = 1
[network]
architecture = "mlp"
weights = "ternary"
width = 16
[training]
data = "digits"
epochs = 4
[chips]
count = 4
compare = ["iid", "own"]
surface_points = 350
images = 150
read_noise_ln = 0.01
"""
"""With read noise the rates of single senses, half a minute of rare events, are not asked."""


def experiment_file(tmp_path, text=EXPERIMENT):
    path = tmp_path / "chips.toml"
    path.write_text(text)
    return path


def test_chips_and_independent_errors_have_one_mean_rate(tmp_path):
    experiment = load_experiment(experiment_file(tmp_path))
    folder = RunFolder.create(tmp_path / "out")
    run_stages(experiment, folder, ("train", "chips"))
    value = DISTRIBUTIONS.told(folder)
    table = CHIPS.frame(folder)
    assert len(table) == 3 * 4 and (tmp_path / "out" / "chips.png").is_file()
    assert len(value["ensembles"]) == 3
    mlp = table[table.network == "mlp16-ternary-ternary"].groupby("kind")
    rates = mlp.type3.mean()
    assert rates.chip > 0.05
    assert rates.iid == pytest.approx(rates.chip, rel=0.15)
    assert rates.own == pytest.approx(rates.chip, rel=0.25)
    assert mlp.accuracy_without_errors.first().chip > 0.5
    # What was tested is not tested again, and says the same.
    tested = ROWS.path(folder).read_text()
    run_stages(experiment, folder, ["chips"])
    assert ROWS.path(folder).read_text() == tested
    assert DISTRIBUTIONS.told(folder)["ensembles"] == value["ensembles"]


def test_chips_near_the_lowest_supply_are_sensed_and_adapted_to(tmp_path):
    """0.97 V: no surface serves; the same chips, read alike, adapted to or not."""
    text = EXPERIMENT.replace("vdd_v = 1.2", "vdd_v = 0.97").replace('["iid", "own"]', "[]")
    text = text.replace('["ternary", "binary"]', '"ternary"').replace("width = 16", "width = 32")
    folder = RunFolder.create(tmp_path / "out")
    tables, told = [], []
    for more in ("", "[test]\nrecalibrate = 300\nfine_tune = 10\n"):
        experiment = load_experiment(experiment_file(tmp_path, text + more))
        run_stages(experiment, folder, ("chips",) if more else ("train", "chips"))
        tables.append(CHIPS.frame(folder))
        told.append(DISTRIBUTIONS.told(folder))
    plain, adapted = tables
    assert "otherwise than the engine" in told[0]["surface"]["none_because"] or (
        "resolve nothing" in told[0]["surface"]["none_because"]
    )
    assert 0.04 < plain.type2.mean() < 0.12 and (plain.type2 == adapted.type2).all()
    assert (plain.accuracy_without_errors == adapted.accuracy_without_errors).all()
    assert adapted.accuracy.mean() > plain.accuracy.mean() + 0.01
    assert [one["adaptation_images"] for one in told] == [0, 300 + 10 * 64]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 4", "count = 1", r"\[chips\] count = 1"),
        ("count = 4", "chips = 4", r"\[chips\] chips: unknown; known are count"),
        ("count = 4", "verify_lrs_max_ohm = -5", "lrs_max_ohm = -5"),
        ("count = 4", "age_s = 1e12", r"age_s = 1e\+12"),
        ("count = 4", "vdd_v = 9", r"\[chips\] vdd_v = 9: .* rated for at most 5.5 V"),
        ("count = 4", "columns = 0", r"\[chips\] columns = 0"),
        ('"iid"', '"dice"', r"\[chips\] compare"),
    ],
)
def test_a_section_that_cannot_be_is_refused(tmp_path, old, new, message):
    with pytest.raises(InputError, match=message):
        load_experiment(experiment_file(tmp_path, EXPERIMENT.replace(old, new)))


def test_more_images_than_there_are_is_refused(tmp_path):
    text = EXPERIMENT.replace("images = 150", "images = 9999").replace("epochs = 4", "epochs = 1")
    experiment = load_experiment(experiment_file(tmp_path, text))
    folder = RunFolder.create(tmp_path / "out")
    with pytest.raises(InputError, match=r"\[chips\] images = 9999: .* has 450 test images"):
        run_stages(experiment, folder, ("train", "chips"))
