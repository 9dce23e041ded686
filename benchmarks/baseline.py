"""Numbers of finished runs as one table, and how another version's compare with it.

    python -m benchmarks baseline runs/demo runs/map --out before.csv
    python -m benchmarks baseline runs/demo runs/map --against before.csv

A row is one number: its run, its file, its conditions, its column. Times and single parts of an
energy are left out. Against a table, every number is "equal" (bit for bit), "within" (its interval,
a count's of its share of the senses, overlaps the other's) or "differs"; the exit status is 1 if
any differs or is gone.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from rramsim.counting import Rate

_INTERVALS = ("_low", "_high")
_KEYS = (
    "network", "trained_with_errors", "weights", "activations", "written", "error", "kind", "type",
    "rate", "train_rate", "vdd_v", "temperature_c", "corner", "window_s", "flow", "seed", "epoch",
    "chip", "errors",
)  # fmt: skip
_LEFT_OUT = ("seconds", "processor_s", "method", "calls", "note", "place", "data", "engine")


def _is_bound(name: str) -> bool:
    return name.endswith(_INTERVALS) or "_low_" in name or "_high_" in name


def _bound(row: "pd.Series[float]", name: str, end: str) -> float | None:
    """The end of a number's interval: `loss_low` of `loss`, `r50_low_ohm` of `r50_ohm`."""
    stem, _, unit = name.rpartition("_")
    return row.get(f"{name}_{end}", row.get(f"{stem}_{end}_{unit}"))


def numbers(folder: Path) -> Iterator[dict[str, object]]:
    """Every number of a run's tables and counts, with its interval where the table has one."""
    for path in sorted(folder.glob("*.csv")):
        table = pd.read_csv(path)
        keys = [name for name in _KEYS if name in table]
        for index, row in table.iterrows():
            where = " ".join(f"{key}={row[key]}" for key in keys) or f"row={index}"
            for name in table.columns:
                if name in keys or name in _LEFT_OUT or _is_bound(name):
                    continue
                if path.name == "costs.csv" and name not in ("total_j",):
                    continue
                value = pd.to_numeric(row[name], errors="coerce")
                if pd.notna(value):
                    yield {
                        "run": folder.name, "file": path.name, "conditions": where,
                        "quantity": name, "value": float(value),
                        "low": _bound(row, name, "low"), "high": _bound(row, name, "high"),
                    }  # fmt: skip
    errors = folder / "errors.json"
    if errors.exists():
        for at in json.loads(errors.read_text())["conditions"]:
            where = " ".join(f"{key}={at[key]}" for key in _KEYS[10:14])
            for written, counts in zip(at["written"], at["counts"], strict=True):
                for read, count in zip(at["read"], counts, strict=True):
                    yield {
                        "run": folder.name, "file": errors.name, "conditions": where,
                        "quantity": f"written {written:+d} read {read}", "value": float(count),
                        "low": None, "high": None,
                    }  # fmt: skip


def _with_shares(table: pd.DataFrame) -> pd.DataFrame:
    """The table, with the interval of each count's share of its written value's senses."""
    table = table.astype({"low": float, "high": float})
    counts = table[table.file == "errors.json"]
    written = counts.quantity.str.split(" read ").str[0]
    senses = counts.groupby(["run", "conditions", written]).value.transform("sum")
    for index, events, trials in zip(counts.index, counts.value, senses, strict=True):
        rate = Rate(events=int(events), trials=int(trials))
        table.loc[index, ["low", "high"]] = rate.low, rate.high
    return table


def compared(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Both tables side by side with a column `verdict`."""
    names = ["run", "file", "conditions", "quantity"]
    before, after = _with_shares(before), _with_shares(after)
    both = before.merge(after, on=names, how="outer", suffixes=("", "_now"), indicator=True)
    both = both.rename(columns={"_merge": "found"})
    equal = both.value == both.value_now
    overlap = (both.low <= both.high_now) & (both.low_now <= both.high)
    both["verdict"] = "differs"
    both.loc[overlap, "verdict"] = "within"
    both.loc[equal, "verdict"] = "equal"
    both.loc[both.found == "left_only", "verdict"] = "gone"
    both.loc[both.found == "right_only", "verdict"] = "new"
    return both


def main(argv: list[str]) -> int:
    """Write a table, or compare with one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks baseline", description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="CSV file for the numbers")
    parser.add_argument("--against", type=Path, help="CSV file to compare with")
    options = parser.parse_args(argv)
    after = pd.DataFrame([row for folder in options.folders for row in numbers(folder)])
    if options.out:
        after.to_csv(options.out, index=False)
        print(f"{len(after)} numbers of {len(options.folders)} runs in {options.out}")
    if not options.against:
        return 0
    before = pd.read_csv(options.against)
    before = before[before.run.isin({folder.name for folder in options.folders})]
    both = compared(before, after)
    print(both.groupby(["run", "file", "verdict"], observed=True).size().to_string())
    bad = both[both.verdict.isin(("differs", "gone"))]
    if len(bad):
        print(bad[["run", "conditions", "quantity", "value", "value_now"]].head(20).to_string())
    return int(len(bad) > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
