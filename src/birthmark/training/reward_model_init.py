"""A base language model initialised as a reward model before training, and many random heads on it as a null distribution.

The head is drawn from the seed. A random head's reward is h · w with w from a normal distribution; ranks do not depend on its
scale.
"""

import hashlib
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import asked
from birthmark.models.encoding import Encoder
from birthmark.models.engine_choice import choose_engine
from birthmark.models.folder import ADAPTER_CONFIG, SPECIAL_TOKENS, and_more
from birthmark.models.guard import read_config
from birthmark.models.loading import attention_of
from birthmark.models.resolve import ResolvedModel
from birthmark.models.tokenizer import read_tokenizer
from birthmark.models.weights import only_weights, read_tensors, weight_files
from birthmark.records import Precision, Recipe
from birthmark.scoring.measure import Measure
from birthmark.values.ranks import framing_contrast, rank

if TYPE_CHECKING:
    from peft import LoraConfig


def require_base(base: ResolvedModel) -> None:
    """Raise `BirthmarkError` unless the model is a full language model with a chat template."""
    if base.adapter is not None:
        raise BirthmarkError(f"{base.name} is an adapter: merge it into its base and train on the merged folder")
    if base.kind != "logprob":
        raise BirthmarkError(f"{base.name} is a reward model already: give the language model to train one from")
    if not base.chat_template:
        raise BirthmarkError(
            f"{base.name} has no chat template: pass one with --chat-template (`plain` is bundled)"
        )  # fmt: skip


def choose_precision(recipe: Recipe, device: torch.device) -> Precision:
    """The recipe's precision; `auto` is bfloat16 if the hardware supports it, else float32."""
    if recipe.precision != "auto":
        return recipe.precision
    return "bfloat16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"


