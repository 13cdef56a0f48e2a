"""Tracks: every checkpoint scored on one loaded base, resumed, joined, and told in numbers, figures and a page."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

import birthmark as bm
from birthmark.commands import track as trajectory
from birthmark.commands.schema import json_schema
from birthmark.errors import BirthmarkError
from birthmark.models.loading import load_model
from birthmark.models.resolve import resolve
from birthmark.models.tokenizer import load_tokenizer
from birthmark.scoring import run as scoring
from birthmark.scoring.measure import make_measure
from birthmark.training.checkpoints import find_series
from birthmark.training.reward_model_init import random_head_words
from birthmark.values.random_heads import read_head_words
from birthmark.values.ranks import rank
from tiny_runs import SIX, prompt_options, write_adapter, write_run, write_small_lexicon

COLUMNS = ("run", "base", "family", "source", "pairs", "loss", "seed", "step", "lexicon", "prompt", "category", "median_rank", "n_candidates")  # fmt: skip
TWO = ("best_ever_one", "worst_ever_one")


@pytest.fixture(scope="module")
def runs(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run on each of two bases; the second base is another draw of the first's architecture."""
    from tiny_models import write_tiny_model

    folder = tmp_path_factory.mktemp("runs")
    other = write_tiny_model(folder / "other-lm", seed=11)
    return write_run(folder / "one", tiny_lm, steps=(0, 1, 4)), write_run(
        folder / "two", other, steps=(0, 1, 4), seed=5
    )


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_lexicon(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="module")
def tracked(runs: tuple[Path, Path], words: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("tracks") / "out"
    bm.track(*runs, out=out, prompt=SIX, lexicons=[words], heads=200)
    return out


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures take most of a small track's time; they are drawn where they are looked at."""
    monkeypatch.setattr("birthmark.report.track.write_track_report", lambda out: out / "report.html")


def test_the_trajectory_has_the_contracts_columns_and_a_row_a_checkpoint_prompt_and_category(tracked):
    frame = pl.read_parquet(tracked / "trajectory.parquet")
    assert tuple(frame.columns) == COLUMNS
    assert frame.height == 2 * 3 * len(SIX) * 2
    assert frame["n_candidates"].unique().to_list() == [6]
    assert set(frame["base"]) == {"tiny-lm", "other-lm"} and set(frame["loss"]) == {"bt"}


def test_a_median_rank_is_that_of_the_checkpoints_own_score(tracked, runs, words):
    table = bm.score(runs[0] / "checkpoints" / "step-000004", prompt=SIX, lexicons=[words])
    ranks = rank(table.matrix())
    lexicon = bm.load_lexicon(words)
    frame = pl.read_parquet(tracked / "trajectory.parquet").filter(run="one", step=4)
    for row in frame.to_dicts():
        column = table.prompt_keys.index(row["prompt"])
        inside = [row["category"] in lexicon.entries[word] for word in table.frame["candidate"]]
        assert row["median_rank"] == np.median(ranks[inside, column])


def test_swapped_adapters_score_to_the_bit_as_one_loaded_alone(tracked, runs, words):
    table = bm.score(runs[0] / "checkpoints" / "step-000001", prompt=SIX, lexicons=[words])
    (slug,) = (tracked / "scores").glob("one-step-000001-*.parquet")
    assert bm.read_scores(slug).frame.equals(table.frame)


def test_all_json_is_of_its_schema(tracked):
    names = {"study.json": "study", "track.json": "track", "durability.json": "durability"}
    files = [path for path in tracked.rglob("*.json") if ".work" not in path.parts]
    assert len(files) == 3 + 6 + 2
    for path in files:
        name = names.get(path.name) or {"scores": "score", "random-heads": "random-heads"}[path.parent.name]
        jsonschema.validate(json.loads(path.read_text()), json_schema(name))


def test_a_gap_comes_with_an_interval_and_the_random_heads_that_it_is_held_to(tracked):
    found = json.loads((tracked / "durability.json").read_text())
    (curve,) = found["curves"]
    assert (curve["base_a"], curve["base_b"]) == ("other-lm", "tiny-lm")
    assert [point["step"] for point in curve["points"]] == [0, 1, 4]
    assert [point["pairs_seen"] for point in curve["points"]] == [0, 8, 32]
    assert all(point["ci_low"] <= point["gap"] <= point["ci_high"] for point in curve["points"])
    assert curve["null"]["n_heads"] == 200 and curve["null"]["low"] < 0 < curve["null"]["high"]


def test_the_page_and_the_figures_are_drawn(tracked, birthmark):
    drawn = {path.stem for path in (tracked / "figures").glob("*.svg")}
    assert drawn == {
        "small-ranks-by-step", "small-gap-1", "small-final-by-quantity", "small-final-gap-1", "small-moved-1", "small-moved-2",
    }  # fmt: skip
    page = (tracked / "report.html").read_text(encoding="utf-8")
    assert "tiny-lm − other-lm" in page and "http://" not in page.replace("http://www.w3.org", "")
    assert birthmark("report", tracked).code == 0


def test_a_track_that_was_cut_off_scores_only_what_is_left_and_ends_alike(
    tracked, runs, words, tmp_path, monkeypatch, undrawn
):
    out = tmp_path / "out"
    scored: list[str] = []
    original = trajectory.score_model

    def counted(model: Any, *more: Any) -> Any:
        if len(scored) == 4:
            raise KeyboardInterrupt
        scored.append(model.slug)
        return original(model, *more)

    monkeypatch.setattr(trajectory, "score_model", counted)
    with pytest.raises(KeyboardInterrupt):
        bm.track(*runs, out=out, prompt=SIX, lexicons=[words], heads=200)
    monkeypatch.setattr(trajectory, "score_model", original)
    fresh = scoring._finished_table
    found: list[bool] = []
    monkeypatch.setattr(scoring, "_finished_table", lambda *a: found.append(fresh(*a) is not None) or fresh(*a))
    bm.track(*runs, out=out, prompt=SIX, lexicons=[words], heads=200)
    assert found == [True] * 4 + [False] * 2
    for name in ("trajectory.parquet", "durability.json", "track.json"):
        assert (out / name).read_bytes() == (tracked / name).read_bytes()


def test_further_runs_join_and_other_prompts_are_another_study(tracked, runs, words, tiny_lm, tmp_path, undrawn):
    out = tmp_path / "out"
    shutil.copytree(tracked, out)
    more = write_run(tmp_path / "three", tiny_lm, steps=(0, 1, 4), seed=9)
    joined = bm.track(more, out=out, prompt=SIX, lexicons=[words], heads=200)
    assert [run.run for run in joined.runs] == ["one", "three", "two"]
    curve = json.loads((out / "durability.json").read_text())["curves"][0]
    assert curve["runs_b"] == ["one", "three"]
    with pytest.raises(BirthmarkError, match="another study"):
        bm.track(more, out=out, prompt=TWO, lexicons=[words])


def test_a_run_whose_folder_was_moved_is_the_same_run_and_another_of_its_name_is_refused(
    tracked, runs, words, tiny_lm, tmp_path, monkeypatch, undrawn
):
    out = tmp_path / "out"
    shutil.copytree(tracked, out)
    moved = tmp_path / "moved" / "one"
    shutil.copytree(runs[0], moved)
    fresh, found = scoring._finished_table, []
    monkeypatch.setattr(scoring, "_finished_table", lambda *a: found.append(fresh(*a) is not None) or fresh(*a))
    track = bm.track(moved, out=out, prompt=SIX, lexicons=[words], heads=200)
    assert found == [True] * 3 and [run.path for run in track.runs] == [str(moved), str(runs[1])]
    other = write_run(tmp_path / "other" / "one", tiny_lm, steps=(0, 1, 4), seed=9)
    with pytest.raises(BirthmarkError, match="another run called one"):
        bm.track(other, out=out, prompt=SIX, lexicons=[words], heads=200)


def test_a_trainers_output_folder_is_a_series_too_and_so_are_its_checkpoints_named_one_by_one(
    tiny_lm, words, tmp_path, undrawn
):
    folder = tmp_path / "trainer-output"
    for step in (500, 1000):
        write_adapter(tiny_lm, folder / f"checkpoint-{step}", seed=step)
    (folder / "runs").mkdir()
    whole = find_series([folder])
    one_by_one = find_series([folder / "checkpoint-1000", folder / "checkpoint-500"])
    assert whole == one_by_one and [item.step for item in whole[0].checkpoints] == [500, 1000]
    found = bm.track(folder, out=tmp_path / "out", prompt=TWO, lexicons=[words], heads=0)
    (run,) = found.runs
    assert (run.steps, run.source, run.pairs, run.base) == ([500, 1000], None, None, "tiny-lm")
    assert "all runs are of tiny-lm" in json.loads((tmp_path / "out" / "durability.json").read_text())["curves_why"]
    assert pl.read_parquet(tmp_path / "out" / "trajectory.parquet")["pairs"].null_count() == 2 * 2 * 2


def test_checkpoints_that_are_whole_models_and_the_vocabulary_are_tracked(tmp_path, words, undrawn):
    from tiny_models import write_tiny_model

    letters = tmp_path / "letters.csv"  # this tokenizer has every letter, and few words
    letters.write_text("word,category\na,Agency\nb,Agency\nc,Communion\nd,Communion\nzebra,Agency\n", encoding="utf-8")
    for step in (1, 2):
        write_tiny_model(tmp_path / "full" / f"checkpoint-{step}", reward=True, seed=step)
    asked = {"prompt": TWO, "candidates": "vocabulary", "heads": 20}
    out = tmp_path / "out"
    found = bm.track(tmp_path / "full", out=out, lexicons=[letters], **asked)
    assert any("which was trained" in text for text in found.warnings)
    assert bm.read_scores(next((out / "scores").glob("*.parquet"))).words.is_empty()
    assert pl.read_parquet(out / "trajectory.parquet")["n_candidates"].unique().to_list() == [4]
    with pytest.raises(BirthmarkError, match="no word of the lexicon small"):
        bm.track(tmp_path / "full", out=tmp_path / "other", lexicons=[words], **asked)


def test_random_heads_are_what_heads_written_into_the_model_give(runs, words, tracked):
    """Four of the heads, one by one, as the layer of a model that birthmark scores."""
    import torch

    model = resolve(runs[0] / "checkpoints" / "step-000000")
    network = load_model(model)
    measure = make_measure(prompt=SIX, lexicons=[words])
    lexicon = bm.load_lexicon(words)
    names = tuple(sorted(lexicon.words))
    asked = {"base": "tiny-lm", "heads": 4, "seed": 3}
    found = random_head_words(network, load_tokenizer(model), measure, {"small": names}, **asked)["small"]
    from zlib import crc32

    from birthmark.models.scorers import make_scorer

    drawn = np.random.default_rng([3, crc32(b"tiny-lm")]).standard_normal((32, 4), dtype=np.float32)
    for at in range(4):
        network.score.weight.data = torch.from_numpy(drawn[:, at])[None]
        scorer = make_scorer(network, load_tokenizer(model), kind="reward", words=names, vocabulary=False, frame="chat")
        ranks = [rank(scorer.score(prompt.text).scores[:, None])[:, 0] for prompt in measure.prompts.prompts.values()]
        np.testing.assert_allclose(found[at], np.mean(ranks[:3], axis=0) - np.mean(ranks[3:], axis=0), atol=1e-5)


def test_random_heads_of_two_bases_are_independent_and_lean_to_no_side(tracked):
    one, two = read_head_words(tracked, "small")
    assert {one.base, two.base} == {"tiny-lm", "other-lm"}
    lexicon = bm.load_lexicon("starter")
    assert one.contrasts(lexicon, ["nothing"]) is None
    small = type(lexicon)("small", {w: (("Agency",) if w in ("power", "skill", "success") else ("Communion",)) for w in one.words}, False, None, None, "")  # fmt: skip
    a, b = (item.contrasts(small, item.words) for item in (one, two))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(200)
    assert abs(a.mean()) < 4 * a.std() / np.sqrt(200)


def test_fewer_words_shrink_the_ranks_of_random_heads_in_proportion(tracked):
    found = read_head_words(tracked, "small")[0]
    some = found.of(found.words[:4])
    np.testing.assert_allclose(some, found.values[:, :4] * 5 / 7, rtol=1e-6)


@pytest.mark.parametrize("revisions", [None, "step-*"])
def test_a_hub_ids_tags_are_its_checkpoints(monkeypatch, revisions):
    from types import SimpleNamespace

    refs = SimpleNamespace(
        tags=[SimpleNamespace(name=name) for name in ("step-1000", "step-200", "v1")],
        branches=[SimpleNamespace(name="main")],
    )
    monkeypatch.setattr("huggingface_hub.list_repo_refs", lambda hub_id: refs)
    if revisions is None:
        with pytest.raises(BirthmarkError, match="--revisions"):
            find_series(["owner/model"])
        return
    (series,) = find_series(["owner/model"], revisions)
    assert [(item.step, item.name, item.revision) for item in series.checkpoints] == [
        (200, "owner/model", "step-200"),
        (1000, "owner/model", "step-1000"),
    ]
    with pytest.raises(BirthmarkError, match="matches"):
        find_series(["owner/model"], "epoch-*")


def test_a_grids_folder_is_all_of_its_runs(runs):
    (runs[0].parent / "grid.yaml").touch()
    assert [item.run for item in find_series([runs[0].parent])] == ["one", "two"]


def test_runs_of_one_name_are_told_apart_by_the_folder_above(tiny_lm, tmp_path):
    for folder in ("x", "y"):
        write_run(tmp_path / folder / "run", tiny_lm, steps=(0,))
    assert [item.run for item in find_series([tmp_path / "x" / "run", tmp_path / "y" / "run"])] == ["x-run", "y-run"]


def test_what_cannot_be_tracked_is_one_line(birthmark, tmp_path, tiny_lm, words):
    asked = (*prompt_options(TWO), "--lexicon", words, "--out", tmp_path / "out")
    assert birthmark("track", tmp_path / "nothing", *asked).is_error("no run")
    (tmp_path / "empty").mkdir()
    assert birthmark("track", tmp_path / "empty", *asked).is_error("no checkpoints", "checkpoint-500")
    broken = write_run(tmp_path / "broken", tiny_lm, steps=(0, 1))
    (broken / "run.json").write_text("{", encoding="utf-8")
    assert birthmark("track", broken, *asked).is_error("run.json")
    (broken / "run.json").unlink()
    weights = broken / "checkpoints" / "step-000001" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:2000])
    assert birthmark("track", broken, *asked).is_error("safetensors")
    assert len(list((tmp_path / "out" / "scores").glob("*step-000000*.parquet"))) <= 1


