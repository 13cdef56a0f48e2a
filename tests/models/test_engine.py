"""The engines against the model itself, run on one whole sequence at a time without any padding."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from architectures import CONFIGS, WINDOW, endings, random_ids, tiny_model
from transformers import LlamaConfig
from transformers.models.llama.modeling_llama import LlamaMLP

from birthmark.errors import BirthmarkError
from birthmark.models import engine as engine_module
from birthmark.models import packing
from birthmark.models.engine import Engine, PlainEngine, PrefixEngine, make_engine
from birthmark.models.packing import fast_layers, linear
from birthmark.models.shared_attention import SharedPrefix

BOUND = 1e-4
ENGINES = ["plain", "prefix"]
PREFIX = random_ids(20, seed=1)


def states_one_by_one(model: Any, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    with torch.inference_mode():
        return torch.stack(
            [model.get_decoder()(torch.tensor([list(ids)])).last_hidden_state[0, -1] for ids in sequences]
        )


def chains_one_by_one(model: Any, context: list[int], continuations: Sequence[Sequence[int]]) -> np.ndarray:
    found = []
    for continuation in continuations:
        total = 0.0
        for length, token in enumerate(continuation):
            with torch.inference_mode():
                logits = model(torch.tensor([[*context, *continuation[:length]]])).logits[0, -1]
            total += float(torch.log_softmax(logits.double(), dim=-1)[token])
        found.append(total)
    return np.array(found)


def gathered(engine: Engine, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
    states: dict[int, torch.Tensor] = {}
    for indices, batch in engine.last_states(sequences):
        assert not set(indices) & set(states)
        states.update(zip(indices, batch, strict=True))
    return torch.stack([states[index] for index in range(len(sequences))])


def assert_states_match(engine: Engine, sequences: Sequence[Sequence[int]]) -> None:
    expected = states_one_by_one(engine.model, sequences)
    assert float((gathered(engine, sequences) - expected).abs().max()) <= BOUND


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("architecture", CONFIGS)
def test_last_states_are_those_of_each_sequence_run_alone(architecture: str, name: Any) -> None:
    engine = make_engine(name, tiny_model(architecture))
    assert_states_match(engine, [PREFIX + ending for ending in endings(30, longest=5, seed=2)])


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("architecture", CONFIGS)
def test_log_probabilities_follow_the_chain_rule(architecture: str, name: Any) -> None:
    model = tiny_model(architecture)
    continuations = endings(30, longest=4, seed=3)
    following, sums = make_engine(name, model).log_probs(PREFIX, continuations)
    assert np.abs(sums - chains_one_by_one(model, PREFIX, continuations)).max() <= BOUND
    assert np.abs(following - chains_one_by_one(model, PREFIX, [[token] for token in range(97)])).max() <= BOUND


@pytest.mark.parametrize("name", ENGINES)
def test_next_token_probabilities_sum_to_one(name: Any) -> None:
    following, sums = make_engine(name, tiny_model("gemma2")).log_probs(PREFIX, [])
    assert np.exp(following.astype(float)).sum() == pytest.approx(1, abs=1e-5)
    assert sums.shape == (0,)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_prefix_run_in_pieces_is_the_same_prefix(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "PREFIX_CHUNK", 7)
    assert_states_match(
        PrefixEngine(tiny_model(architecture)), [PREFIX + ending for ending in endings(12, longest=3, seed=4)]
    )


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_suffix_longer_than_the_window_sees_what_it_should(architecture: str) -> None:
    assert_states_match(
        PrefixEngine(tiny_model(architecture)), [PREFIX + random_ids(WINDOW + 5, seed=seed) for seed in range(5)]
    )


@pytest.mark.parametrize("architecture", CONFIGS)
def test_conversations_that_fork_early_share_more_than_one_prefix(architecture: str) -> None:
    engine = PrefixEngine(tiny_model(architecture))
    engine._worth_a_pass = 1
    left, right = random_ids(6, seed=5), random_ids(6, seed=6)
    sequences = [PREFIX + left + ending for ending in endings(9, longest=3, seed=7)]
    sequences += [PREFIX + right + ending for ending in endings(9, longest=3, seed=8)]
    sequences += [PREFIX + [7], PREFIX + left[:3] + [9]]
    assert_states_match(engine, sequences)


@pytest.mark.parametrize(
    "sequences",
    [
        [[5, 6, 7]],
        [[5]],
        [[5, 6, 7], [5, 6, 7]],
        [[5, 6], [5, 6, 7], [5, 6, 7, 8]],
        [[5, 6, 7], [8, 9]],
        [[5], [6], [7, 7]],
    ],
    ids=["alone", "one token", "twice the same", "each begins the next", "nothing shared", "no prefix, one token"],
)
@pytest.mark.parametrize("name", ENGINES)
def test_odd_sets_of_sequences_are_scored_too(sequences: list[list[int]], name: Any) -> None:
    assert_states_match(make_engine(name, tiny_model("gemma3")), sequences)


@pytest.mark.parametrize("name", ENGINES)
def test_no_sequences_give_no_states(name: Any) -> None:
    assert list(make_engine(name, tiny_model("llama")).last_states([])) == []


def tokens_run(model: Any, run: Any) -> int:
    """How many tokens pass through the first layer's MLP while something runs."""
    seen: list[int] = []
    hook = (
        model.get_decoder()
        .layers[0]
        .mlp.register_forward_hook(lambda layer, given, out: seen.append(out[..., 0].numel()))
    )
    run()
    hook.remove()
    return sum(seen)


