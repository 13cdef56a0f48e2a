"""A hostile name in every field, through every output: nothing runs, nothing breaks, no control byte reaches a terminal."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from test_page_in_browser import DESK, Visit, browser, open_page  # noqa: F401

from birthmark.foreign import UNSEEN
from birthmark.records import PromptRecord
from birthmark.report.audit import write_report
from birthmark.report.card import write_card
from report_outs import lexicon_file, table, write_out

EVIL = "[/]\\u[red]\x1b[2J\x01\x08\x9b31m\u202e\u2028</script><img src=x onerror=alert(1)>'\"`${alert(1)}|=cmd"
LONG = "very-long-" * 1000
FRAMED = {"best_1": "positive", "best_2": "positive", "worst_1": "negative", "worst_2": "negative"}
PROMPTS = {key: PromptRecord(text=f"{EVIL} {key}?", framing=framing) for key, framing in FRAMED.items()}  # type: ignore[arg-type]
WORDS = {
    "constructor": ["love", "care", "[/]", "<b>warm</b>", "=cmd|'/c calc'!A1"],
    f"{EVIL[:40]}\\": ["power", "skill", "__proto__", "a\\u", "{{ 7 }}"],
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    lexicon = lexicon_file(folder / "a[0] 'vega' <b>.csv", {name: words for name, words in plain(WORDS).items()})
    tables = []
    for at, (model, family, base) in enumerate(((EVIL, "toString", EVIL), (LONG, f"{EVIL}\\", LONG))):
        made = table(
            f"slug-{at}", "A" if at else "B", f"base-{at}", seed=at, lean=0.4, prompts=PROMPTS, words=plain(WORDS)
        )
        made.record.model, made.record.family, made.record.base_checkpoint = model, family, base
        made.record.template_system, made.record.dtype, made.record.warnings = (
            EVIL,
            "float32 `x`",
            [f"a warning of {EVIL}"],
        )
        tables.append(made)
    out = write_out(folder / "out", tables, [lexicon])
    for path in (out / "effects").glob("*.json"):  # categories as a hostile file has them
        path.write_text(json.dumps(_renamed(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    study = json.loads((out / "study.json").read_text(encoding="utf-8"))
    study["command_line"], study["warnings"] = f"birthmark audit --out '{EVIL}'", [EVIL]
    (out / "study.json").write_text(json.dumps(study), encoding="utf-8")
    return out


def plain(words: dict[str, list[str]]) -> dict[str, list[str]]:
    """The words under names that a lexicon's file may have, until `_renamed` puts the hostile ones in."""
    return {f"Category{at}": [word.replace('"', "") for word in group] for at, group in enumerate(words.values())}


def _renamed(value: object) -> object:
    names = {f"Category{at}": name for at, name in enumerate(WORDS)}
    if isinstance(value, str):
        return re.sub("Category[01]", lambda found: names[found[0]], value)
    if isinstance(value, dict):
        return {_renamed(key): _renamed(item) for key, item in value.items()}
    return [_renamed(item) for item in value] if isinstance(value, list) else value


@pytest.mark.browser
def test_the_page_opens_and_nothing_of_it_executes(hostile: Path, open_page: Callable[..., Visit]) -> None:  # noqa: F811
    page = write_report(hostile)
    visit = open_page(page, viewport=DESK)
    dialogs: list[str] = []
    visit.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    visit.scroll_through()
    for word in ("__proto__", "constructor", "[/]", "<b>warm</b>"):
        visit.look_up(word)
    assert dialogs == [] and visit.complaints == [] and visit.requests == []
    assert visit.page.locator("main img, main b b, section script:not([type])").count() == 0
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= DESK["width"]
    assert "U+001B" in visit.page.inner_text("h1, main")
    assert not UNSEEN.search(visit.page.inner_text("main").replace("\n", "").replace("\t", ""))


def test_every_figure_is_xml_and_an_image(hostile: Path) -> None:
    if not (hostile / "figures").is_dir():
        write_report(hostile)
    drawn = sorted((hostile / "figures").glob("*.svg"))
    assert len(drawn) >= 2
    for path in drawn:
        ElementTree.parse(path)
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_the_card_holds_no_element_and_no_control_byte(hostile: Path) -> None:
    card = write_card(hostile).read_text(encoding="utf-8")
    assert not UNSEEN.search(card.replace("\n", ""))
    assert not re.search(r"(?<!\\)<", re.sub("`[^`]*`", "", card.replace("\\`", "")))


@pytest.mark.parametrize(
    "command",
    [
        ("compare", "{table}", "{other}", "--lexicon", "{lexicon}"),
        ("scores", "show", "{table}"),
        ("scores", "show", "{table}", "--csv"),
        ("scores", "show", "{table}", "--json"),
        ("scores", "check", "{table}"),
        ("map", "{table}", "{other}"),
        ("lexicons", "show", "{own}"),
        ("lexicons", "show", "{own}", "--json"),
        ("lexicons", "check", "{own}"),
        ("lexicons", "show", EVIL),
        ("prompts", "list", "--prompts", "{prompts}"),
        ("prompts", "list", "--prompts", "{prompts}", "--json"),
        ("prompts", "check", EVIL),
        ("models", "list", "--catalog", "{catalog}"),
        ("models", "show", "evil", "--catalog", "{catalog}"),
        ("models", "show", EVIL),
        ("models", "list", f"--{EVIL}"),
    ],
    ids=lambda words: " ".join(word[:20] for word in words).encode("ascii", "replace").decode(),
)
def test_no_control_byte_reaches_the_terminal(
    hostile: Path,
    tmp_path: Path,
    birthmark: Callable[..., object],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    own, prompts, catalog = tmp_path / "own.csv", tmp_path / "prompts.yaml", tmp_path / "catalog.toml"
    named = json.dumps("[/]\\u[red]<b>" + "x" * 40).replace('"', "")
    own.write_text(f"word,category\nlove,{named}\n[/],[bold]B\n:heart:,{named}\n", encoding="utf-8")
    prompts.write_text(json.dumps({"key": {"text": f"{EVIL}?", "framing": "positive"}}), encoding="utf-8")
    text = json.dumps(EVIL).replace("\\u2028", "\\u2028")
    catalog.write_text(
        f'[models."evil"]\nhub = "owner/name"\nkind = "reward"\nfamily = {text}\nbase_checkpoint = {text}\nlicence = {text}\n'
        f'notes = {text}\nsources = ["https://a.example"]\n',
        encoding="utf-8",
    )
    tables = sorted((hostile / "scores").glob("*.parquet"))
    places = {
        "table": tables[0],
        "other": tables[1],
        "out": hostile,
        "own": own,
        "prompts": prompts,
        "catalog": catalog,
        "lexicon": next(hostile.parent.glob("*.csv")),
    }
    words = [str(places.get(word[1:-1], word)) if word.startswith("{") else word for word in command]
    answer = birthmark(*words)
    assert answer.code in (0, 2, 3)
    for said in (answer.out, answer.err):
        found = UNSEEN.search(said.replace("\n", ""))
        assert found is None, said[max(0, found.start() - 60) : found.start() + 60]
        assert "Traceback" not in said
    if "--json" in command and answer.code == 0:
        json.loads(answer.out)
    if answer.code == 2:
        assert len(answer.err.splitlines()) == 1
