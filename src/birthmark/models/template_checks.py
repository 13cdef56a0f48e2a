"""Checks for everything that can silently make a model's scores wrong: `birthmark models check`.

Each check is a small function that yields findings. It gets the tokenizer, the template, the configuration and the head
(`Case`); the last checks also get the loaded model.
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
from birthmark.models.folder import read_json
from birthmark.models.heads.base import RewardHead
from birthmark.models.loading import load_if_it_fits
from birthmark.models.resolve import ResolvedModel, load_tokenizer
from birthmark.models.scorers import make_scorer
from birthmark.models.weights import tensor_shapes, weight_files
from birthmark.records import CheckFinding, ModelCheck

QUESTION = "What, in one word, is the greatest thing ever?"
WORDS = ("love", "freedom", "power", "family", "kindness", "success", "honesty", "antidisestablishmentarianism")
Found = Iterator[CheckFinding]


def ok(check: str, message: str) -> CheckFinding:
    return CheckFinding(trap=check, level="ok", message=message)


def note(check: str, message: str) -> CheckFinding:
    return CheckFinding(trap=check, level="note", message=message)


def wrong(check: str, message: str) -> CheckFinding:
    return CheckFinding(trap=check, level="wrong", message=message)


@dataclass(frozen=True)
class Case:
    """A model before its weights are loaded, with one conversation (`ids`) as its scorer would encode it."""

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
    """Run all checks on a model; a finding that makes later checks impossible ends them."""
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
        yield note("template", "the model has no chat template, so the frame qa is used")
    for remark in model.remarks:
        yield note("files", remark)
    for check in CHECKS:
        yield from _guarded(check, case)
    try:
        network = load_if_it_fits(model, dtype=dtype, device=device)
    except BirthmarkError as error:
        yield wrong("weights", str(error))
        return
    yield ok("weights", "every weight came from the files, and every weight in the files was used")
    yield from attention(case, network)
    yield from _engines(case, network)


def _guarded(check: "Callable[[Case], Found]", case: Case) -> Found:
    try:
        yield from check(case)
    except BirthmarkError as error:
        yield wrong(check.__name__.replace("_", " "), str(error))


def beginning(case: Case) -> Found:
    """There is exactly one beginning-of-text token."""
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
    """The template shows no date except a pinned one."""
    template = case.encoder.template or ""
    if re.search(r"strftime_now\s*\(", template):
        yield wrong(
            "date", "the chat template prints today's date in a way that cannot be pinned: use --chat-template FILE"
        )
    elif case.encoder.template_date:
        yield note("date", f"the chat template shows a date, pinned to {case.encoder.template_date} (--template-date)")
    elif case.encoder.frame == "chat":
        yield ok("date", "the chat template shows no date")


def system_prompt(case: Case) -> Found:
    """The template's default system prompt, and where a user's system prompt goes."""
    if case.shape is None:
        return
    if case.shape.system:
        yield note("system prompt", f"the chat template adds its own: {case.shape.system!r}")
    else:
        yield ok("system prompt", "the chat template adds none")
    place = Encoder(case.tokenizer, "chat", chat_template=case.encoder.template, system="Be brief.").system_place
    if place == "user":
        yield note(
            "system prompt", "the chat template does not support one: it is put at the beginning of the user's turn"
        )


def answers_end(case: Case) -> Found:
    """The token at which a reward is read, or after which an answer is predicted."""
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
    """A padding token in the conversation misleads implementations that search for it; birthmark does not search."""
    pad = case.config.get("pad_token_id")
    if case.is_reward and isinstance(pad, int) and pad in case.ids:
        yield note(
            "padding",
            f"the padding token {case.text([pad])!r} occurs in the conversation: implementations that search for it read "
            "another token; birthmark reads the last",
        )
    elif case.is_reward:
        yield ok("padding", "the padding token does not occur in a conversation")


def trimmed_answers(case: Case) -> Found:
    """White space at a candidate's ends that the template strips."""
    if case.encoder.frame != "chat" or not case.is_reward:
        return
    texts = read_vocabulary(case.tokenizer, len(case.tokenizer)).texts
    found = read_trimming(case.encoder, texts)
    if found.changed:
        yield note(
            "trimmed answers",
            f"the chat template trims {found.changed:,} of the vocabulary's {found.n_candidates:,} texts, and "
            f"{found.merged:,} give the same conversation as another",
        )
    else:
        yield ok("trimmed answers", "the chat template keeps an answer's white space")


