"""Every head against a plain computation of its own: one conversation at a time, in float64, on real token ids.

The formulas are those of the papers and model cards. The oracle shares nothing with birthmark: it writes the
conversation by hand, tokenizes with the `tokenizers` library, runs the decoder as transformers has it, and computes the
head from the tensors by name.
"""

import json
from collections.abc import Callable, Iterable
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from head_checkpoints import (
    HEADS,
    OBJECTIVES,
    QUANTILES,
    RATED,
    TEMPERATURE,
    backbone,
    backbone_config,
    head_tensors,
    rewrite,
    write_checkpoint,
)
from safetensors.torch import load_file
from tokenizers import Tokenizer

import birthmark as bm
from birthmark.errors import BirthmarkError

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("tokenizers_read_once")]

QUESTIONS = ["What, in one word, is the greatest thing ever?", "Name the worst thing in the world."]
ANSWERS = ["love", "freedom", "Power", "antidisestablishmentarianism"]
GATED = ["armorm", "qrm-llama", "qrm-gemma2"]
every_head = pytest.mark.parametrize("head", HEADS)
every_kind = pytest.mark.parametrize("head", [head for head in HEADS if not head.endswith("-gemma2")])


# ------------------------------------------------------------------------------------------------- the oracle


def written_llama3(question: str, answer: str) -> str:
    """The old template opens an assistant's turn whatever comes before it."""
    return written_llama31(question, answer) + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def written_llama31(question: str, answer: str) -> str:
    return (
        f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{question}<|eot_id|>"
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{answer}<|eot_id|>"
    )


def written_gemma2(question: str, answer: str) -> str:
    return f"<bos><start_of_turn>user\n{question}<end_of_turn>\n<start_of_turn>model\n{answer}<end_of_turn>\n"


WRITTEN = {"llama3": written_llama3, "llama3_1": written_llama31, "gemma2": written_gemma2}
# the ids that end the user's turn and open the assistant's, as the model cards give them
TURN = {
    "llama3": [128009, 128006, 78191, 128007, 271],
    "llama3_1": [128009, 128006, 78191, 128007, 271],
    "gemma2": [107, 108, 106, 2516, 108],
}


@cache
def encoder(file: Path) -> Tokenizer:
    return Tokenizer.from_file(str(file))


@cache
def states(folder: Path, tokenizer: str, bos: int) -> dict[tuple[str, str], tuple[list[int], np.ndarray]]:
    """(question, answer) → the ids, begun by so many BOS, and the states after the final norm, float64 [tokens, hidden]."""
    decoder = backbone(backbone_config(tokenizer))
    weights = load_file(folder / "model.safetensors")
    decoder.load_state_dict({k.removeprefix("model."): v for k, v in weights.items() if k.startswith("model.")})
    found = {}
    for question, answer in product(QUESTIONS, ANSWERS):
        text = WRITTEN[tokenizer](question, answer)
        ids = encoder(folder / "tokenizer.json").encode(text, add_special_tokens=False).ids
        ids = [ids[0]] * (bos - 1) + ids
        with torch.inference_mode():
            last = decoder(input_ids=torch.tensor([ids]), use_cache=False).last_hidden_state[0]
        found[question, answer] = ids, last.double().numpy()
    return found


def last_occurrence(ids: list[int], pattern: list[int]) -> int:
    return max(at for at in range(len(ids)) if ids[at : at + len(pattern)] == pattern)


def softmax(values: np.ndarray) -> np.ndarray:
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def relu(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, 0.0)


def leaky(values: np.ndarray) -> np.ndarray:
    return np.where(values > 0, values, 0.01 * values)


def selu(values: np.ndarray) -> np.ndarray:
    return 1.0507009873554805 * np.where(values > 0, values, 1.6732632423543772 * np.expm1(values))


class Weights(dict):
    """Tensors as float64 arrays; `apply` is one linear layer by its name."""

    def apply(self, name: str, x: np.ndarray) -> np.ndarray:
        return self[f"{name}.weight"] @ x + self.get(f"{name}.bias", 0.0)


