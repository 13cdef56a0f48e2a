"""Hostile names of runs, preferences, bases, personas and planted categories: nothing runs, no control byte is printed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from test_hostile_names import EVIL
from test_page_in_browser import DESK, Visit, browser, open_page  # noqa: F401
from test_planted_figures import SETTING, a_run

from birthmark.foreign import UNSEEN
from birthmark.records import to_json
from birthmark.records.calibration import PlantedDivergence
from birthmark.report.calibration import write_calibration_report
from birthmark.values.planted import planted_results
from tiny_models import write_tiny_model
from tiny_runs import SIX, prompt_options, write_run, write_small_lexicon

FOLDER = EVIL.replace("/", "")  # a folder's name has no slash
MARKUP = UNSEEN.sub("", FOLDER)  # nor, where a person names it, a control character
Command = Callable[..., Any]


def require_spotless(answer: Any, *, code: int = 0) -> Any:
    """Nothing that a terminal obeys was printed; a refusal is one line."""
    assert answer.code == code, answer.err
    for said in (answer.out, answer.err):
        found = UNSEEN.search(said.replace("\n", ""))
        assert found is None, said[max(0, found.start() - 60) : found.start() + 60]
        assert "Traceback" not in said
    assert code != 2 or len(answer.err.splitlines()) == 1
    return answer


def require_harmless(page: Path, open_page: Callable[..., Visit], *shown: str) -> None:  # noqa: F811
    """The page opens, asks for nothing, runs nothing of the names, and shows what is invisible by its code point."""
    visit = open_page(page, viewport=DESK)
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    visit.scroll_through()
    assert dialogs == [] and visit.complaints == [] and visit.requests == []
    assert visit.page.locator("main img, main b b, section script:not([type])").count() == 0
    text = visit.page.inner_text("body")
    assert not UNSEEN.search(text.replace("\n", "").replace("\t", ""))
    assert all(each in text for each in shown)
    for path in page.parent.glob("figures/*.svg"):
        ElementTree.parse(path)


def preferences(path: Path) -> Path:
    rows = [{"prompt": f"Case {at}?", "chosen": f"love {at}", "rejected": f"power {at}"} for at in range(8)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_lexicon(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def runs(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on each of two bases, a hostile name in every field that a person or a trainer fills in."""
    folder = tmp_path_factory.mktemp("runs")
    for at, base in enumerate((tiny_lm, write_tiny_model(folder / "other", seed=11))):
        run = write_run(folder / f"grid/{at}{FOLDER}", base, steps=(0, 2), seed=5 * at)
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
        named = {"family": f"{at}{EVIL}", "base_checkpoint": f"{at}{EVIL}\\", "source": EVIL, "loss": f"<b>{EVIL}"}
        (run / "run.json").write_text(json.dumps(record | named), encoding="utf-8")
    return folder / "grid"


# -------------------------------------------------------------------------------------------------------- tracks


@pytest.mark.browser
def test_a_track_of_hostile_runs(
    birthmark: Command,
    runs: Path,
    small: Path,
    tmp_path: Path,
    open_page: Callable[..., Visit],  # noqa: F811
) -> None:
    asked = ("track", runs, "--lexicon", small, *prompt_options(SIX[::3]), "--heads", "20", "--out", tmp_path / "out")
    require_spotless(birthmark(*asked))
    json.loads(require_spotless(birthmark(*asked, "--json")).out)
    json.loads(require_spotless(birthmark(*asked, "--dry-run", "--json")).out)
    require_spotless(birthmark(*asked, "--dry-run"))
    require_harmless(tmp_path / "out/report.html", open_page, "U+001B", "<img src=x onerror=alert(1)>")
    assert list((tmp_path / "out/figures").glob("*.svg"))


@pytest.mark.parametrize("options", [(FOLDER,), ("{run}", "--revisions", EVIL), ("{run}", "--family", EVIL)])
def test_a_track_that_is_refused(
    birthmark: Command, runs: Path, small: Path, options: tuple[str, ...], tmp_path: Path
) -> None:
    words = [str(runs) if word == "{run}" else word for word in options]
    asked = ("track", *words, "--lexicon", small, "--prompt", "best_ever_one", "--dry-run", "--out", tmp_path / "out")
    require_spotless(birthmark(*asked), code=2)


def test_a_run_record_that_cannot_be_read(birthmark: Command, tmp_path: Path) -> None:
    (tmp_path / FOLDER / "checkpoints/step-000001").mkdir(parents=True)
    (tmp_path / FOLDER / "checkpoints/step-000001/config.json").write_text("{}")
    (tmp_path / FOLDER / "run.json").write_text(json.dumps({"pairs": EVIL}), encoding="utf-8")
    require_spotless(birthmark("track", tmp_path / FOLDER, "--out", tmp_path / "out"), code=2)


# ------------------------------------------------------------------------------------------------------ training


def test_training_on_a_hostile_file(birthmark: Command, tiny_lm: Path, tmp_path: Path) -> None:
    file = preferences(tmp_path / f"{MARKUP}.jsonl")
    asked = ("train", "--base", tiny_lm, "--preferences", file, "--preset", "small", "--lora-rank", "2")
    named = ("--family", MARKUP, "--base-checkpoint", MARKUP, "--out", tmp_path / MARKUP)
    require_spotless(birthmark(*asked, *named, "--dry-run"))
    require_spotless(birthmark(*asked, *named))
    record = json.loads(require_spotless(birthmark(*asked, *named, "--json")).out)
    assert (record["source"], record["family"], record["finished"]) == (MARKUP, MARKUP, True)
    for option in ("--family", "--base-checkpoint", "--out", "--preferences", "--base"):
        require_spotless(birthmark(*asked, *named, option, FOLDER), code=2)


