"""`birthmark audit --catalog-set study` on ten tiny random checkpoints of real architectures, every kind of head among them.

A catalog file points the ten names to folders; families and base checkpoints are those of the bundled catalog. The study's
own heads stand under their names, but for four linear ones, whose names lend themselves to the kinds it has not.
"""

import json

import polars as pl
import pytest
import torch
from head_checkpoints import HEADS, Tensors, rewrite, write_checkpoint

from birthmark.commands.audit import audit
from birthmark.inputs.catalog import load_catalog, load_set
from birthmark.models.heads.known import known_heads

HEAD_OF = {
    "grm-gemma2-2b": "linear-gemma2",
    "grm-llama3.2-3b": "grm-mlp",
    "skywork-reward-llama-3.1-8b-v0.2": "linear-llama",
    "qrm-llama3.1-8b": "qrm-llama",
    "urm-llama-3.1-8b": "urm",
    "grm-llama3-8b": "two-layer",
    "armorm-llama3-8b": "armorm",
    "skywork-reward-gemma-2-27b": "ldl",
    "skywork-reward-gemma-2-27b-v0.2": "attributes",
    "qrm-gemma-2-27b": "qrm-gemma2",
}
OTHERS = {
    "grm-llama3.2-3b": 'head = "value"\n',
    "grm-llama3-8b": 'head = "two-layer"\n',
    "skywork-reward-gemma-2-27b": 'head = "ldl"\n',
    "skywork-reward-gemma-2-27b-v0.2": 'head = "attributes"\nhead_weights = {honest = 0.7, brief = -0.2, kind = 0.5}\n',
}
LEXICON = (
    "word,category\npower,Agency\nskill,Agency\nsuccess,Agency\nwinner,Agency\n"
    "love,Communion\nfriend,Communion\nkindness,Communion\ncare,Communion\n"
)


def three_outputs(tensors: Tensors) -> Tensors:
    """The tensors with three rows for the linear head's one."""
    row = tensors["score.weight"]
    return tensors | {"score.weight": torch.cat([row, row.flip(1), -row.roll(1, dims=1)])}


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, tokenizer_files):
    """The folder of a study-set audit, with its result."""
    folder = tmp_path_factory.mktemp("zoo")
    lines = []
    for seed, (name, head) in enumerate(HEAD_OF.items()):
        one = "linear-gemma2" if head == "attributes" else head
        written = write_checkpoint(folder / one / name, one, tokenizer_files(HEADS[one].tokenizer), seed=seed)
        path = rewrite(written, folder / "three" / name, three_outputs) if head == "attributes" else written
        lines.append(f'[models."{name}"]\npath = "{path.relative_to(folder)}"\n{OTHERS.get(name, "")}')
    (folder / "ten.toml").write_text("\n".join(lines))
    (folder / "words.csv").write_text(LEXICON)
    result = audit(
        catalog_set="study",
        catalog=folder / "ten.toml",
        lexicons=[folder / "words.csv"],
        prompt=["best_ever_one", "worst_ever_one"],
        out=folder / "out",
        device="cpu",
    )
    return folder / "out", result


def test_all_ten_are_scored_under_their_names_in_float32_on_the_cpu(zoo):
    out, result = zoo
    records = {path.stem: json.loads(path.read_text()) for path in (out / "scores").glob("*.json")}
    assert set(records) == set(load_set("study"))
    assert {record["dtype"] for record in records.values()} == {"float32"}
    assert all(record["verify_max_abs_diff"] <= record["verify_bound"] for record in records.values())
    assert {record["model"] for record in records.values()} == {table.model for table in result.tables}


def test_every_kind_of_head_is_among_them(zoo):
    out, _ = zoo
    named = {
        entry.name: entry.head for entry in load_catalog(out.parent / "ten.toml").values() if entry.name in HEAD_OF
    }
    assert set(named.values()) == set(known_heads()) - {"urm-first-column", "first-logit", "one-layer"}


def test_attention_is_that_of_the_catalog(zoo):
    out, _ = zoo
    for name, entry in load_catalog().items():
        path = out / "scores" / f"{name}.json"
        if path.is_file():
            assert json.loads(path.read_text())["attention"] == entry.attention, name


def test_each_head_gives_scores_of_its_own(zoo):
    out, _ = zoo
    columns = [pl.read_parquet(path)["best_ever_one"].to_list() for path in sorted((out / "scores").glob("*.parquet"))]
    assert len({tuple(column) for column in columns}) == 10
    assert all(len(set(column)) > 1 for column in columns)


def test_each_reward_model_stands_beside_random_heads_on_its_own_body(zoo):
    out, result = zoo
    (effects,) = result.effects
    nulls = {model.model: model.null for model in effects.models}
    assert len(nulls) == 10 and all(null is not None and null.n_heads == 1_000 for null in nulls.values())
    drawn = [path.read_bytes() for path in (out / "random-heads").glob("*.parquet")]
    assert len(drawn) == len(set(drawn)) == 10


def test_the_families_are_compared_over_five_base_checkpoints(zoo):
    _, result = zoo
    (effects,) = result.effects
    assert effects.families == ["Gemma", "Llama"]
    assert effects.headline is not None
    assert effects.headline.n_units == {"Gemma": 2, "Llama": 3}
    assert effects.headline.n_splits == 10


def test_it_ends_in_one_report_with_the_map_of_all_ten(zoo):
    out, result = zoo
    assert result.map is not None and len(result.map.models) == 10 and len(result.map.likeness) == 45
    page = (out / "report.html").read_text()
    assert 'id="map"' in page and 'id="numbers"' in page and 'id="lineage"' not in page
    assert json.loads((out / "map.json").read_text())["kind"] == "reward"


def test_nothing_unfinished_is_left_and_nothing_of_the_models_code_was_run(zoo):
    out, _ = zoo
    assert not list((out / ".work").glob("*"))
