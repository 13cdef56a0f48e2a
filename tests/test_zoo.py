"""A set of models in one audit, a reward model beside its base, and `--verify`, on tiny random models."""

import gc
import json
import re
import weakref

import pytest

WORDS = "word,category\npower,Agency\nskill,Agency\nwinner,Agency\nlove,Communion\nfriend,Communion\ncare,Communion\n"
PROMPTS = ("--prompt", "best_ever_one", "--prompt", "worst_ever_one")


@pytest.fixture
def words(tmp_path):
    (tmp_path / "words.csv").write_text(WORDS)
    return ("--lexicon", tmp_path / "words.csv", "--candidates", "lexicon")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Three tiny reward models and two language models, without and with a chat template."""
    from tiny_models import write_tiny_model

    folder = tmp_path_factory.mktemp("zoo")
    for seed, name in enumerate(("one", "two", "three")):
        write_tiny_model(folder / name, seed=seed, reward=True)
    write_tiny_model(folder / "tuned", seed=7)
    write_tiny_model(folder / "raw", seed=8, chat_template=None)
    return folder


CATALOG = """
[models.one]
path = "{models}/one"
kind = "reward"
family = "A"
base_checkpoint = "tuned"
[models.two]
path = "{models}/two"
kind = "reward"
family = "B"
base_checkpoint = "b"
[models.three]
path = "{models}/three"
kind = "reward"
family = "B"
base_checkpoint = "c"
[models.tuned]
path = "{models}/tuned"
kind = "logprob"
stage = "instruct"
family = "A"
base_checkpoint = "tuned"
parent = "raw"
[models.raw]
path = "{models}/raw"
kind = "logprob"
stage = "pretrained"
family = "A"
base_checkpoint = "raw"
[models.gone]
path = "{models}/gone"
kind = "reward"
[models.lost]
path = "{models}/lost"
kind = "logprob"
[sets]
three = ["one", "two", "three"]
with-a-gap = ["one", "gone", "three"]
nothing = ["gone"]
mixed = ["one", "tuned", "raw"]
no-lm = ["lost", "one", "two"]
"""


@pytest.fixture
def catalog(tmp_path, models):
    path = tmp_path / "own.toml"
    path.write_text(CATALOG.replace("{models}", str(models)))
    return path


def test_a_set_is_scored_compared_and_mapped(birthmark, catalog, words, tmp_path):
    out = tmp_path / "out"
    answer = birthmark("audit", "--catalog", catalog, "--catalog-set", "three", *words, *PROMPTS, "--out", out)
    assert answer.code == 0
    assert {path.stem for path in (out / "scores").glob("*.parquet")} == {"one", "two", "three"}
    assert json.loads((out / "map.json").read_text())["models"] == ["one", "three", "two"]
    assert 'id="map"' in (out / "report.html").read_text()
    effects = json.loads((out / "effects" / "words.json").read_text())
    assert effects["families"] == ["A", "B"] and effects["headline"]["n_units"] == {"A": 1, "B": 2}


def test_a_set_resumes_where_it_was_stopped(birthmark, catalog, words, tmp_path):
    out = tmp_path / "out"
    command = ("audit", "--catalog", catalog, "--catalog-set", "three", *words, *PROMPTS, "--out", out)
    assert birthmark(*command).code == 0
    kept = {path: path.stat().st_mtime_ns for path in (out / "scores").glob("*.parquet") if path.stem != "two"}
    for path in (out / "scores").glob("two.*"):
        path.unlink()
    assert birthmark(*command).code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (out / "scores" / "two.parquet").is_file()


def test_what_cannot_be_scored_is_left_out_said_and_scored_once_it_is_there(
    birthmark, catalog, models, words, tmp_path
):
    out = tmp_path / "out"
    command = ("audit", "--catalog", catalog, "--catalog-set", "with-a-gap", *words, *PROMPTS, "--out", out)
    answer = birthmark(*command)
    assert answer.code == 2
    assert "1 of 3 models are not in" in answer.err and "gone" in answer.err and "its `path`" in answer.err
    assert {path.stem for path in (out / "scores").glob("*.parquet")} == {"one", "three"}
    assert (out / "report.html").is_file()


def test_a_set_of_which_nothing_can_be_scored_is_an_error_at_once(birthmark, catalog, words, tmp_path):
    answer = birthmark("audit", "--catalog", catalog, "--catalog-set", "nothing", *words, "--out", tmp_path / "out")
    assert answer.is_error("folder of gone", "path")


def test_language_models_of_a_set_share_one_frame(birthmark, catalog, words, tmp_path):
    out = tmp_path / "out"
    command = ("audit", "--catalog", catalog, "--catalog-set", "mixed", *words, *PROMPTS, "--out", out)
    assert birthmark(*command).code == 0
    frames = {path.stem: json.loads(path.read_text())["frame"] for path in (out / "scores").glob("*.json")}
    assert frames == {"one": "chat", "tuned": "qa", "raw": "qa"}


def test_a_language_model_of_a_set_that_is_not_there_is_left_out_too(birthmark, catalog, words, tmp_path):
    out = tmp_path / "out"
    answer = birthmark("audit", "--catalog", catalog, "--catalog-set", "no-lm", *words, *PROMPTS, "--out", out)
    assert answer.code == 2 and "1 of 3 models" in answer.err and "lost" in answer.err
    assert {path.stem for path in (out / "scores").glob("*.parquet")} == {"one", "two"}


@pytest.mark.parametrize(
    ("arguments", "words_of_error"),
    [
        (("--catalog-set", "thre"), ("no set", "three")),
        (("one", "--catalog-set", "three"), ("not both",)),
        (("tuned", "--with-base"), ("language model",)),
        (("two", "--with-base"), ("base checkpoint b", "--base")),
        (("gone",), ("folder of gone",)),
    ],
)
def test_a_wrong_question_is_one_line(birthmark, catalog, words, tmp_path, arguments, words_of_error):
    answer = birthmark("audit", *arguments, "--catalog", catalog, *words, "--out", tmp_path / "out")
    assert answer.is_error(*words_of_error), answer.err


def test_each_models_memory_is_given_back_before_the_next_is_loaded(catalog, words, tmp_path, monkeypatch):
    from birthmark.commands.audit import audit
    from birthmark.models import loading

    alive, most = [], []
    load = loading.load_model

    def watched(*arguments, **options):
        gc.collect()
        most.append(sum(reference() is not None for reference in alive))
        model = load(*arguments, **options)
        alive.append(weakref.ref(model))
        return model

    monkeypatch.setattr(loading, "load_model", watched)
    audit(
        catalog_set="three",
        catalog=catalog,
        lexicons=[words[1]],
        candidates="lexicon",
        prompt=["best_ever_one", "worst_ever_one"],
        out=tmp_path / "out",
    )
    assert most == [0] * 6  # to be scored, and once more for the random heads beside it


def test_a_dry_run_of_a_set_says_what_each_takes_and_whether_it_fits(birthmark, catalog, tmp_path):
    answer = birthmark("audit", "--catalog", catalog, "--catalog-set", "three", "--dry-run", "--json")
    rows = json.loads(answer.out)
    assert [row["model"] for row in rows] == ["one", "two", "three"]
    assert all(row["free_bytes"] > 0 for row in rows)
    assert all(0 < row["parameters"] < 1_000_000 for row in rows)  # counted in the folders


def test_a_dry_run_with_base_lists_the_whole_line(birthmark, catalog):
    answer = birthmark("audit", "one", "--with-base", "--catalog", catalog, "--dry-run", "--json")
    assert [row["model"] for row in json.loads(answer.out)] == ["one", "tuned", "raw"]


def test_a_reward_model_is_shown_beside_its_base_and_that_ones_own(birthmark, catalog, words, tmp_path):
    out = tmp_path / "out"
    answer = birthmark("audit", "one", "--with-base", "--catalog", catalog, *words, *PROMPTS, "--out", out)
    assert answer.code == 0 and "shows what was passed on" in " ".join(answer.out.split())
    (line,) = json.loads((out / "lineage.json").read_text())["lines"]
    assert line["models"] == ["raw", "tuned", "one"] and line["reward_model"] == "one"
    (item,) = line["lexicons"]
    assert [(stage["stage"], stage["kind"], stage["frame"]) for stage in item["stages"]] == [
        ("pretrained", "logprob", "qa"),
        ("instruct", "logprob", "qa"),
        ("reward", "reward", "chat"),
    ]
    for stage in item["stages"]:
        assert stage["model"] in item["sentence"]
        effects = json.loads((out / "effects" / f"words.{stage['kind']}.json").read_text())
        (own,) = [model for model in effects["models"] if model["model"] == stage["model"]]
        assert stage["mean_rank_contrast"] == own["mean_rank_contrast"] and stage["contrast"] == own["contrast"]
        cells = [cell for cell in effects["model_cells"] if cell["model"] == stage["model"]]
        assert [cell["mean_median_rank"] for cell in stage["cells"]] == [cell["mean_median_rank"] for cell in cells]
        assert len(cells) == 4
    page = (out / "report.html").read_text()
    assert 'id="lineage"' in page and "instruction-tuned" in page and "never pooled" in page
    assert (
        re.search(r"<h1>one leans (to|no further than random heads)", page)
        and (out / "figures" / "one-words-line.svg").is_file()
    )
    assert "one (reward model) leans to" in (out / "values-card.md").read_text()


def test_bases_may_be_named_nearest_first(birthmark, models, words, tmp_path):
    out = tmp_path / "out"
    bases = ("--base", models / "tuned", "--base", models / "raw")
    family = ("--family", "A", "--base-checkpoint", "mine")
    assert birthmark("audit", models / "one", *bases, *family, *words, *PROMPTS, "--out", out).code == 0
    (line,) = json.loads((out / "lineage.json").read_text())["lines"]
    assert line["models"] == [str(models / name) for name in ("raw", "tuned", "one")]
    assert [stage["stage"] for stage in line["lexicons"][0]["stages"]] == ["pretrained", "instruct", "reward"]
    records = [json.loads(path.read_text()) for path in (out / "scores").glob("*.json")]
    assert {record["family"] for record in records} == {"A"}
    assert [record["base_checkpoint"] for record in records if record["kind"] == "reward"] == ["mine"]


def test_a_later_model_keeps_the_line_of_an_earlier_one(birthmark, catalog, words, tmp_path):
    options = ("--catalog", catalog, *words, *PROMPTS, "--out", tmp_path / "out")
    assert birthmark("audit", "one", "--with-base", *options).code == 0
    assert birthmark("audit", "two", *options).code == 0
    (line,) = json.loads((tmp_path / "out" / "lineage.json").read_text())["lines"]
    assert line["models"] == ["raw", "tuned", "one"]


def test_verify_measures_half_precision_against_float32(birthmark, models, tmp_path):
    out = tmp_path / "out"
    command = ("score", models / "one", "--prompt", "best_ever_one", "--out", out, "--engine", "plain")
    answer = birthmark(*command, "--dtype", "bfloat16", "--verify")
    assert answer.code == 0 and "bfloat16 against float32" in answer.out
    (path,) = (out / "scores").glob("*.json")
    found = json.loads(path.read_text())["precision"]
    assert found["dtype"] == "bfloat16" and found["n_prompts"] == 1 and found["n_sample"] == found["n_candidates"]
    assert 0.9 < found["spearman"] < 1 and 0 < found["max_abs_diff"] < 0.1
    assert 0 < found["noise_floor_rank"] < found["n_candidates"]


def test_the_float32_reference_is_what_scoring_in_float32_gives(birthmark, models, tmp_path):
    import numpy as np
    import polars as pl

    question = ("--prompt", "best_ever_one", "--engine", "plain")
    half = ("--dtype", "bfloat16", "--verify", "--out", tmp_path / "half")
    assert birthmark("score", models / "one", *question, *half).code == 0
    assert birthmark("score", models / "one", *question, "--out", tmp_path / "full").code == 0
    tables = [pl.read_parquet(next((tmp_path / name / "scores").glob("*.parquet"))) for name in ("half", "full")]
    half_scores, full_scores = (table["best_ever_one"].to_numpy().astype(float) for table in tables)
    (path,) = (tmp_path / "half" / "scores").glob("*.json")
    found = json.loads(path.read_text())["precision"]
    assert found["max_abs_diff"] == pytest.approx(np.abs(half_scores - full_scores).max(), abs=1e-5)


def test_a_finished_table_is_verified_without_being_scored_again(birthmark, models, tmp_path):
    command = ("score", models / "one", "--prompt", "best_ever_one", "--out", tmp_path / "out")
    assert birthmark(*command).code == 0
    (path,) = (tmp_path / "out" / "scores").glob("*.parquet")
    before = path.read_bytes()
    assert birthmark(*command, "--verify").code == 0
    record = json.loads(path.with_suffix(".json").read_text())
    assert record["precision"]["dtype"] == "float32" and record["precision"]["max_abs_diff"] <= 1e-4
    assert path.read_bytes() == before


def test_where_float32_does_not_fit_the_table_says_so_and_is_kept(birthmark, models, tmp_path, monkeypatch):
    from birthmark.models import machine

    free = machine.free_memory
    asked = []

    def less_the_second_time(*arguments, **options):
        asked.append(arguments)
        return free(*arguments, **options) if len(asked) == 1 else 10

    monkeypatch.setattr(machine, "free_memory", less_the_second_time)
    answer = birthmark("score", models / "one", "--prompt", "best_ever_one", "--verify", "--out", tmp_path / "out")
    assert answer.code == 0 and "precision not measured: float32 does not fit here" in answer.out
    (path,) = (tmp_path / "out" / "scores").glob("*.json")
    record = json.loads(path.read_text())
    assert record["precision"] is None and "float32 does not fit here" in record["precision_why"]


def test_a_model_that_does_not_fit_is_refused_before_it_is_loaded(birthmark, models, tmp_path, monkeypatch):
    from birthmark.models import loading, machine

    monkeypatch.setattr(machine, "free_memory", lambda device, spread=False: 1000)
    monkeypatch.setattr(loading, "load_model", lambda *a, **k: pytest.fail("a weight was read"))
    answer = birthmark("score", models / "one", "--prompt", "best_ever_one", "--out", tmp_path / "out")
    assert answer.is_error("needs about", "in float32", "cpu has 0.0 GB free")


def test_fewer_bits_are_refused_without_a_gpu(birthmark, models):
    answer = birthmark("score", models / "one", "--prompt", "best_ever_one", "--quantize", "4bit", "--device", "cpu")
    assert answer.is_error("--quantize 4bit", "NVIDIA GPU")


def test_a_device_map_on_a_machine_without_gpus_gives_the_same_scores(birthmark, models, tmp_path):
    question = ("--prompt", "best_ever_one", "--candidates", "love,power,care")
    for name, placed in (("plain", ()), ("mapped", ("--device-map", "auto"))):
        assert birthmark("score", models / "one", *question, *placed, "--out", tmp_path / name).code == 0
    a, b = ((next((tmp_path / name / "scores").glob("*.parquet"))).read_bytes() for name in ("plain", "mapped"))
    assert a == b


def test_models_in_different_precision_are_compared_with_a_warning(birthmark, models, words, tmp_path):
    out = tmp_path / "out"
    base = ("--family", "A", "--base-checkpoint", "a")
    options = (*words, *PROMPTS, "--engine", "plain", "--out", out)
    assert birthmark("audit", models / "one", *base, *options).code == 0
    assert birthmark("audit", models / "two", "--family", "B", "--dtype", "bfloat16", *options).code == 0
    warnings = json.loads((out / "effects" / "words.json").read_text())["warnings"]
    (said,) = [text for text in warnings if "different precision" in text]
    assert "bfloat16: " in said and "float32: " in said and str(models / "two") in said
