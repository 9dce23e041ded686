"""Every chart's SVG in a real headless Chromium, on a screen and on a phone: nothing overlaps."""

import itertools
import shutil

import pytest

from rramsim.figures import Section, render_page

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt install chromium")

TEXTS = """svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll("text")].filter(t => t.checkVisibility() && t.textContent)
    .map(t => [t.textContent, t.getBoundingClientRect()])
    .map(([text, b]) => [text, b.left - frame.left, b.top - frame.top, b.right - frame.left,
                         b.bottom - frame.top, frame.width, frame.height]);
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.mark.parametrize("width", [1440, 390])
def test_no_text_of_a_page_overlaps_another_or_is_cut(charts, browser, tmp_path, width):
    sections = [
        Section(key=f"s-{key}", title=chart.title, figures=(chart,))
        for key, chart in charts.items()
    ]
    html = render_page(title="t", subtitle="s", sections=sections, version="0")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((tmp_path / "page.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    seen = 0
    for svg in page.locator("figure svg:visible").all():
        texts = svg.evaluate(TEXTS)
        name = svg.get_attribute("aria-label")
        seen += len(texts)
        for text, left, top, right, bottom, wide, high in texts:
            assert left > -1 and top > -2 and right < wide + 1 and bottom < high + 2, (name, text)
        # Letters are lower than their lines: boxes may touch by a fifth of a line.
        for a, b in itertools.combinations(texts, 2):
            slack = 0.2 * min(a[4] - a[2], b[4] - b[2])
            apart = (
                a[3] <= b[1] + 1 or b[3] <= a[1] + 1
                or a[4] <= b[2] + slack or b[4] <= a[2] + slack
            )  # fmt: skip
            assert apart, (name, a[0], b[0])
    assert seen > 200
    page.close()
