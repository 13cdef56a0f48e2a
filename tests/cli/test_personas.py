"""System prompts and personas: the same questions under another frame of mind, through the command line."""

import json
from pathlib import Path

import pytest

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import NEUTRAL_SYSTEM, load_personas
from birthmark.scoring.table import read_scores
from birthmark.values.wording_page import system_said
from tiny_models import write_tiny_model

WORDS = "love,freedom,power"
SHORT = ("--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--quiet")


@pytest.fixture
def personas(tmp_path: Path) -> Path:
    file = tmp_path / "personas.yaml"
    file.write_text('pirate: "You are a pirate."\nnun: "You are a nun."\n', encoding="utf-8")
    return file


@pytest.fixture
def lexicon(tmp_path: Path) -> Path:
    file = tmp_path / "small.csv"
    file.write_text("word,category\nlove,Communion\ncare,Communion\npower,Agency\nskill,Agency\n", encoding="utf-8")
    return file


# ---------------------------------------------------------------------------------------------------- the file


def test_the_neutral_control_comes_first_and_is_added_where_it_is_missing(personas):
    assert load_personas(personas) == {
        "neutral": NEUTRAL_SYSTEM,
        "pirate": "You are a pirate.",
        "nun": "You are a nun.",
    }


def test_a_files_own_neutral_is_the_control(tmp_path):
    (tmp_path / "own.yaml").write_text("pirate: Arr.\nneutral: Answer.\n", encoding="utf-8")
    assert load_personas(tmp_path / "own.yaml") == {"neutral": "Answer.", "pirate": "Arr."}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not a mapping"),
        ("- a\n", "not a mapping"),
        ("neutral: Answer.\n", "no persona to compare with it"),
        ('pirate: ""\n', "has no text"),
        ("pirate: {text: Arr.}\n", "has no text"),
        ("../pirate: Arr.\n", "cannot be a persona's name"),
        (".hidden: Arr.\n", "cannot be a persona's name"),
        ("a: b\na: c\n", "occurs twice"),
    ],
)
def test_a_file_that_is_none_says_why(tmp_path, text, said):
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(BirthmarkError, match=said):
        load_personas(tmp_path / "bad.yaml")


def test_the_texts_are_composed_and_nothing_unseen_is_in_them(tmp_path):
    file = tmp_path / "personas.yaml"
    file.write_text('a: "Be cafe\\u0301 \\u200bowner.\\u00a0"\n', encoding="utf-8")
    assert load_personas(file)["a"] == "Be caf\u00e9 owner."
    file.write_text('a: "\\u200b\\u00ad"\n', encoding="utf-8")
    with pytest.raises(BirthmarkError, match="nothing visible"):
        load_personas(file)


# ----------------------------------------------------------------------------------------------- system prompts


def test_a_system_prompt_moves_scores_and_is_recorded(tiny_lm):
    options = {"prompt": ["best_ever_one"], "candidates": WORDS, "device": "cpu"}
    without, under = bm.score(tiny_lm, **options), bm.score(tiny_lm, system="Be brief.", **options)
    assert under.record.prompt_set.system == "Be brief." and without.record.prompt_set.system is None
    assert under.record.system_place == "system" and under.record.prompt_set.sha256 != without.record.prompt_set.sha256
    assert abs(under.matrix() - without.matrix()).max() > 1e-3