def load_reward_model_init(base: ResolvedModel, *, seed: int, precision: Precision) -> Any:
    """The base as a sequence classifier with one output, its head drawn from the seed in float32, dropout off.

    The head is N(0, σ²), with σ the architecture's `initializer_range`; the same seed gives the same head on every machine.
    Raises `BirthmarkError` if a weight other than the head is missing, or the base's class has no reward head.
    """
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    config = read_config(base.path)
    _silence_dropout(config)
    config.num_labels = 1
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # no report of the missing head, which is drawn below
    logging.disable_progress_bar()
    try:
        with only_weights(weight_files(base.path), base.path / "config.json") as view:
            model, loading = AutoModelForSequenceClassification.from_pretrained(
                view,
                config=config,
                dtype=getattr(torch, precision),
                attn_implementation=attention_of(base, config),
                use_safetensors=True,
                local_files_only=True,
                output_loading_info=True,
            )
    except (torch.OutOfMemoryError, MemoryError):
        raise BirthmarkError(f"{base.name} does not fit into memory: try a smaller base") from None
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        raise BirthmarkError(f"{base.name} cannot be loaded as a reward model: {one_line(error, 300)}") from None
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
    missing = sorted(set(loading["missing_keys"]) - {"score.weight"})
    if missing or loading["mismatched_keys"]:
        wrong = missing or sorted(map(str, loading["mismatched_keys"]))
        raise BirthmarkError(f"{base.name} lacks the weight {wrong[0]}{and_more(wrong)}, which would be left random")
    if not isinstance(getattr(model, "score", None), torch.nn.Linear):
        raise BirthmarkError(f"{base.name} is a {type(model).__name__}, which has no linear reward head to train")
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    model.name_or_path = name_of(base)  # what PEFT writes into the adapters
    model.score.float()  # in half precision, rounding would lose its updates
    spread = getattr(config.get_text_config(), "initializer_range", 0.02)
    drawn = torch.normal(0.0, spread, model.score.weight.shape, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        model.score.weight.copy_(drawn)
    return model


def _silence_dropout(config: Any) -> None:
    """Turn off the base's dropout; the recipe's only dropout is LoRA's."""
    for part in {id(part): part for part in (config, config.get_text_config())}.values():
        for name, value in part.to_dict().items():
            if isinstance(value, float) and name.endswith(("dropout", "_pdrop", "dropout_prob")):
                setattr(part, name, 0.0)


def require_targets(model: Any, recipe: Recipe, name: str) -> None:
    """Raise `BirthmarkError` if a layer for the recipe's adapters is not in the model."""
    there = {path.rpartition(".")[2] for path, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    absent = [target for target in recipe.lora_targets if target not in there]
    if absent:
        raise BirthmarkError(
            f"{name} has no layer {absent[0]} to put an adapter on: choose some of {', '.join(sorted(there - {'score'}))} "
            "with --lora-target"
        )


def lora_config(recipe: Recipe, base: ResolvedModel) -> "LoraConfig":
    """The recipe's adapters for a sequence classifier; PEFT also trains the full head and saves it."""
    from peft import LoraConfig, TaskType

    return LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=recipe.lora_rank,
        lora_alpha=recipe.lora_alpha,  # type: ignore[arg-type]
        lora_dropout=recipe.lora_dropout,
        target_modules=list(recipe.lora_targets),
        bias="none",
        revision=base.revision,
        base_model_name_or_path=name_of(base),
    )


def name_of(base: ResolvedModel) -> str:
    """The base's name in an adapter: for a folder its absolute path, so that it is found from anywhere."""
    return str(base.path.resolve()) if Path(base.name).resolve() == base.path.resolve() else base.name


def load_padding_tokenizer(base: ResolvedModel) -> Any:
    """The base's tokenizer with a pad token that never occurs in a conversation, so that the last token is found correctly.

    transformers reads a conversation's reward at the last token that is not the pad token. If a template ends in the end
    token and the pad token is the same, that is one token too early. Such a pad token is replaced by one that is never
    written: a reserved or unused special token, or the unknown token. Raises `BirthmarkError` if there is none.
    """
    tokenizer = read_tokenizer(base)
    if tokenizer.pad_token is not None and tokenizer.pad_token not in _written(tokenizer):
        return tokenizer
    special = [token.content for _, token in sorted(tokenizer.added_tokens_decoder.items()) if token.special]
    free = [token for token in special if token not in _written(tokenizer)]
    preferred = [token for token in free if any(word in token.lower() for word in ("pad", "reserved", "unused"))]
    chosen = next(iter([*preferred, *free]), None)
    if chosen is None:
        raise BirthmarkError(
            f"{base.name} has no pad token other than its end token, and no replacement: add a pad token to its tokenizer "
            "(`tokenizer.add_special_tokens({'pad_token': '<pad>'})`) and its model, and give that folder"
        )
    tokenizer.pad_token = chosen
    return tokenizer


def _written(tokenizer: Any) -> set[str]:
    """Special tokens that a conversation may contain: begin and end, and those in the template."""
    template = str(tokenizer.chat_template or "")
    named = {token for token in (tokenizer.bos_token, tokenizer.eos_token) if token}
    special = (token.content for token in tokenizer.added_tokens_decoder.values() if token.special)
    return named | {token for token in special if token in template}


def language_head(base: ResolvedModel, model: Any) -> tuple[torch.Tensor, float | None]:
    """The base's frozen language head, [vocabulary, hidden], and the soft cap of its logits (None without one).

    Raises `BirthmarkError` for architectures that scale their logits in another way, and for a base without a head.
    """
    config = model.config.get_text_config()
    scaled = [name for name in ("logit_scale", "logits_scaling") if getattr(config, name, None) not in (None, 1, 1.0)]
    if scaled:
        raise BirthmarkError(
            f"{base.name} scales its logits ({scaled[0]}), which the GRM losses do not support: use --loss bt"
        )
    softcap = getattr(config, "final_logit_softcapping", None)
    # A head in the file takes precedence over tying, as in transformers.
    own = read_tensors(weight_files(base.path), ["lm_head.weight"]).get("lm_head.weight")
    if own is not None:
        return own.to(model.dtype), softcap
    if config.tie_word_embeddings:
        return model.get_input_embeddings().weight.detach(), softcap
    raise BirthmarkError(f"{base.name} has no language head (lm_head.weight), which the GRM losses need: use --loss bt")


def save_adapter(model: Any, folder: Path, chat_template: str, pad_token: str) -> None:
    """Write adapters and head as safetensors with their configuration and chat template, in the form that `bm.score` takes.

    An adapter has no config of its own, and its base's may name the end token as padding, before which a class then reads:
    `special_tokens_map.json` says which token padded the training.

    The write is atomic: the folder appears when it is complete. Raises `BirthmarkError` if a weight is not finite.
    """
    import shutil

    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    tensors = get_peft_model_state_dict(model, save_embedding_layers=False)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    if broken:
        raise BirthmarkError(
            f"the weight {broken[0]}{and_more(broken)} is no longer finite: {folder.name} is not written and earlier "
            "checkpoints are kept; try a lower --learning-rate"
        )
    unfinished = folder.parent.parent / "resume" / f".{folder.name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    save_file(tensors, unfinished / "adapter_model.safetensors", metadata={"format": "pt"})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.peft_config["default"].save_pretrained(unfinished)
    _sort_targets(unfinished / ADAPTER_CONFIG)
    (unfinished / "chat_template.jinja").write_text(chat_template, encoding="utf-8")
    special = json.dumps({"pad_token": pad_token}, ensure_ascii=False)
    (unfinished / SPECIAL_TOKENS).write_text(special + "\n", encoding="utf-8")
    folder.parent.mkdir(exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(unfinished, folder)


def _sort_targets(path: Path) -> None:
    """Write an adapter's layers in a fixed order: PEFT holds them in a set, so that two equal runs had unlike digests."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def random_head_words(
    model: Any,
    tokenizer: Any,
    measure: Measure,
    lexicons: Mapping[str, Sequence[str]],
    *,
    base: str,
    heads: int,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Each word's mean rank over positive prompts minus that over negative ones, for each head: float32 [heads, words].

    Parameters
    ----------
    model
        A sequence classifier; its head is not used.
    measure
        Prompts of both framings, engine and protocol.
    lexicons
        Lexicon → its words, which are ranked among themselves.
    base, seed
        Together they seed the heads, so that the heads of two bases are independent.

    Raises `BirthmarkError` if prompts of one framing are missing.
    """
    prompts = list(measure.prompts.prompts.values())
    framings = [prompt.framing for prompt in prompts]
    if not {"positive", "negative"} <= set(framings):
        raise BirthmarkError("random heads are compared by their contrast, which needs prompts of both framings")
    every = sorted({word for words in lexicons.values() for word in words})
    at = {name: [every.index(word) for word in words] for name, words in lexicons.items()}
    encoder = Encoder(
        tokenizer,
        "chat",
        measure.protocol,
        template_date=measure.template_date,
        system=measure.prompts.system,
        bos=None if measure.bos == "auto" else measure.bos,
    )
    engine, _ = choose_engine(measure.engine, model)
    rng = np.random.default_rng([seed, crc32(base.encode())])
    weights: np.ndarray | None = None
    ranks = {name: np.empty((len(prompts), len(rows), heads), dtype=np.float32) for name, rows in at.items()}
    for place, prompt in enumerate(prompts):
        states = _states(engine, encoder.conversations(asked(prompt), every))
        if weights is None:
            weights = rng.standard_normal((states.shape[1], heads), dtype=np.float32)
        rewards = states @ weights  # [words, heads]
        for name, rows in at.items():
            ranks[name][place] = rank(rewards[rows])
    return {
        name: framing_contrast(of_lexicon.transpose(2, 1, 0), framings).astype(np.float32)
        for name, of_lexicon in ranks.items()
    }


def heads_key(model: "ResolvedModel", measure: Measure, lexicons: Mapping[str, Sequence[str]], heads: int) -> str:
    """SHA-256 of everything that affects the values of random heads."""
    inputs = {
        "weights": model.digests.weights,
        "tokenizer": model.digests.tokenizer,
        "template": model.digests.template,
        "prompts": measure.prompts.sha256,
        "words": lexicons,
        "protocol": measure.protocol,
        "bos": measure.bos,
        "template_date": measure.template_date,
        "heads": heads,
        "seed": measure.seed,
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


@torch.inference_mode()
def _states(engine: Any, conversations: Sequence[Sequence[int]]) -> np.ndarray:
    """Last states float32 [conversations, hidden]."""
    found: np.ndarray | None = None
    for indices, states in engine.last_states(conversations):
        part = states.float().cpu().numpy()
        if found is None:
            found = np.empty((len(conversations), part.shape[1]), dtype=np.float32)
        found[indices] = part
    assert found is not None  # there is at least one word
    return found
