"""Time the explorer in a browser: from a key that moves a slider until the answer is drawn.

`python -m benchmarks explorer [DIR|EXPERIMENT.toml]` starts `rramsim explore`, opens its page in
headless Chromium (playwright's, `--chromium PATH` for another) and presses arrow keys on every
slider, each press from rest at a value that was not asked before. The clock runs in the page from
the slider's input event to the end of the frame that shows the new answer: HTTP, senses, drawing
and paint are in it. Prints the median and the 95th percentile for each slider and of all.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["main", "slider_times"]

_SLIDERS = ("vdd_v", "temperature_c", "window_s", "hrs_median_ohm")

_WATCH = """([name]) => {
  const answer = document.getElementById("answer"), slider = document.getElementById(name);
  window.drawn = new Promise((resolve) => {
    slider.addEventListener("input", (event) => {
      const was = answer.dataset.shown;
      const observer = new MutationObserver(() => {
        if (answer.dataset.shown === was) return;
        observer.disconnect();
        // The frame that follows the change has been painted once its successor begins.
        requestAnimationFrame(() => requestAnimationFrame(
          () => resolve(performance.now() - event.timeStamp)));
      });
      observer.observe(answer, { attributes: true });
    }, { once: true });
  });
}"""


@contextmanager
def _explorer(path: Path) -> Iterator[str]:
    """The program in a process of its own; yields its address."""
    code = "from rramsim.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "explore", str(path), "--no-browser", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not re.fullmatch(r"http://127\.0\.0\.1:\d+/", address):
            raise SystemExit("rramsim explore did not start; see above")
        yield address
    finally:
        process.terminate()
        process.wait()


def slider_times(page: Any, *, presses: int, pause_ms: int) -> dict[str, list[float]]:
    """Milliseconds of every press, by slider."""
    times: dict[str, list[float]] = {name: [] for name in _SLIDERS}
    for name in _SLIDERS:
        slider = page.locator(f"#{name}")
        slider.focus()
        slider.press("Home")
        page.wait_for_timeout(4 * pause_ms)
        stops = int(slider.get_attribute("max") or 0)
        for _ in range(min(presses, stops)):
            page.evaluate(_WATCH, [name])
            slider.press("ArrowRight")
            times[name].append(float(page.evaluate("window.drawn")))
            page.wait_for_timeout(pause_ms)
    return times


def _summary(values: list[float]) -> dict[str, float]:
    return {
        "presses": len(values),
        "median_ms": statistics.median(values),
        "percentile95_ms": float(np.quantile(values, 0.95)),
    }


def main(argv: list[str]) -> int:
    """Run the benchmark from the command line; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks explorer", description=__doc__)
    parser.add_argument("path", type=Path, nargs="?", default=Path("experiments/tradeoff.toml"))
    parser.add_argument("--presses", type=int, default=30, help="on each slider, at most")
    parser.add_argument("--pause-ms", type=int, default=120, help="between two presses")
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    from playwright.sync_api import sync_playwright

    with _explorer(options.path) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(address)
        page.wait_for_selector('#answer[data-senses="1000"]')
        times = slider_times(page, presses=options.presses, pause_ms=options.pause_ms)
        version = browser.version
        browser.close()
    result: dict[str, Any] = {
        "sliders": {name: _summary(values) for name, values in times.items() if values},
        "all": _summary([value for values in times.values() for value in values]),
        "chromium": version,
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    if options.json:
        print(json.dumps(result))
        return 0
    print(
        f"from key to drawn answer, Chromium {version}, {result['cores']} cores, "
        f"load {result['load']:.1f}"
    )
    for name, one in {**result["sliders"], "all": result["all"]}.items():
        print(
            f"{name:16} {one['presses']:3.0f} presses: median {one['median_ms']:4.0f} ms, "
            f"95th percentile {one['percentile95_ms']:4.0f} ms"
        )
    return 0