def test_an_empty_system_turn_is_asked_for_recorded_and_said(birthmark, tiny_lm, tmp_path):
    answer = birthmark("score", tiny_lm, "--candidates", WORDS, *SHORT, "--system", "", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    table = read_scores(next((tmp_path / "out" / "scores").glob("*.parquet")))
    assert (table.record.prompt_set.system, table.record.system_place) == ("", "system")
    assert system_said([table.record]) == "Every question was asked with an empty system turn."
    without = bm.score(tiny_lm, prompt=["best_ever_one"], candidates=WORDS, device="cpu")
    assert abs(table.matrix()[:, :1] - without.matrix()).max() > 1e-3


def test_an_out_of_one_system_prompt_refuses_another(birthmark, tiny_lm, tmp_path):
    out = ("--candidates", WORDS, *SHORT, "--out", tmp_path / "out")
    assert birthmark("score", tiny_lm, *out).code == 0
    assert birthmark("score", tiny_lm, *out, "--system", "Be brief.").is_error()


def test_a_system_prompt_without_a_chat_says_how_to_have_one(birthmark, tiny_base):
    answer = birthmark("score", tiny_base, "--candidates", WORDS, *SHORT, "--system", "Be brief.")
    assert answer.is_error("--chat-template plain")


def test_tables_of_different_system_prompts_are_not_compared(birthmark, tiny_lm, lexicon, tmp_path):
    other = write_tiny_model(tmp_path / "other", seed=9)
    for name, model, system in (("a", tiny_lm, []), ("b", other, ["--system", "Be brief."])):
        options = ("--lexicon", lexicon, "--family", name.upper(), "--base-checkpoint", name, *SHORT, *system)
        assert birthmark("score", model, *options, "--out", tmp_path / name).code == 0
    tables = [next((tmp_path / name / "scores").glob("*.parquet")) for name in "ab"]
    answer = birthmark("compare", *tables, "--lexicon", lexicon, "--out", tmp_path / "c", "--mixed-frames")
    assert answer.is_error("different system prompts")


# ---------------------------------------------------------------------------------------------------- personas


def test_each_persona_has_a_table_of_its_own(birthmark, tiny_lm, personas, tmp_path):
    out = tmp_path / "out"
    answer = birthmark("score", tiny_lm, "--candidates", WORDS, *SHORT, "--persona", personas, "--out", out)
    assert answer.code == 0
    tables = {path.name: read_scores(next((path / "scores").glob("*.parquet"))) for path in sorted(out.iterdir())}
    assert {name: table.record.prompt_set.system for name, table in tables.items()} == load_personas(personas)
    assert abs(tables["pirate"].matrix() - tables["nun"].matrix()).max() > 1e-4
    alone = bm.score(
        tiny_lm, prompt=["best_ever_one", "worst_ever_one"], candidates=WORDS, system="You are a nun.", device="cpu"
    )
    assert (alone.matrix() == tables["nun"].matrix()).all()


def test_a_score_under_personas_prints_a_column_each(birthmark, tiny_lm, personas):
    answer = birthmark("score", tiny_lm, "--candidates", WORDS, *SHORT, "--persona", personas)
    assert answer.code == 0 and all(name in answer.out for name in ("neutral", "pirate", "nun", "freedom"))


def test_an_audit_under_personas_says_how_far_each_moves_the_model(
    birthmark, tiny_lm, tiny_rm, personas, lexicon, tmp_path
):
    out = tmp_path / "out"
    options = ("--lexicon", lexicon, *SHORT, "--persona", personas, "--out", out)
    answer = birthmark("audit", tiny_lm, "--family", "A", "--base-checkpoint", "one", *options, "--json")
    assert answer.code == 0
    printed, written = json.loads(answer.out), json.loads((out / "personas.json").read_text())
    assert printed == {"out": str(out), **written}
    assert list(written["systems"]) == ["neutral", "pirate", "nun"]
    for leaning in written["leanings"]:
        effects = json.loads((out / leaning["persona"] / "effects" / "small.json").read_text())
        (model,) = effects["models"]
        assert leaning["mean_rank_contrast"] == model["mean_rank_contrast"]
    by_persona = {leaning["persona"]: leaning for leaning in written["leanings"]}
    neutral = by_persona["neutral"]["mean_rank_contrast"]
    assert by_persona["neutral"]["shift"] == 0
    assert by_persona["nun"]["shift"] == by_persona["nun"]["mean_rank_contrast"] - neutral
    page = (out / "report.html").read_text()
    assert 'href="./pirate/report.html"' in page and "below zero towards agency" in page
    assert (
        birthmark("report", out).out.strip() == str(out / "report.html") and (out / "report.html").read_text() == page
    )
    for persona, system in written["systems"].items():
        said = f"system prompt of the persona “{persona}”: “{system}”"
        assert (
            said in (out / persona / "report.html").read_text()
            and said in (out / persona / "values-card.md").read_text()
        )


def test_under_each_persona_a_reward_model_has_random_heads_of_its_own(birthmark, tiny_rm, personas, lexicon, tmp_path):
    options = ("--lexicon", lexicon, "--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--heads", "50")
    answer = birthmark("audit", tiny_rm, *options, "--persona", personas, "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    drawn = set()
    for persona in ("neutral", "pirate", "nun"):
        (model,) = json.loads((tmp_path / "out" / persona / "effects" / "small.json").read_text())["models"]
        assert model["null"]["n_heads"] == 50
        (path,) = (tmp_path / "out" / persona / "random-heads").glob("*.parquet")
        drawn.add(path.read_bytes())
    assert len(drawn) == 3  # the system prompt stands before the words of the heads too


def test_a_plan_counts_every_persona(birthmark, tiny_lm, personas):
    options = ("--candidates", WORDS, *SHORT, "--dry-run", "--json")
    once, thrice = (
        json.loads(birthmark("score", tiny_lm, *options, *more).out)[0]["prompts"]
        for more in ([], ["--persona", personas])
    )
    assert (once, thrice) == (2, 6)


def test_one_system_prompt_or_a_file_of_them(birthmark, tiny_lm, personas):
    answer = birthmark("score", tiny_lm, "--candidates", WORDS, *SHORT, "--persona", personas, "--system", "Be brief.")
    assert answer.is_error("--system", "--persona")


def test_personas_go_with_named_models(birthmark, personas):
    assert birthmark("audit", "--catalog-set", "study", "--persona", personas).is_error("--catalog-set")
