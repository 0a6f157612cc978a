"""The report in a real Chromium: it needs no network, fits the window, follows the theme, and prints."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from synthetic import FIRST, long_ids, synthetic_history

from segmentation.config import Config
from segmentation.monitor.report import write_report
from segmentation.store.store import open_store

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra: dev)")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="there is no Chromium on the PATH: install the package chromium to run these tests"
)

LAST = FIRST + timedelta(days=11)
DRAWN = """() => [...document.querySelectorAll('.chart')].map((chart) => {
    const box = chart.querySelector('svg.main-svg')?.getBoundingClientRect();
    return [chart.id, box ? Math.round(box.width) : 0, Math.round(chart.clientWidth)];
})"""
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
WIDER = "() => document.documentElement.scrollWidth - innerWidth"


class Opened:
    """A page with what it asked the network for and what it complained about."""

    def __init__(self, page: "playwright.Page", path: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self.complaints.append(f"{message.type}: {message.text}"))
        page.goto(path.as_uri())
        page.wait_for_function(
            "() => [...document.querySelectorAll('.chart')].every((c) => c.querySelector('svg.main-svg'))"
        )


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def reports(made_up: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reports")
    two_days = [FIRST, FIRST + timedelta(days=1)]
    twelve = synthetic_history(tmp_path_factory.mktemp("twelve"), days=two_days, segment_ids=long_ids(12), users=600)
    hostile = synthetic_history(
        tmp_path_factory.mktemp("hostile"),
        days=two_days,
        users=60,
        segment_ids=("<img src=x onerror=window.broken=1>", "</script><script>window.broken=1</script>"),
    )
    for name, config, day, lang in (
        ("usual", made_up, LAST, "en"),
        ("chinese", made_up, LAST, "zh"),
        ("first", made_up, FIRST, "en"),
        ("twelve", twelve, two_days[-1], "en"),
        ("hostile", hostile, two_days[-1], "en"),
    ):
        write_report(open_store(config), day, folder / f"{name}.html", lang)
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture(scope="module")
def usual(browser: "playwright.Browser", reports: dict[str, Path]) -> "playwright.Page":
    """The usual report in a wide, light window. Whoever changes the page changes it back."""
    page = browser.new_page(viewport=WIDE, color_scheme="light")
    Opened(page, reports["usual"])
    return page


@pytest.mark.parametrize("name", ["usual", "chinese", "first", "twelve", "hostile"])
def test_the_page_is_whole_without_a_network_and_fits_wide_and_narrow_windows(
    browser: "playwright.Browser", reports: dict[str, Path], name: str
) -> None:
    page = browser.new_page(viewport=WIDE, color_scheme="light")
    opened = Opened(page, reports[name])
    for window, scheme in ((WIDE, "light"), (NARROW, "dark")):
        page.set_viewport_size(window)
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"() => ({DRAWN})().every(([, drawn, place]) => drawn === place && place > 0)")
        assert page.evaluate(WIDER) <= 0, window
    assert [url for url in opened.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert opened.complaints == []
    assert page.evaluate("() => window.broken") is None
    page.close()


def test_the_charts_follow_the_theme_while_the_page_is_open(usual: "playwright.Page") -> None:
    colour = """() => [
        getComputedStyle(document.querySelector('#chart-moved .xtick text')).fill,
        getComputedStyle(document.querySelector('#chart-sizes .fills path')).fill,
        getComputedStyle(document.body).backgroundColor,
    ]"""
    light = usual.evaluate(colour)
    usual.emulate_media(color_scheme="dark")
    usual.wait_for_function(f"(before) => ({colour})().every((now, i) => now !== before[i])", arg=light, timeout=5000)
    usual.emulate_media(color_scheme="light")
    usual.wait_for_function(f"(before) => ({colour})().every((now, i) => now === before[i])", arg=light, timeout=5000)


def test_a_segment_has_one_colour_in_all_charts_and_tables(usual: "playwright.Page") -> None:
    colours = usual.evaluate("""() => {
        const dots = {};
        for (const name of document.querySelectorAll('.name')) {
            (dots[name.textContent] ??= new Set()).add(getComputedStyle(name.querySelector('.dot')).backgroundColor);
        }
        for (const node of document.querySelectorAll('#chart-flows .sankey-node')) {
            const label = node.querySelector('text').textContent;
            dots[label].add(getComputedStyle(node.querySelector('rect.node-rect')).fill);
        }
        return Object.entries(dots).map(([name, seen]) => [name, [...seen]]);
    }""")
    assert len(colours) == 5 + 2
    assert [name for name, seen in colours if len(seen) != 1] == []
    segments = [seen[0] for name, seen in colours if name not in ("new", "lapsed")]
    assert len(set(segments)) == 5


def test_paper_is_white_and_its_charts_are_as_wide_as_it(usual: "playwright.Page") -> None:
    page = usual
    screen = page.evaluate(DRAWN)
    page.emulate_media(color_scheme="dark")
    page.evaluate("() => dispatchEvent(new Event('beforeprint'))")
    assert (
        page.evaluate("() => getComputedStyle(document.documentElement).getPropertyValue('--surface').trim()")
        == "#ffffff"
    )
    paper = page.evaluate(DRAWN)
    assert all(drawn == place <= 900 for _, drawn, place in paper)
    ribbons = page.evaluate(
        "() => [...document.querySelectorAll('#chart-flows .sankey-link')].map((link) => getComputedStyle(link).opacity)"
    )
    assert ribbons
    assert set(ribbons) == {"1"}
    page.evaluate("() => dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(DRAWN) == screen
    page.emulate_media(color_scheme="light")
    assert page.pdf(format="A4").count(b"/Type /Page\n") <= 5


def test_the_page_can_be_found_through_without_seeing_it(usual: "playwright.Page") -> None:
    page = usual
    levels = page.evaluate("() => [...document.querySelectorAll('h1, h2, h3, h4')].map((h) => Number(h.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.evaluate("() => [...document.querySelectorAll('table')].every((t) => t.caption?.textContent.trim())")
    assert page.evaluate("() => [...document.querySelectorAll('.chart')].every((c) => c.role && c.ariaLabel.trim())")
    assert page.evaluate("() => [...document.querySelectorAll('th')].every((h) => h.scope)")
    assert page.evaluate("() => document.documentElement.lang") == "en"