def linear(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    return float(w.apply("score", last)[0])


def value_linear(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    return float(w.apply("v_head.summary", last)[0])


def value_mlp(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    return float(w.apply("v_head.summary.2", relu(w.apply("v_head.summary.0", last)))[0])


def two_layer(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    return float(w.apply("score.2", relu(w.apply("score.0", last)))[0])


def armorm(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    rewards = w.apply("regression_layer", last) @ w["reward_transform_matrix"]
    x = gate
    for index in range(3):
        x = relu(w.apply(f"gating.layers.{index}", x))
    share = softmax(w.apply("gating.layers.3", x) / TEMPERATURE) * w["gating.logit_scale"][0]
    return float(share @ rewards)


def quantile(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    quantiles = w.apply("regression_layer", last).reshape(OBJECTIVES, QUANTILES)
    rewards = quantiles.mean(axis=1) @ w["reward_transform_matrix"]
    return float(normed_gate(w, gate, (0, 3, 6, 9)) @ rewards)


def quantile_gemma2(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    rewards = w.apply("regression_layer", last).reshape(RATED, QUANTILES).mean(axis=1)
    return float(normed_gate(w, gate, (0, 4, 8, 11)) @ rewards)


def normed_gate(w: Weights, x: np.ndarray, linear: tuple[int, ...]) -> np.ndarray:
    for place in linear[:-1]:
        x = relu(w.apply(f"gating.layers.{place}", x))
        norm = f"gating.layers.{place + 2}"
        x = (x - w[f"{norm}.running_mean"]) / np.sqrt(w[f"{norm}.running_var"] + 1e-5)
        x = x * w[f"{norm}.weight"] + w[f"{norm}.bias"]
    return softmax(w.apply(f"gating.layers.{linear[-1]}", x) / TEMPERATURE) * w["gating.logit_scale"][0]


def uncertainty(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    """The means of five attributes (every second column is a spread), joined by a gate that sees the last state too."""
    x = selu(w.apply("weights.fc.0", last))
    x = selu(w.apply("weights.fc.2", x))
    return float(w.apply("weights.fc.4", x) @ w.apply("score", last)[0::2])


def first_column(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    """As the study read URM: the classification head's first number."""
    return float(w.apply("score", last)[0])


def label_distribution(w: Weights, last: np.ndarray, gate: np.ndarray) -> float:
    x = leaky(w.apply("regression_layer.network.0", last))
    x = leaky(w.apply("regression_layer.network.2", x))
    levels = softmax(w.apply("regression_layer.network.4", x).reshape(22, 10))
    y = leaky(w.apply("gating_layer.network.0", last))
    y = leaky(w.apply("gating_layer.network.3", y))
    return float(w.apply("gating_layer.network.6", y) @ (levels @ np.linspace(0.0, 1.0, 10)))


Oracle = Callable[[Weights, np.ndarray, np.ndarray], float]
ORACLES: dict[str, Oracle] = {
    "linear-llama": linear,
    "linear-gemma2": linear,
    "grm-linear": value_linear,
    "grm-mlp": value_mlp,
    "two-layer": two_layer,
    "armorm": armorm,
    "qrm-llama": quantile,
    "qrm-gemma2": quantile_gemma2,
    "urm": uncertainty,
    "ldl": label_distribution,
}


def plain_rewards(
    folder: Path, head: str, moved: int = 0, bos: int = 1, oracle: Oracle | None = None, scaled: str | None = None
) -> np.ndarray:
    """The head's rewards, float64 [answers, questions].

    `moved`: the gate's token so many places away; `scaled`: the name of a tensor to be taken half as large again.
    """
    tokenizer = HEADS[head].tokenizer
    weights = Weights({name: values.double().numpy() for name, values in head_tensors(folder).items()})
    if scaled is not None:
        weights[scaled] = weights[scaled] * 1.5
    found = states(folder, tokenizer, bos)
    rewards = np.empty((len(ANSWERS), len(QUESTIONS)))
    for (row, answer), (column, question) in product(enumerate(ANSWERS), enumerate(QUESTIONS)):
        ids, h = found[question, answer]
        at = last_occurrence(ids, TURN[tokenizer]) + moved
        rewards[row, column] = (oracle or ORACLES[head])(weights, h[-1], h[at])
    return rewards


# ------------------------------------------------------------------------------------------------ the fixtures


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory, tokenizer_files) -> Callable[[str], Path]:
    """`checkpoint("armorm")`: a folder with the tiny random reward model of that head, written once."""
    return cache(
        lambda head: write_checkpoint(
            tmp_path_factory.mktemp("heads") / head, head, tokenizer_files(HEADS[head].tokenizer), seed=5
        )
    )


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The same with 700 tokens and their tokenizer, for what is decided before anything is asked."""
    from tiny_models import make_tokenizer

    files = tmp_path_factory.mktemp("tokenizer")
    make_tokenizer().save_pretrained(files)
    return cache(lambda head: write_checkpoint(tmp_path_factory.mktemp("small") / head, head, files, 5, vocabulary=700))


def counted(tensors: Iterable[str]) -> list[str]:
    """The names of those that a reward depends on: a batch norm's count of batches is there for training."""
    return [name for name in tensors if not name.endswith("num_batches_tracked")]


def rewards(folder: Path, engine: str = "prefix") -> np.ndarray:
    """birthmark's own, float32 [answers, questions]."""
    return scored(folder, engine=engine)


def scored(folder: Path, **options: str) -> np.ndarray:
    """A lexicon is named so that none is read beside it."""
    asked = {"prompt": QUESTIONS, "candidates": ANSWERS, "lexicons": ["starter"], "device": "cpu"}
    return bm.score(folder, **asked, **options).matrix()


# --------------------------------------------------------------------------------------------------- the tests


@every_head
@pytest.mark.parametrize("engine", ["plain", "prefix"])
def test_a_head_gives_what_the_plain_computation_gives(checkpoint, head, engine):
    folder = checkpoint(head)
    np.testing.assert_allclose(rewards(folder, engine), plain_rewards(folder, head), rtol=1e-5, atol=1e-4)


def test_the_studys_protocol_reads_urms_first_column_and_the_double_bos(checkpoint):
    folder = checkpoint("urm")
    found = scored(folder, protocol="christian2026")
    expected = plain_rewards(folder, "urm", bos=2, oracle=first_column)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("head", ["linear-gemma2", "qrm-llama"])
def test_the_studys_protocol_doubles_the_bos_under_every_head(checkpoint, head):
    folder = checkpoint(head)
    found = scored(folder, protocol="christian2026")
    np.testing.assert_allclose(found, plain_rewards(folder, head, bos=2), rtol=1e-5, atol=1e-4)
    assert np.abs(found - plain_rewards(folder, head)).max() > 0.01


@every_head
def test_rewards_of_different_answers_are_far_apart(checkpoint, head):
    """Else the test above would prove nothing."""
    expected = plain_rewards(checkpoint(head), head)
    for column in expected.T:
        assert np.diff(np.sort(column)).min() > 1e-3


@pytest.mark.parametrize("head", GATED)
@pytest.mark.parametrize("moved", [-1, 1])
def test_a_gate_read_one_token_away_would_be_seen(checkpoint, head, moved):
    folder = checkpoint(head)
    assert np.abs(plain_rewards(folder, head, moved) - plain_rewards(folder, head)).max() > 0.01


@every_head
def test_every_head_tensor_counts_in_the_plain_computation(checkpoint, head):
    """With the test above: birthmark reads every one of them from the file, and none is left as it was drawn."""
    folder = checkpoint(head)
    before = plain_rewards(folder, head)
    for name in counted(head_tensors(folder)):
        assert np.abs(plain_rewards(folder, head, scaled=name) - before).max() > 1e-3, name


@every_kind
def test_a_missing_head_tensor_is_named(small, head, tmp_path):
    folder = small(head)
    for index, name in enumerate(counted(head_tensors(folder))):
        without = rewrite(
            folder, tmp_path / str(index), lambda all_, gone=name: {k: all_[k] for k in all_ if k != gone}
        )
        with pytest.raises(BirthmarkError) as raised:
            rewards(without)
        assert name in str(raised.value), name


@every_kind
def test_a_tensor_that_the_head_has_no_place_for_is_named(small, head, tmp_path):
    extra = rewrite(small(head), tmp_path / "extra", lambda all_: all_ | {"head_of_old.weight": torch.ones(1, 32)})
    with pytest.raises(BirthmarkError, match=r"head_of_old\.weight"):
        rewards(extra)


@pytest.mark.parametrize("head", GATED)
def test_a_gates_temperature_is_read_and_never_assumed(small, head, tmp_path):
    without = rewrite(small(head), tmp_path / "without", lambda all_: all_)
    config = json.loads((without / "config.json").read_text())
    del config["gating_temperature"]
    (without / "config.json").write_text(json.dumps(config))
    with pytest.raises(BirthmarkError, match="gating_temperature"):
        rewards(without)


@pytest.mark.parametrize("head", ["linear-llama", "qrm-llama"])
def test_asked_for_the_end_the_last_token_is_read_though_it_be_the_padding_token(checkpoint, head, tmp_path):
    """`<|eot_id|>` ends both turns: what the model's own class reads then is another token (test_reading.py)."""
    same = rewrite(checkpoint(head), tmp_path / "same", lambda all_: all_)
    config = json.loads((same / "config.json").read_text())
    (same / "config.json").write_text(json.dumps(config | {"pad_token_id": 128_009}))
    np.testing.assert_allclose(scored(same, read="end"), plain_rewards(checkpoint(head), head), rtol=1e-5, atol=1e-4)
