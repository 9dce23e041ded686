"""The report as a file: its sections, its numbers, nothing from outside, nothing that runs."""

import csv
import json
import re
import shutil
from collections import Counter
from dataclasses import asdict
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from rramsim.circuits import ReadOut, sense_circuit
from rramsim.costs import pareto_front
from rramsim.exceptions import InputError
from rramsim.explore import load_subject
from rramsim.figures import schematic_figure
from rramsim.figures.numbers import engineering
from rramsim.figures.report.schematic import is_shipped_topology
from rramsim.learning.equilibrium.updates import Wear
from rramsim.processes.process import netlists_folder
from rramsim.stages import RunFolder, write_report
from rramsim.stages.tradeoff import TRADEOFF

VOID = {"meta", "link", "br", "input", "img", "hr"}
SECTIONS = ["answer", "accuracy", "front", "waveforms", "read-map", "sense", "errors", "shares",
            "boundary", "training", "chips", "run", "more"]  # fmt: skip


class Page(HTMLParser):
    """Elements of a page; raises where tags do not nest."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


def write(folder):
    written = write_report(RunFolder.existing(folder))
    return written, (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def copied(results, tmp_path):
    return shutil.copytree(results, tmp_path / "copied")


@pytest.fixture(scope="module")
def whole(results):
    written, text = write(results)
    return written, text, Page(text)


def test_every_stage_has_its_section_and_its_figures(whole, results):
    written, text, page = whole
    assert list(written.present) == SECTIONS and not written.missing
    assert [a["id"] for a in page.all("section") if "id" in a] == SECTIONS
    assert len(page.all("figure")) == 12
    assert len(text.encode()) < 2_000_000
    # Every link of the contents leads somewhere, and no name stands for two places.
    names = Counter(a["id"] for _, a in page.elements if "id" in a)
    assert max(names.values()) == 1
    assert all(a["href"].removeprefix("#") in names for a in page.all("a"))
    assert not list(results.glob(".partial-*"))


def test_nothing_is_asked_of_the_network(whole):
    _, text, page = whole
    for tag, attrs in page.elements:
        for name in ("src", "href", "xlink:href", "action", "data", "poster", "srcset"):
            value = attrs.get(name, "#")
            assert value.startswith(("#", "data:")), (tag, name, value)
    outside = set(re.findall(r"https?://[^\s\"'<>)]+", text))
    assert outside == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text and "url(" not in text


def test_the_page_tells_what_the_files_hold(whole, results):
    _, _, page = whole
    errors = json.loads((results / "errors.json").read_text())
    seen = [r[t] for r in errors["conditions"] for t in ("type1", "type2", "type3")]
    assert any(rate["events"] for rate in seen) and not all(rate["events"] for rate in seen)
    for rate in seen:
        shown = f"none seen (< {100 * rate['high']:.2g} %)"
        if rate["events"]:
            low, high = (
                f"{100 * v:.{3 if v > 0.995 else 2}g}" for v in (rate["low"], rate["high"])
            )
            interval = f"{low}–{high} %"
            shown = f"{100 * rate['rate']:.3g} % ({interval})"
        assert shown in page.text
    assert "m.xpcsa.mpre1 q sen vdd vdd" in page.text
    provenance = json.loads((results / "provenance.json").read_text())
    assert provenance["circuit"]["sha256"] in page.text
    assert all(digest in page.text for digest in provenance["files"].values())
    assert "changed since" not in page.text and "as written" in page.text
    with (results / "tradeoff.csv").open() as file:
        table = list(csv.DictReader(file))
    for row in table:
        value, low, high = (100 * float(row[k]) for k in
                            ("accuracy", "accuracy_low", "accuracy_high"))  # fmt: skip
        assert f"{value:.1f} % ({low:.1f}–{high:.1f} %)" in page.text
    points = [a for a in page.all("g") if a.get("data-detail")]
    # Designs at chance are in no front.
    working = [r for r in table if float(r["loss"]) <= 0.1]
    assert 0 < len(working) <= len(table) and len(points) == 2 * len(working)
    details = {a["id"] for a in page.all("template")}
    assert {f"detail-{a['data-detail']}" for a in points} == details


def test_the_data_of_every_figure_can_be_read_back(whole, results):
    _, text, page = whole
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    data = json.loads(found[1])
    assert set(data) == {a["data-figure"] for a in page.all("figure")}
    tables = {key: list(csv.DictReader(text.splitlines())) for key, text in data.items()}
    # The read map, by itself: an LRS/HRS pair reads +1, its mirror -1, HRS/HRS 0, at 1.2 V.
    cells = [r for r in tables["read-map"] if float(r["vdd_v"]) == 1.2]

    def read(r_bl, r_blb):
        nearest = min(cells, key=lambda r: abs(np.log(float(r["r_bl_ohm"]) / r_bl))
                      + abs(np.log(float(r["r_blb_ohm"]) / r_blb)))  # fmt: skip
        return int(nearest["read"])

    assert (read(10e3, 630e3), read(630e3, 10e3), read(630e3, 650e3)) == (1, -1, 0)
    rates = {(float(r["supply VDD (V)"]), r["series"]): r for r in tables["error-rates"]}
    errors = json.loads((results / "errors.json").read_text())
    with (results / "rates.csv").open() as file:  # too rare to count: found, and told instead
        rares = {(float(r["vdd_v"]), int(r["type"])): r for r in csv.DictReader(file) if r["rate"]}
    for row in errors["conditions"]:
        told = rates[row["vdd_v"], "type 2: ±1 read as 0"]
        counted = row["type2"]
        rare = rares.get((row["vdd_v"], 2), {})
        value = float(rare.get("rate") or counted["rate"] or counted["high"])
        high = float(rare.get("high") or counted["high"])
        assert float(told["error rate"]) == pytest.approx(value, rel=1e-5)
        assert float(told["error rate, high"]) == pytest.approx(high, rel=1e-5)
        assert told["bound"] == ("" if rare or counted["rate"] else "down")


def test_what_is_missing_names_its_command(copied):
    for name in ("shares.json", "chips.csv", "chips.json", "tradeoff.csv", "provenance.json"):
        (copied / name).unlink()
    written, text = write(copied)
    assert list(written.missing) == ["tradeoff", "chips"]
    page = Page(text)
    assert f"rramsim run EXPERIMENT.toml --out {copied} " in page.text
    assert f"rramsim run EXPERIMENT.toml --out {copied} --stage shares" in page.text
    assert "No provenance.json" in page.text


def test_a_changed_file_and_a_changed_circuit_are_told(copied):
    with (copied / "training.csv").open("a") as file:
        file.write("\n")
    values = json.loads((copied / "experiment.json").read_text())
    values["column"]["rows"] = 64
    (copied / "experiment.json").write_text(json.dumps(values))
    written, text = write(copied)
    assert {"waveforms", "read-map"} <= set(written.missing)
    assert "no longer the one that was swept" in text
    assert text.count("changed since") == 2


EVIL = "</script><img src=x onerror=alert(1)><script>alert(2)</script>"


def poison(folder):
    """Texts that would run if they were not escaped, wherever a file has a text."""
    for name in ("errors.json", "shares.json", "chips.json"):
        value = json.loads((folder / name).read_text())
        value["engine" if "engine" in value else "conditions"] = EVIL
        if name == "chips.json":
            for row in value["ensembles"]:
                row["network"] = EVIL
        (folder / name).write_text(json.dumps(value))
    for name in ("tradeoff.csv", "training.csv", "chips.csv"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("mlp16-binary-binary", EVIL))
    value = json.loads((folder / "provenance.json").read_text())
    value |= {"command": [EVIL], "files": {EVIL: EVIL, "../../etc/passwd": ""}, "written": EVIL}
    (folder / "provenance.json").write_text(json.dumps(value))


def test_texts_of_files_are_escaped(copied):
    poison(copied)
    _, text = write(copied)
    page = Page(text)
    assert not page.all("img")
    assert len(page.all("script")) == 2
    assert not any(name.startswith("on") for _, attrs in page.elements for name in attrs)
    assert EVIL in page.text
    policy = next(a["content"] for a in page.all("meta") if "http-equiv" in a)
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    # A file outside of the folder is not looked at, whatever the provenance says.
    assert text.count("not there now") == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("errors.json", '{"engine": ', "damaged"),
        ("errors.json", "[]", "damaged"),
        ("errors.json", b"\xff\xfe", "damaged"),
        ("shares.json", '{"engine": "x"}', "damaged .circuit: Field required"),
        ("chips.json", "{}", "damaged"),
        ("provenance.json", '{"written": 3}', "damaged"),
        ("experiment.json", "{", "damaged"),
        ("sense.nc", b"CDF\x01 not really", "not a readable netCDF file"),
        ("tradeoff.csv", "network,vdd_v\na,1\n", "damaged .line 2, architecture: Field required"),
        ("tradeoff.csv", "", "damaged"),
        ("training.csv", b"\x00\x01\x02", "damaged"),
        (
            "training.csv",
            "network,trained_with_errors,data,seed,epoch,train_loss,train_accuracy,test_accuracy,"
            "seconds,learning_rate\na,none,d,0,1,1,1,much,1,1\n",
            "damaged .line 2, test_accuracy",
        ),
    ],
)  # fmt: skip
def test_a_damaged_result_is_named_in_one_line(results, tmp_path, name, content, message):
    for path in results.iterdir():
        if path.suffix in (".json", ".csv", ".nc"):
            shutil.copy(path, tmp_path)
    (tmp_path / "report.html").unlink(missing_ok=True)
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message) as refusal:
        write_report(RunFolder.existing(tmp_path))
    assert name in str(refusal.value)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["tradeoff.csv", "chips.csv"])
def test_an_accuracy_above_1_is_refused_by_all_who_read_it(copied, name):
    table = pd.read_csv(copied / name)
    table.loc[0, "accuracy"] = 1.7
    table.to_csv(copied / name, index=False)
    folder = RunFolder.existing(copied)
    readers = [lambda: write_report(folder)]
    if name == "tradeoff.csv":
        readers += [lambda: load_subject(copied), lambda: TRADEOFF.frame(folder)]
    for reader in readers:
        with pytest.raises(InputError, match=rf"{name}: damaged .line 2, accuracy: .* or equal to"):
            reader()


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "holiday.txt").write_text("sun")
    with pytest.raises(InputError, match="holds no results of rramsim; make them with"):
        write_report(RunFolder.existing(tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.txt"]


def test_only_the_circuit_that_is_drawn_is_drawn(sky130, pcsa, tmp_path):
    figure = schematic_figure(pcsa)
    assert "MPRE1" in figure.variants[""] and "400 fF" in figure.variants[""]
    shipped = (netlists_folder() / "pcsa.spice").read_text()
    wider = shipped.replace("mp1   q  qb  vdd", "mp1 vdd qb q")
    assert wider.count("mp1 vdd qb q") == 1
    (tmp_path / "ends.spice").write_text(wider.replace("w=1u", "w=1.2u"))
    (tmp_path / "gates.spice").write_text(wider.replace("mp1 vdd qb q", "mp1 vdd sen q"))
    same = sense_circuit(process=sky130, netlist=tmp_path / "ends.spice")
    other = sense_circuit(process=sky130, netlist=tmp_path / "gates.spice")
    xnor = sense_circuit(process=sky130, read_out=ReadOut(name="pcsa_xnor"))
    assert is_shipped_topology(same) and "1.2/0.5" in schematic_figure(same).variants[""]
    for circuit in (other, xnor):
        assert not is_shipped_topology(circuit)
        drawn = schematic_figure(circuit)
        assert "MPRE1" not in drawn.variants[""] and "block" in drawn.caption


def test_wear_has_a_section_where_the_folder_holds_it(copied):
    writes = Wear(devices=1000, sets=300, resets=200, most=7, endurance_writes=1e6)
    row = {
        "network": "ep", "trained_with_errors": "none", "data": "digits", "seed": 1,
        "weight": "readout", **asdict(writes), "mean_writes": writes.mean_writes,
        "most_of_endurance": writes.most_of_endurance,
    }  # fmt: skip
    (copied / "wear.csv").write_text(pd.DataFrame([row]).to_csv(index=False))
    written, text = write(copied)
    at = SECTIONS.index("training") + 1
    assert list(written.present) == [*SECTIONS[:at], "wear", *SECTIONS[at:]]
    assert "ep no errors readout 1,000 300 200 0.5 7 0.0007 %" in Page(text).text


def test_the_boundary_is_told_as_the_table_has_it(whole, results):
    _, text, page = whole
    for value in pd.read_csv(results / "boundary.csv").r50_ohm:
        shown = engineering(value, "Ω") if value >= 1e3 else "below 1 kΩ"
        assert f"{shown} (" in page.text and f"median {shown}" in text


@pytest.mark.parametrize(
    ("r50_ohm", "told"),
    [("0.0", "below 1 kΩ"), ("inf", "above 100 MΩ"), ("", "–"), ("47000", "47 kΩ")],
)
def test_a_boundary_beyond_what_was_searched_says_on_which_side(tmp_path, r50_ohm, told):
    quantiles = dict.fromkeys(
        (f"{name}{end}_ohm" for name in ("r05", "r50", "r95") for end in ("", "_low", "_high")),
        r50_ohm,
    )
    row = {"vdd_v": 1.1, "temperature_c": 27, "corner": "tt", "window_s": 5e-8, "draws": 10,
           "unconverged": 0, **quantiles, "never_zero": 0, "engine": "batch", "circuit": "pcsa",
           "seed": 1}  # fmt: skip
    rows = [row | {"temperature_c": t, "window_s": w} for t in (0, 27, 60) for w in (1e-8, 1e-7)]
    (tmp_path / "boundary.csv").write_text(pd.DataFrame(rows).to_csv(index=False))
    written, text = write(tmp_path)
    assert "boundary" in written.present and "wear" not in written.missing
    assert Page(text).text.count(f"{told} ({told} to {told})") == 3 * len(rows)
    (tmp_path / "boundary.csv").write_text(pd.DataFrame([row | {"r05_ohm": -1}]).to_csv())
    with pytest.raises(InputError, match=r"boundary\.csv: damaged .line 2, r05_ohm"):
        write(tmp_path)


def test_a_front_is_what_nothing_beats():
    rng = np.random.default_rng(5)
    cost, gain = rng.integers(0, 12, 60).astype(float), rng.integers(0, 12, 60).astype(float)
    front = pareto_front(cost, gain)
    for i in range(60):
        beaten = any(
            cost[k] <= cost[i] and gain[k] >= gain[i] and (cost[k], gain[k]) != (cost[i], gain[i])
            for k in range(60)
        )
        assert front[i] == (not beaten)
