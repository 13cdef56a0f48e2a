"""A PEFT adapter on its base: what its file holds, and the base model with it, every tensor proven.

Knows nothing of names, of the hub or of scoring.
"""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.models.folder import adapter_weights, and_more, tensor_shapes


def adapter_tensors(adapter: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of an adapter's tensors, from the file's header."""
    return tensor_shapes([adapter_weights(adapter)])


def with_adapter(model: Any, adapter: Path, name: str, supplied: Mapping[str, tuple[int, ...]]) -> Any:
    """The model with the adapter's weights in it, each proven to have arrived as it is in the file.

    In float32 they are merged into the base's. In half precision they stay apart, since its steps would round small
    changes away; only a head that was trained in full takes the place of the base's. An adapter that brings an embedding
    of more tokens than the base has lengthens the base's. `supplied` is `adapter_tensors`.
    Raises `BirthmarkError` where a tensor of the file has no place in the model, or a place no tensor.
    """
    import torch
    from peft import PeftModel, get_peft_model_state_dict
    from peft.utils.other import ModulesToSaveWrapper
    from safetensors.torch import load_file

    rows = next((shape[0] for key, shape in supplied.items() if key.endswith("embed_tokens.weight")), None)
    if rows not in (None, model.get_input_embeddings().num_embeddings):  # training added a token, such as a padding
        model.resize_token_embeddings(rows, mean_resizing=False)  # the new rows are the file's in a moment
    with warnings.catch_warnings():  # an old name that PEFT asks transformers for; missing tensors are an error below
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", "Found missing adapter keys", UserWarning)
        adapted = PeftModel.from_pretrained(model, adapter, is_trainable=False)
    embeddings = any(part in key for key in supplied for part in ("embed_tokens", "lm_head"))  # `auto` asks the hub
    arrived = get_peft_model_state_dict(adapted, save_embedding_layers=embeddings)
    different = sorted(set(arrived) ^ set(supplied))
    if different:
        raise BirthmarkError(
            f"{name}: the adapter's weight {different[0]}{and_more(different)} is missing or has no place"
        )
    for key, tensor in load_file(adapter_weights(adapter)).items():
        held = arrived[key]
        if not torch.allclose(held.cpu(), tensor.to(held.dtype), rtol=0, atol=0, equal_nan=True):
            raise BirthmarkError(f"{name}: the adapter's weight {key} did not arrive as it is in the file")
    if model.dtype == torch.float32:
        return adapted.merge_and_unload()
    inner = adapted.get_base_model()
    for path, module in list(inner.named_modules()):
        if isinstance(module, ModulesToSaveWrapper):  # a head trained in full stands where the base's stood
            inner.set_submodule(path, module.modules_to_save[module.active_adapters[0]])
    return inner
