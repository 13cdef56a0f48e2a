"""A model's folder into memory, once it is known that it fits, with every weight proven to come from its files.

Knows nothing of names, of conversations or of scoring.
"""

import contextlib
from collections.abc import Iterator, Mapping
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
from birthmark.models.adapters import adapter_tensors, with_adapter
from birthmark.models.folder import and_more, one_line, tensor_shapes, weight_files
from birthmark.models.heads.known import HeadFiles
from birthmark.models.machine import require_memory
from birthmark.models.memory import Quantize, count_parameters
from birthmark.models.placement import check_placement, placement
from birthmark.models.weights import ResolvedModel
from birthmark.records import Kind


def load_if_it_fits(
    model: ResolvedModel,
    *,
    dtype: str,
    device: torch.device,
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
