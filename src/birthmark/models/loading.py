"""A model's folder into memory, once it is known that it fits, with every weight proven to come from its files.

Placement (one device, several, part on the CPU, 8 or 4 bits), PEFT adapters on their base, and checkpoints of one base
whose adapters and heads are swapped.
"""

import contextlib
import importlib.util
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)
from transformers.utils import logging

from birthmark.errors import BirthmarkError
from birthmark.models.folder import adapter_weights, and_more, one_line, tensor_shapes, weight_files
from birthmark.models.heads.known import HeadFiles
from birthmark.models.machine import require_memory
from birthmark.models.memory import QUANTIZATIONS, Quantize, count_parameters
from birthmark.models.resolve import ResolvedModel
from birthmark.records import Kind

KEPT = ["lm_head", "score"]  # heads are never quantized: their rounding is not averaged out by later layers


def check_placement(device: "str | torch.device", quantize: str | None, device_map: str | None) -> None:
    """Raise `BirthmarkError` where 8 or 4 bits or a device map are asked for and cannot be had here."""
    if device_map not in (None, "auto"):
        raise BirthmarkError(f"'{device_map}' is not a device map: write --device-map auto, or leave it out")
    if quantize is None:
        return
    if quantize not in QUANTIZATIONS:
        raise BirthmarkError(f"'{quantize}' is not a quantization: write --quantize {' or '.join(QUANTIZATIONS)}")
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        raise BirthmarkError(
            f"--quantize {quantize} needs an NVIDIA GPU, and this runs on {torch.device(device).type}: leave it out, or "
            "use --dtype bfloat16 to halve the memory"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BirthmarkError(
            f"--quantize {quantize} needs bitsandbytes, which is not installed: pip install 'birthmark[quantized]'"
        )


def placement(
    device: "str | torch.device", dtype: torch.dtype, quantize: Quantize | None = None, device_map: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`. Raises as `check_placement` does.

    `device_map` `auto` spreads the layers over all GPUs, and what does not fit on them over the CPU's memory.
    """
    check_placement(device, quantize, device_map)
    where: Any = {"": device} if str(device) != "cpu" else None
    arguments: dict[str, Any] = {"device_map": device_map or where}
    if quantize is not None:
        from transformers import BitsAndBytesConfig

        bits = (
            {"load_in_8bit": True}
            if quantize == "8bit"
            else {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_compute_dtype": dtype}
        )
        arguments["quantization_config"] = BitsAndBytesConfig(llm_int8_skip_modules=KEPT, **bits)
    return arguments


def is_spread(model: Any) -> bool:
    """Whether a model's layers lie on several devices; such a model runs with the plain engine only."""
    return len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1


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


def load_if_it_fits(
    model: ResolvedModel,
    *,
    dtype: str,
    device: torch.device | str,
    quantize: Quantize | None = None,
    device_map: str | None = None,
) -> PreTrainedModel:
    """`load_model`, after the checks of `check_placement` and `require_memory`; raises what those raise."""
    check_placement(device, quantize, device_map)
    parameters = count_parameters(model.path)
    require_memory(model.name, parameters, dtype, device, quantize=quantize, device_map=device_map)
    return load_model(model, dtype=dtype, device=device, quantize=quantize, device_map=device_map)


def load_model(
    resolved: ResolvedModel,
    *,
    dtype: str | torch.dtype = "float32",
    device: str | torch.device = "cpu",
    attention: str | None = None,
    kind: Kind | None = None,
    without_adapter: bool = False,
    quantize: Quantize | None = None,
    device_map: str | None = None,
) -> PreTrainedModel:
    """The model in eval mode on `device`: a causal LM, or for a reward model one whose head `read_head` finds.

    A linear head is that of a sequence classifier with one output; any other is built from the file's own tensors on
    the bare decoder, and no code of the checkpoint is run. `attention` is transformers' name of an implementation; where
    None, the catalog's, else `eager` for a model that caps its attention's logits (other implementations leave that out)
    and `sdpa` for the rest. An adapter's weights are merged in float32 and kept apart in half precision, whose steps
    would round small changes away; `without_adapter` gives the base that they go on, its head left random where the
    adapter brings one. `quantize` (`8bit`, `4bit`) and `device_map` (`auto`) are those of `placement`.
    Raises `BirthmarkError` where a weight is missing, left over or of another shape (a head left random would give
    noise for scores), the head is not known, not the one that the catalog names or of several outputs without weights,
    or memory does not suffice.
    """
    kind = kind or resolved.kind
    head_files = _head_files(resolved) if kind == "reward" and resolved.adapter is None else None
    config = AutoConfig.from_pretrained(resolved.path, local_files_only=True)
    supplied = adapter_tensors(resolved.adapter) if resolved.adapter else {}
    automatic: Any = AutoModelForSequenceClassification if kind == "reward" else AutoModelForCausalLM
    if head_files is not None and not head_files.is_linear:
        automatic = AutoModel
        head_files.check()
    elif kind == "reward":
        if head := [shape for name, shape in supplied.items() if name.endswith("score.weight")]:
            config.num_labels = head[0][0]
        elif resolved.adapter and "score.weight" not in tensor_shapes(weight_files(resolved.path)):
            raise BirthmarkError(
                f"{resolved.name}: neither the adapter nor its base has a reward head (score.weight); one that lies beside "
                "the adapter in a pickle (v_head.pt, as GRM training writes it) is not read, since that can run code"
            )
        if config.num_labels != 1:
            raise BirthmarkError(
                f"{resolved.name} has a head with {config.num_labels} outputs and a reward is one number; "
                "name a model with one, or score it with --as logprob if it is a language model"
            )
    chosen = attention or attention_of(resolved, config)
    precision = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    with _loading(resolved):
        model, loading = automatic.from_pretrained(
            resolved.path,
            config=config,
            dtype=precision,
            attn_implementation=chosen,
            **placement(device, precision, quantize, device_map),
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
        if head_files is not None and not head_files.is_linear:
            head_files.attach(model, set(loading["unexpected_keys"]))
            loading = loading | {"unexpected_keys": set()}
        _require_every_weight(resolved, loading, supplied, kind)
        if head_files is not None and head_files.is_linear:
            head_files.prove_linear(model)
        if resolved.adapter and not without_adapter:
            model = with_adapter(model, resolved.adapter, resolved.name, supplied)
    return model.eval()


def _head_files(resolved: ResolvedModel) -> HeadFiles | None:
    """The files of a reward head; None where they show none that is known."""
    files = HeadFiles.of(resolved.name, resolved.path, resolved.entry)
    return None if files.head is None else files


def attention_of(resolved: ResolvedModel, config: Any) -> str:
    """The attention implementation of an architecture: the catalog's, else as `load_model` says."""
    stated = resolved.entry.attention if resolved.entry else None
    return stated or ("eager" if getattr(config, "attn_logit_softcapping", None) else "sdpa")


def _require_every_weight(
    resolved: ResolvedModel, loading: dict[str, Any], supplied: Mapping[str, tuple[int, ...]], kind: Kind
) -> None:
    """Raise `BirthmarkError` unless every weight came from the files, and every weight of the files went in."""
    from_adapter = {name.removeprefix("base_model.model.") for name in supplied}
    missing = sorted(set(loading["missing_keys"]) - from_adapter)
    if missing:
        raise BirthmarkError(
            f"{resolved.name} as a {kind} model lacks the weight {missing[0]}{and_more(missing)}, which would be left random: "
            "is it the right kind (--as reward|logprob), and complete? Another kind of head is added by a package "
            "(entry point `birthmark.heads`)"
        )
    unused = {"lm_head.weight", "lm_head.bias"} if from_adapter and kind == "reward" else set()  # of the base
    left_over = set(loading["unexpected_keys"]) - unused
    extra = sorted(name for name in left_over if not (kind == "logprob" and name.startswith("v_head.")))  # a value head
    if extra:
        raise BirthmarkError(
            f"{resolved.name} has the weight {extra[0]}{and_more(extra)}, which its class has no place for: its scores "
            "would be another model's; is it the right kind (--as reward|logprob)?"
        )
    other = sorted(str(key[0] if isinstance(key, tuple) else key) for key in loading["mismatched_keys"])
    if other:
        raise BirthmarkError(f"{resolved.name} has the weight {other[0]} in another shape than its config says")


@contextlib.contextmanager
def _loading(resolved: ResolvedModel) -> Iterator[None]:
    """What goes wrong with files or memory while loading, in one line; transformers' own report stays quiet."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError):
        raise BirthmarkError(
            f"{resolved.name} does not fit into memory: try --dtype bfloat16, another --device, or a smaller model"
        ) from None
    except (SafetensorError, OSError, RuntimeError, ValueError, ImportError) as error:
        raise BirthmarkError(f"{resolved.name} cannot be loaded: {one_line(error)}") from None
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class AdapterSwap:
    """Gives the models of a series; the base of the last adapter stays in memory."""

    def __init__(self) -> None:
        self._base: Any = None
        self._is: tuple[object, ...] = ()

    @contextmanager
    def model(self, resolved: ResolvedModel, *, dtype: str, device: torch.device | str) -> Iterator[Any]:
        """The checkpoint's model within the block, equal to what `load_model` gives.

        Raises `BirthmarkError` as `load_model` does, and where an adapter's tensor has no place in the base.
        """
        if resolved.adapter is None:
            self._forget()
            yield load_model(resolved, dtype=dtype, device=device)
            return
        base = self.base(resolved, dtype=dtype, device=device)
        supplied = adapter_tensors(resolved.adapter)
        names = [name.removeprefix("base_model.model.") for name in supplied]
        changed = {name.rpartition(".lora_A.")[0] for name in names if ".lora_A." in name}
        kept = {name: base.get_submodule(name).weight.detach().clone() for name in sorted(changed)}
        try:
            yield with_adapter(base, resolved.adapter, resolved.name, supplied).eval()
            _take_off(base, kept)
        except BaseException:
            self._forget()  # what was changed halfway is not used again
            raise

    def base(self, resolved: ResolvedModel, *, dtype: str, device: torch.device | str) -> Any:
        """The model under a checkpoint's adapter, its head left as the last checkpoint or chance set it."""
        wanted = (resolved.path, resolved.digests.weights, resolved.kind, dtype, str(device))
        if self._is != wanted:
            self._forget()
            self._base = load_model(resolved, dtype=dtype, device=device, without_adapter=True)
            self._is = wanted
        return self._base

    def _forget(self) -> None:
        self._base, self._is = None, ()


def _take_off(base: Any, kept: dict[str, torch.Tensor]) -> None:
    """Put the base's own layers and weights back: exact, where taking a difference away again would round."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in list(base.named_modules()):
        if isinstance(module, BaseTunerLayer):
            base.set_submodule(path, module.get_base_layer())
    if hasattr(base, "peft_config"):  # the mark of an adapter that is on
        del base.peft_config
    for name, weight in kept.items():
        base.get_submodule(name).weight.data.copy_(weight)
