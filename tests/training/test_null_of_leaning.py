"""Beside a reward model's leaning, an audit says what random heads on the same base give."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import birthmark as bm
from birthmark.cli.show import print_audit
from birthmark.values.random_heads import read_head_words

HEADS = 40
WORDS = {"power": "Agency", "skill": "Agency", "success": "Agency", "love": "Communion", "family": "Communion", "friend": "Communion"}  # fmt: skip
ASKED: dict[str, Any] = {"prompt": ["best_ever_one", "worst_ever_one"], "candidates": "lexicon"}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "small.csv"
    path.write_text("word,category\n" + "".join(f"{word},{name}\n" for word, name in WORDS.items()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def audited(bt_run: Any, words: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    out = tmp_path_factory.mktemp("null") / "out"
    return bm.audit(bt_run.out, out=out, lexicons=[words], heads=HEADS, **ASKED)


def test_an_adapters_leaning_has_the_null_of_its_base(audited: Any, words: Path) -> None:
    (effects,) = audited.effects
    (model,) = effects.models
    (heads,) = read_head_words(audited.out, "small")
    drawn = heads.contrasts(bm.load_lexicon(words), sorted(WORDS))
    null = model.null
    assert null is not None and null.of_base and null.n_heads == HEADS
    assert (null.low, null.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert null.p == (1 + sum(abs(drawn) >= abs(model.mean_rank_contrast) * (1 - 1e-9))) / (HEADS + 1)


def test_page_card_and_terminal_say_it(audited: Any, capsys: pytest.CaptureFixture[str]) -> None:
    print_audit(audited)
    for said in (
        capsys.readouterr().out,
        (audited.out / "report.html").read_text(encoding="utf-8"),
        (audited.out / "values-card.md").read_text(encoding="utf-8"),
    ):
        assert f"what {HEADS} random heads on" in " ".join(said.split()) or f"what {HEADS} random heads" in said


def test_without_heads_it_says_why_there_is_no_null(bt_run: Any, words: Path, tmp_path: Path) -> None:
    (effects,) = bm.audit(bt_run.out, out=tmp_path / "out", lexicons=[words], heads=0, **ASKED).effects
    assert effects.models[0].null is None and "--heads" in effects.models[0].null_why
