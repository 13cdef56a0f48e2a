"""Tiny random reward models in the shapes and tensor names of published ones, one a head: folders to be scored.

The backbone is a real architecture of two layers; the head's tensors, the config's keys (an `auto_map` to code that must
never run among them), the tokenizer and the chat template are those that users meet. What is known of each head is said
in `HEADS`; sizes are small, numbers random, so that no weight is at its neutral value.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import Gemma2Config, Gemma2Model, LlamaConfig, LlamaModel

HIDDEN, OBJECTIVES, RATED, QUANTILES, GATE_WIDTH, TEMPERATURE = 32, 19, 5, 7, 24, 2.5
VOCABULARY = {"llama3": 128_256, "llama3_1": 128_256, "gemma2": 256_000}
Tensors = dict[str, torch.Tensor]
Draw = Callable[..., torch.Tensor]


@dataclass(frozen=True)
class HeadShape:
    """One kind of head: the class its config names, the tokenizer, its tensors, and what else the config says."""

    architecture: str
    tokenizer: str
    tensors: Callable[[Draw], Tensors]
    config: Mapping[str, Any] = field(default_factory=dict)


def _linear(draw: Draw) -> Tensors:
    return {"score.weight": draw(1, HIDDEN)}


def _value_linear(draw: Draw) -> Tensors:
    return {"v_head.summary.weight": draw(1, HIDDEN), "v_head.summary.bias": draw(1)}


def _value_mlp(draw: Draw) -> Tensors:
    return {
        "v_head.summary.0.weight": draw(GATE_WIDTH, HIDDEN),
        "v_head.summary.0.bias": draw(GATE_WIDTH),
        "v_head.summary.2.weight": draw(1, GATE_WIDTH),
        "v_head.summary.2.bias": draw(1),
    }


def _two_layer(draw: Draw) -> Tensors:
    return {
        "score.0.weight": draw(HIDDEN, HIDDEN),
        "score.0.bias": draw(HIDDEN),
        "score.2.weight": draw(1, HIDDEN),
        "score.2.bias": draw(1),
    }


def _gate_layer(draw: Draw, outputs: int, inputs: int) -> torch.Tensor:
    """Scaled so that the softmax at the gate's end is neither even nor settled: a token away it says something else."""
    return draw(outputs, inputs) * (2.0 / inputs**0.5)


def _armorm(draw: Draw) -> Tensors:
    """The gate's module list holds linear layers only: its ReLU has no place of its own."""
    widths = [HIDDEN, GATE_WIDTH, GATE_WIDTH, GATE_WIDTH, OBJECTIVES]
    tensors = {
        "regression_layer.weight": draw(OBJECTIVES, HIDDEN),
        "reward_transform_matrix": draw(OBJECTIVES, OBJECTIVES),
        "gating.logit_scale": draw(1) + 3.0,
    }
    for index in range(4):
        tensors[f"gating.layers.{index}.weight"] = _gate_layer(draw, widths[index + 1], widths[index])
        tensors[f"gating.layers.{index}.bias"] = draw(widths[index + 1])
    return tensors


def _quantile(draw: Draw) -> Tensors:
    """The gate's module list holds, three times, a linear layer, a ReLU and a batch norm, then the last linear layer."""
    transform = {"reward_transform_matrix": draw(OBJECTIVES, OBJECTIVES)}
    return transform | _quantile_tensors(draw, OBJECTIVES, linear=(0, 3, 6, 9))


def _quantile_gemma2(draw: Draw) -> Tensors:
    """As the index of QRM-Gemma-2-27B has it: dropouts take places in the gate's list, five objectives, no transform."""
    return _quantile_tensors(draw, RATED, linear=(0, 4, 8, 11))


def _quantile_tensors(draw: Draw, objectives: int, linear: tuple[int, ...]) -> Tensors:
    tensors = {
        "regression_layer.weight": draw(objectives * QUANTILES, HIDDEN),
        "gating.logit_scale": draw(1) + 3.0,
        f"gating.layers.{linear[-1]}.weight": _gate_layer(draw, objectives, GATE_WIDTH),
        f"gating.layers.{linear[-1]}.bias": draw(objectives),
    }
    for block, place in enumerate(linear[:-1]):
        width = HIDDEN if block == 0 else GATE_WIDTH
        tensors[f"gating.layers.{place}.weight"] = _gate_layer(draw, GATE_WIDTH, width)
        norm = f"gating.layers.{place + 2}"
        tensors[f"{norm}.weight"] = draw(GATE_WIDTH)
        tensors[f"{norm}.bias"] = draw(GATE_WIDTH)
        tensors[f"{norm}.running_mean"] = draw(GATE_WIDTH)
        tensors[f"{norm}.running_var"] = draw(GATE_WIDTH).abs() + 0.5
        tensors[f"{norm}.num_batches_tracked"] = torch.tensor(1000 + block)
    return tensors


def _uncertainty(draw: Draw) -> Tensors:
    """Ten columns, a mean and a spread for each of five attributes, and a gate of three layers that joins the means."""
    tensors = {"score.weight": draw(10, HIDDEN)}
    for index, width in ((0, HIDDEN), (2, HIDDEN), (4, 5)):
        tensors[f"weights.fc.{index}.weight"] = draw(width, HIDDEN)
        tensors[f"weights.fc.{index}.bias"] = draw(width)
    return tensors


