"""A choice of bases from end to end on tiny models: what it writes, what it compares, what it refuses, what it would take."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

import birthmark as bm
from birthmark.commands.plan_choose import plan_choose
from birthmark.commands.schema import json_schema
from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import load_prompts
from birthmark.models.resolve import resolve
from birthmark.scoring.table import write_scores
from birthmark.training.data import Pair, read_pair
from birthmark.training.heldout import pair_rewards
from preference_files import pair_rows, write_rows
from report_outs import table
from tiny_runs import write_small_lexicon

TWO = ("best_ever_one", "worst_ever_one")
COUNTS = [4, 8]


@pytest.fixture(scope="module")
def asked(tiny_lm: Path, tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is asked of two bases, one of which has no chat template."""
    folder = tmp_path_factory.mktemp("choose")
    return {
        "bases": (tiny_lm, tiny_base), "preferences": write_rows(folder / "pairs.jsonl", pair_rows(30)), "pairs": COUNTS,
        "seeds": 2, "held_out": 12, "prompt": TWO, "lexicons": [write_small_lexicon(folder)], "heads": 50,
        "lora_rank": 2, "checkpoint_every": 100, "target": "neutral",
    }  # fmt: skip


@pytest.fixture(scope="module")
def chosen(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("chosen") / "out"
    options = {name: value for name, value in asked.items() if name != "bases"}
    return bm.choose(*asked["bases"], **options, out=out), out


def test_a_row_a_base_and_pair_count_and_nothing_named_that_cannot_be(chosen):
    choice, out = chosen
    assert [(item.base, item.pairs) for item in choice.accuracies] == [
        (base, pairs) for pairs in COUNTS for base in ("tiny-lm", "tiny-base")
    ]
    assert {(row.measured, row.pairs) for row in choice.differences} == {
        (of, n) for of in ("accuracy", "lean") for n in COUNTS
    }
    assert (choice.best is None) == (choice.best_why is not None)
    assert [base.chat_template for base in choice.bases] == ["own", "plain"]
    assert any("bundled `plain`" in text for text in choice.warnings)
    assert {base.frame for base in choice.bases} == {"qa"}
    assert "no history" in choice.forecasts_why
    jsonschema.validate(json.loads((out / "choice.json").read_text()), json_schema("choice"))


def test_held_out_pairs_are_in_no_training_file_and_the_same_for_every_run(chosen, asked):
    choice, out = chosen
    held, trained = (
        [json.loads(line) for line in (out / "pairs" / f"pairs-{name}.jsonl").read_text().splitlines()]
        for name in ("held-out", "train")
    )
    questions = [{row["chosen"][0]["content"] for row in part} for part in (held, trained)]
    assert choice.held_out == len(held) == 12 and not questions[0] & questions[1]
    tables = [pl.read_parquet(path) for path in (out / "held-out").glob("*.parquet")]
    assert len(tables) == 8 and all(table["row"].to_list() == [row["row"] for row in held] for table in tables)


def test_an_accuracy_is_that_of_the_last_checkpoints_own_rewards(chosen):
    choice, out = chosen
    lines = (out / "pairs" / "pairs-held-out.jsonl").read_text().splitlines()
    pairs = [read_pair(json.loads(line), number) for number, line in enumerate(lines, start=1)]
    assert all(isinstance(pair, Pair) for pair in pairs)
    item = choice.accuracies[0]
    checkpoint = max((out / "train" / item.runs[0] / "checkpoints").iterdir())
    found = pair_rewards(resolve(checkpoint), pairs, max_tokens=192)
    assert item.by_seed[0] == pytest.approx(np.mean(found.chosen > found.rejected))


def test_all_bases_were_trained_on_the_same_pairs_in_the_same_order(chosen):
    _, out = chosen
    runs = [json.loads(path.read_text()) for path in (out / "train").glob("*/run.json")]
    digests = {(run["pairs"], run["seed"]): set() for run in runs}
    for run in runs:
        digests[run["pairs"], run["seed"]].add(run["trained_digest"])
    assert len(runs) == 8 and len(digests) == 4 and all(len(of_base) == 1 for of_base in digests.values())


def test_a_second_call_trains_and_rewards_nothing(chosen, asked, monkeypatch):
    choice, out = chosen
    monkeypatch.setattr("birthmark.training.run._train", lambda *_, **__: pytest.fail("trained again"))
    monkeypatch.setattr("birthmark.training.contest.pair_rewards", lambda *_, **__: pytest.fail("rewarded again"))
    monkeypatch.setattr(
        "birthmark.report.draw.draw", lambda out, *_: out / "report.html"
    )  # figures take most of the time
    options = {name: value for name, value in asked.items() if name != "bases"}
    assert bm.choose(*asked["bases"], **options, out=out) == choice


def test_the_page_has_the_figures_and_the_sentences(chosen):
    _, out = chosen
    page = (out / "report.html").read_text(encoding="utf-8")
    for text in ("Performance against values", "What is told apart", "What it would take", "Distance from the target"):
        assert text in page
    assert {path.stem for path in (out / "figures").glob("*.svg")} == {
        "small-performance-against-values", "trend-accuracy", "trend-lean-on-small",
    }  # fmt: skip


def test_a_dry_run_says_what_is_left_on_each_base_and_writes_nothing(asked, tmp_path):
    options = {name: value for name, value in asked.items() if name != "bases"}
    rows = plan_choose(*asked["bases"], **options, out=tmp_path / "none")
    assert [(row.stage, row.runs, row.left) for row in rows] == [
        (stage, runs, runs)
        for _ in range(2)
        for stage, runs in (("audit", 1), ("train", 4), ("track", 4), ("held-out", 4))
    ]
    assert all(row.seconds > 0 and row.ray_seconds <= row.gpu_seconds and row.cost > 0 for row in rows)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"bases": 1}, "a choice is between two bases or more"),
        ({"bases": "same"}, "are one checkpoint"),
        ({"bases": "reward"}, "is a reward model: choose between language models"),
        ({"held_out": 25}, "33 usable pairs of as many questions are needed, and it has 30"),
        ({"pairs": [19]}, "31 usable pairs"),
        ({"pairs": []}, "--pairs names no count"),
        ({"pairs": [4, 4]}, "--pairs has 4 twice"),
        ({"target": "7"}, "out of reach: with 6 words a contrast lies between -6 and 6 ranks"),
        ({"target": "nan"}, "out of reach"),
        ({"target": "no-such-model"}, "--target is neutral, a number of ranks or a model: no model no-such-model"),
        ({"prompt": ("best_ever_one",)}, "prompts of both framings"),
    ],
    ids=lambda value: "-".join(f"{k}" for k in value) if isinstance(value, dict) else None,
)
def test_what_cannot_be_chosen_from_is_one_line_before_anything_is_written(
    asked, tiny_rm, tmp_path, change: dict[str, Any], said: str
):
    bases: Any = asked["bases"]
    same = shutil.copytree(bases[0], tmp_path / "copy") if change.get("bases") == "same" else None
    bases = {1: bases[:1], "same": (bases[0], same), "reward": (bases[0], tiny_rm)}.get(change.get("bases"), bases)
    options = {**{name: value for name, value in asked.items() if name != "bases"}, **change}
    options.pop("bases", None)
    with pytest.raises(BirthmarkError, match="^[^\n]+$") as raised:
        bm.choose(*bases, **options, out=tmp_path / "out")
    assert said in str(raised.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("pairs", ["16,x", "", "0", "16,"])
def test_a_bad_list_of_pairs_is_a_usage_error(birthmark, asked, tmp_path, pairs):
    answer = birthmark(
        "choose", *asked["bases"], "--preferences", asked["preferences"], "--pairs", pairs, "--out", tmp_path / "out"
    )
    assert answer.code == 2 and "--pairs" in answer.err and "Traceback" not in answer.err


def test_a_folder_of_other_bases_and_their_reward_models_gives_a_forecast(asked, tmp_path, birthmark):
    lexicon, prompts = asked["lexicons"][0], {key: load_prompts().prompts[key] for key in TWO}
    listed: dict[str, list[str]] = {}
    for word, categories in bm.load_lexicon(lexicon).match(bm.load_lexicon(lexicon).words).items():
        listed.setdefault(categories[0], []).append(word)
    leans = []
    for number, lean in enumerate([-1.0, -0.5, 0.0, 0.4, 0.8, 1.5]):
        common = {"prompts": prompts, "words": listed, "tokens": False, "lean": lean}
        pair = [
            table(f"lm-{number}", "F", f"b{number}", seed=number, **common),
            table(f"rm-{number}", "F", f"b{number}", kind="reward", seed=10 + number, **common),
        ]
        for one in pair:
            write_scores(one, tmp_path / "history" / "scores")
        rewards = tmp_path / "history" / "chosen" / "rewards"  # of birthmark consequences: no score tables
        rewards.mkdir(parents=True, exist_ok=True)
        (rewards / "rm.parquet").touch()
        (rewards / "rm.json").write_text("{}")
        leans.append([bm.compare([one], lexicons=lexicon)[0].models[0].mean_rank_contrast for one in pair])
    answer = birthmark(
        "choose", *asked["bases"], "--preferences", asked["preferences"], "--pairs", "4", "--seeds", "2", "--held-out", "12",
        "--prompt", TWO[0], "--prompt", TWO[1], "--lexicon", lexicon, "--heads", "50", "--lora-rank", "2",
        "--checkpoint-every", "100", "--history", tmp_path / "history", "--quiet", "--json", "--out", tmp_path / "out",
    )  # fmt: skip
    assert answer.code == 0, answer.err
    said = json.loads(answer.out)
    x, y = np.array(leans).T
    slope, intercept = np.polyfit(x, y, 1)
    assert [item["base"] for item in said["forecasts"]] == ["tiny-lm", "tiny-base"], said["forecasts_why"]
    for item in said["forecasts"]:
        assert item["forecast"] == pytest.approx(intercept + slope * item["base_lean"], abs=1e-6)
        assert item["low"] <= item["forecast"] <= item["high"] and item["bases"] == 6
