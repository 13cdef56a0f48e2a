"""Load a model that fits into memory, and check that every weight comes from its files.

Also: placement (one device, several, part on the CPU, 8 or 4 bits), PEFT adapters on their base, and swapping the adapters
and heads of checkpoints with a common base.
"""

import contextlib
import importlib.util
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from birthmark.errors import BirthmarkError
from birthmark.models.adapters import brings_score, is_plain_lora, read_adapter, with_adapter
from birthmark.models.folder import ADAPTER_CONFIG, and_more
from birthmark.models.guard import read_config, reading, require_runs
from birthmark.models.heads.known import HeadFiles, prove_linear
from birthmark.models.machine import require_memory
from birthmark.models.memory import QUANTIZATIONS, Quantize, count_model
from birthmark.models.resolve import ResolvedModel
from birthmark.models.weights import ModelFiles, only_weights, read_weights, tensor_shapes
from birthmark.records import Kind

NOT_QUANTIZED = ["lm_head", "score"]  # later layers do not average out the rounding errors of heads


def check_placement(device: "str | torch.device", quantize: str | None, device_map: str | None) -> None:
    """Raise `BirthmarkError` if a requested quantization or device map is not available here."""
    if device_map not in (None, "auto"):
        raise BirthmarkError(f"'{device_map}' is not a device map: write --device-map auto, or omit it")
    if quantize is None:
        return
    if quantize not in QUANTIZATIONS:
        raise BirthmarkError(f"'{quantize}' is not a quantization: write --quantize {' or '.join(QUANTIZATIONS)}")
    if torch.device(device).type != "cuda" or not torch.cuda.is_available():
        raise BirthmarkError(
            f"--quantize {quantize} needs an NVIDIA GPU, and this runs on {torch.device(device).type}: omit it, or use "
            "--dtype bfloat16 to halve the memory"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise BirthmarkError(
            f"--quantize {quantize} needs bitsandbytes, which is not installed: pip install 'birthmark[quantized]'"
        )


def placement(
    device: "str | torch.device", dtype: torch.dtype, quantize: Quantize | None = None, device_map: str | None = None
) -> dict[str, Any]:
    """Keyword arguments of `from_pretrained`. Raises as `check_placement` does.

    `device_map` `auto` distributes the layers over all GPUs, and those that do not fit go to main memory.
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
        arguments["quantization_config"] = BitsAndBytesConfig(llm_int8_skip_modules=NOT_QUANTIZED, **bits)
    return arguments


def is_spread(model: Any) -> bool:
    """Whether a model's layers are on several devices; such a model runs only with the plain engine."""
    return len(set((getattr(model, "hf_device_map", None) or {}).values())) > 1


def load_if_it_fits(
    model: ResolvedModel,
    *,
    dtype: str,
    device: torch.device | str,
    quantize: Quantize | None = None,
    device_map: str | None = None,
) -> PreTrainedModel:
    """`load_model` after `check_placement` and `require_memory`; raises as those do."""
    check_placement(device, quantize, device_map)
    parameters = count_model(model.path, model.adapter)
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

    A linear head is that of a sequence classifier with one output. Any other head is built from the file's tensors on the
    decoder; code shipped with a checkpoint is never run. `attention` is transformers' name of an implementation; by default the
    catalog's, else `eager` for a model that caps its attention logits (other implementations do not apply that) and `sdpa`
    otherwise. An adapter's weights are merged in float32 and kept separate in half precision, where rounding would lose small
    changes. `without_adapter` gives the base without its adapter; its head is random if the adapter has one. `quantize`
    (`8bit`, `4bit`) and `device_map` (`auto`) are those of `placement`.

    Raises `BirthmarkError` if a weight is missing, left over or of another shape (a random head would give random scores); if
    the head is unknown, not the one in the catalog, or has several outputs without weights; or if memory runs out.
    """
    kind = kind or resolved.kind
    files = read_weights(resolved.path)
    adapter = read_weights(resolved.adapter) if resolved.adapter else None
    head = _head_of(resolved, files, adapter) if kind == "reward" else None
    config = read_config(resolved.path)
    config.transformers_weights = None  # which files are the model has been decided
    automatic: Any = AutoModelForCausalLM
    if head is not None:  # an adapter's names are those of a causal LM
        automatic = AutoModel if adapter is None else AutoModelForCausalLM
    elif kind == "reward":
        automatic = AutoModelForSequenceClassification
        config.num_labels = 1
    chosen = attention or attention_of(resolved, config)
    precision = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    with _loading(resolved), contextlib.ExitStack() as stack:
        model, loading = automatic.from_pretrained(
            stack.enter_context(only_weights(files.all, resolved.path / "config.json")),
            config=config,
            dtype=precision,
            attn_implementation=chosen,
            **placement(device, precision, quantize, device_map),
            key_mapping=_unwrapped(files) if automatic is AutoModel else None,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # `_require_every_weight` names them
            output_loading_info=True,
        )
        left_over = set(loading["unexpected_keys"])
        if head is not None and not head.in_adapter:
            loading = loading | {"unexpected_keys": set()}
        _require_every_weight(resolved, loading, adapter, kind)
        if adapter and resolved.adapter and not without_adapter:
            model = with_adapter(model, resolved.adapter, adapter, resolved.name)
        if head is not None:
            head.attach(model, set(head.shapes) if head.in_adapter else left_over)
        elif kind == "reward" and adapter is None:
            prove_linear(resolved.name, files.all, model)
        require_runs(model.eval())
        if device_map is not None:  # a layer on disk is read again and again
            weakref.finalize(model, stack.pop_all().close)
    return model


def readable_head(resolved: ResolvedModel) -> HeadFiles | None:
    """The files of a reward head that birthmark builds itself; None for a sequence classifier's, which transformers loads.

    Raises `BirthmarkError` if the head cannot be read, or gives several numbers; only headers of files are read.
    """
    return _head_of(resolved, read_weights(resolved.path), read_weights(resolved.adapter) if resolved.adapter else None)


def _head_of(resolved: ResolvedModel, files: ModelFiles, adapter: ModelFiles | None) -> HeadFiles | None:
    if adapter is None or adapter.beside or not brings_score(adapter):
        head = HeadFiles.of(resolved.name, resolved.path, resolved.entry, resolved.adapter)
        if head.head is not None and not head.is_linear:
            head.check()
            return head
    outputs = _outputs(resolved, files, adapter)
    if outputs != 1:
        raise BirthmarkError(
            f"{resolved.name} has a head with {outputs} outputs and a reward is one number; "
            "use a model with one output, or score it with --as logprob if it is a language model"
        )
    return None


def _outputs(resolved: ResolvedModel, files: ModelFiles, adapter: ModelFiles | None) -> int:
    """The outputs of a sequence classifier's head, by its weight; one where it has none, which loading then refuses."""
    shapes = tensor_shapes([*files.all, *(adapter.main if adapter else ())])
    found = [shape[0] for name, shape in shapes.items() if name.endswith("score.weight")]
    if adapter is not None and not found:
        raise BirthmarkError(
            f"{resolved.name}: neither the adapter nor its base has a reward head (score.weight); a head in a pickle next to "
            "the adapter (v_head.pt, as written by GRM training) is not read, because that can run code"
        )
    return found[-1] if found else 1


_WRAPPERS = (
    "rwtransformer",
    "rwtranrsformer",
    "transformer",
)  # around the decoder: DeepSpeed-Chat's (both spellings), Starling's


def _unwrapped(files: ModelFiles) -> dict[str, str] | None:
    """A renaming of tensors for a decoder that lies in a module of a reward model's own class."""
    names = tensor_shapes(files.main)
    return next(({f"^{name}\\.": ""} for name in _WRAPPERS if any(key.startswith(f"{name}.") for key in names)), None)


def attention_of(resolved: ResolvedModel, config: Any) -> str:
    """The attention implementation of an architecture: the catalog's, else as `load_model` says.

    `eager` where the architecture caps its attention logits, or where its class supports nothing else.
    """
    stated = resolved.entry.attention if resolved.entry else None
    if stated or getattr(config.get_text_config(), "attn_logit_softcapping", None):
        return stated or "eager"
    classes = MODEL_MAPPING.get(type(config), ())
    known = classes if isinstance(classes, tuple) else (classes,)
    return "sdpa" if all(getattr(one, "_supports_sdpa", False) for one in known) else "eager"


def _require_every_weight(
    resolved: ResolvedModel, loading: dict[str, Any], adapter: ModelFiles | None, kind: Kind
) -> None:
    """Raise `BirthmarkError` unless every weight came from the files, and every weight in the files was used."""
    from_adapter = {name.removeprefix("base_model.model.") for name in tensor_shapes(adapter.main if adapter else ())}
    other = sorted(str(key[0] if isinstance(key, tuple) else key) for key in loading["mismatched_keys"])
    if other:
        raise BirthmarkError(
            f"{resolved.path / 'config.json'} says another shape than the weight {other[0]}{and_more(other)} has: they do not "
            "belong together; download both again"
        )
    missing = sorted(set(loading["missing_keys"]) - from_adapter)
    if missing:
        renamed = [
            name.removesuffix(missing[0]) for name in loading["unexpected_keys"] if name.endswith(f".{missing[0]}")
        ]
        if renamed and {renamed[0] + name for name in missing} <= set(loading["unexpected_keys"]):
            raise BirthmarkError(
                f"{resolved.name} has its weights under names with {renamed[0]!r} before them, as a wrapper of its training saved "
                f"them: read the file with safetensors.torch.load_file, take {renamed[0]!r} off every name, and save_file it "
                "with metadata={'format': 'pt'}"
            )
        raise BirthmarkError(
            f"{resolved.name} as a {kind} model lacks the weight {missing[0]}{and_more(missing)}, which would be left random: "
            "is it the right kind (--as reward|logprob), and complete? Another kind of head is added by a package "
            "(entry point `birthmark.heads`)"
        )
    unused = {"lm_head.weight", "lm_head.bias"} if kind == "reward" else set()
    left_over = set(loading["unexpected_keys"]) - unused
    extra = sorted(name for name in left_over if not (kind == "logprob" and name.startswith("v_head.")))  # a value head
    if extra:
        raise BirthmarkError(
            f"{resolved.name} has the weight {extra[0]}{and_more(extra)}, which its class has no place for: its scores would "
            "be wrong; is it the right kind (--as reward|logprob)?"
        )


@contextlib.contextmanager
def _loading(resolved: ResolvedModel) -> Iterator[None]:
    """Convert errors of files or memory while loading to one-line errors, and silence transformers' report."""
    adapter = [resolved.adapter / ADAPTER_CONFIG] if resolved.adapter else []
    try:
        with reading(*adapter, resolved.path / "config.json"):
            yield
    except (torch.OutOfMemoryError, MemoryError):
        raise BirthmarkError(
            f"{resolved.name} does not fit into memory: try --dtype bfloat16, another --device, or a smaller model"
        ) from None


class AdapterSwap:
    """Loads the models of a series of checkpoints; the base of the last adapter stays in memory."""

    def __init__(self) -> None:
        self._base: Any = None
        self._base_key: tuple[object, ...] = ()

    @contextmanager
    def model(self, resolved: ResolvedModel, *, dtype: str, device: torch.device | str) -> Iterator[Any]:
        """The checkpoint's model within the block, identical to that of `load_model`.

        Raises `BirthmarkError` as `load_model` does, and if an adapter's tensor has no place in the base.
        """
        if resolved.adapter is None:
            self._forget()
            yield load_model(resolved, dtype=dtype, device=device)
            return
        files = read_weights(resolved.adapter)
        supplied = tensor_shapes(files.main)
        if files.beside or not is_plain_lora(read_adapter(resolved.adapter), supplied):
            self._forget()  # another kind of adapter may change what cannot be put back
            yield load_model(resolved, dtype=dtype, device=device)
            return
        base = self.base(resolved, dtype=dtype, device=device)
        names = [name.removeprefix("base_model.model.") for name in supplied]
        changed = {name.rpartition(".lora_A.")[0] for name in names if ".lora_A." in name}
        kept = {name: base.get_submodule(name).weight.detach().clone() for name in sorted(changed)}
        try:
            yield with_adapter(base, resolved.adapter, files, resolved.name).eval()
            _remove_adapter(base, kept)
        except BaseException:
            self._forget()  # a partly changed base is not used again
            raise

    def base(self, resolved: ResolvedModel, *, dtype: str, device: torch.device | str) -> Any:
        """The base of a checkpoint's adapter; its head is random or the last checkpoint's."""
        key = (resolved.path, resolved.digests.weights, resolved.kind, dtype, str(device))
        if self._base_key != key:
            self._forget()
            self._base = load_model(resolved, dtype=dtype, device=device, without_adapter=True)
            self._base_key = key
        return self._base

    def _forget(self) -> None:
        self._base, self._base_key = None, ()


def _remove_adapter(base: Any, kept: dict[str, torch.Tensor]) -> None:
    """Restore the base's layers and weights exactly; subtracting the difference again would round."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for path, module in list(base.named_modules()):
        if isinstance(module, BaseTunerLayer):
            base.set_submodule(path, module.get_base_layer())
    if hasattr(base, "peft_config"):  # marks an active adapter
        del base.peft_config
    for name, weight in kept.items():
        base.get_submodule(name).weight.data.copy_(weight)
