"""The page in headless Chromium: what a reader does with it, on a phone and at a desk, in the light and in the dark."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

import pytest

from birthmark.report.figure import FILE_COLOURS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

pytestmark = pytest.mark.browser
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-smooth-scrolling",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE, DESK = {"width": 375, "height": 812}, {"width": 1100, "height": 900}


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = next((path for name in NAMES if (path := which(name))), None)
    if chromium is None:
        pytest.skip(f"no Chromium is installed (looked for {', '.join(NAMES)})")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=chromium, args=list(QUIET))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: "Browser") -> "Iterator[Callable[..., Visit]]":
    """Opens a page; what a test opened is closed after it."""
    visits: list[Visit] = []

    def opened(path: Path, **options: object) -> Visit:
        visits.append(Visit(browser, path, **options))
        return visits[-1]

    yield opened
    for one in visits:
        one.context.close()


@pytest.fixture(scope="module")
def desk(browser: "Browser", two: Path) -> "Iterator[Visit]":
    """The page at a desk, opened once for all that only look words up."""
    visit = Visit(browser, two, viewport=DESK)
    yield visit
    visit.context.close()


class Visit:
    """An open page and what went wrong or was asked of the network while it was open."""

    def __init__(self, browser: "Browser", path: Path, **options: object) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.context = browser.new_context(**options)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.on("request", self._note)
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def _note(self, request: "Request") -> None:
        if not request.url.startswith(("file:", "data:")):
            self.requests.append(request.url)

    def scroll_through(self) -> None:
        """Down the page a screen at a time, so that every figure is looked at and comes alive."""
        height = self.page.evaluate("document.documentElement.scrollHeight")
        for top in range(0, height, 600):
            self.page.evaluate(f"scrollTo(0, {top})")
            self.page.wait_for_timeout(20)
        self.page.wait_for_function(
            "[...document.querySelectorAll('.plot')].filter(p => p.offsetParent).every(p => 'live' in p.dataset)"
        )

    def look_up(self, word: str) -> str:
        self.page.evaluate("document.getElementById('found').replaceChildren()")  # what an earlier word found
        self.page.fill("#word", word)
        self.page.wait_for_selector("#found > *")
        return self.page.inner_text("#found")


@pytest.fixture(scope="module", params=["two_models", "side_by_side"])
def report(request: pytest.FixtureRequest, drawn: Callable[[str], Path]) -> Path:
    return drawn(request.param)


@pytest.fixture(scope="module")
def two(drawn: Callable[[str], Path]) -> Path:
    return drawn("two_models")


def test_the_whole_page_asks_nothing_of_the_network_and_complains_of_nothing(
    open_page: Callable[..., "Visit"], report: Path
) -> None:
    visit = open_page(report, viewport=DESK)
    visit.scroll_through()
    visit.look_up("love")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= DESK["width"]
    assert visit.requests == []
    assert visit.complaints == []


def test_nothing_overflows_a_phone_in_the_dark(open_page: Callable[..., "Visit"], report: Path) -> None:
    visit = open_page(report, viewport=PHONE, color_scheme="dark", has_touch=True, is_mobile=True)
    visit.scroll_through()
    visit.look_up("love")
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert visit.page.evaluate("document.body.scrollWidth") <= PHONE["width"]
    assert visit.complaints == []


def test_search_finds_a_word_in_every_model_and_framing(desk: "Visit") -> None:
    found = desk.look_up("love")
    assert "as a word" in found
    for text in ("gemma-3-270m", "smollm2-135m-instruct", "asked for the best", "asked for the worst", "of 20", "top"):
        assert text in found


def test_search_finds_the_very_token_first(desk: "Visit") -> None:
    assert desk.look_up(" Love").startswith("␣Love")
    assert desk.look_up("Love").startswith("Love")
    assert desk.page.locator("#found table").count() == 6  # the word, four forms, and one after a no-break space


@pytest.mark.parametrize(
    "word", ["__proto__", "constructor", "<script>alert(1)</script>", "{{ 7 * 7 }}", "مرحبا", "👩‍👩‍👧"]
)
def test_search_finds_awkward_tokens(desk: "Visit", word: str) -> None:
    assert "as this very token" in desk.look_up(word)
    assert desk.complaints == []


def test_search_names_the_framing_of_every_rank_on_a_phone(open_page: Callable[..., "Visit"], two: Path) -> None:
    visit = open_page(two, viewport=PHONE)
    visit.look_up("love")
    labels = visit.page.evaluate(
        "[...document.querySelectorAll('#found td[data-framing]')].map(td => getComputedStyle(td, '::before').content)"
    )
    assert set(labels) == {'"asked for the best"', '"asked for the worst"'}


@pytest.mark.parametrize("word", ["xyzzy", "toString", "hasOwnProperty"])
def test_search_says_when_a_word_is_not_there(desk: "Visit", word: str) -> None:
    assert "is not among the words" in desk.look_up(word)


def test_search_offers_what_begins_alike(desk: "Visit") -> None:
    desk.look_up("moon")
    desk.page.get_by_role("button", name="moonbeam").click()
    assert desk.page.input_value("#word") == "moonbeam"
    assert "moonbeam" in desk.page.inner_text("#found")


def test_search_agrees_with_the_table(desk: "Visit", two: Path) -> None:
    """The rank shown is the median over the framing's prompts of ranks counted by hand."""
    from birthmark.scoring.table import read_scores

    table = read_scores(two.parent / "scores" / "gemma-3-270m.parquet")
    keys = [key for key in table.prompt_keys if table.prompts[key].framing == "positive"]
    ranks = []
    for key in keys:
        scores = dict(zip(table.words["candidate"], table.words[key], strict=True))
        ranks.append(1 + sum(score > scores["love"] for score in scores.values()))
    ranks.sort()
    desk.look_up("love")
    shown = desk.page.locator("#found table").first.locator("tbody tr").first.locator("td").first.inner_text()
    middle = ranks[len(ranks) // 2]
    ending = "th" if 10 < middle % 100 < 14 else {1: "st", 2: "nd", 3: "rd"}.get(middle % 10, "th")
    assert shown.split(" of ")[0] == f"{middle:,}{ending}"


@pytest.mark.parametrize("typed", ["freedmo", "freeedom", "fredom"])
def test_search_forgives_a_typo(desk: "Visit", typed: str) -> None:
    found = desk.look_up(typed)
    assert "is not among the words" in found and "Did you mean" in found
    assert desk.page.get_by_role("button", name="freedom", exact=True).first.is_visible()


def test_the_models_are_sorted_by_the_column_whose_heading_is_pressed(desk: "Visit") -> None:
    table = desk.page.locator("table.sortable").first
    head = table.locator("thead th").filter(has_text="Contrast").first
    seen = []
    for way in ("descending", "ascending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == way
        seen.append(table.locator("tbody th").all_inner_texts())
    assert len(seen[0]) == 2 and seen[0] == seen[1][::-1]


@pytest.mark.parametrize("kind", ["svg", "png"])
def test_a_figure_is_saved_without_the_network(desk: "Visit", kind: str) -> None:
    with desk.page.expect_download() as waiting:
        desk.page.locator(f"figure button[data-save={kind}]").first.click()
    saved = Path(waiting.value.path()).read_bytes()
    assert waiting.value.suggested_filename.endswith(f".{kind}")
    assert saved.startswith(b"\x89PNG" if kind == "png" else b"<svg") and b"var(--" not in saved
    assert desk.requests == []


def test_keyboard_skips_to_the_finding_and_reaches_the_search(open_page: Callable[..., "Visit"], two: Path) -> None:
    visit = open_page(two, viewport=DESK)
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    for _ in range(40):
        visit.page.keyboard.press("Tab")
        if visit.page.evaluate("document.activeElement.id") == "word":
            break
    visit.page.keyboard.type("power")
    visit.page.wait_for_selector("#found > *")
    assert "power" in visit.page.inner_text("#found")


def test_dark_mode_is_dark_and_light_mode_light(open_page: Callable[..., "Visit"], two: Path) -> None:
    def brightness(scheme: str, what: str) -> float:
        page = open_page(two, viewport=DESK, color_scheme=scheme).page
        colour = page.evaluate(f"getComputedStyle(document.body).{what}")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(",")) / 3

    assert brightness("dark", "backgroundColor") < 60
    assert brightness("dark", "color") > 190
    assert brightness("light", "backgroundColor") > 190
    assert brightness("light", "color") < 60


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(open_page: Callable[..., "Visit"], two: Path, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, 3 to 1 for the figures' hues, against the paper."""
    page = open_page(two, viewport=DESK, color_scheme=scheme).page
    names = ["paper", "card", "ink", "soft", "faint", "accent", *(f"hue-{n}" for n in range(1, 9))]
    colours = page.evaluate(
        "names => { const style = getComputedStyle(document.documentElement);"
        " return Object.fromEntries(names.map(name => [name, style.getPropertyValue('--' + name).trim()])); }",
        names,
    )
    for ground in ("paper", "card"):
        for name in ("ink", "soft", "accent", "faint"):
            assert _contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
        for n in range(1, 9):
            assert _contrast(colours[f"hue-{n}"], colours[ground]) >= 3.0, (n, ground)


def _contrast(one: str, two: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(two)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_points_name_themselves(open_page: Callable[..., "Visit"], two: Path) -> None:
    visit = open_page(two, viewport=DESK)
    visit.scroll_through()
    point = visit.page.locator(".plot.wide .mark-symbol path").first
    point.scroll_into_view_if_needed()
    point.hover()
    visit.page.wait_for_selector("#vg-tooltip-element.visible")
    assert "gemma-3-270m" in visit.page.inner_text("#vg-tooltip-element")


def test_a_screen_reader_finds_tables_named_and_figures_described(
    open_page: Callable[..., "Visit"], report: Path
) -> None:
    page = open_page(report, viewport=DESK).page
    assert page.evaluate(
        "[...document.querySelectorAll('table')].every(t => t.caption && t.caption.textContent.trim())"
    )
    assert page.evaluate("[...document.querySelectorAll('th')].every(th => th.scope)")
    assert page.evaluate("[...document.querySelectorAll('figure')].every(f => f.querySelector('figcaption, .vh'))")
    assert page.evaluate("document.querySelector('label[for=word]') !== null")
    levels = page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_without_scripts_figures_and_lists_are_there(open_page: Callable[..., "Visit"], two: Path) -> None:
    page = open_page(two, viewport=DESK, java_script_enabled=False).page
    assert page.locator(".plot.wide svg").first.is_visible()
    assert page.locator(".ranked li").first.is_visible()
    assert page.get_by_text("needs JavaScript").is_visible()


def test_it_prints(open_page: Callable[..., "Visit"], two: Path, tmp_path: Path) -> None:
    visit = open_page(two, viewport=DESK, color_scheme="dark")
    pdf = visit.page.pdf(path=tmp_path / "report.pdf", format="A4")
    assert pdf.startswith(b"%PDF")
    visit.page.emulate_media(media="print")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    light = "getComputedStyle(document.documentElement).getPropertyValue('--hue-1').trim()"
    assert visit.page.evaluate(light) == FILE_COLOURS["hue-1"]
    assert not visit.page.locator("#look-up").is_visible()