def test_a_grid_of_hostile_labels(birthmark: Command, tiny_lm: Path, tmp_path: Path) -> None:
    file = preferences(tmp_path / f"{FOLDER}.jsonl")
    base = {"model": str(tiny_lm), "family": EVIL, "base_checkpoint": EVIL}
    grid = {"bases": [base], "sources": [file.name], "preset": "small", "recipe": {"lora_rank": 2}}
    (tmp_path / "grid.yaml").write_text(json.dumps(grid), encoding="utf-8")
    asked = ("train", "--grid", tmp_path / "grid.yaml", "--out", tmp_path / "runs")
    (plan,) = json.loads(require_spotless(birthmark(*asked, "--dry-run", "--json")).out)
    require_spotless(birthmark(*asked, "--dry-run"))
    assert not UNSEEN.search(plan["run"]) and "/" not in plan["run"]
    for broken in (
        {**grid, "sources": [EVIL]},
        {**grid, "bases": [EVIL]},
        {**grid, EVIL: 1},
        {**grid, "losses": [EVIL]},
    ):
        (tmp_path / "grid.yaml").write_text(json.dumps(broken), encoding="utf-8")
        require_spotless(birthmark(*asked, "--dry-run"), code=2)


def test_preferences_that_cannot_be_read(birthmark: Command, tiny_lm: Path, tmp_path: Path) -> None:
    (tmp_path / f"{FOLDER[:60]}.jsonl").write_text(json.dumps({EVIL: EVIL}) + "\n", encoding="utf-8")
    (tmp_path / f"{FOLDER[:60]}.evil").write_text("x")
    (tmp_path / f"{FOLDER[:60]}.parquet").write_bytes(b"PAR1\x1b[2J")
    for path in (*tmp_path.glob("*.*"), EVIL, f"{EVIL}.jsonl"):
        require_spotless(birthmark("train", "--base", tiny_lm, "--preferences", path, "--out", tmp_path / "o"), code=2)


# -------------------------------------------------------------------------------- personas, prompts, calibration


@pytest.mark.browser
def test_an_audit_under_hostile_personas(
    birthmark: Command,
    tiny_lm: Path,
    small: Path,
    tmp_path: Path,
    open_page: Callable[..., Visit],  # noqa: F811
) -> None:
    file = tmp_path / "personas.yaml"
    file.write_text(json.dumps({"constructor": f"You are {EVIL}", "__proto__": "You are {{ 7 }} ${alert(1)}"}))
    asked = ("audit", tiny_lm, "--family", MARKUP, "--base-checkpoint", MARKUP, "--lexicon", small, "--persona", file,
             "--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--quiet", "--out", tmp_path / "out")  # fmt: skip
    require_spotless(birthmark(*asked))
    json.loads(require_spotless(birthmark(*asked, "--json")).out)
    require_harmless(tmp_path / "out/report.html", open_page, "<img src=x onerror=alert(1)>")
    require_harmless(tmp_path / "out/constructor/report.html", open_page, "<img src=x onerror=alert(1)>")


@pytest.mark.parametrize("key", [EVIL, "a\x1b[2J", "<b>", "..", "[/]"])
def test_keys_that_are_no_names_are_refused_at_the_door(
    key: str, birthmark: Command, tiny_lm: Path, tmp_path: Path
) -> None:
    file = tmp_path / "keys.yaml"
    file.write_text(json.dumps({key: "You are one."}), encoding="utf-8")
    asked = ("score", tiny_lm, "--candidates", "love,power")
    answer = require_spotless(birthmark(*asked, "--prompt", "best_ever_one", "--persona", file), code=2)
    assert "cannot be a persona's name" in answer.err
    file.write_text(json.dumps({key: {"text": "What?", "framing": "positive"}}), encoding="utf-8")
    if key != "..":
        assert "cannot be a prompt's key" in require_spotless(birthmark(*asked, "--prompts", file), code=2).err
    require_spotless(birthmark("prompts", "check", file), code=2 if key != ".." else 0)


@pytest.mark.browser
def test_a_calibration_of_hostile_categories(
    birthmark: Command,
    tmp_path: Path,
    open_page: Callable[..., Visit],  # noqa: F811
) -> None:
    runs = [a_run(base, category, seed) for base in (EVIL, "toString") for category in (EVIL, "x\\") for seed in (0, 1)]
    diverged = [PlantedDivergence(base=EVIL, category=EVIL, seed=3, why=f"the loss rose {EVIL}")]
    record = planted_results(runs, SETTING).model_copy(update={"planted_diverged": diverged})
    (tmp_path / "calibration.json").write_text(to_json(record), encoding="utf-8")
    require_harmless(write_calibration_report(tmp_path), open_page, "U+001B", "<img src=x onerror=alert(1)>")
    require_spotless(birthmark("calibrate", "planted", "--category", EVIL, "--dry-run"), code=2)
    require_spotless(birthmark("calibrate", "planted", "--base", EVIL, "--dry-run"), code=2)


@pytest.mark.parametrize("option", ["--data", "--planted", "--out"])
def test_a_replication_of_hostile_places(option: str, birthmark: Command, tmp_path: Path) -> None:
    place = tmp_path / FOLDER
    if option == "--planted":
        place.mkdir()
        (place / "calibration.json").write_text(json.dumps({"sentence": EVIL, EVIL: [EVIL]}), encoding="utf-8")
    require_spotless(birthmark("replicate", option, place), code=2)
