"""Everything that can make a model's scores another model's, tried on one model: `birthmark models check`.

Each test is a small function that gives findings; what it looks at (`Case`) is the tokenizer, the template, the
configuration, the head, and in the last ones the loaded model. Knows nothing of prompts' keys, lexicons or files.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.chat_template import ChatShape, begins_twice, read_shape, read_trimming, reward_head, token_texts
from birthmark.models.encoding import Encoder, Frame, read_vocabulary
from birthmark.models.folder import read_json, tensor_shapes, weight_files
from birthmark.models.heads.base import RewardHead
from birthmark.models.loading import load_if_it_fits
from birthmark.models.resolve import ResolvedModel, load_tokenizer
from birthmark.models.scorers import make_scorer
from birthmark.records import CheckFinding, ModelCheck

QUESTION = "What, in one word, is the greatest thing ever?"
WORDS = ("love", "freedom", "power", "family", "kindness", "success", "honesty", "antidisestablishmentarianism")
Found = Iterator[CheckFinding]


def ok(trap: str, message: str) -> CheckFinding:
    return CheckFinding(trap=trap, level="ok", message=message)


def note(trap: str, message: str) -> CheckFinding:
    return CheckFinding(trap=trap, level="note", message=message)


def wrong(trap: str, message: str) -> CheckFinding:
    return CheckFinding(trap=trap, level="wrong", message=message)


@dataclass(frozen=True)
class Case:
    """A model before its weights are loaded, with one conversation (`ids`) as its scorer would read it."""

    model: ResolvedModel
    tokenizer: Any
    encoder: Encoder
    config: dict[str, Any]

    @property
    def is_reward(self) -> bool:
        return self.model.kind == "reward"

    @cached_property
    def ids(self) -> list[int]:
        return self.encoder.conversation(QUESTION, WORDS[0]) if self.is_reward else self.encoder.context(QUESTION)

    @cached_property
    def shape(self) -> ChatShape | None:
        return read_shape(self.encoder) if self.encoder.frame == "chat" else None

    @cached_property
    def head(self) -> RewardHead | None:
        return reward_head(self.model) if self.is_reward else None

    def text(self, ids: Sequence[int]) -> str:
        return "".join(token_texts(self.tokenizer, ids))


def check_model(
    model: ResolvedModel, *, dtype: str, device: torch.device | str, template_date: str | None = None
) -> ModelCheck:
    """Run every trap's test on a model; what makes a later test impossible is a finding, and the later one is left out."""
    findings = list(_findings(model, dtype, device, template_date))
    return ModelCheck(
        model=model.name,
        kind=model.kind,
        device=str(device),
        dtype=dtype,
        wrong=sum(finding.level == "wrong" for finding in findings),
        findings=findings,
    )


def _findings(model: ResolvedModel, dtype: str, device: torch.device | str, template_date: str | None) -> Found:
    frame: Frame = "chat" if model.kind == "reward" or model.chat_template else "qa"
    try:
        tokenizer = load_tokenizer(model)
        encoder = Encoder(tokenizer, frame, template_date=template_date)
        case = Case(model, tokenizer, encoder, read_json(model.path / "config.json"))
        assert case.ids
    except BirthmarkError as error:
        yield wrong("template", str(error))
        return
    if frame == "chat":
        yield ok("template", "the chat template renders a question and an answer")
    else:
        yield note("template", "the model has no chat template, so it is asked in the frame qa")
    for test in TESTS:
        yield from _guarded(test, case)
    try:
        network = load_if_it_fits(model, dtype=dtype, device=device)
    except BirthmarkError as error:
        yield wrong("weights", str(error))
        return
    yield ok("weights", "every weight came from the files, and every weight of the files went in")
    yield from attention(case, network)
    yield from _engines(case, network)


def _guarded(test: "Callable[[Case], Found]", case: Case) -> Found:
    try:
        yield from test(case)
    except BirthmarkError as error:
        yield wrong(test.__name__.replace("_", " "), str(error))


def beginning(case: Case) -> Found:
    """One beginning-of-text token, whoever writes it."""
    bos = case.tokenizer.bos_token
    if begins_twice(case.tokenizer, case.ids):
        yield wrong("beginning", f"every conversation begins with {bos} twice")
    elif case.encoder.frame == "chat" and begins_twice(
        case.tokenizer, case.tokenizer(case.encoder.render(QUESTION, WORDS[0]))["input_ids"]
    ):
        yield note(
            "beginning", f"template and tokenizer both write {bos}; one is kept (two with --protocol christian2026)"
        )
    else:
        yield ok("beginning", f"a conversation begins with {case.text(case.ids[:1])!r}")


def date(case: Case) -> Found:
    """No day but the pinned one."""
    template = case.encoder.template or ""
    if re.search(r"strftime_now\s*\(", template):
        yield wrong(
            "date", "the chat template prints today's date in a way that could not be pinned: --chat-template FILE"
        )
    elif case.encoder.template_date:
        yield note("date", f"the chat template shows a date, pinned to {case.encoder.template_date} (--template-date)")
    elif case.encoder.frame == "chat":
        yield ok("date", "the chat template shows no date")


def system_prompt(case: Case) -> Found:
    """A system prompt of the template's own, and what becomes of a person's."""
    if case.shape is None:
        return
    if case.shape.system:
        yield note("system prompt", f"the chat template adds one of its own: {case.shape.system!r}")
    else:
        yield ok("system prompt", "the chat template adds none of its own")
    place = Encoder(case.tokenizer, "chat", chat_template=case.encoder.template, system="Be brief.").system_place
    if place == "user":
        yield note("system prompt", "the chat template takes none: one that is given opens the user's turn instead")