def test_the_commands_json_is_of_its_schema(birthmark, tracked, runs, words, undrawn):
    asked = ("track", *runs, *prompt_options(), "--lexicon", words, "--heads", "200", "--out", tracked, "--json")
    found = json.loads(birthmark(*asked).out)
    jsonschema.validate(found, json_schema("track-output"))
    assert [run["run"] for run in found["runs"]] == ["one", "two"]


def test_a_dry_run_says_what_is_scored_and_what_is_left_and_writes_nothing(birthmark, tracked, runs, words, tmp_path):
    asked = ("track", *runs, *prompt_options(), "--lexicon", words, "--dry-run")
    answer = birthmark(*asked, "--out", tmp_path / "out", "--json")
    found = json.loads(answer.out)
    jsonschema.validate(found, json_schema("track-output"))
    assert [(row["run"], row["steps"], row["scored"], row["words"]) for row in found] == [
        ("one", [0, 1, 4], 0, 6),
        ("two", [0, 1, 4], 0, 6),
    ]
    assert all(row["seconds"] > 0 and row["memory_bytes"] > 0 for row in found)
    done = json.loads(birthmark(*asked, "--out", tracked, "--json").out)
    assert [(row["scored"], row["seconds"]) for row in done] == [(3, 0), (3, 0)]
    shown = birthmark(*asked, "--out", tmp_path / "out")
    assert shown.code == 0 and "Nothing was done" in shown.out and not (tmp_path / "out").exists()
    other = ("track", *runs, *prompt_options(TWO), "--lexicon", words, "--dry-run", "--out", tracked)
    assert birthmark(*other).is_error("another study")


def test_a_family_may_be_said_where_nobody_recorded_one(tiny_lm, words, tmp_path, undrawn):
    write_adapter(tiny_lm, tmp_path / "run" / "checkpoint-1", seed=1)
    asked = {"prompt": TWO, "lexicons": [words], "heads": 0, "out": tmp_path / "out"}
    (run,) = bm.track(tmp_path / "run", family="Tiny", base_checkpoint="tiny-1", **asked).runs
    assert (run.family, run.base) == ("Tiny", "tiny-1")


def test_the_command_says_how_far_it_came(tracked, capsys):
    from birthmark.cli.show_training import print_track
    from birthmark.records import Track, read_record

    print_track(read_record(tracked / "track.json", Track), tracked)
    out = " ".join(capsys.readouterr().out.split())
    assert "tiny-lm − other-lm" in out and "report.html" in out
