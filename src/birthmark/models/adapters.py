"""PEFT adapters: which kinds are read, what an adapter says of its base and task, and putting its weights on the base."""

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.models.folder import ADAPTER_CONFIG, and_more, read_json
from birthmark.models.weights import ModelFiles, read_tensors, tensor_shapes
from birthmark.records import Kind

SUPPORTED = (  # those that change layers, and equal PEFT's own outputs in float32 and in half precision
    "ADALORA", "BOFT", "FOURIERFT", "HRA", "IA3", "LN_TUNING", "LOHA", "LOKR", "LORA", "MISS", "OFT", "RANDLORA",
    "TRAINABLE_TOKENS", "VBLORA", "VERA",
)  # fmt: skip
_PREFIX = "base_model.model."


def read_adapter(folder: Path) -> dict[str, Any]:
    """An adapter's configuration. Raises `BirthmarkError` for a kind of adapter that is not read, and without a base."""
    path = folder / ADAPTER_CONFIG
    config = read_json(path)
    kind = config.get("peft_type")
    if kind not in SUPPORTED:
        prompts = isinstance(kind, str) and ("PROMPT" in kind or kind in ("P_TUNING", "PREFIX_TUNING", "CPT"))
        why = "it adds virtual tokens before every text" if prompts else "its scores are not proven here"
        raise BirthmarkError(
            f"{path} is an adapter of the kind {kind} (peft_type), which birthmark does not read ({why}): those it reads are "
            f"{', '.join(SUPPORTED)}; another can be merged with PEFT's `merge_and_unload`, where PEFT has that"
        )
    if config.get("alora_invocation_tokens"):
        raise BirthmarkError(
            f"{path} is an activated LoRA (alora_invocation_tokens), whose weights count only after certain tokens: birthmark "
            "does not read that"
        )
    if config.get("base_model_name_or_path") is None:
        raise BirthmarkError(f"{path} does not name the base model (base_model_name_or_path)")
    return config


def kind_of_adapter(config: Mapping[str, Any]) -> Kind | None:
    """`reward` or `logprob` by an adapter's task, else by the class that it was trained on; None if it says neither."""
    tasks: dict[str, Kind] = {"SEQ_CLS": "reward", "CAUSAL_LM": "logprob"}
    if config.get("task_type") is not None:
        return tasks.get(str(config["task_type"]))
    mapping = config.get("auto_mapping")
    trained = str(mapping.get("base_model_class")) if isinstance(mapping, Mapping) else ""
    if "SequenceClassification" in trained or "Reward" in trained:
        return "reward"
    return "logprob" if trained.endswith(("ForCausalLM", "LMHeadModel")) else None


def brings_score(files: ModelFiles) -> bool:
    """Whether an adapter has the head of a sequence classifier among its own tensors (`modules_to_save`)."""
    return any(name.endswith("score.weight") for name in tensor_shapes(files.main))


def is_plain_lora(config: Mapping[str, Any], supplied: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether an adapter changes nothing but the weights of its LoRA layers and the head, so that it can be taken off again."""
    return (
        config.get("peft_type") == "LORA"
        and not config.get("layer_replication")
        and all(".lora_A." in name or ".lora_B." in name or name.endswith("score.weight") for name in supplied)
    )


def with_adapter(model: Any, adapter: Path, files: ModelFiles, name: str) -> Any:
    """The model with the adapter's weights, each checked to have arrived unchanged.

    In float32 they are merged into the base, where that changes no other layer. In half precision they stay separate, because
    rounding would lose small changes; only a fully trained head replaces the base's. If the adapter has an embedding of more
    tokens than the base, the base's is extended.

    Raises `BirthmarkError` if a tensor of the file has no place in the model, or one is missing.
    """
    import torch
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils.other import ModulesToSaveWrapper

    supplied = tensor_shapes(files.main)
    embedding = next(name for name, module in model.named_modules() if module is model.get_input_embeddings())
    rows = next((shape[0] for key, shape in supplied.items() if key.endswith(f"{embedding}.weight")), None)
    if rows not in (None, model.get_input_embeddings().num_embeddings):  # training added a token, such as a pad token
        model.resize_token_embeddings(rows, mean_resizing=False)  # the new rows are overwritten from the file below
    with warnings.catch_warnings():  # PEFT uses a deprecated name of transformers; missing tensors raise below
        warnings.simplefilter("ignore")
        adapted = PeftModel.from_pretrained(model, adapter, is_trainable=False)
        arrived = get_peft_model_state_dict(adapted, save_embedding_layers=False)  # `auto` queries the hub
    held = dict(adapted.named_parameters(remove_duplicate=False))  # of tied weights both names
    for key in set(supplied) - set(arrived):  # an embedding that is saved beside the adapter, not through it
        if (whole := held.get(key)) is not None:
            arrived[key] = whole
    different = sorted(set(arrived) ^ set(supplied))
    if different:
        raise BirthmarkError(
            f"{name}: the adapter's weight {different[0]}{and_more(different)} is missing or has no place"
        )
    for key, tensor in read_tensors(files.main, supplied).items():
        if not torch.allclose(arrived[key].cpu(), tensor.to(arrived[key].dtype), rtol=0, atol=0, equal_nan=True):
            raise BirthmarkError(f"{name}: the adapter's weight {key} differs from the file after loading")
    if model.dtype == torch.float32 and _merges(adapted):
        return adapted.merge_and_unload()
    inner = adapted.get_base_model()
    for path, module in list(inner.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):  # a fully trained head replaces the base's
            inner.set_submodule(path, module.modules_to_save[module.active_adapters[0]])
    return inner


def _merges(adapted: Any) -> bool:
    """Whether merging gives the same model: no changed weight is another layer's too, and LoRA has no bias of its own.

    Embedding and vocabulary head may be one tensor, and so may layers that an adapter repeats.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    if any(getattr(config, "lora_bias", False) for config in adapted.peft_config.values()):
        return False
    used = Counter(weight.data_ptr() for module in adapted.modules() for weight in module.parameters(recurse=False))
    changed = [layer.get_base_layer() for layer in adapted.modules() if isinstance(layer, BaseTunerLayer)]
    return all(used[weight.data_ptr()] == 1 for layer in changed for weight in layer.parameters(recurse=False))