def answers_end(case: Case) -> Found:
    """The token that a reward is read at, or that an answer is to follow."""
    last = case.text(case.ids[-1:])
    if not case.is_reward:
        yield ok("answer's end", f"the answer's first token is read after {last!r}")
        return
    assert case.shape is not None
    if case.shape.opens_a_turn:
        yield note(
            "answer's end",
            "the chat template opens another assistant's turn after the answer, and the reward is read at its end, at "
            f"{last!r}",
        )
    else:
        yield ok("answer's end", f"the reward is read at the last token, {last!r}")


def padding(case: Case) -> Found:
    """A padding token that stands in the conversation misleads whoever searches for it; birthmark does not."""
    pad = case.config.get("pad_token_id")
    if case.is_reward and isinstance(pad, int) and pad in case.ids:
        yield note(
            "padding",
            f"the padding token {case.text([pad])!r} stands in the conversation: implementations that search for it read "
            "another token; birthmark reads the last",
        )
    elif case.is_reward:
        yield ok("padding", "the padding token does not stand in a conversation")


def trimmed_answers(case: Case) -> Found:
    """White space at a candidate's ends that the template takes off."""
    if case.encoder.frame != "chat" or not case.is_reward:
        return
    texts = read_vocabulary(case.tokenizer, len(case.tokenizer)).texts
    found = read_trimming(case.encoder, texts)
    if found.changed:
        yield note(
            "trimmed answers",
            f"the chat template trims {found.changed:,} of the vocabulary's {found.n_candidates:,} texts, and "
            f"{found.merged:,} become the same conversation as another",
        )
    else:
        yield ok("trimmed answers", "the chat template leaves an answer's white space as it is")


def thinking(case: Case) -> Found:
    """A thinking block before the answer."""
    if case.shape is None:
        return
    if not case.shape.inserted:
        yield ok("thinking", "nothing stands between the opened turn and the answer")
    elif case.is_reward:
        yield note("thinking", f"the chat template puts {case.shape.inserted!r} before each answer")
    else:
        yield note(
            "thinking",
            f"a whole conversation has {case.shape.inserted!r} before its answer and an opened turn has not: what follows "
            "may be a thought, not an answer",
        )


def gate(case: Case) -> Found:
    """The token that a gate reads: it has to end the question."""
    positions = case.head.gate_positions([case.ids]) if case.head else None
    if positions is None:
        return
    at = positions[0]
    answer = case.encoder.form_ids([WORDS[0]])[0]
    start = next((i for i in range(len(case.ids)) if tuple(case.ids[i : i + len(answer)]) == answer), len(case.ids))
    if at > start:
        yield wrong(
            "gate",
            f"the head's gate reads at token {at}, {case.text([case.ids[at]])!r}, which comes after the answer: the chat "
            "template is not the one that the head was trained with; use --chat-template",
        )
    else:
        yield ok("gate", f"the head's gate reads at token {at}, {case.text([case.ids[at]])!r}, which ends the question")


def foreign_code(case: Case) -> Found:
    """Code that comes with the checkpoint."""
    if "auto_map" in case.config:
        how = f"its head is read as `{case.head.name}`" if case.head else "its tensors are those of a known class"
        yield note("foreign code", f"the config names code of its own (auto_map), which is not run: {how}")
    else:
        yield ok("foreign code", "the config names none")


def vocabulary(case: Case) -> Found:
    """An embedding for every token id."""
    shapes = tensor_shapes(weight_files(case.model.path))
    rows = max((shape[0] for name, shape in shapes.items() if name.endswith("embed_tokens.weight")), default=None)
    if rows is not None and max(case.ids) >= rows:
        yield wrong(
            "vocabulary", f"token id {max(case.ids)} has no embedding: there are {rows:,}; is it its tokenizer?"
        )
    elif rows is not None and len(case.tokenizer) > rows:
        yield note("vocabulary", f"the tokenizer has {len(case.tokenizer):,} tokens and the model {rows:,} embeddings")
    else:
        yield ok("vocabulary", "every token of the tokenizer has an embedding")


TESTS: tuple[Callable[[Case], Found], ...] = (
    beginning,
    date,
    system_prompt,
    answers_end,
    padding,
    trimmed_answers,
    thinking,
    gate,
    foreign_code,
    vocabulary,
)


def attention(case: Case, network: Any) -> Found:
    """Soft-capping, where the architecture has it, and an implementation that applies it."""
    cap = getattr(network.config, "attn_logit_softcapping", None)
    used = network.config._attn_implementation
    if cap and used not in ("eager", "flex_attention"):
        yield wrong("attention", f"the model caps its attention's logits at {cap}, and {used} leaves that out")
    else:
        yield ok("attention", f"{used}, capping its logits at {cap}" if cap else used)


def _engines(case: Case, network: Any) -> Found:
    """The two engines give the same numbers, and numbers that differ between words."""
    scorer = make_scorer(
        network,
        case.tokenizer,
        kind=case.model.kind,
        words=WORDS,
        vocabulary=False,
        frame=case.encoder.frame,
        template_date=case.encoder.template_date,
    )
    scores = scorer.score(QUESTION).scores
    if not np.isfinite(scores).all():
        yield wrong("scores", "scores are not numbers: try --dtype float32")
        return
    spread = float(scores.max() - scores.min())
    level: Literal["ok", "wrong"] = "ok" if spread > 0 else "wrong"
    yield CheckFinding(
        trap="scores", level=level, message=f"{len(WORDS)} words have scores over a range of {spread:.3g}"
    )
    check = scorer.verify([QUESTION], sample=len(WORDS))
    said = f"the prefix engine differs from the plain one by at most {check.max_abs_diff:.2g}, the bound is {check.bound:.2g}"
    yield ok("engines", said) if check.passed else wrong("engines", f"{said}: use --engine plain")
