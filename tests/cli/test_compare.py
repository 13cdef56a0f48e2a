"""What `compare` is told of models that neither their tables nor the catalog know."""

import numpy as np
import pytest

import birthmark as bm
from birthmark.inputs.prompts import load_prompts

WORDS = ("ability", "ambition", "affection", "friend")


@pytest.fixture
def tables(tmp_path):
    """Three published-style CSVs of models that nobody knows."""
    rng = np.random.default_rng(0)
    prompts = ["best_ever_one", "good_ever_one", "worst_ever_one", "bad_ever_one"]
    assert set(prompts) <= set(load_prompts("christian2026").prompts)
    paths = []
    for name in ("one", "two", "three"):
        path = tmp_path / f"{name}.csv"
        rows = [",".join([word, *(f"{value:.3f}" for value in rng.normal(size=4))]) for word in WORDS]
        path.write_text("\n".join([",".join(["response", *prompts]), *rows]) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def test_families_and_base_checkpoints_can_be_given(tables):
    families = {"one": "Gemma", "two": "Llama", "three": "Llama"}
    (found,) = bm.compare(tables, families=families, base_checkpoints={"two": "llama", "three": "llama"})
    assert {model.model: model.family for model in found.models} == families
    assert [model.base_checkpoint for model in found.models] == ["one", "llama", "llama"]
    assert [text for text in found.warnings if "not known" in text] == [
        "the base checkpoint of one is not known, so it counts as its own; --base-checkpoint names it"
    ]


def test_controlled_effects_are_of_the_same_groups(tables, tmp_path):
    groups = tmp_path / "groups.csv"
    groups.write_text("model,group\none,big\ntwo,small\nthree,small\n", encoding="utf-8")
    (found,) = bm.compare(tables, group_by=groups, controls="length")
    assert {cell.family for cell in found.controlled[0].cells} == {"big", "small"}


@pytest.mark.parametrize(
    ("option", "text", "message"),
    [
        ("--family", "Gemma", "--family takes MODEL=NAME"),
        ("--base-checkpoint", "one=", "--base-checkpoint takes MODEL=NAME"),
        ("--family", "four=Gemma", "no table of four, whose family is given: name one of one, two, three"),
    ],
)
def test_a_name_that_cannot_be_given_is_one_line(birthmark, tables, tmp_path, option, text, message):
    assert birthmark("compare", *tables, option, text, "--out", tmp_path / "out").is_error(message)
    assert not (tmp_path / "out").exists()
