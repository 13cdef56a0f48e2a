"""`birthmark audit --among`: a reward model's place among the published ten and among score tables."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import birthmark as bm
from tiny_models import write_tiny_model

WORDS = {
    "Agency": ("power", "skill", "success", "ambition", "freedom", "control"),
    "Communion": ("love", "care", "peace", "harmony", "trust", "friendship"),
}
ASKED = ("--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--quiet")
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lexicon") / "own.csv"
    rows = [f"{word},{category}" for category, words in WORDS.items() for word in words]
    file.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def scored(tiny_rm: Path, lexicon: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OUT with the score tables of two reward models."""
    out = tmp_path_factory.mktemp("others") / "out"
    other = write_tiny_model(tmp_path_factory.mktemp("models") / "other-rm", seed=8, reward=True)
    for model in (tiny_rm, other):
        bm.score(model, out=out, lexicons=lexicon, prompt=["best_ever_one", "worst_ever_one"])
    return out


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("models") / "mine", seed=9, reward=True)


def test_a_model_is_placed_among_score_tables(
    birthmark: Run, mine: Path, scored: Path, lexicon: Path, tmp_path: Path
) -> None:
    ran = birthmark("audit", mine, "--among", scored, "--lexicon", lexicon, "--out", tmp_path / "out", *ASKED)
    assert ran.code == 0, ran.err
    record = json.loads((tmp_path / "out" / "among.json").read_text(encoding="utf-8"))
    (found,) = record["standings"]
    assert found["n_models"] == 3 and found["basis"] == "score tables"
    contrasts = sorted((other["mean_rank_contrast"] for other in found["others"]), reverse=True)
    assert found["place"] == 1 + sum(contrast > found["mine"]["mean_rank_contrast"] for contrast in contrasts)
    assert "★ " in ran.out and "of 3 from the Communion end" in ran.out
    assert json.loads((tmp_path / "out" / "map.json").read_text(encoding="utf-8"))["models"][0] == str(mine)
    assert 'id="among"' in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert [path.name for path in (tmp_path / "out" / "figures").glob("*-among.svg")]
    card = (tmp_path / "out" / "values-card.md").read_text(encoding="utf-8")
    assert "of 3 from the Communion end" in card and "--out" not in card


def test_tables_that_the_shell_writes_out_are_not_taken_for_models(
    mine: Path, scored: Path, lexicon: Path, tmp_path: Path
) -> None:
    first, second = sorted((scored / "scores").glob("*.parquet"))
    result = bm.audit(
        mine, second, among=first, lexicons=lexicon, prompt=["best_ever_one", "worst_ever_one"], out=tmp_path / "out"
    )
    assert result.among is not None
    assert len(result.tables) == 1
    assert {other.model for other in result.among.standings[0].others} == {
        bm.read_scores(path).model for path in (first, second)
    }
    assert result.to_dict()["among"] == result.among.model_dump(mode="json")


def test_the_study_is_read_from_a_clone_and_its_nouns_are_the_lexicon(
    birthmark: Run, mine: Path, shared: Path, tmp_path: Path
) -> None:
    ran = birthmark(
        "audit", mine, "--among", "study", "--data", shared / "paper-data", "--out", tmp_path / "out", "--json", *ASKED
    )
    assert ran.code == 0, ran.err
    (found,) = json.loads(ran.out)["among"]["standings"]
    assert (found["lexicon"], found["n_words"], found["n_models"]) == ("big-two-nouns", 263, 11)
    assert found["others"][0]["spearman"] is not None


def test_without_a_network_the_bundled_values_stand_in(
    birthmark: Run, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # nobody answers there
    some = birthmark(
        "audit", mine, "--among", "study", "--prompt", "best_ever_one", "--out", tmp_path / "out", "--quiet"
    )
    assert some.is_error("54 questions", "--data DIR") and not (tmp_path / "out").exists()
    ran = birthmark("audit", mine, "--among", "study", "--out", tmp_path / "out", "--quiet")
    assert ran.code == 0, ran.err
    assert "61 words of the 120 in starter" in ran.out
    assert "could not be fetched" in ran.out
    assert [path.name for path in (tmp_path / "out" / "figures").glob("*-starter-among.svg")]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--among", "nothing"), "--among takes study, score tables"),
        (("--data", "."), "goes with --among study"),
        (("--among", "study", "--among", "x.parquet"), "not both"),
    ],
)
def test_what_cannot_be_placed_among_is_one_line(
    birthmark: Run, tiny_rm: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = birthmark("audit", tiny_rm, *arguments)
    assert ran.is_error(said), ran.err


def test_a_language_model_is_not_placed_among_reward_models(
    birthmark: Run, tiny_lm: Path, scored: Path, tmp_path: Path
) -> None:
    ran = birthmark("audit", tiny_lm, "--among", scored, "--out", tmp_path / "out")
    assert ran.is_error("is a language model", "name a reward model"), ran.err


def test_a_folder_that_lost_its_table_says_so(birthmark: Run, tiny_rm: Path, scored: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(scored / "scores", copy)
    for path in copy.glob("*.json"):
        path.unlink()
    ran = birthmark("audit", tiny_rm, "--among", copy)
    assert ran.is_error(".json", "missing"), ran.err