def test_the_shared_prefix_is_run_once() -> None:
    model = tiny_model("llama")
    sequences = [PREFIX + ending for ending in ([3, 4], [5, 6], [7], [8])]
    assert tokens_run(model, lambda: list(PrefixEngine(model).last_states(sequences))) == 20 + 2 + 2 + 1 + 1


def test_a_node_of_the_form_tree_is_run_once() -> None:
    model = tiny_model("llama")
    continuations = [[3], [3, 4], [3, 5], [3, 5, 6], [3, 5, 7], [8]]
    assert tokens_run(model, lambda: PrefixEngine(model).log_probs(PREFIX, continuations)) == 20 + 2


def test_a_context_and_its_few_continuations_are_one_pass() -> None:
    model = tiny_model("llama")
    passes: list[int] = []
    model.get_decoder().register_forward_pre_hook(
        lambda layer, given, kwargs: passes.append(kwargs["input_ids"].shape[1]), with_kwargs=True
    )
    PrefixEngine(model).log_probs(PREFIX, [[3], [3, 4], [5, 6, 7]])
    assert passes == [20 + 1 + 2]


def test_what_contexts_run_together_begin_with_is_run_once() -> None:
    model = tiny_model("llama")
    contexts = [PREFIX + [3, 4], PREFIX + [5], PREFIX]
    own = [3, 2, 1]  # the last token of a context is always its own
    run = lambda: PrefixEngine(model).log_probs_after(contexts, [[3], [3, 4], [5, 6, 7]])
    assert tokens_run(model, run) == 19 + sum(own) + 3 * 3