def thinking(case: Case) -> Found:
    """A thinking block before the answer."""
    if case.shape is None:
        return
    if not case.shape.inserted:
        yield ok("thinking", "there is nothing between the opened turn and the answer")
    elif case.is_reward:
        yield note("thinking", f"the chat template puts {case.shape.inserted!r} before each answer")
    else:
        yield note(
            "thinking",
            f"a complete conversation has {case.shape.inserted!r} before its answer, but an opened turn does not: the next "
            "tokens may be a thought instead of an answer",
        )


def gate(case: Case) -> Found:
    """The token that a gate reads must end the question."""
    positions = case.head.gate_positions([case.ids]) if case.head else None
    if positions is None:
        return
    at = positions[0]
    answer = case.encoder.form_ids([WORDS[0]])[0]
    start = next((i for i in range(len(case.ids)) if tuple(case.ids[i : i + len(answer)]) == answer), len(case.ids))
    if at > start:
        yield wrong(
            "gate",
            f"the head's gate reads token {at}, {case.text([case.ids[at]])!r}, which is after the answer: the chat template is "
            "not the one that the head was trained with; use --chat-template",
        )
    else:
        yield ok("gate", f"the head's gate reads token {at}, {case.text([case.ids[at]])!r}, which ends the question")


def foreign_code(case: Case) -> Found:
    """Code that comes with the checkpoint."""
    if "auto_map" in case.config:
        how = f"its head is read as `{case.head.name}`" if case.head else "its tensors are those of a known class"
        yield note("foreign code", f"the config refers to its own code (auto_map), which is not run: {how}")
    else:
        yield ok("foreign code", "the config refers to none")


def vocabulary(case: Case) -> Found:
    """Every token id has an embedding."""
    shapes = tensor_shapes(weight_files(case.model.path))
    rows = max((shape[0] for name, shape in shapes.items() if name.endswith("embed_tokens.weight")), default=None)
    if rows is not None and max(case.ids) >= rows:
        yield wrong(
            "vocabulary", f"token id {max(case.ids)} has no embedding: there are {rows:,}; is this its tokenizer?"
        )
    elif rows is not None and len(case.tokenizer) > rows:
        yield note("vocabulary", f"the tokenizer has {len(case.tokenizer):,} tokens and the model {rows:,} embeddings")
    else:
        yield ok("vocabulary", "every token of the tokenizer has an embedding")


CHECKS: tuple[Callable[[Case], Found], ...] = (
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
    """If the architecture has soft-capping, the attention implementation applies it."""
    cap = getattr(network.config, "attn_logit_softcapping", None)
    used = network.config._attn_implementation
    if cap and used not in ("eager", "flex_attention"):
        yield wrong("attention", f"the model caps its attention logits at {cap}, and {used} does not apply that")
    else:
        yield ok("attention", f"{used}, with logits capped at {cap}" if cap else used)


def _engines(case: Case, network: Any) -> Found:
    """The two engines give the same scores, and scores differ between words."""
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
        yield wrong("scores", "some scores are not finite: try --dtype float32")
        return
    spread = float(scores.max() - scores.min())
    level: Literal["ok", "wrong"] = "ok" if spread > 0 else "wrong"
    yield CheckFinding(
        trap="scores", level=level, message=f"{len(WORDS)} words have scores over a range of {spread:.3g}"
    )
    check = scorer.verify([QUESTION], sample=len(WORDS))
    message = f"the engines differ by at most {check.max_abs_diff:.2g}, and the bound is {check.bound:.2g}"
    yield ok("engines", message) if check.passed else wrong("engines", f"{message}: use --engine plain")
