"""The JSON files of a model's folder: read strictly, and their known fields held to types, ranges and the tensors' sizes.

transformers and PEFT check some of this, each in its own way, and after the time or memory that a wrong number costs.
"""

import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line

MAX_BYTES = 100_000_000
MAX_DEPTH = 60
LARGEST = 2**31 - 1

Rule = tuple[str, Callable[[Any], bool]]  # what a value must be, in words, and whether it is; null is always allowed


def _is_whole(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e30


def _is_list_of(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(fits, value))


def _is_table_of(value: Any, fits: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(map(fits, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and len(value) <= 200


def _is_source(value: Any) -> bool:
    """Whether a value can be a folder's path or a hub id."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(os.fsencode(value)) < 4000:
        return False
    try:
        Path(value).expanduser()
    except RuntimeError:  # ~ and a user who is not there
        return False
    return all(len(os.fsencode(part)) <= 255 for part in Path(value).parts)


def _is_numbered(value: Any) -> bool:
    return isinstance(value, dict) and all(re.fullmatch(r"\d{1,9}", key) for key in value)


def _is_token(value: Any) -> bool:
    return _is_text(value) or (isinstance(value, dict) and _is_text(value.get("content")))


def _is_template(value: Any) -> bool:
    named = isinstance(value, list) and all(
        isinstance(each, dict) and _is_text(each.get("name")) and _is_text(each.get("template")) for each in value
    )
    return _is_text(value) or named or _is_table_of(value, _is_text)


def _is_precision(value: Any) -> bool:
    return _is_text(value) and re.fullmatch(r"(torch\.)?(b?float\d+(_\w+)?|half|float|double)", value) is not None


SIZE: Rule = (
    "a whole number above 0",
    lambda value: _is_whole(value, 1) or _is_list_of(value, lambda each: _is_whole(each, 0)),
)
COUNT: Rule = ("a whole number, 0 or more", lambda value: _is_whole(value, 0) or _is_list_of(value, SIZE[1]))
POSITIVE: Rule = ("a number above 0", lambda value: _is_number(value) and value > 0)
NOT_NEGATIVE: Rule = ("a number, 0 or more", lambda value: _is_number(value) and value >= 0)
NUMBER: Rule = ("a number", _is_number)
SHARE: Rule = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
FLAG: Rule = ("true or false", lambda value: isinstance(value, bool))
NAME: Rule = ("a name", _is_name)
NAMES: Rule = ("a list of names", lambda value: _is_list_of(value, _is_name))
TABLE: Rule = ("an object", lambda value: isinstance(value, dict))
LIST: Rule = ("a list of text", lambda value: _is_list_of(value, _is_text))
LISTED: Rule = ("a list of text, or text", lambda value: _is_text(value) or _is_list_of(value, _is_text))
PLACES: Rule = (
    "a whole number or a list of them",
    lambda value: _is_whole(value, -1) or _is_list_of(value, lambda each: _is_whole(each, -1)),
)
SIDE: Rule = ("left or right", lambda value: value in ("left", "right"))

SIZES = (
    "d_model", "ffn_dim", "ffn_hidden_size", "head_dim", "hidden_size", "intermediate_size", "max_position_embeddings", "n_ctx",
    "n_embd", "n_head", "n_heads", "n_layer", "n_layers", "n_positions", "num_attention_heads", "num_heads",
    "num_hidden_layers", "num_key_value_heads", "num_labels", "num_layers", "vocab_size",
)  # fmt: skip
COUNTS = (
    "moe_intermediate_size",
    "n_inner",
    "n_routed_experts",
    "num_experts",
    "num_experts_per_tok",
    "num_local_experts",
)
LAYERS = ("n_layer", "n_layers", "num_hidden_layers", "num_layers")
GGUF_SIZES = ("block_count", "embedding_length", "vocab_size")
NOT_OF_TENSORS = ("max_position_embeddings", "n_ctx", "n_positions")

CONFIG: dict[str, Rule] = {
    **dict.fromkeys(SIZES, SIZE),
    **dict.fromkeys(COUNTS, COUNT),
    **dict.fromkeys(("layer_norm_eps", "layer_norm_epsilon", "norm_eps", "rms_norm_eps"), NOT_NEGATIVE),
    **dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping", "rope_theta", "logits_scaling"), POSITIVE),
    **dict.fromkeys(("embedding_multiplier", "attention_multiplier", "residual_multiplier", "logit_scale"), NUMBER),
    **dict.fromkeys(("attention_dropout", "hidden_dropout", "embd_pdrop", "attn_pdrop", "resid_pdrop"), SHARE),
    **dict.fromkeys(("tie_word_embeddings", "use_cache", "attention_bias", "mlp_bias", "is_encoder_decoder"), FLAG),
    **dict.fromkeys(("model_type", "birthmark_head", "transformers_weights", "problem_type"), NAME),
    **dict.fromkeys(("auto_map", "quantization_config", "text_config", "vision_config"), TABLE),
    **dict.fromkeys(("dtype", "torch_dtype"), ("a precision such as bfloat16", lambda value: _is_precision(value) or
                    _is_table_of(value, _is_precision))),
    **dict.fromkeys(("rope_parameters", "rope_scaling"), TABLE),
    "architectures": NAMES,
    "id2label": ("an object of numbers and names", lambda value: _is_numbered(value) and _is_table_of(value, _is_text)),
    "label2id": ("an object of names and numbers", lambda value: _is_table_of(value, lambda each: _is_whole(each, 0))),
    "layer_types": NAMES,
    "head_weights": ("an object of names and numbers", lambda value: _is_table_of(value, _is_number)),
    "pad_token_id": ("a token's number", lambda value: _is_whole(value, -1)),
    "bos_token_id": PLACES,
    "eos_token_id": PLACES,
}  # fmt: skip
ROPE: dict[str, Rule] = {
    **dict.fromkeys(("rope_type", "type"), NAME),
    **dict.fromkeys(
        ("rope_theta", "factor", "low_freq_factor", "high_freq_factor", "partial_rotary_factor", "attention_factor",
         "original_max_position_embeddings"), POSITIVE),
    **dict.fromkeys(("beta_fast", "beta_slow", "mscale", "mscale_all_dim"), NUMBER),
    **dict.fromkeys(
        ("short_factor", "long_factor"), ("a list of numbers above 0", lambda value: _is_list_of(value, POSITIVE[1]))),
}  # fmt: skip
ADAPTER: dict[str, Rule] = {
    **dict.fromkeys(("peft_type", "task_type", "revision"), NAME),
    **dict.fromkeys(("use_dora", "use_rslora", "fan_in_fan_out"), FLAG),
    **dict.fromkeys(("target_modules", "exclude_modules"), LISTED),
    "modules_to_save": LIST,
    "base_model_name_or_path": ("a folder, a hub id or a catalog name", _is_source),
    "r": COUNT,
    "lora_alpha": NUMBER,
    "lora_dropout": SHARE,
    "rank_pattern": ("an object of whole numbers", lambda value: _is_table_of(value, lambda each: _is_whole(each, 1))),
    "alpha_pattern": ("an object of numbers", lambda value: _is_table_of(value, _is_number)),
    "bias": ("none, all or lora_only", lambda value: value in ("none", "all", "lora_only")),
    "auto_mapping": TABLE,
    "layers_to_transform": PLACES,
}
INDEX: dict[str, Rule] = {
    "weight_map": (
        "an object that gives each tensor a file of this folder",
        lambda value: (
            _is_table_of(value, lambda file: _is_text(file) and re.fullmatch(r"[^/\\\0]{1,250}", file) is not None)
            and bool(value)
        ),
    ),
    "metadata": TABLE,
}
_NAMED_TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token", "sep_token", "cls_token", "mask_token")
SPECIAL_TOKENS: dict[str, Rule] = {
    **dict.fromkeys(_NAMED_TOKENS, ("text, or an object with its `content`", _is_token)),
    "additional_special_tokens": ("a list of tokens", lambda value: _is_list_of(value, _is_token)),
    "extra_special_tokens": (
        "a list or an object of tokens",
        lambda value: _is_list_of(value, _is_token) or _is_table_of(value, _is_token),
    ),
}
TOKENIZER: dict[str, Rule] = {
    **SPECIAL_TOKENS,
    "tokenizer_class": NAME,
    "auto_map": TABLE,
    "model_max_length": ("a number", lambda value: isinstance(value, (int, float)) and not math.isnan(value)),
    "added_tokens_decoder": (
        "an object of numbers and tokens",
        lambda value: (
            _is_numbered(value) and _is_table_of(value, lambda each: isinstance(each, dict) and _is_token(each))
        ),
    ),
    "chat_template": ("text, or a list of objects with a `name` and a `template`", _is_template),
    "padding_side": SIDE,
    "truncation_side": SIDE,
    **dict.fromkeys(("add_bos_token", "add_eos_token"), FLAG),
}
RULES = {
    "config.json": CONFIG,
    "adapter_config.json": ADAPTER,
    "tokenizer_config.json": TOKENIZER,
    "special_tokens_map.json": SPECIAL_TOKENS,
    "chat_template.json": {"chat_template": TOKENIZER["chat_template"]},
}
REQUIRED = {
    "model.safetensors.index.json": "weight_map",
    "config.json": "model_type",
    "adapter_config.json": "peft_type",
}
NOT_NULL = ("r", "lora_alpha")
_BESIDE = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.json")
_READ = re.compile(
    r".*\.(safetensors|gguf|jinja)|(config|adapter_config|tokenizer.*|.*_tokens.*|vocab|.*\.index)\.json|.*\.model"
)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model's folder, whose known fields are of the right type and range.

    Raises `BirthmarkError` that names the file, and the field, where the file is missing, cannot be read, is not one JSON
    object in UTF-8, gives a field two values, or has a wrong value.
    """
    value = _parsed(path)
    rules = INDEX if path.name.endswith(".index.json") else RULES.get(path.name, {})
    if REQUIRED.get(path.name) is not None and value.get(REQUIRED[path.name]) is None:
        raise BirthmarkError(f"{path} has no {REQUIRED[path.name]}: download or copy the file again")
    for field, found, rule in _ruled(value, rules):
        if (found is not None or field in NOT_NULL) and not rule[1](found):
            raise BirthmarkError(f"{path} has {field} = {one_line(json.dumps(found), 60)}, which must be {rule[0]}")
    return value


def _ruled(value: Mapping[str, Any], rules: Mapping[str, Rule], prefix: str = "") -> Iterator[tuple[str, Any, Rule]]:
    """Each field that has a rule, with its value; those of the models and of the rotary settings inside a config too."""
    for key, rule in rules.items():
        if key in value:
            yield prefix + key, value[key], rule
    if rules is CONFIG:
        for key in ("text_config", "vision_config"):
            if isinstance(value.get(key), dict):
                yield from _ruled(value[key], CONFIG, f"{prefix}{key}.")
        for key in ("rope_parameters", "rope_scaling"):
            if isinstance(value.get(key), dict):
                yield from _ruled(value[key], ROPE, f"{prefix}{key}.")
                for kind in ("full_attention", "sliding_attention"):  # one setting for each kind of layer
                    if kind in value[key]:
                        yield f"{prefix}{key}.{kind}", value[key][kind], TABLE
                        if isinstance(value[key][kind], dict):
                            yield from _ruled(value[key][kind], ROPE, f"{prefix}{key}.{kind}.")


def _parsed(path: Path) -> dict[str, Any]:
    def once(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in members:
            if key in found and json.dumps(found[key]) != json.dumps(value):
                raise BirthmarkError(f"{path} has {one_line(key)!r} twice, with different values: keep one")
            found[key] = value
        return found

    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=once)
    except RecursionError:
        raise BirthmarkError(f"{path} is nested too deeply: download or copy the file again") from None
    except ValueError as error:
        raise BirthmarkError(f"{path} cannot be read as JSON: {one_line(error, 200)}") from None
    if not isinstance(value, dict):
        raise BirthmarkError(f"{path} is not a JSON object")
    if _depth(value) > MAX_DEPTH:
        raise BirthmarkError(f"{path} is nested too deeply: download or copy the file again")
    return value


def _depth(value: Any) -> int:
    """How deep lists and objects lie in each other, without recursion."""
    depth, level = 0, [value]
    while level and depth <= MAX_DEPTH:
        inner = [each for each in level if isinstance(each, (dict, list))]
        level = [item for each in inner for item in (each.values() if isinstance(each, dict) else each)]
        depth += bool(inner)
    return depth


def read_text(path: Path) -> str:
    """The text of one of a model's small files. Raises `BirthmarkError` if it is not there, too large or not UTF-8."""
    require_file(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BirthmarkError(f"{path} has more than {MAX_BYTES / 1e6:g} MB: is it the right file?")
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise BirthmarkError(f"{path} cannot be read ({error.strerror}): check its permissions") from None
    except UnicodeDecodeError:
        raise BirthmarkError(f"{path} is not UTF-8: save it as UTF-8 text, or download it again") from None
    if text.startswith("\ufeff"):
        raise BirthmarkError(f"{path} begins with a byte order mark: save it as UTF-8 without one")
    return text


def require_file(path: Path) -> None:
    """Raise `BirthmarkError` unless the path is a file: it is missing, a folder, a broken link, or a device."""
    try:
        if path.is_file():
            return
        problem = "is missing: a model's folder needs it"
        if path.name == "config.json" and (path.parent / "params.json").is_file():
            problem += " (it is in another format, with params.json: use its files in transformers' format)"
        if path.is_dir():
            problem = "is a folder, and must be a file"
        elif path.is_symlink():
            problem = "is a link to a file that is not there: download or copy the model again"
        elif os.path.lexists(path):
            problem = "is not a regular file"
    except (OSError, ValueError) as error:
        problem = f"cannot be read ({getattr(error, 'strerror', None) or error})"
    raise BirthmarkError(f"{path} {problem}")


def check_folder(folder: Path) -> None:
    """Raise `BirthmarkError` for a model's file that is none, and for wrong values in the tokenizer's small files."""
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise BirthmarkError(f"{folder} cannot be read ({error.strerror}): check its permissions") from None
    for name in names:
        if _READ.fullmatch(name):
            require_file(folder / name)
            if not os.access(folder / name, os.R_OK):
                raise BirthmarkError(f"{folder / name} cannot be read: check its permissions")
    for name in _BESIDE:
        if name not in names:
            continue
        value = read_json(folder / name)
        if name == "added_tokens.json" and not _is_table_of(value, lambda each: _is_whole(each, 0)):
            raise BirthmarkError(f"{folder / name} must be an object of tokens and whole numbers")


_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")
_INDEX = re.compile(r"\.(\d+)(?=\.)")


def check_sizes(path: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `BirthmarkError` where a config states more than its tensors can have: layers, sizes, a padding token.

    path: the config's file, for the message. A model of a million layers, or with a dimension of a billion, would be built
    before its weights are found missing.
    """
    _require_names(path.parent, shapes)
    layers = [int(found[1]) + 1 for name in shapes if (found := _LAYER.search(name))]
    largest = _largest(shapes)
    for prefix, part in _parts(config):
        for key in LAYERS:
            if layers and isinstance(part.get(key), int) and part[key] > max(layers):
                raise BirthmarkError(
                    f"{path} has {prefix}{key} = {part[key]}, and the weights have {max(layers)} layers: they do not belong "
                    "together, or a part is missing; download both again"
                )
        if "quantization_config" in config:
            continue  # packed tensors are smaller than the layers that they stand for
        for key in {*SIZES, *COUNTS} - {*LAYERS, *NOT_OF_TENSORS}:
            if largest and isinstance(part.get(key), int) and part[key] > largest:
                raise BirthmarkError(
                    f"{path} has {prefix}{key} = {part[key]}, and no tensor of the weights is that large: they do not belong "
                    "together; download both again"
                )
        pad, rows = part.get("pad_token_id"), part.get("vocab_size")
        if isinstance(pad, int) and isinstance(rows, int) and pad >= rows:
            raise BirthmarkError(
                f"{path} has {prefix}pad_token_id = {pad}, and the vocabulary's tokens are 0 to {rows - 1} "
                f"(vocab_size = {rows}): correct the one that is wrong"
            )


def _require_names(folder: Path, shapes: Iterable[str]) -> None:
    if odd := [name for name in shapes if not name or not _is_name(name)]:
        raise BirthmarkError(f"{folder} has a weight of the name {odd[0]!r:.80}, which no model has: download it again")


def _parts(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", config
    for key in ("text_config", "vision_config"):
        if isinstance(config.get(key), dict):
            yield f"{key}.", config[key]


def _largest(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """The largest dimension of some tensors, or the largest number in their names if that is more."""
    sizes: Iterable[int] = (size for shape in shapes.values() for size in shape)
    numbers = (int(number) + 1 for name in shapes for number in _INDEX.findall(name))
    return max([*sizes, *numbers], default=0)


def check_ranks(path: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `BirthmarkError` where an adapter states a rank above every dimension of its tensors."""
    if config.get("r") == 0 and config.get("peft_type") != "OFT":  # which has blocks of a size instead
        raise BirthmarkError(f"{path} has r = 0, which must be {SIZE[0]}")
    _require_names(path.parent, shapes)
    largest, pattern = _largest(shapes), config.get("rank_pattern") or {}
    for key, rank in (("r", config.get("r")), *(("rank_pattern", rank) for rank in pattern.values())):
        if isinstance(rank, int) and rank > largest > 0:
            raise BirthmarkError(
                f"{path} has {key} = {rank}, and no tensor of the adapter is that large: they do not belong together"
            )


def check_gguf(path: Path, fields: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """`check_sizes` for the numbers that a GGUF file states in its header, by name."""
    layers = [int(found[1]) + 1 for name in shapes if (found := re.match(r"blk\.(\d+)\.", name))]
    largest = _largest(shapes)
    for name, value in fields.items():
        stated = name.rpartition(".")[2]
        limit = max(layers, default=0) if stated == "block_count" else largest
        if stated in GGUF_SIZES and (not _is_whole(value, 1) or value > limit):
            raise BirthmarkError(
                f"{path} has {name} = {one_line(value, 40)}, and its tensors have {limit} at most: its header is damaged; "
                "download it again"
            )