def _label_distribution(draw: Draw) -> Tensors:
    """22 blocks of ten levels; the gate's sequence has dropouts, which take places and hold no tensors."""
    tensors = {}
    for index, (width, given) in zip((0, 2, 4), ((GATE_WIDTH, HIDDEN), (GATE_WIDTH, GATE_WIDTH), (220, GATE_WIDTH))):
        tensors[f"regression_layer.network.{index}.weight"] = draw(width, given)
        tensors[f"regression_layer.network.{index}.bias"] = draw(width)
    for index, (width, given) in zip((0, 3, 6), ((GATE_WIDTH, HIDDEN), (GATE_WIDTH, GATE_WIDTH), (22, GATE_WIDTH))):
        tensors[f"gating_layer.network.{index}.weight"] = draw(width, given)
        tensors[f"gating_layer.network.{index}.bias"] = draw(width)
    return tensors


_GATE = {"num_objectives": OBJECTIVES, "gating_temperature": TEMPERATURE, "gating_n_hidden": 3,
         "gating_hidden_dim": GATE_WIDTH}  # fmt: skip
_ONE_LABEL = {"num_labels": 1}
HEADS: dict[str, HeadShape] = {
    "linear-llama": HeadShape("LlamaForSequenceClassification", "llama3_1", _linear, _ONE_LABEL),
    "linear-gemma2": HeadShape("Gemma2ForSequenceClassification", "gemma2", _linear, _ONE_LABEL),
    "grm-linear": HeadShape("GRewardModel", "llama3", _value_linear, {"vhead_layer_type": "linear"}),
    "grm-mlp": HeadShape(
        "GRewardModel", "llama3", _value_mlp,
        {"vhead_layer_type": "mlp", "vhead_num_neurons": GATE_WIDTH, "vhead_num_layers": 1},
    ),
    "two-layer": HeadShape("INFORMForSequenceClassification", "llama3_1", _two_layer, _ONE_LABEL),
    "armorm": HeadShape("LlamaForRewardModelWithGating", "llama3", _armorm, _ONE_LABEL | _GATE),
    "qrm-llama": HeadShape(
        "LlamaForRewardModelWithGating", "llama3_1", _quantile, _ONE_LABEL | _GATE | {"num_quantiles": QUANTILES}
    ),
    "qrm-gemma2": HeadShape(
        "Gemma2ForQuantileSequenceClassification", "gemma2", _quantile_gemma2,
        _ONE_LABEL | _GATE | {"num_objectives": RATED, "num_quantiles": QUANTILES},
    ),
    "urm": HeadShape(
        "LlamaForSequenceClassificationWithNormal_Weights", "llama3_1", _uncertainty, {"num_labels": 10}
    ),
    "ldl": HeadShape("LDLRewardModel27B", "gemma2", _label_distribution, {"num_objectives": 220} | _ONE_LABEL),
}  # fmt: skip


def write_checkpoint(
    folder: Path, head: str, tokenizer_files: Path, seed: int = 0, vocabulary: int | None = None
) -> Path:
    """Write the random reward model `head` of `HEADS` into `folder`; the same seed gives the same weights.

    `vocabulary` embeds so many tokens only, for what is tested without a conversation.
    """
    shape = HEADS[head]
    generator = torch.Generator().manual_seed(seed)

    def draw(*size: int) -> torch.Tensor:
        return torch.randn(size, generator=generator)

    config = backbone_config(shape.tokenizer)
    if vocabulary is not None:
        config.vocab_size, config.pad_token_id = vocabulary, 0
    tensors = {
        f"model.{name}": torch.randn(values.shape, generator=generator) * 0.3
        for name, values in backbone(config).state_dict().items()
    }
    tensors |= shape.tensors(draw)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    stated = config.to_dict() | dict(shape.config)
    labels = stated.pop("num_labels", None)
    if labels:
        stated["id2label"] = {str(index): f"LABEL_{index}" for index in range(labels)}
        stated["label2id"] = {f"LABEL_{index}": index for index in range(labels)}
    stated |= {
        "architectures": [shape.architecture],
        "auto_map": {"AutoModelForSequenceClassification": f"modeling_custom.{shape.architecture}"},
    }
    (folder / "config.json").write_text(json.dumps(stated))
    (folder / "modeling_custom.py").write_text("raise SystemExit('code that came with a model was run')\n")
    for file in tokenizer_files.iterdir():
        shutil.copyfile(file, folder / file.name)
    return folder


def backbone_config(tokenizer: str) -> Any:
    """Two layers of the architecture that the tokenizer belongs to, wide enough for every id of it."""
    sizes = {
        "vocab_size": VOCABULARY[tokenizer], "hidden_size": HIDDEN, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512, "head_dim": 8,
    }  # fmt: skip
    if tokenizer == "gemma2":
        return Gemma2Config(
            **sizes, query_pre_attn_scalar=8, attn_logit_softcapping=2.0, final_logit_softcapping=3.0, sliding_window=16,
            pad_token_id=0, bos_token_id=2, eos_token_id=1,
        )  # fmt: skip
    return LlamaConfig(**sizes, rope_theta=500_000.0, pad_token_id=128_001, bos_token_id=128_000, eos_token_id=128_009)


def backbone(config: Any) -> Any:
    """A decoder without a head; Gemma 2 with the attention that applies its soft-capping."""
    factory = Gemma2Model if config.model_type == "gemma2" else LlamaModel
    return factory._from_config(config, attn_implementation="eager").eval()


def head_tensors(folder: Path) -> Tensors:
    """The tensors of a written checkpoint that are not the backbone's."""
    return {name: values for name, values in load_file(folder / "model.safetensors").items() if not _of_backbone(name)}


def rewrite(folder: Path, into: Path, change: Callable[[Tensors], Tensors]) -> Path:
    """A copy of a checkpoint's folder whose tensors are `change` of its own."""
    shutil.copytree(folder, into)
    tensors = change(load_file(folder / "model.safetensors"))
    save_file(tensors, into / "model.safetensors", metadata={"format": "pt"})
    return into


def _of_backbone(name: str) -> bool:
    return name.startswith("model.")
