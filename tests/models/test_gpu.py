"""What only an NVIDIA GPU can show: the CPU's scores there, fewer bits, a model that does not fit, training.

They run where there is one (`pytest -m gpu`); elsewhere they are skipped.
"""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from architectures import CONFIGS, endings, random_ids, tiny_model
from transformers import LlamaConfig, LlamaForSequenceClassification

import birthmark as bm
from birthmark.models.engine import make_engine
from birthmark.models.loading import is_spread, load_model
from birthmark.models.machine import release_memory
from birthmark.models.resolve import resolve
from tiny_models import make_tokenizer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU here")]
BOUND = 1e-4
PREFIX = random_ids(20, seed=1)
ASKED: dict[str, Any] = {"prompt": ["best_ever_one", "worst_ever_one"]}
needs_bits = pytest.mark.skipif(
    importlib.util.find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed"
)


def write_rm(folder: Path, *, width: int, layers: int) -> Path:
    """A random Llama reward model in bfloat16; its weights are wide, so that words differ by more than rounding."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers,
        num_attention_heads=width // 64, num_key_value_heads=width // 128, max_position_embeddings=512, num_labels=1,
        initializer_range=0.06, pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    model = LlamaForSequenceClassification(config)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=1.0)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def small_rm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rm(tmp_path_factory.mktemp("gpu") / "small", width=256, layers=6)


@pytest.fixture(scope="module")
def large_rm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some 800 MB of weights."""
    return write_rm(tmp_path_factory.mktemp("gpu") / "large", width=1024, layers=24)


def scores(model: Path, **options: Any) -> np.ndarray:
    return bm.score(model, **ASKED, **options).matrix()


@pytest.mark.parametrize("name", ["plain", "prefix"])
@pytest.mark.parametrize("architecture", CONFIGS)
def test_states_and_log_probabilities_are_the_cpus(architecture: str, name: Any) -> None:
    model = tiny_model(architecture)
    sequences = [PREFIX + ending for ending in endings(300, longest=4, seed=2)]
    continuations = endings(50, longest=3, seed=3)

    def states(engine: Any) -> torch.Tensor:
        found = {
            index: row
            for indices, rows in engine.last_states(sequences)
            for index, row in zip(indices, rows.cpu(), strict=True)
        }
        return torch.stack([found[index] for index in range(len(sequences))])

    reference = make_engine("plain", model)
    expected, (next_token, sums) = states(reference), reference.log_probs(PREFIX, continuations)
    engine = make_engine(name, model.to("cuda"))
    assert float((states(engine) - expected).abs().max()) <= BOUND
    found_next, found_sums = engine.log_probs(PREFIX, continuations)
    assert np.abs(found_next - next_token).max() <= BOUND
    assert np.abs(found_sums - sums).max() <= BOUND


def test_a_reward_models_table_is_the_cpus(small_rm: Path) -> None:
    assert np.abs(scores(small_rm, device="cuda", dtype="float32") - scores(small_rm, device="cpu")).max() <= BOUND


def test_half_precision_is_the_default_and_passes_its_own_check(small_rm: Path) -> None:
    table = bm.score(small_rm, verify=True, **ASKED)
    record = table.record
    assert (record.device, record.dtype) == ("cuda", "bfloat16")
    assert record.verify_max_abs_diff is not None and record.verify_max_abs_diff <= record.verify_bound
    assert record.precision is not None and record.precision.spearman > 0.98


@needs_bits
@pytest.mark.parametrize(("bits", "kind", "least"), [("8bit", "Linear8bitLt", 0.95), ("4bit", "Linear4bit", 0.8)])
def test_fewer_bits_keep_the_head_whole_and_the_ranks_near(small_rm: Path, bits: Any, kind: str, least: float) -> None:
    model = load_model(resolve(small_rm), dtype="bfloat16", device="cuda", quantize=bits)
    assert type(model.score) is torch.nn.Linear
    assert type(model.model.layers[0].mlp.up_proj).__name__ == kind
    record = bm.score(small_rm, quantize=bits, verify=True, **ASKED).record
    assert record.quantized == bits and record.precision is not None and record.precision.quantized == bits
    assert record.precision.spearman > least


def test_a_model_that_does_not_fit_spreads_to_the_cpu(
    large_rm: Path, birthmark: Callable[..., Any], tmp_path: Path
) -> None:
    whole = scores(large_rm, dtype="bfloat16", device="cuda", engine="plain")
    release_memory()
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(free - 600 * 2**20, dtype=torch.uint8, device="cuda")
    try:
        command = ["score", large_rm, "--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--out", tmp_path]
        refused = birthmark(*command)
        assert refused.code == 2 and "--device-map auto" in refused.err, refused.err
        spread = load_model(resolve(large_rm), dtype="bfloat16", device="cuda", device_map="auto")
        assert is_spread(spread), spread.hf_device_map
        del spread
        release_memory()
        table = bm.score(large_rm, dtype="bfloat16", device_map="auto", **ASKED)
    finally:
        del taken
        release_memory()
    assert table.record.engine == "plain"  # the prefix engine needs all layers on one device
    assert np.abs(table.matrix() - whole).max() <= 0.05 * whole.std()


def test_training_learns_in_half_precision_and_its_checkpoints_score_as_tracked(tiny_lm: Path, tmp_path: Path) -> None:
    rows = [
        f'{{"prompt": "What matters in case {i}?", "chosen": "love and care {i}", "rejected": "power {i}"}}'
        for i in range(64)
    ]
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text("\n".join(rows), encoding="utf-8")
    run = bm.train(tiny_lm, pairs, out=tmp_path / "run", preset="study", learning_rate=3e-3, epochs=4, max_tokens=64)
    assert (run.record.device, run.record.precision) == ("cuda", "bfloat16")
    assert run.log[-1]["loss"] < 0.95 * run.log[0]["loss"]
    bm.track(tmp_path / "run", out=tmp_path / "tracked", heads=20, **ASKED)
    last = max(run.checkpoints)
    (tracked,) = (tmp_path / "tracked" / "scores").glob(f"run-step-{last:06d}-*.parquet")
    table = bm.score(run.checkpoints[last], **ASKED)
    assert np.array_equal(bm.read_scores(tracked).matrix(), table.matrix())
