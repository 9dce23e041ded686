"""The report in a real headless Chromium: it opens, it answers pointer and keys, it downloads."""

import csv
import shutil
from xml.etree import ElementTree

import pytest

from rramsim.figures import COLOURS
from rramsim.stages import RunFolder, write_report

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; apt install chromium")

WAVES = "Waveforms of the three weights, 1 V"
LIGHT = {"rgb(28, 36, 48)", "rgb(90, 100, 114)"} | {
    f"rgb{tuple(int(colour[k : k + 2], 16) for k in (1, 3, 5))}" for colour in COLOURS
}
FRONT = "#figure-front .variant:not([hidden])"


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # As root, as in containers, Chromium starts without its sandbox only.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="module")
def report(results):
    return write_report(RunFolder.existing(results)).path


@pytest.fixture
def visit(browser, report):
    """Open the report in a context of given options; what it complains of or asks for fails."""
    contexts, complaints = [], []

    def open_page(path=report, **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        assert complaints.pop(0) == path.as_uri()
        return page

    yield open_page
    assert complaints == []
    for context in contexts:
        context.close()


def centre(page, locator):
    locator.scroll_into_view_if_needed()
    box = locator.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_it_opens_within_two_seconds(visit):
    times = [
        visit().evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
        for _ in range(3)
    ]
    assert min(times) < 2000


def test_a_point_of_the_front_tells_and_leads_to_its_errors_and_waveforms(visit):
    page = visit()
    point = page.locator(f"{FRONT} .point").first
    tip = page.locator("#tip")
    assert tip.is_hidden()
    page.mouse.move(*centre(page, point.locator(".target")))
    assert tip.is_visible() and tip.inner_text().startswith(point.get_attribute("data-tip"))
    for part in ("\n1 V", "J (", "type 1: ", "type 2: ", "type 3: ", WAVES):
        assert part in tip.inner_text()
    drawn = tip.locator("svg").bounding_box()
    assert drawn["height"] > 100 and drawn["y"] >= 0
    assert drawn["y"] + drawn["height"] <= page.viewport_size["height"]
    page.mouse.click(*centre(page, point.locator(".target")))
    details = page.locator("#details")
    assert "mlp16-binary-binary at 1 V" in details.inner_text()
    assert "type 3: 0 read as ±1" in details.inner_text()
    shown = details.locator("svg")
    assert shown.count() == 1 and shown.get_attribute("aria-label") == WAVES
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_the_keyboard_reaches_everything(visit):
    page = visit()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    points = page.locator(f"{FRONT} .point")
    assert [points.nth(k).get_attribute("tabindex") for k in range(3)] == ["0", "-1", "-1"]
    page.locator("#figure-front input:checked").focus()
    page.keyboard.press("Tab")
    tip = page.locator("#tip")
    assert tip.inner_text().startswith(points.nth(0).get_attribute("data-tip"))
    page.keyboard.press("ArrowRight")
    assert tip.inner_text().startswith(points.nth(1).get_attribute("data-tip"))
    page.keyboard.press("Enter")
    assert "mlp16-binary-binary at 1.2 V" in page.locator("#details").inner_text()
    ring = points.nth(1).locator(".target").evaluate("e => getComputedStyle(e).stroke")
    assert ring != "none"
    # The map's cell under the cursor: two steps to the right raise the resistance on BL.
    page.locator("#figure-read-map .variant:not([hidden]) .plane").focus()
    before = tip.inner_text()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "reads" in before and tip.inner_text() != before


def test_a_choice_shows_its_drawing(visit):
    page = visit()
    figure = page.locator("#figure-waveforms")
    assert figure.locator("svg:visible").get_attribute("aria-label") == WAVES.replace(
        "1 V", "1.2 V"
    )
    figure.locator("input").first.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowRight")
    figure.get_by_label("1 V", exact=True).check()
    assert figure.locator("svg:visible").get_attribute("aria-label") == WAVES


def test_many_choices_are_one_list(visit, results, tmp_path):
    copied = shutil.copytree(results, tmp_path / "copied")
    header, *rows = (copied / "tradeoff.csv").read_text().splitlines()
    at = header.split(",").index("temperature_c")
    more = []
    for temperature_c in ("27", "40", "60", "85"):
        for row in rows:
            cells = row.split(",")
            cells[at] = temperature_c
            more.append(",".join(cells))
    (copied / "tradeoff.csv").write_text("\n".join([header, *more]) + "\n")
    page = visit(write_report(RunFolder.existing(copied)).path)
    figure = page.locator("#figure-front")
    assert figure.locator("input").count() == 0 and figure.locator("option").count() == 8
    figure.locator("select").focus()
    page.keyboard.press("ArrowDown")
    assert "read once an image; 40 °C, tt" in figure.locator("svg:visible").get_attribute(
        "aria-label"
    )


def luminance(page, element):
    colour = page.locator(element).evaluate("e => getComputedStyle(e).backgroundColor")
    return sum(int(part) for part in colour.removeprefix("rgb(").rstrip(")").split(", ")) / 3


def test_light_and_dark_follow_the_system_and_the_reader(visit):
    assert luminance(visit(color_scheme="light"), "body") > 200
    page = visit(color_scheme="dark")
    assert luminance(page, "body") < 60
    page.click("#theme")
    assert luminance(page, "body") > 200
    assert page.get_attribute("#theme", "aria-pressed") == "false"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_what_is_seen_can_be_downloaded(visit, tmp_path, part):
    # In parts: Chromium allows a page ten downloads at once.
    page = visit(color_scheme="dark", accept_downloads=True)

    def download(figure, kind):
        with page.expect_download() as found:
            figure.locator(f"[data-download={kind}]").click()
        path = tmp_path / found.value.suggested_filename
        found.value.save_as(path)
        return path

    for figure in page.locator("figure").all()[part::3]:
        svg = ElementTree.parse(download(figure, "svg")).getroot()
        assert svg.tag == "{http://www.w3.org/2000/svg}svg"
        texts = [e for e in svg.iter() if e.tag.endswith("}text")]
        # On its own it is drawn in the light colours, without a style sheet.
        assert texts and {e.get("fill") for e in texts} <= LIGHT
        assert len(list(csv.reader(download(figure, "csv").open()))) > 1
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("width", [320, 375, 768])
def test_a_phone_needs_no_sideways_scroll_of_the_page(visit, width):
    page = visit(viewport={"width": width, "height": 740}, has_touch=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    point = page.locator(f"{FRONT} .point").nth(1)
    page.touchscreen.tap(*centre(page, point.locator(".target")))
    box = page.locator("#tip").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.locator("#details svg").count() == 1
    assert page.locator("#tip svg").is_visible() == (width > 576)
    smallest = page.evaluate(
        "Math.min(...[...document.querySelectorAll('figure text')]"
        ".filter(t => t.checkVisibility() && t.textContent)"
        ".map(t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getScreenCTM().a))"
    )
    assert smallest >= 10


def test_texts_of_files_do_not_run(visit, results, tmp_path):
    from test_stages_report import EVIL, poison

    copied = shutil.copytree(results, tmp_path / "copied")
    poison(copied)
    page = visit(write_report(RunFolder.existing(copied)).path)
    assert EVIL in page.locator("#figure-training figcaption, h1 + p").first.inner_text()
    page.locator("#figure-training .point").first.focus()
    assert EVIL in page.locator("#tip").inner_text()
    assert page.locator("img").count() == 0
