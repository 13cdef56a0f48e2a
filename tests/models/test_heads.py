"""Heads: which one a checkpoint has, the proof that every weight came from its files, what is refused, other packages'.

Whether each head's numbers are right is the business of `test_head_oracles.py`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from architectures import CONFIGS, random_ids, tiny_model
from head_folders import HIDDEN, change, draw, layer, load, refused, write_head
from safetensors.torch import load_file, save_file

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.models import engine as engine_module
from birthmark.models.engine import PlainEngine, PrefixEngine
from birthmark.models.heads.base import last_occurrence
from birthmark.models.heads.distributions import URMFirstColumnHead, URMHead
from birthmark.models.heads.known import choose_head, find_head, known_heads, prove_linear, read_head
from birthmark.models.heads.linear import LinearHead, TwoLayerHead
from birthmark.models.loading import load_model
from birthmark.models.resolve import resolve
from birthmark.models.scorers import RewardScorer, make_scorer
from birthmark.models.tokenizer import load_tokenizer

REPOSITORY = Path(__file__).parents[2]
BOUND = 1e-4


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))


ARMORM = {
    **layer("gating.layers.0", HIDDEN, 16),
    **layer("gating.layers.1", 16, 5),
    "gating.logit_scale": torch.tensor([1.5]),
    "regression_layer.weight": draw(5, HIDDEN),
    "reward_transform_matrix": draw(5, 5),
}
TWO_LAYER = {**layer("score.0", HIDDEN, HIDDEN), **layer("score.2", HIDDEN, 1)}
VALUE = {**layer("v_head.summary.0", HIDDEN, 24), **layer("v_head.summary.2", 24, 1)}
URM = {
    "score.weight": draw(10, HIDDEN),
    **layer("weights.fc.0", HIDDEN, HIDDEN),
    **layer("weights.fc.2", HIDDEN, HIDDEN),
    **layer("weights.fc.4", HIDDEN, 5),
}
GATED = {"architectures": ["LlamaForRewardModelWithGating"], "gating_temperature": 4}


def scorer_of(folder: Path, engine: Any = "prefix", **options: Any) -> RewardScorer:
    found = resolve(folder, quiet=True)
    scorer = make_scorer(
        load_model(found), load_tokenizer(found), kind="reward", words=["love", "freedom", "a long answer", "power"],
        vocabulary=False, frame="chat", engine=engine, **options,
    )  # fmt: skip
    assert isinstance(scorer, RewardScorer)
    return scorer


# ----------------------------------------------------------------------------------------------- the plain linear head


def test_a_linear_reward_is_the_dot_product_of_state_and_weight():
    linear = torch.nn.Linear(3, 1, bias=False)
    linear.weight.data = torch.tensor([[1.0, -2.0, 0.5]])
    with torch.inference_mode():
        rewards = LinearHead(linear)(torch.tensor([[1.0, 1.0, 2.0], [0.0, 3.0, 0.0]]))
    assert rewards.tolist() == [0.0, -6.0]


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "gemma3", "qwen2"])
def test_the_head_of_a_sequence_classifier_is_its_score_layer(architecture):
    model = tiny_model(architecture, reward=True)
    states = torch.randn(5, 32)
    with torch.inference_mode():
        assert torch.equal(read_head(model)(states), model.score(states)[:, 0])


def test_several_outputs_raise():
    with pytest.raises(BirthmarkError, match="2 outputs"):
        LinearHead(torch.nn.Linear(3, 2))


def test_a_model_without_a_head_raises():
    with pytest.raises(BirthmarkError, match="no reward head"):
        read_head(tiny_model("llama"))


# --------------------------------------------------------------------------------------- which head a checkpoint has


@pytest.mark.parametrize(
    ("names", "config", "kind"),
    [
        ({"score.weight": (1, 8)}, {}, "linear"),
        ({"score.weight": (3, 8)}, {}, "attributes"),
        ({"score.0.weight": (8, 8), "score.2.weight": (1, 8)}, {}, "two-layer"),
        ({"v_head.summary.weight": (1, 8), "lm_head.weight": (9, 8)}, {}, "value"),
        ({"regression_layer.weight": (19, 8), "gating.layers.0.weight": (4, 8)}, {}, "armorm"),
        ({"regression_layer.weight": (95, 8), "gating.layers.2.running_mean": (4,)}, {}, "qrm"),
        ({"regression_layer.weight": (95, 8), "gating.layers.0.weight": (4, 8)}, {"num_quantiles": 19}, "qrm"),
        ({"score.weight": (10, 8), "weights.fc.0.weight": (8, 8)}, {}, "urm"),
        ({"regression_layer.network.0.weight": (8, 8), "gating_layer.network.0.weight": (8, 8)}, {}, "ldl"),
    ],
)
def test_a_head_is_recognised_by_its_tensors(names, config, kind):
    decoder = {"model.embed_tokens.weight": (9, 8), "model.norm.weight": (8,)}
    head = find_head(decoder | names, config)
    assert head is not None and head.name == kind


def test_a_language_model_has_no_head():
    assert find_head({"model.norm.weight": (8,), "lm_head.weight": (9, 8)}, {}) is None


def test_a_name_that_is_not_known_gets_the_known_ones_and_the_way_to_add_one():
    with pytest.raises(BirthmarkError, match=r"`oracle`.*armorm.*urm.*`birthmark\.heads`"):
        choose_head({"score.weight": (1, 8)}, {}, "oracle", "mine")


def test_a_named_head_other_than_the_tensors_show_is_an_altered_file():
    with pytest.raises(BirthmarkError, match=r"mine .*`armorm`.*`linear`.*altered"):
        choose_head({"score.weight": (1, 8)}, {}, "armorm", "mine")


def test_the_config_names_a_head_before_the_catalog_does():
    chosen = choose_head({"weights.fc.0.weight": (8, 8)}, {"birthmark_head": "urm-first-column"}, "urm", "mine")
    assert chosen is URMFirstColumnHead


def test_every_head_of_the_catalog_is_known():
    from birthmark.inputs.catalog import load_catalog

    assert {entry.head for entry in load_catalog().values() if entry.head and entry.loadable} <= set(known_heads())


def test_a_linear_layer_under_a_class_that_nobody_knows_has_to_be_named(tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "own", {"score.weight": draw(1, HIDDEN)}, {"architectures": ["OwnReward"]})
    refused(folder, "OwnReward", '"birthmark_head": "linear"')
    change(folder, birthmark_head="linear", num_labels=1, id2label={"0": "reward"}, label2id={"reward": 0})
    assert isinstance(read_head(load(folder)), LinearHead)


def test_an_unknown_class_with_unknown_tensors_says_how_to_name_a_head(tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "own", {"scorer.w": draw(1, HIDDEN)}, {"architectures": ["OwnReward"]})
    refused(folder, "OwnReward", "birthmark_head", "never runs code")


def test_foreign_code_beside_a_known_head_is_not_run(tiny_lm, tmp_path):
    own = {"auto_map": {"AutoModel": "own.Model", "AutoConfig": "own.Config"}, "architectures": ["INFORM"]}
    folder = write_head(tiny_lm, tmp_path / "own", TWO_LAYER, own)
    (folder / "own.py").write_text("raise SystemExit('foreign code was run')")
    assert isinstance(read_head(load(folder, kind="reward")), TwoLayerHead)


def test_a_language_model_with_a_value_head_is_a_reward_model_unless_asked_otherwise(tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "grm", VALUE, {}, language_head=True)
    assert resolve(folder).kind == "reward" and read_head(load(folder)).name == "value"
    assert load(folder, kind="logprob").lm_head is not None


# -------------------------------------------------------------------------------------- every weight from the files


@pytest.mark.parametrize(
    ("head", "config"),
    [(ARMORM, GATED), (TWO_LAYER, {"architectures": ["INFORMForSequenceClassification"]}), (VALUE, {})],
)
def test_what_is_in_a_head_is_what_is_in_the_file(head, config, tiny_lm, tmp_path):
    model = load(write_head(tiny_lm, tmp_path / "rm", head, config, language_head=head is VALUE))
    held = [*model.reward_head.parameters(), *model.reward_head.buffers()]
    assert len(held) == len(head)
    assert all(any(torch.equal(tensor, value) for value in held) for tensor in head.values())
    assert not model.reward_head.training and not any(value.requires_grad for value in held)


def test_a_linear_head_that_is_not_the_files_raises(tiny_rm):
    files = [tiny_rm / "model.safetensors"]
    for dtype in (torch.float32, torch.bfloat16):
        model = load_model(resolve(tiny_rm), dtype=dtype)
        prove_linear("mine", files, model)
        model.score.weight.data[0, 3] *= 1.1
        with pytest.raises(BirthmarkError, match=r"score\.weight differs from the file"):
            prove_linear("mine", files, model)


def test_a_renamed_tensor_is_told_as_missing_and_as_surplus(tiny_lm, tmp_path):
    head = {name.replace("logit_scale", "scale"): tensor for name, tensor in ARMORM.items()}
    refused(write_head(tiny_lm, tmp_path / "rm", head, GATED), "lacks the weight gating.logit_scale", "gating.scale")


@pytest.mark.parametrize("lost", ["model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_a_missing_weight_of_the_decoder_is_named(lost, tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "rm", ARMORM, GATED)
    tensors = load_file(folder / "model.safetensors")
    del tensors[lost]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    refused(folder, lost.removeprefix("model."), "left random")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"reward_transform_matrix": draw(5, 4)}, ["reward_transform_matrix", "5 x 5"]),
        ({"gating.layers.1.weight": draw(5, 15)}, ["gating.layers.1.weight", "16"]),
        ({"regression_layer.weight": draw(6, HIDDEN)}, ["regression_layer.weight", "6 x 32"]),
        (
            {"regression_layer.weight": draw(5, 8), "gating.layers.0.weight": draw(16, 8)},
            ["regression_layer.weight", "32"],
        ),
    ],
)
def test_a_head_whose_tensors_do_not_fit_together_raises(changed, words, tiny_lm, tmp_path):
    refused(write_head(tiny_lm, tmp_path / "rm", ARMORM | changed, GATED), *words, "altered")


# -------------------------------------------------------------------------------------------------- config values


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"gating_temperature": None}, ["lacks gating_temperature", "config.json"]),
        ({"gating_temperature": "ten"}, ["gating_temperature", "positive"]),
        ({"gating_temperature": 0}, ["gating_temperature", "positive"]),
        ({"num_objectives": 19}, ["num_objectives", "19", "5"]),
        ({"gating_hidden_dim": 1024}, ["gating_hidden_dim", "1024", "16"]),
        ({"gating_n_hidden": 3}, ["gating.layers.2.bias"]),
    ],
)
def test_a_config_value_that_is_absent_or_of_another_model_is_named(config, words, tiny_lm, tmp_path):
    refused(write_head(tiny_lm, tmp_path / "rm", ARMORM, GATED | config), *words)


def test_a_gate_on_a_family_whose_turns_are_not_known_asks_for_the_tokens(tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "rm", ARMORM, GATED | {"model_type": "mistral"})
    refused(folder, "'mistral'", "gating_token_pattern")


def test_a_conversation_without_the_gates_tokens_raises(tiny_lm, tmp_path):
    scorer = scorer_of(write_head(tiny_lm, tmp_path / "rm", ARMORM, GATED))
    with pytest.raises(BirthmarkError, match="128009.*chat template"):
        scorer.score("What is best?")


def test_weights_of_named_outputs_are_required_and_complete(tiny_lm, tmp_path):
    config = {"architectures": ["LlamaForSequenceClassification"]}
    folder = write_head(tiny_lm, tmp_path / "rm", {"score.weight": draw(3, HIDDEN)}, config)
    refused(folder, "3 outputs", "head_weights")
    change(folder, head_weights={"help": 1.0, "harm": -2.0})
    refused(folder, "2 attributes", "3 outputs")
    change(folder, head_weights={"help": 1.0, "harm": -2.0, "wit": 0.5})
    head = read_head(load(folder))
    states = draw(4, HIDDEN)
    assert head.attributes == ("help", "harm", "wit")
    assert torch.allclose(head(states), states @ draw(3, HIDDEN).T @ torch.tensor([1.0, -2.0, 0.5]), atol=1e-6)


def test_a_catalog_names_the_head_and_the_outputs_of_a_folder(tiny_lm, tmp_path):
    write_head(tiny_lm, tmp_path / "rm", {"score.weight": draw(2, HIDDEN)}, {"architectures": ["OwnReward"]})
    own = tmp_path / "own.toml"
    own.write_text(
        '[models."mine"]\npath = "rm"\nkind = "reward"\nhead = "attributes"\nhead_weights = {help = 1, wit = -1}\n'
    )
    head = read_head(load_model(resolve("mine", catalog=own, quiet=True)))
    assert head.attributes == ("help", "wit")


def test_a_language_head_beside_a_two_layer_head_is_left_unread(tiny_lm, tmp_path):
    """Qwen's reward models keep theirs: vLLM's loader of them skips it."""
    config = {"architectures": ["Qwen2ForRewardModel"]}
    head = read_head(load(write_head(tiny_lm, tmp_path / "rm", TWO_LAYER, config, language_head=True)))
    assert isinstance(head, TwoLayerHead) and len([*head.parameters()]) == len(TWO_LAYER)


def test_a_listed_model_loads_from_a_folder_as_the_catalog_says_how(tiny_lm, tmp_path):
    """A decision tree's five attributes, weighted in a catalog of one's own; the bundled entry is not loadable."""
    tensors = {"score.weight": draw(5, HIDDEN), "score.bias": draw(5)}
    write_head(tiny_lm, tmp_path / "rm", tensors, {"architectures": ["LlamaForDecisionTreeRewardModel"]})
    own, weights = tmp_path / "own.toml", "{helpful = 1, correct = 0, coherent = 0, complex = 0, verbose = -1}"
    own.write_text(
        '[models."decision-tree-reward-llama-3.1-8b"]\npath = "rm"\nloadable = true\nhead = "attributes"\n'
        f"head_weights = {weights}\n"
    )
    with pytest.raises(BirthmarkError, match="decision tree"):
        resolve("decision-tree-reward-llama-3.1-8b", quiet=True)
    head, states = (
        read_head(load_model(resolve("decision-tree-reward-llama-3.1-8b", catalog=own, quiet=True))),
        draw(4, HIDDEN),
    )
    rated = states @ tensors["score.weight"].T + tensors["score.bias"]
    assert torch.allclose(head(states), rated[:, 0] - rated[:, 4], atol=1e-5)


def test_the_studys_protocol_reads_the_first_column_of_a_urm(tiny_lm, tmp_path):
    model = load(write_head(tiny_lm, tmp_path / "rm", URM, {"architectures": ["LlamaForSequenceClassificationWith"]}))
    states = draw(4, HIDDEN)
    assert type(read_head(model)) is URMHead
    study = read_head(model, "christian2026")
    assert torch.allclose(study(states), states @ draw(10, HIDDEN)[0], atol=1e-6)
    assert not torch.allclose(study(states), read_head(model)(states), atol=1e-2)


# ---------------------------------------------------------------------------------------------- attribute by attribute


@pytest.fixture
def rated(tiny_lm: Path, tmp_path: Path) -> Path:
    """A reward model with three named outputs."""
    config = {
        "architectures": ["LlamaForSequenceClassification"],
        "head_weights": {"help": 1.0, "harm": -2.0, "wit": 0.5},
    }
    return write_head(tiny_lm, tmp_path / "rated", {"score.weight": draw(3, HIDDEN)}, config)


def test_attributes_stand_beside_the_reward_that_they_make(rated, tmp_path):
    prompts = ["What is best?", "What is worst?"]
    words = ["love", "freedom", "power"]
    found = bm.score_attributes(rated, prompt=prompts, candidates=words, out=tmp_path / "out")
    assert found.attributes == ("help", "harm", "wit") and found.frame.height == 6
    joined = found.frame["help"] - 2 * found.frame["harm"] + 0.5 * found.frame["wit"]
    assert np.allclose(joined, found.frame["reward"], atol=1e-5)
    table = bm.score(rated, prompt=prompts, candidates=words)
    assert table.record.head == "attributes"
    assert np.allclose(np.concatenate(list(table.matrix().T)), found.frame["reward"], atol=1e-6)
    (file,) = (tmp_path / "out" / "attributes").iterdir()
    assert pl.read_parquet(file).equals(found.frame)


def test_attributes_on_the_command_line(rated, birthmark):
    ask = ("score", rated, "--attributes", "--prompt", "What is best?", "--candidates", "love,freedom", "--quiet")
    answer = birthmark(*ask)
    assert answer.code == 0 and all(word in answer.out for word in ("reward", "harm", "'love'")), answer.err
    printed = json.loads(birthmark(*ask, "--json").out)
    assert [row["candidate"] for row in printed["scores"]] == ["love", "freedom"]


def test_a_model_with_one_score_has_no_attributes(tiny_rm, tiny_lm):
    for model, words in ((tiny_rm, "no attributes"), (tiny_lm, "language model")):
        with pytest.raises(BirthmarkError, match=words):
            bm.score_attributes(model, prompt=["What is best?"], candidates=["love"])


# ------------------------------------------------------------------------------------- the state that a gate reads

PREFIX = random_ids(20, seed=1)


def states_at(model: Any, sequences: list[list[int]], places: list[int]) -> torch.Tensor:
    with torch.inference_mode():
        whole = [model.get_decoder()(torch.tensor([ids])).last_hidden_state[0] for ids in sequences]
    return torch.stack([states[place] for states, place in zip(whole, places, strict=True)])


def assert_states(engine: Any, sequences: list[list[int]], places: list[int]) -> None:
    last, further = (torch.full((len(sequences), HIDDEN), torch.nan) for _ in range(2))
    for indices, at_end, at_place in engine.states(sequences, places):
        last[indices], further[indices] = at_end, at_place
    expected = states_at(engine.model, sequences, [len(ids) - 1 for ids in sequences])
    assert float((last - expected).abs().max()) <= BOUND
    assert float((further - states_at(engine.model, sequences, places)).abs().max()) <= BOUND


@pytest.mark.parametrize("engine", [PlainEngine, PrefixEngine])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_further_state_may_lie_in_the_prefix_in_the_suffix_and_at_its_ends(architecture, engine):
    model = tiny_model(architecture)
    sequences = [PREFIX + random_ids(length, seed=length) for length in (2, 5, 3, 4, 6, 1)]
    assert_states(engine(model), sequences, [7, 24, 22, 19, 20, 20])


@pytest.mark.parametrize("place", [5, 23, 27])
def test_a_further_state_is_found_where_groups_share_more(place, monkeypatch):
    monkeypatch.setattr(engine_module, "PREFIX_TOKENS", {"cpu": 16})  # so that a fork is worth a pass
    monkeypatch.setattr(engine_module, "PREFIX_CHUNK", 7)
    groups = [PREFIX + random_ids(5, seed=10 + group) for group in range(3)]
    sequences = [group + random_ids(4, seed=20 + member) for group in groups for member in range(4)]
    assert_states(PrefixEngine(tiny_model("llama")), sequences, [place] * len(sequences))


def test_a_further_state_in_the_prefix_costs_no_second_pass():
    model = tiny_model("llama")
    seen: list[int] = []
    model.get_decoder().layers[0].mlp.register_forward_hook(lambda *call: seen.append(call[2][..., 0].numel()))
    list(PrefixEngine(model).states([PREFIX + ending for ending in ([3, 4], [5, 6], [7], [8])], [9] * 4))
    assert sum(seen) == 20 + 2 + 2 + 1 + 1


def test_one_sequence_alone_has_its_further_state_too():
    assert_states(PrefixEngine(tiny_model("gemma2")), [PREFIX], [4])


def test_the_last_occurrence_is_found_and_a_missing_one_is_told():
    assert last_occurrence([1, 2, 3, 1, 2, 3, 9], [2, 3]) == 4
    assert last_occurrence([2, 3], [2, 3]) == 0
    with pytest.raises(BirthmarkError, match="lacks the tokens"):
        last_occurrence([1, 2], [2, 3])


@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_gated_reward_is_the_same_by_both_engines(at_the_end, tiny_lm, tmp_path):
    """The gate's tokens before the answer, shared; or, as with a template that opens another turn, after it."""
    folder = write_head(tiny_lm, tmp_path / "rm", ARMORM, GATED)
    found = resolve(folder)
    opening = load_tokenizer(found).encode("</turn>\n", add_special_tokens=False)
    pattern = (
        opening if at_the_end else load_tokenizer(found).encode("</turn>\n<turn>assistant", add_special_tokens=False)
    )
    change(folder, gating_token_pattern=pattern)
    plain, prefix = (scorer_of(folder, engine).score("What is best?").scores for engine in ("plain", "prefix"))
    assert np.abs(plain - prefix).max() <= BOUND and np.ptp(plain) > 10 * BOUND
