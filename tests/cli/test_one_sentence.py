"""A finding is worded once: JSON, terminal, page and card of one audit say the same sentence."""

import html
import re
from pathlib import Path
from typing import Any

import pytest

from birthmark.records import Effects, read_record
from birthmark.report.text import in_text, short_names
from birthmark.values.wording import finding

ASKED = ("--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--candidates", "lexicon", "--quiet")
WORDS = {
    "Communion": ("love", "kindness", "care", "friend"),
    "Agency": ("power", "skill", "success", "goal"),
    "Order": ("rule", "law", "duty", "plan"),
}


def lexicon(folder: Path, *categories: str) -> Path:
    file = folder / f"{len(categories)}-categories.csv"
    rows = [f"{word},{category}" for category in categories for word in WORDS[category]]
    file.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
    return file


def flat(text: str) -> str:
    return " ".join(text.split())


def page_text(page: Path) -> str:
    body = page.read_text(encoding="utf-8").partition("<body>")[2].partition('<script type="text/plain"')[0]
    return flat(html.unescape(re.sub(r"<[^>]+>", " ", body)))


def card_text(out: Path) -> str:
    return flat(re.sub(r"\\(.)", r"\1", (out / "values-card.md").read_text(encoding="utf-8")))


@pytest.mark.parametrize("models", [("tiny_lm",), ("tiny_lm", "tiny_base")], ids=["one model", "two models"])
@pytest.mark.parametrize(
    "categories", [("Agency", "Communion"), ("Agency", "Communion", "Order")], ids=["two", "three"]
)
def test_json_terminal_page_and_card_say_the_same(
    models: tuple[str, ...], categories: tuple[str, ...], request: Any, birthmark: Any, tmp_path: Path
) -> None:
    folders = [request.getfixturevalue(name) for name in models]
    families = [option for at, folder in enumerate(folders) for option in ("--family", f"{folder}=F{at}")]
    out = tmp_path / "out"
    words = lexicon(tmp_path, *categories)
    answer = birthmark("audit", *folders, *ASKED, *families, "--frame", "qa", "--lexicon", words, "--out", out)
    assert answer.code == 0, answer.err
    (file,) = (out / "effects").glob("*.json")
    record = read_record(file, Effects)
    assert record.sentence is not None
    said = in_text(record.sentence, short_names(item.model for item in record.models))
    page, card = page_text(out / "report.html"), card_text(out)
    assert record.sentence == finding(record).text
    for place in (flat(answer.out), page, card):
        assert said in place
    assert in_text(finding(record).title, short_names(item.model for item in record.models)) in page
