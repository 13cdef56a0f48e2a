"""Which heads are edited, and that nothing but the head's own numbers differs in the folder that is written."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from head_folders import HIDDEN, draw, layer, write_head
from safetensors.torch import load_file, save_file

from birthmark.errors import BirthmarkError
from birthmark.models.linear_end import linear_end, write_edited
from birthmark.models.loading import load_model
from birthmark.models.resolve import ResolvedModel, resolve
from birthmark.models.scorers import make_scorer
from birthmark.models.tokenizer import load_tokenizer
from tiny_models import write_tiny_model
from tiny_runs import write_adapter

ASKED = "What is the best thing?"
WORDS = ("love", "power", "kindness")


def found(folder: Path, **options: object) -> ResolvedModel:
    return resolve(folder, quiet=True, **options)


def scorer_of(model: ResolvedModel) -> object:
    return make_scorer(
        load_model(model), load_tokenizer(model), kind="reward", words=WORDS, vocabulary=False, frame="chat"
    )


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path, tiny_rm: Path) -> dict[str, Path]:
    """Folders with linear heads of every sort."""
    made = tmp_path_factory.mktemp("kinds")
    one = {"v_head.weight": draw(1, HIDDEN)}
    openrlhf = {"value_head_prefix": "value_head", "normalize_reward": True, "mean": 0.5, "std": 2.0}
    architecture = {"architectures": ["RewardModel"]}
    adapter = write_adapter(tiny_lm, made / "adapter", seed=2)
    half = made / "bfloat16"
    shutil.copytree(tiny_rm, half)
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(half / "model.safetensors").items()}
    save_file(tensors, half / "model.safetensors", metadata={"format": "pt"})
    sharded = made / "sharded"
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    AutoModelForSequenceClassification.from_pretrained(tiny_rm).save_pretrained(sharded, max_shard_size="40KB")
    AutoTokenizer.from_pretrained(tiny_rm).save_pretrained(sharded)
    return {
        "classifier": tiny_rm,
        "sharded": sharded,
        "bfloat16": half,
        "one-layer": write_head(tiny_lm, made / "one", one, architecture),
        "normalised": write_head(
            tiny_lm, made / "normalised", {"value_head.weight": draw(1, HIDDEN)}, architecture | openrlhf
        ),
        "with a bias": write_head(
            tiny_lm, made / "bias", layer("v_head.summary", HIDDEN, 1), {"architectures": ["GRewardModel"]}
        ),
        "adapter": adapter,
    }


KINDS = ("classifier", "sharded", "bfloat16", "one-layer", "normalised", "with a bias", "adapter")


@pytest.mark.parametrize("kind", KINDS)
def test_the_states_and_the_head_give_the_models_own_reward(kind: str, kinds: dict[str, Path]) -> None:
    model = found(kinds[kind])
    end, scorer = linear_end(model), scorer_of(model)
    np.testing.assert_allclose(end.rewards(scorer.states(ASKED)), scorer.score(ASKED).scores, rtol=0, atol=2e-6)
    conversations = [scorer.ids_of(ASKED, row) for row in range(len(WORDS))]
    np.testing.assert_allclose(scorer.states_of(conversations), scorer.states(ASKED), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_an_edited_folder_differs_in_the_head_alone_and_scores_as_the_new_head_does(
    kind: str, kinds: dict[str, Path], tmp_path: Path
) -> None:
    model, out = found(kinds[kind]), tmp_path / "new"
    end = linear_end(model)
    new = end.weights + np.linspace(-0.2, 0.3, HIDDEN)
    write_edited(model, end, new, out)
    old_folder = model.adapter or model.path
    assert {path.name for path in out.iterdir()} == {path.name for path in old_folder.iterdir()} - {"README.md"}
    differ = []
    for path in sorted(old_folder.glob("*.safetensors")):
        before, after = load_file(path), load_file(out / path.name)
        assert before.keys() == after.keys()
        differ += [name for name in before if not torch.equal(before[name], after[name])]
        assert all(before[name].dtype == after[name].dtype for name in before)
    assert differ == [end.tensor]
    others = [path for path in old_folder.iterdir() if path.is_file() and path.suffix != ".safetensors"]
    assert all(path.name == "README.md" or (out / path.name).read_bytes() == path.read_bytes() for path in others)
    assert not any(path.stat().st_nlink > 1 for path in out.iterdir() if path.is_file())
    edited, states = scorer_of(found(out)), scorer_of(model).states(ASKED)
    np.testing.assert_allclose(edited.score(ASKED).scores, end.rewards(states, end.stored(new)), rtol=0, atol=3e-6)


def test_transformers_loads_the_edited_folder_as_it_is(kinds: dict[str, Path], tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = found(kinds["sharded"])
    end = linear_end(model)
    write_edited(model, end, 2 * end.weights, tmp_path / "new")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "new")
    old = AutoModelForSequenceClassification.from_pretrained(kinds["sharded"])
    torch.testing.assert_close(loaded.score.weight, 2 * old.score.weight)


HEADS: dict[str, Callable[[], dict[str, torch.Tensor]]] = {
    "two layers": lambda: layer("score.0", HIDDEN, HIDDEN) | layer("score.2", HIDDEN, 1),
    "a value head of two layers": lambda: layer("v_head.summary.0", HIDDEN, 8) | layer("v_head.summary.2", 8, 1),
    "several outputs": lambda: {"score.weight": draw(3, HIDDEN)},
}
CONFIGS = {
    "two layers": {"architectures": ["INFORMForSequenceClassification"]},
    "a value head of two layers": {"architectures": ["GRewardModel"]},
    "several outputs": {"architectures": ["LlamaForSequenceClassification"], "num_labels": 3},
}
WHY = {
    "two layers": "`two-layer`, which is not one linear layer",
    "a value head of two layers": "`value`, which is not one linear layer",
    "several outputs": "several outputs",
}


@pytest.mark.parametrize("head", HEADS)
def test_a_head_that_is_not_one_row_of_weights_is_refused_saying_why(head: str, tiny_lm: Path, tmp_path: Path) -> None:
    folder = write_head(tiny_lm, tmp_path / "model", HEADS[head](), CONFIGS[head])
    with pytest.raises(BirthmarkError, match=WHY[head]) as caught:
        linear_end(found(folder))
    assert "\n" not in str(caught.value)


def test_a_language_model_and_a_row_of_the_language_head_are_refused(tiny_lm: Path) -> None:
    with pytest.raises(BirthmarkError, match="is a language model"):
        linear_end(found(tiny_lm))
    from birthmark.inputs.catalog import Entry

    named = replace(found(tiny_lm), kind="reward", entry=Entry(name="x", kind="reward", head="first-logit"))
    with pytest.raises(BirthmarkError, match="a row of the language head"):
        linear_end(named)


def test_an_adapter_whose_head_is_its_bases_is_refused(kinds: dict[str, Path], tiny_rm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    shutil.copytree(kinds["adapter"], folder)
    path = folder / "adapter_model.safetensors"
    kept = {name: tensor for name, tensor in load_file(path).items() if "score" not in name}
    save_file(kept, path, metadata={"format": "pt"})
    config = json.loads((folder / "adapter_config.json").read_text())
    config |= {"modules_to_save": None, "base_model_name_or_path": str(tiny_rm)}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(BirthmarkError, match="without a head of its own"):
        linear_end(found(folder))


def test_an_adapter_finds_a_base_that_lies_beside_it_from_its_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    write_tiny_model(folder / "base", seed=1)
    write_adapter(folder / "base", folder, seed=2)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "base"}))
    model = found(folder)
    write_edited(model, linear_end(model), linear_end(model).weights, tmp_path / "far" / "new")
    assert found(tmp_path / "far" / "new").path == (folder / "base").resolve()


def test_weights_that_are_not_read_stay_behind(tiny_rm: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_rm, folder)
    (folder / "pytorch_model.bin").write_bytes(b"the old head")
    (folder / "LICENSE").write_text("Apache-2.0")
    model = found(folder)
    write_edited(model, linear_end(model), linear_end(model).weights, tmp_path / "new")
    assert not (tmp_path / "new" / "pytorch_model.bin").exists()
    assert (tmp_path / "new" / "LICENSE").read_text() == "Apache-2.0"


def test_a_head_without_a_number_or_with_zeros_alone_is_refused(tiny_rm: Path, tmp_path: Path) -> None:
    for value, why in ((0.0, "zero everywhere"), (float("nan"), "not finite")):
        folder = tmp_path / why.replace(" ", "-")
        shutil.copytree(tiny_rm, folder)
        tensors = load_file(folder / "model.safetensors")
        tensors["score.weight"] = torch.full_like(tensors["score.weight"], value)
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(BirthmarkError, match=why):
            linear_end(found(folder))
