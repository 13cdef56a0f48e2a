"""`birthmark implicit`, of a pair and of a grid, on tiny random models: files, options, and every bad input in one line."""

import csv
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import polars as pl
import pytest

from birthmark.cli import main
from birthmark.foreign import csv_text

PROMPTS = ("greatest_ever_one", "best_ever_one", "worst_ever_one", "terrible_ever_one")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path, tiny_base: Path) -> list[Path]:
    """Score tables of three tiny language models after four prompts, in one frame."""
    from tiny_models import write_tiny_model

    folder = tmp_path_factory.mktemp("scored")
    third = write_tiny_model(folder / "tiny-third", seed=5)
    paths = []
    for model in (tiny_lm, tiny_base, third):
        asked = [part for key in PROMPTS for part in ("--prompt", key)]
        out = folder / f"out-{model.name}"
        assert main(["score", str(model), *asked, "--frame", "qa", "--out", str(out), "--quiet"]) == 0
        paths += (out / "scores").glob("*.parquet")
    return paths


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory, tables: list[Path]) -> Path:
    """The OUT of a grid of one model against two, by the literal command line in a process of its own."""
    out = tmp_path_factory.mktemp("grids") / "out"
    words = ["--words", "e,o", "--lexicon", "starter", "--out", str(out), "--quiet"]
    command = [
        sys.executable,
        "-m",
        "birthmark",
        "implicit",
        "--grid",
        str(tables[0]),
        "--",
        *map(str, tables[1:]),
        *words,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return out


# ------------------------------------------------------------------------------------------------------- a pair


def test_a_pairs_files_and_page(birthmark, tables, tmp_path):
    out = tmp_path / "out"
    answer = birthmark("implicit", tables[0], tables[1], "--out", out)
    assert answer.code == 0, answer.err
    stem = f"{tables[0].stem}..{tables[1].stem}"
    assert {path.name for path in (out / "implicit").iterdir()} == {f"{stem}.parquet", f"{stem}.json", "words"}
    words = pl.read_parquet(out / "implicit" / "words" / f"{stem}.parquet")
    assert words["tokens_a"].max() > 1  # words of several tokens, by the chain rule
    assert (out / "report.html").is_file() and list((out / "figures").glob("*.svg"))
    assert set(pl.read_parquet(out / "implicit" / f"{stem}.parquet")["prompt"]) == {"greatest_ever_one"}


def test_all_prompts_of_finished_tables_are_those_that_they_have(birthmark, tables, tmp_path):
    result = birthmark("implicit", tables[0], tables[1], "--prompt", "all", "--json", "--out", tmp_path / "out")
    assert [prompt["prompt"] for prompt in json.loads(result.out)["prompts"]] == list(PROMPTS)


def test_a_prompt_that_one_table_lacks_is_named(birthmark, tables, tiny_base, tmp_path):
    birthmark("score", tiny_base, "--prompt", "worst_ever_one", "--candidates", "vocabulary", "--out", tmp_path / "few")
    (few,) = (tmp_path / "few" / "scores").glob("*.parquet")
    asked = ("implicit", tables[0], few, "--prompt", "greatest_ever_one", "--out", tmp_path / "out")
    assert birthmark(*asked).is_error("no scores after the prompt greatest_ever_one", str(tiny_base))
    answer = birthmark("implicit", tables[0], few, "--json", "--out", tmp_path / "out")
    assert [prompt["prompt"] for prompt in json.loads(answer.out)["prompts"]] == ["worst_ever_one"]


def test_folding_and_setting_aside_are_in_the_json(birthmark, tables, tmp_path):
    asked = (
        "--fold",
        "--set-aside",
        "markdown,punctuation",
        "--set-aside",
        "whitespace",
        "--duplicates",
        "sum",
        "--json",
    )
    record = json.loads(birthmark("implicit", tables[0], tables[1], *asked, "--out", tmp_path / "out").out)
    assert (record["folded"], record["duplicates"]) == (True, "sum")
    assert list(record["set_aside_texts"]) == ["markdown", "punctuation", "whitespace"]
    assert all(count > 0 for count in record["set_aside_texts"].values())
    prompt = record["prompts"][0]
    assert 0 < prompt["set_aside_mass_a"] < 1 - prompt["mass_a"]


def test_a_model_against_itself_is_zero_and_said(birthmark, tables, tmp_path):
    answer = birthmark("implicit", tables[0], tables[0], "--out", tmp_path / "out")
    assert answer.code == 0 and "zero throughout" in answer.out
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "zero throughout" in page
    assert "prefers " not in answer.out + page


def test_report_draws_the_page_again(birthmark, tables, tmp_path):
    out = tmp_path / "out"
    birthmark("implicit", tables[0], tables[1], "--out", out)
    before = (out / "report.html").read_text(encoding="utf-8")
    (out / "report.html").unlink()
    assert birthmark("report", out).code == 0
    assert (out / "report.html").read_text(encoding="utf-8") == before


def test_the_same_command_gives_the_same_bytes(birthmark, tables, tmp_path):
    for name in ("one", "two"):
        assert birthmark("implicit", tables[0], tables[1], "--fold", "--out", tmp_path / name).code == 0
    files = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one" / "implicit").rglob("*.*"))
    assert all((tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes() for file in files)


def test_different_frames_only_on_request_and_with_a_warning(birthmark, tiny_lm, tables, tmp_path):
    birthmark("score", tiny_lm, "--frame", "chat", "--prompt", "greatest_ever_one", "--out", tmp_path / "chat")
    (chat,) = (tmp_path / "chat" / "scores").glob("*.parquet")
    assert birthmark("implicit", chat, tables[1], "--out", tmp_path / "no").is_error(
        "different frames", "--mixed-frames"
    )
    answer = birthmark("implicit", chat, tables[1], "--mixed-frames", "--out", tmp_path / "yes")
    assert answer.code == 0 and "different frames" in answer.out
    (path,) = (tmp_path / "yes" / "implicit").glob("*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert (record["frame_a"], record["frame_b"]) == ("chat", "qa")
    assert any("different frames" in text for text in record["warnings"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--prompt", "good_ever_one"), ("good_ever_one",)),
        (("--set-aside", "markdwn"), ("markdwn", "markdown")),
        (("--duplicates", "mean"), ("max", "sum")),
        (("--words", "love,freedom"), ("--grid",)),
    ],
)
def test_a_bad_option_is_one_line(birthmark, tables, tmp_path, options, words):
    assert birthmark("implicit", tables[0], tables[1], *options, "--out", tmp_path / "out").is_error(*words)


@pytest.mark.parametrize("n", [1, 3])
def test_a_pair_is_two_models(birthmark, tables, tmp_path, n):
    assert birthmark("implicit", *tables[:n], "--out", tmp_path / "out").is_error("two models", "--grid")


# ------------------------------------------------------------------------------------------------------- a grid


def test_a_grid_writes_every_pair(grid, tables):
    names = {f"{tables[0].stem}..{other.stem}" for other in tables[1:]}
    assert {path.stem for path in (grid / "implicit").glob("*.parquet")} == names
    record = json.loads((grid / "grid.json").read_text(encoding="utf-8"))
    assert {pair["file"] for pair in record["pairs"]} == names
    assert (len(record["a"]["models"]), len(record["b"]["models"])) == (1, 2)


def test_a_grid_has_the_figures_of_the_study(grid):
    record = json.loads((grid / "grid.json").read_text(encoding="utf-8"))
    assert [(pair["a"], pair["b"]) for pair in record["words"]["pairs"]] == [
        (pair["a"], pair["b"]) for pair in record["pairs"]
    ]
    lexicon = record["lexicons"][0]
    assert (lexicon["anova"] is None) != (lexicon["anova_why"] is None)
    assert len(lexicon["medians"]) == 3 * 2 * 4 and len(lexicon["cells"]) == 4
    assert {path.stem for path in (grid / "figures").iterdir()} == {"words-e-o", "violins-starter"}
    assert "words-e-o" in (grid / "report.html").read_text(encoding="utf-8")


def test_table_1_is_text_and_csv(grid):
    record = json.loads((grid / "grid.json").read_text(encoding="utf-8"))
    with (grid / "implicit" / "table_1.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    first = record["pairs"][0]
    of_first = [row for row in rows if (row["b"], row["end"]) == (first["b"], "top")]
    written = csv_text([["candidate"], *([item["candidate"]] for item in first["top"])])
    assert [row["candidate"] for row in of_first] == [row["candidate"] for row in csv.DictReader(StringIO(written))]
    assert [int(row["place"]) for row in of_first] == list(range(1, len(first["top"]) + 1))
    text = (grid / "implicit" / "table_1.txt").read_text(encoding="utf-8")
    assert all(f"{pair['a']} → {pair['b']}" in text for pair in record["pairs"])


def test_a_grid_of_models_scores_them_in_one_frame(birthmark, tiny_lm, tiny_base, tmp_path):
    out = tmp_path / "out"
    asked = ("--prompt", "best_ever_one", "--candidates", "vocabulary", "--json", "--out", out)
    answer = birthmark("implicit", "--grid", tiny_lm, "--", tiny_base, *asked)
    assert answer.code == 0, answer.err
    record = json.loads(answer.out)
    assert set(record["frames"].values()) == {"qa"} and record["prompt"] == "best_ever_one"
    assert record["lexicons"] == [] and record["lexicons_why"]
    assert len(list((out / "scores").glob("*.parquet"))) == 2


def test_words_that_nobody_asked_for_may_be_missing(birthmark, tables, tmp_path):
    lexicon = tmp_path / "small.csv"
    lexicon.write_text("word,category\nkindness,Communion\npower,Agency\n", encoding="utf-8")
    few = []
    for table in tables[:2]:
        from birthmark.scoring.table import ScoreTable, read_scores, write_scores

        whole = read_scores(table)
        kept = whole.frame.filter(~pl.col("candidate").str.to_lowercase().str.contains("love|freedom"))
        counts = {"n_tokens": kept["token_id"].count(), "n_words": kept["token_id"].null_count()}
        few.append(write_scores(ScoreTable(kept, whole.record.model_copy(update=counts)), tmp_path / "few"))
    answer = birthmark("implicit", "--grid", few[0], "--", few[1], "--json", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    result = json.loads(answer.out)
    assert result["words"] is None and "--words" in result["words_why"]
    asked = ("--words", "love,freedom", "--out", tmp_path / "no")
    assert birthmark("implicit", "--grid", few[0], "--", few[1], *asked).is_error("'love'", "'freedom'")


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ([0, 1], ("separated by --",)),
        ([0, "--", 1, "--", 2], ("separated by --",)),
        (["--", 1], ("both sides",)),
        ([0, "--"], ("both sides",)),
        ([0, "--", 0], ("twice",)),
        ([0, "--", 1, "--words", "love"], ("two different words",)),
        ([0, "--", 1, "--words", "love,zebra"], ("zebra",)),
    ],
)
def test_a_bad_grid_is_one_line(birthmark, tables, tmp_path, at, words):
    arguments = [tables[item] if isinstance(item, int) else item for item in at]
    assert birthmark("implicit", "--grid", *arguments, "--out", tmp_path / "out").is_error(*words)


def test_a_dash_dash_between_two_models_is_no_model(birthmark, tables, tmp_path):
    assert birthmark("implicit", "--out", tmp_path / "out", "--", tables[0], tables[1]).code == 0