def test_a_vocabulary_in_many_blocks_is_the_same_vocabulary(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PrefixEngine(tiny_model("gemma2"))
    continuations = endings(20, longest=3, seed=3)
    following, sums = engine.log_probs(PREFIX, continuations)
    monkeypatch.setattr(engine_module, "LOGITS_IN_CACHE", 200)
    pieces, sums_of_pieces = engine.log_probs(PREFIX, continuations)
    assert np.abs(pieces - following).max() <= 1e-6 and np.abs(sums_of_pieces - sums).max() <= 1e-6


@pytest.mark.parametrize("shared", [0, WINDOW + 3], ids=["nothing shared", "a beginning shared"])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_contexts_run_together_do_not_see_each_other(architecture: str, shared: int) -> None:
    model = tiny_model(architecture)
    contexts = [PREFIX, PREFIX[:7], random_ids(WINDOW + 9, seed=5)]
    contexts = [random_ids(shared, seed=8) + context for context in contexts]
    continuations = endings(20, longest=4, seed=3)
    found = PrefixEngine(model).log_probs_after(contexts, continuations)
    for context, (following, sums) in zip(contexts, found, strict=True):
        assert np.abs(sums - chains_one_by_one(model, context, continuations)).max() <= BOUND
        assert np.abs(following - chains_one_by_one(model, context, [[token] for token in range(97)])).max() <= BOUND


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_chain_longer_than_the_window_sees_what_it_should(architecture: str) -> None:
    model = tiny_model(architecture)
    long = random_ids(WINDOW + 6, seed=6)
    continuations = [long, long[:4] + random_ids(WINDOW + 3, seed=7), [5], [5, 6]]
    contexts = [PREFIX, PREFIX[:3]]
    found = PrefixEngine(model).log_probs_after(contexts, continuations)
    for context, (_, sums) in zip(contexts, found, strict=True):
        assert np.abs(sums - chains_one_by_one(model, context, continuations)).max() <= BOUND


def test_contexts_are_run_together_as_far_as_they_fit() -> None:
    model = tiny_model("llama")
    engine = PrefixEngine(model)
    engine._batching.limit = 50
    continuations = [[3], [3, 4], [5, 6, 7]]  # the paths after a context of 20 hold three tokens
    assert engine.batches([PREFIX] * 5, continuations) == [range(2), range(2, 4), range(4, 5)]
    assert engine.batches([PREFIX] * 3, [[3], [4]]) == [range(1), range(1, 2), range(2, 3)]
    assert PlainEngine(model).batches([PREFIX] * 2, continuations) == [range(1), range(1, 2)]


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_context_and_more_continuations_than_one_pass_holds_are_scored_alike(architecture: str) -> None:
    model = tiny_model(architecture)
    continuations = endings(30, longest=4, seed=3)
    engine = PrefixEngine(model)
    engine._batching.limit = 8
    following, sums = engine.log_probs(PREFIX, continuations)
    assert np.abs(sums - chains_one_by_one(model, PREFIX, continuations)).max() <= BOUND
    assert np.exp(following.astype(float)).sum() == pytest.approx(1, abs=1e-5)


def test_continuations_taken_in_pieces_are_scored_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = PrefixEngine(tiny_model("gemma2"))
    continuations = endings(40, longest=4, seed=12)
    whole = engine.log_probs(PREFIX, continuations)[1]
    monkeypatch.setattr(engine_module, "CONTINUATIONS_AT_ONCE", 7)
    assert np.abs(engine.log_probs(PREFIX, continuations)[1] - whole).max() <= BOUND


def test_only_the_last_token_goes_through_the_last_layer() -> None:
    model = tiny_model("gemma3")
    seen: list[torch.Size] = []
    model.get_decoder().layers[-1].mlp.register_forward_hook(lambda layer, given, out: seen.append(out.shape[:2]))
    sequences = [PREFIX + random_ids(4, seed=seed) for seed in range(6)]
    list(PrefixEngine(model).last_states(sequences))
    assert seen == [(1, 20), (1, 6)]


def test_keys_of_the_shared_prefix_exist_once() -> None:
    engine = PrefixEngine(tiny_model("llama"))
    with torch.inference_mode():
        shared, *_ = engine._share(PREFIX)
    assert [key.shape for key in shared.keys if key is not None] == [(2, 20, 8)] * 3


def test_extending_a_copied_prefix_leaves_the_first_alone() -> None:
    shared = SharedPrefix(layers=1)
    shared.append(0, torch.ones(2, 3, 4), torch.ones(2, 3, 4))
    other = shared.copy()
    other.append(0, torch.ones(2, 5, 4), torch.ones(2, 5, 4))
    assert shared.keys[0] is not None and shared.keys[0].shape == (2, 3, 4)


@pytest.mark.parametrize("architecture", ["gemma2", "gemma3"])
def test_the_window_is_narrower_than_the_prefix_and_matters(architecture: str) -> None:
    narrow, wide = tiny_model(architecture), tiny_model(architecture)
    for layer in wide.get_decoder().layers:
        if layer.self_attn.sliding_window is not None:
            layer.self_attn.sliding_window = 1000
    sequences = [PREFIX + [3, 4], PREFIX + [5]]
    difference = gathered(PrefixEngine(narrow), sequences) - gathered(PrefixEngine(wide), sequences)
    assert float(difference.abs().max()) > 100 * BOUND


def test_the_attention_implementation_is_the_models_own_again_after_a_run() -> None:
    model = tiny_model("gemma2")
    list(PrefixEngine(model).last_states([PREFIX, PREFIX[:5]]))
    assert model.config._attn_implementation == "eager"


def fails_above(tokens: int, error: Exception) -> Any:
    """A hook that raises where more than so many tokens are run together."""

    def hook(layer: Any, given: tuple, kwargs: dict[str, Any]) -> None:
        if kwargs["input_ids"].numel() > tokens:
            raise error

    return hook


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 5 bytes"),
        MemoryError(),
    ],
    ids=["cuda", "mps", "cpu", "python"],
)
def test_batches_halve_when_memory_runs_out(name: Any, error: Exception) -> None:
    model = tiny_model("llama")
    sequences = [PREFIX + ending for ending in endings(40, longest=3, seed=9)]
    expected = states_one_by_one(model, sequences)
    engine = make_engine(name, model)
    tokens = {"plain": 75, "prefix": 22}[name]  # three conversations; a prefix, or a few suffixes
    model.get_decoder().register_forward_pre_hook(fails_above(tokens, error), with_kwargs=True)
    assert float((gathered(engine, sequences) - expected).abs().max()) <= BOUND
    assert engine._batching.limit <= tokens
    continuations = endings(40, longest=3, seed=10)
    sums = engine.log_probs(PREFIX, continuations)[1]
    model.get_decoder()._forward_pre_hooks.clear()
    assert np.abs(sums - make_engine(name, model).log_probs(PREFIX, continuations)[1]).max() <= BOUND


