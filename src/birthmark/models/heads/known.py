"""Which head a checkpoint has, recognised by its tensors' names: birthmark's heads and those of other packages.

Another package adds a head through an entry point of the group `birthmark.heads`: a subclass of `RewardHead`, under the name
that a catalog's `head` or a config's `birthmark_head` uses. Code shipped with a checkpoint is never run.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.catalog import Entry
from birthmark.models.folder import and_more, architecture_of, is_known_class, read_json
from birthmark.models.heads.base import RewardHead, Shapes
from birthmark.models.heads.distributions import LDLHead, URMFirstColumnHead, URMHead
from birthmark.models.heads.gated import ArmoRMHead, QRMHead
from birthmark.models.heads.linear import (
    AttributesHead,
    FirstLogitHead,
    LinearHead,
    OneLayerHead,
    TwoLayerHead,
    ValueHead,
    several_outputs,
)
from birthmark.models.weights import names_a_head, read_tensors, read_weights, tensor_shapes
from birthmark.plugins import entry_points

# Classes outside transformers that read one linear layer at the last token, by their authors' own code.
_READ_AT_THE_END = {
    "RewardModel",
    "EurusRewardModel",
    "LlamaRewardModel",
    "LlamaForScore",
    "LlamaModelForScore",
    "GPTRewardModel",
}
_READ_ELSEWHERE = {
    "AtheneForSequenceClassification": "its reward is read at a token that its own code appends after the conversation",
}


def require_known_class(
    folder: Path, config: dict[str, Any], entry: Entry | None, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise `BirthmarkError` if the model is no decoder, or can only be run with code shipped with it.

    A model whose class transformers has is read by that class, one with the tensors of a known head by our own; an
    `auto_map` beside them is ignored. A single linear layer under a class that nobody knows has to be named.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    architecture = architecture_of(config)
    if config.get("model_type") not in CONFIG_MAPPING_NAMES:
        raise BirthmarkError(
            f"{folder} has the model type {config.get('model_type')!r}, which transformers does not have; it would need its "
            "own code, and birthmark never runs code shipped with a checkpoint"
        )
    _require_decoder(folder, config)
    if architecture in _READ_ELSEWHERE:
        raise BirthmarkError(
            f"{folder} is a {architecture}: {_READ_ELSEWHERE[architecture]}, and birthmark reads rewards at the end of the "
            "answer only"
        )
    named = config.get("birthmark_head") or (entry.head if entry else None)
    if architecture is None or is_known_class(architecture) or named:
        return

    found = find_head(shapes, config)
    plain = found is None or found is LinearHead or (found is OneLayerHead and architecture not in _READ_AT_THE_END)
    if plain:
        name = found.name if found else "linear"
        raise BirthmarkError(
            f"{folder} is a {architecture}, which transformers does not have, and birthmark does not recognise a head in its "
            "tensors; it would need its own code, and birthmark never runs code shipped with a checkpoint. If it has a known "
            f'kind of head, read at the last token, name it: "birthmark_head": "{name}" in its config.json, or `head` in a '
            "catalog"
        )


def _require_decoder(folder: Path, config: Mapping[str, Any]) -> None:
    """Raise `BirthmarkError` for encoders, encoder-decoders and models of more than text."""
    from transformers.models.auto import modeling_auto as known

    kind, name = config["model_type"], architecture_of(dict(config)) or config["model_type"]
    if config.get("is_encoder_decoder") or kind in known.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        raise BirthmarkError(f"{folder} is a {name}, an encoder with a decoder ({kind}): birthmark reads decoders only")
    if kind in known.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not config.get("is_decoder"):
        raise BirthmarkError(
            f"{folder} is a {name}, an encoder ({kind}), which reads a text in both directions: birthmark reads decoders only, "
            "such as reward models on Llama, Qwen or Gemma"
        )
    decoders = (known.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, known.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES)
    if not any(kind in names for names in decoders):
        raise BirthmarkError(
            f"{folder} is a {name} ({kind}), a model of more than text, or of a kind for which transformers has neither a "
            "causal language model nor a sequence classifier: use the text model of its family"
        )


ENTRY_POINTS = "birthmark.heads"
_DISTINCT = (ValueHead, LDLHead, ArmoRMHead, QRMHead, URMHead, URMFirstColumnHead, TwoLayerHead, FirstLogitHead)
_PLAIN = (OneLayerHead, AttributesHead, LinearHead)
Head = type[RewardHead]


def known_heads() -> dict[str, Head]:
    """All heads by name, in the order in which they are asked: our own, other packages', the plain ones last.

    Raises `BirthmarkError` for an entry point that cannot be read, is no `RewardHead`, or uses the name of a bundled head.
    """
    bundled = {head.name: head for head in (*_DISTINCT, *_PLAIN)}
    others: dict[str, Head] = {}
    for point in entry_points(ENTRY_POINTS):
        whose = f"the head {point.name} of the package {point.dist.name if point.dist else point.value}"
        if point.name in bundled or point.name in others:
            raise BirthmarkError(f"{whose} has a name that is taken: give it another in its entry point")
        try:
            head = point.load()
        except Exception as error:  # noqa: BLE001  whatever importing another package raises
            raise BirthmarkError(f"{whose} cannot be imported ({one_line(error, 300)}): fix or uninstall it") from None
        if not (isinstance(head, type) and issubclass(head, RewardHead)):
            raise BirthmarkError(f"{whose} is not a subclass of birthmark.models.heads.base.RewardHead")
        others[point.name] = head
    return {**{head.name: head for head in _DISTINCT}, **others, **{head.name: head for head in _PLAIN}}


def find_head(shapes: Shapes, config: Mapping[str, Any]) -> Head | None:
    """The first known head that recognises the tensors, or None."""
    return next((head for head in known_heads().values() if head.recognises(shapes, config)), None)


def choose_head(shapes: Shapes, config: Mapping[str, Any], named: str | None, model: str) -> Head | None:
    """The head that is named (by the config's `birthmark_head`, else by `named`), else the one that the tensors show.

    The name of a bundled head must agree with the tensors: otherwise the file belongs to another model, or is altered.
    Raises `BirthmarkError` for that, and for a name that is not known.
    """
    name = config.get("birthmark_head") or named
    found = find_head(shapes, config)
    if name is None:
        return found
    heads = known_heads()
    if name not in heads:
        raise BirthmarkError(
            f"{model} is declared to have a head `{name}`, which is unknown: use one of {', '.join(sorted(heads))}, or "
            f"install a package that adds it (entry point `{ENTRY_POINTS}`)"
        )
    head = heads[name]
    also = {
        URMFirstColumnHead: URMHead,
        FirstLogitHead: None,
    }  # what the tensors of a head show that only its name tells
    if head is LinearHead and LinearHead.recognises(shapes, config) and found is OneLayerHead:
        return head  # OpenRLHF's `score` without the normalisation that its config states
    if head in (*_DISTINCT, *_PLAIN) and found is not also.get(head, head):
        shown = f"show a head of the kind `{found.name}`" if found else "show no known head"
        raise BirthmarkError(
            f"{model} is declared to have a head of the kind `{name}`, but its tensors {shown}: its files belong to another "
            "model or are altered; download them again, or declare the correct head"
        )
    return head


def require_whole(head: Head, shapes: Shapes, config: Mapping[str, Any], left_over: set[str], model: str) -> None:
    """Raise `BirthmarkError` that names a tensor, unless all of the head's are there and nothing else is left over.

    `left_over` are the file's tensors that the decoder has no place for. A language head beside a reward head is no
    part of a reward.
    """
    expected = head.expected(shapes, config)
    unread = {"lm_head.weight", "lm_head.bias"}
    others = left_over | {name for name in shapes if names_a_head(name)}
    missing, extra = sorted(expected - shapes.keys()), sorted(others - expected - unread)
    surplus = f"the weight {extra[0]}{and_more(extra)}, which has no place in it" if extra else ""
    if missing:
        raise BirthmarkError(
            f"{model} lacks the weight {missing[0]}{and_more(missing)} of its `{head.name}` head, which would be left "
            f"random{f', and has {surplus}' if surplus else ''}: its files are incomplete or altered; download them again"
        )
    if extra:
        raise BirthmarkError(
            f"{model} has a `{head.name}` head and {surplus}: its scores would be wrong; the files are altered, or the head "
            "must be named (`birthmark_head` in config.json, `head` in a catalog, added by a package's entry point "
            f"`{ENTRY_POINTS}`)"
        )


@dataclass(frozen=True)
class HeadFiles:
    """The files of a reward head, with the recognised kind of head, its tensors and config values.

    `in_adapter`: they lie beside an adapter's weights, so that the base has no part in the head.
    """

    model: str
    head: Head | None
    files: tuple[Path, ...]
    shapes: Shapes
    config: Mapping[str, Any]
    in_adapter: bool = False

    @classmethod
    def of(cls, model: str, folder: Path, entry: Entry | None, adapter: Path | None = None) -> "HeadFiles":
        """What a folder, or the files beside an adapter, show of a head, with the catalog's `head` and `head_weights`."""
        beside = read_weights(adapter).beside if adapter else ()
        files = tuple(beside or read_weights(folder).all)
        shapes, config = tensor_shapes(files), read_json(folder / "config.json")
        if entry and entry.head_weights:
            config["head_weights"] = dict(entry.head_weights)
        own = bool(beside) or adapter is None  # else the head is among the adapter's weights, and these are its base's
        head = choose_head(shapes, config, entry.head if entry and own else None, model)
        if beside and head is None:
            raise BirthmarkError(
                f"{beside[0]} lies beside an adapter, and birthmark recognises no head in it: move it away"
            )
        return cls(model, head, files, shapes, config, bool(beside))

    @property
    def is_linear(self) -> bool:
        """Whether the head is that of transformers' sequence classifier, in the model's own files."""
        return self.head is LinearHead and not self.in_adapter

    @cached_property
    def built(self) -> RewardHead:
        """The head of its tensors, all of which have to be there; raises `BirthmarkError` where they do not fit together."""
        assert self.head is not None
        wanted = self.head.expected(self.shapes, self.config)
        try:
            return self.head.build(head_tensors(self.files, wanted, self.head.rows), self.config)
        except BirthmarkError as error:
            raise BirthmarkError(f"{self.model}: {error}") from None

    def check(self) -> None:
        """Build the head before a large decoder is loaded; where tensors are missing, `attach` tells what is left over too."""
        assert self.head is not None
        if self.head.expected(self.shapes, self.config) <= self.shapes.keys():
            assert self.built

    def attach(self, decoder: Any, left_over: set[str]) -> None:
        """Put the head on the loaded decoder as `reward_head`; `left_over` as for `require_whole`."""
        assert self.head is not None
        require_whole(self.head, self.shapes, self.config, left_over, self.model)
        device = list(decoder.get_decoder().parameters())[-1].device  # the final norm's, where the states come from
        head = self.built.requires_grad_(False).eval().to("cpu" if device.type == "meta" else device)
        decoder.reward_head = head.to(decoder.dtype) if self.head is LinearHead else head


def prove_linear(model: str, files: Iterable[Path], classifier: Any) -> None:
    """Raise `BirthmarkError` unless a loaded classifier's head is the file's, number for number.

    A head that lies elsewhere, or in whole numbers, cannot be compared and is left to the names' proof.
    """
    if not hasattr(classifier, "score"):
        raise BirthmarkError(
            f"{model} is a {type(classifier).__name__}, whose head is not one linear layer called `score`: birthmark does not read "
            "this class"
        )
    held = classifier.score.weight
    if held.device.type == "meta" or not held.is_floating_point():
        return
    wanted = head_tensors(files, {"score.weight"})["score.weight"]
    if not torch.allclose(held.detach().float().cpu(), wanted.to(held.dtype).float(), rtol=0, atol=0, equal_nan=True):
        raise BirthmarkError(f"{model}: the weight score.weight differs from the file after loading")


def head_tensors(files: Iterable[Path], wanted: set[str], rows: int | None = None) -> dict[str, torch.Tensor]:
    """The wanted tensors of some safetensors files, or their first rows, numbers in float32."""
    tensors = read_tensors(files, wanted, rows)
    return {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()}


def read_head(model: Any, protocol: str = "birthmark") -> RewardHead:
    """The reward head of a loaded model; raises `BirthmarkError` where it has none that is known.

    Under the study's protocol a URM is read as the study read it.
    """
    attached = getattr(model, "reward_head", None)
    if isinstance(attached, URMHead) and protocol == "christian2026":
        return attached.first_column()
    if isinstance(attached, RewardHead):
        return attached
    layer = getattr(model, "score", None)
    if not isinstance(layer, torch.nn.Linear):
        raise BirthmarkError(
            f"{type(model).__name__} has no reward head that birthmark knows: load it as a sequence classifier, or "
            "score it with --as logprob"
        )
    if layer.out_features != 1:
        raise BirthmarkError(several_outputs(layer.out_features))
    return LinearHead(layer)
