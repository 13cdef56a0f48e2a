"""The page as a file: whole, safe, and drawn from whatever an OUT folder holds."""

from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from shutil import copytree, rmtree

import pytest

from birthmark.errors import BirthmarkError
from birthmark.report.audit import read_contents, write_report
from report_outs import NASTY, embedded_json


class Outline(HTMLParser):
    """Headings' levels, element ids, texts of tables' captions, and what would be fetched."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag in {"h1", "h2", "h3", "h4", "h5", "h6"}:
            self.levels.append(int(tag[1]))
        if given.get("id"):
            self.ids.append(str(given["id"]))
        if "src" in given or (tag == "link" and given.get("href") != "data:,"):
            self.fetched.append(str(given))


@pytest.fixture(scope="module")
def page(drawn: Callable[[str], Path]) -> str:
    return drawn("two_models").read_text(encoding="utf-8")


@pytest.fixture(params=["two_models", "side_by_side", "ten_models", "no_framing"])
def any_report(request: pytest.FixtureRequest, drawn: Callable[[str], Path]) -> Path:
    return drawn(request.param)


def test_page_is_one_file_below_five_megabytes_that_fetches_nothing(any_report: Path) -> None:
    path = any_report
    assert path.name == "report.html"
    assert path.stat().st_size < 5_000_000
    assert Outline(path.read_text(encoding="utf-8")).fetched == []


def test_headings_go_down_one_level_at_a_time_and_ids_are_unique(any_report: Path) -> None:
    outline = Outline(any_report.read_text(encoding="utf-8"))
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(outline.levels))
    assert len(set(outline.ids)) == len(outline.ids)


def test_candidates_cannot_break_out_of_the_page(page: str) -> None:
    outline = Outline(page)
    assert "img" not in outline.tags
    assert "b" not in outline.tags
    assert "<script>alert" not in page
    assert "49" not in [text for text in page.split("{{") if text.startswith(" 7 * 7")]


def test_search_knows_every_shared_candidate_to_the_letter(page: str) -> None:
    data = embedded_json(page, "search-data")
    assert set(NASTY) <= set(data["tokens"]["texts"])  # type: ignore[index,call-overload]
    assert {"love", "power"} <= set(data["words"]["texts"])  # type: ignore[index,call-overload]


def test_every_figure_is_also_a_file(two_models: Path, page: str) -> None:
    names = {path.name for path in (two_models / "figures").iterdir()}
    stems = {"own-logprob-ranks", "own-logprob-standings", "own-logprob-adjectives", "own-logprob-words"}
    stems.add("implicit-gemma-3-270m..smollm2-135m-instruct")
    assert names == {f"{stem}{suffix}" for stem in stems for suffix in (".svg", ".png")}


def test_drawing_twice_gives_the_same_page(two_models: Path, page: str) -> None:
    assert write_report(two_models).read_text(encoding="utf-8") == page


@pytest.mark.parametrize("missing", ["scores", "effects", "implicit", "study.json"])
def test_a_missing_part_is_said_rather_than_fatal(two_models: Path, tmp_path: Path, missing: str) -> None:
    out = copytree(two_models, tmp_path / "out")
    rmtree(out / missing) if (out / missing).is_dir() else (out / missing).unlink()
    page = write_report(out).read_text(encoding="utf-8")
    assert 'class="missing"' in page
    assert ('id="look-up"' in page) == (missing != "scores")  # without tables there is nothing to look up


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="no effects, scores or implicit"):
        write_report(tmp_path)


def test_a_damaged_record_is_named(two_models: Path, tmp_path: Path) -> None:
    out = copytree(two_models, tmp_path / "out")
    (out / "effects" / "own.json").write_text("{}")
    with pytest.raises(BirthmarkError, match="own.json"):
        write_report(out)


def test_what_was_merely_looked_at_comes_after_what_was_asked_for(two_models: Path, tmp_path: Path) -> None:
    out = copytree(two_models, tmp_path / "out")
    (asked,) = (out / "effects").glob("*.json")
    text = asked.read_text(encoding="utf-8").replace(f'"lexicon": "{asked.stem}"', '"lexicon": "a-neighbour"')
    (out / "effects" / "a-neighbour.json").write_text(text, encoding="utf-8")
    assert [item.lexicon for item in read_contents(out).effects] == [asked.stem, "a-neighbour"]