@pytest.mark.parametrize("name", ENGINES)
def test_too_little_memory_for_one_conversation_says_what_to_do(name: Any) -> None:
    model = tiny_model("llama")
    error = torch.OutOfMemoryError("CUDA out of memory")
    engine = make_engine(name, model)
    model.get_decoder().layers[0].register_forward_pre_hook(
        lambda layer, given: (_ for _ in ()).throw(error) if given[0].shape[1] < 20 or name == "plain" else None
    )
    with pytest.raises(BirthmarkError, match="not enough memory.*--dtype"):
        list(engine.last_states([PREFIX + [3], PREFIX + [4]]))


def test_other_failures_are_not_taken_for_want_of_memory() -> None:
    model = tiny_model("llama")
    model.get_decoder().register_forward_pre_hook(fails_above(0, RuntimeError("shape mismatch")), with_kwargs=True)
    with pytest.raises(RuntimeError, match="shape mismatch"):
        list(PlainEngine(model).last_states([PREFIX]))


def test_a_model_with_a_layer_that_does_not_attend_raises() -> None:
    model = tiny_model("llama")
    model.get_decoder().layers[1].forward = lambda states, **others: states
    with pytest.raises(BirthmarkError, match="--engine plain"):
        list(PrefixEngine(model).last_states([PREFIX + [3], PREFIX + [4]]))
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("architecture", CONFIGS)
def test_a_pass_has_no_more_suffixes_than_it_may_have_tokens(architecture: str) -> None:
    model = tiny_model(architecture)
    shapes: list[tuple[int, ...]] = []
    model.get_decoder().register_forward_pre_hook(
        lambda layer, given, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    engine = PrefixEngine(model)
    engine._batching.limit = 4
    list(engine.last_states([PREFIX + [token] for token in range(1, 14)]))
    assert shapes == [(1, 20), (1, 4), (1, 4), (1, 4), (1, 1)]


@pytest.mark.parametrize("bias", [None, torch.arange(5.0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_product_with_the_vocabulary_is_the_linear_map(dtype: torch.dtype, bias: torch.Tensor | None) -> None:
    generator = torch.Generator().manual_seed(0)
    states, weight = (torch.randn(rows, 7, generator=generator).to(dtype) for rows in (3, 5))
    bias = None if bias is None else bias.to(dtype)
    with torch.inference_mode():
        found = linear(states, weight, bias).double()
    expected = states.double() @ weight.double().T + (0 if bias is None else bias.double())
    assert float((found - expected).abs().max()) <= (1e-5 if dtype is torch.float32 else 0.1)


def test_a_models_own_layers_are_back_after_a_run() -> None:
    model = tiny_model("llama")
    PrefixEngine(model).log_probs(PREFIX, [[3, 4]])
    assert not [name for name, layer in model.named_modules() if "forward" in vars(layer)]


with_onednn = pytest.mark.skipif(packing._ONEDNN is None, reason="this build of PyTorch has no oneDNN")


def mlp(model_class: type, activation: str = "silu", **others: Any) -> Any:
    config = LlamaConfig(hidden_size=8, num_attention_heads=2, intermediate_size=12, hidden_act=activation, **others)
    torch.manual_seed(0)
    return model_class(config).eval()


def fused(layers: torch.nn.Module) -> bool:
    """Whether the block's layers change what the module runs."""
    with fast_layers(layers):
        return "forward" in vars(layers)


@with_onednn
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["silu", "swish", "gelu", "gelu_pytorch_tanh"])
def test_a_gated_mlp_gives_what_its_own_forward_gives(activation: str, bias: bool) -> None:
    layers = mlp(LlamaMLP, activation, mlp_bias=bias)
    states = torch.randn(2, 5, 8)
    with torch.inference_mode():
        expected = layers.double()(states.double())
        layers.float()
        with fast_layers(layers):
            assert "forward" in vars(layers)
            found = layers(states)
    assert float((found - expected).abs().max()) <= 1e-6


@with_onednn
def test_an_activation_that_a_processor_does_not_have_within_a_product_is_not_asked_of_it() -> None:
    assert packing._is_there("swish", "") and not packing._is_there("no such activation", "")


class Scaled(LlamaMLP):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.act_fn(self.gate_proj(x) * 2) * self.up_proj(x))


@with_onednn
def test_an_mlp_that_is_another_or_is_listened_to_runs_its_own_forward() -> None:
    assert fused(mlp(LlamaMLP))
    assert not fused(mlp(Scaled)) and not fused(mlp(LlamaMLP, "gelu_new")) and not fused(mlp(LlamaMLP).bfloat16())
    heard, listened = [], mlp(LlamaMLP)
    listened.up_proj.register_forward_hook(lambda layer, given, out: heard.append(out.shape))
    with torch.inference_mode(), fast_layers(listened):
        listened(torch.randn(1, 3, 8))
    assert heard == [(1, 3, 12)]
