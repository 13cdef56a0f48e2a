"""What one model reads for one candidate: the conversation, its token ids, the shared prefix, the token that is read.

Reads the tokenizer, the template and the reward head's own tensors; the model itself is not loaded and nothing is scored.
"""

from collections.abc import Sequence
from typing import Any

from birthmark.errors import BirthmarkError
from birthmark.models.chat import read_facts
from birthmark.models.encoding import Encoder, Frame, Protocol, read_vocabulary
from birthmark.models.engine import common_prefix_length
from birthmark.models.heads.base import RewardHead
from birthmark.models.heads.known import HeadFiles, head_tensors
from birthmark.models.weights import ResolvedModel, load_tokenizer
from birthmark.records import Explanation

CONVERSATIONS = 2048  # at most so many are tokenized to find what all share


def explain(
    model: ResolvedModel,
    *,
    prompt: str,
    question: str,
    words: Sequence[str],
    vocabulary: bool,
    frame: Frame,
    protocol: Protocol = "birthmark",
    template_date: str | None = None,
    system: str | None = None,
) -> Explanation:
    """The conversation of the first candidate after one question, under the key `prompt`.

    The candidates are `words`, or, where there are none, the vocabulary's texts (of which the first 2,048 say what all
    share). Raises `BirthmarkError` where there is no candidate, and what `Encoder` raises.
    """
    tokenizer = load_tokenizer(model)
    kind = model.kind
    encoder = Encoder(tokenizer, "chat" if kind == "reward" else frame, protocol, None, template_date, system)
    candidates = list(words) or list(read_vocabulary(tokenizer, len(tokenizer), protocol).texts if vocabulary else ())
    if not candidates:
        raise BirthmarkError("there are no candidates: name words, or take the vocabulary")
    candidate = candidates[0]
    head = reward_head(model) if kind == "reward" else None
    if kind == "reward":
        conversations = encoder.conversations(question, candidates[:CONVERSATIONS])
        ids, shared = conversations[0], common_prefix_length(conversations)
        rendered = encoder.render(question, candidate)
    else:
        ids = encoder.context(question)
        shared = len(ids)
        rendered = encoder.written(question)
    gates = head.gate_positions([ids]) if head else None
    forms = encoder.forms(candidate) if kind == "logprob" else ()
    facts = read_facts(encoder, candidates if kind == "reward" else None)
    return Explanation(
        model=model.name,
        kind=kind,
        head=head.name if head else None,
        frame=encoder.frame,
        protocol=protocol,
        prompt=prompt,
        question=question,
        system=system,
        system_place=encoder.system_place,
        template_system=facts.system,
        template_date=encoder.template_date,
        candidate=candidate,
        n_candidates=len(candidates),
        rendered=rendered,
        token_ids=ids,
        tokens=token_texts(tokenizer, ids),
        shared_prefix=shared,
        read=len(ids) - 1,
        gate=gates[0] if gates else None,
        forms={form: list(form_ids) for form, form_ids in zip(forms, encoder.form_ids(forms), strict=True)} or None,
        warnings=list(facts.warnings),
    )


def reward_head(model: ResolvedModel) -> RewardHead | None:
    """A reward model's head from its own tensors alone; None for an adapter's, which comes with the adapter."""
    files = HeadFiles.of(model.name, model.path, model.entry)
    if model.adapter is not None or files.head is None:
        return None
    expected = files.head.expected(files.shapes, files.config)
    return files.head.build(head_tensors(files.files, expected), files.config)


def token_texts(tokenizer: Any, ids: Sequence[int]) -> list[str]:
    """Each token's own text, special ones by their names."""
    return tokenizer.batch_decode([[index] for index in ids], clean_up_tokenization_spaces=False)
