"""Checks for everything that can silently make a model's scores wrong: `birthmark models check`.

Each check is a small function that yields findings. It gets the tokenizer, the template, the configuration and the head
(`Case`); the last checks also get the loaded model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.chat_template import (
    ChatShape,
    count_bos,
    read_shape,
    read_trimming,
    reading_of,
    reward_head,
    token_texts,
)
from birthmark.models.encoding import Bos, Encoder, Frame
from birthmark.models.engine_choice import choose_engine
from birthmark.models.folder import read_json
from birthmark.models.heads.base import RewardHead
from birthmark.models.limits import first_not_finite, missing_embedding
from birthmark.models.loading import load_if_it_fits
from birthmark.models.reading import Reading
from birthmark.models.resolve import ResolvedModel
from birthmark.models.scorers import Scorer, make_scorer
from birthmark.models.tokenizer import load_tokenizer
from birthmark.models.vocabulary import read_vocabulary, unknown_words
from birthmark.models.weights import tensor_shapes, weight_files
from birthmark.records import CheckFinding, ModelCheck

QUESTION = "What, in one word, is the greatest thing ever?"
FOREIGN_WORDS = ("Würde", "свобода", "自由")
WORDS = ("love", "freedom", "power", "family", "kindness", "success", "honesty", "antidisestablishmentarianism")
EMBEDDINGS = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight", "embeddings.weight")
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
    def reading(self) -> Reading:
        return reading_of(self.model, self.tokenizer, self.head)

    @property
    def writes_bos(self) -> bool:
        """Whether the template begins a conversation with a beginning-of-text token of its own."""
        written = self.encoder.render(QUESTION, WORDS[0] if self.is_reward else None)
        return bool(self.tokenizer.bos_token) and written.startswith(self.tokenizer.bos_token)

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
        stated = model.entry.bos if model.kind == "reward" and model.entry else None
        encoder = Encoder(tokenizer, frame, template_date=template_date, bos=stated)
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
    try:
        yield from _engines(case, network)
    except BirthmarkError as error:
        yield wrong("scores", str(error))


def _guarded(check: "Callable[[Case], Found]", case: Case) -> Found:
    try:
        yield from check(case)
    except BirthmarkError as error:
        yield wrong(check.__name__.replace("_", " "), str(error))


def beginning(case: Case) -> Found:
    """How many beginning-of-text tokens a conversation has, and whether that is what its authors had."""
    bos = count_bos(case.tokenizer, case.ids)
    name = case.tokenizer.bos_token
    again = case.encoder.frame == "chat" and bos == 1 and case.encoder.prepended[:1] == (case.tokenizer.bos_token_id,)
    if bos > 1 and case.encoder.bos == "one":
        yield wrong("beginning", f"every conversation begins with {name} {bos} times")
    elif bos > 1:
        yield note("beginning", f"a conversation begins with {name} {bos} times, as its authors had it (catalog)")
    elif again and case.writes_bos:
        how = " (--bos two)" if case.is_reward else ""
        yield note("beginning", f"template and tokenizer both write {name}; one is kept{how}")
    else:
        yield ok("beginning", f"a conversation begins with {case.text(case.ids[:1])!r}")


def ending(case: Case) -> Found:
    """What a tokenizer appends to every text does not stand between a context and its answer."""
    appended = case.encoder.appended
    if appended:
        yield note(
            "ending",
            f"the tokenizer ends every text with {case.text(appended)!r}, which is left out: an answer follows",
        )
    else:
        yield ok("ending", "the tokenizer appends nothing to a text")


def unknown(case: Case) -> Found:
    """Words that the tokenizer can only write as its unknown token."""
    lost = sorted(unknown_words(case.tokenizer, [*WORDS, *FOREIGN_WORDS]))
    if lost:
        yield note(
            "unknown words",
            f"the tokenizer has no tokens for {', '.join(lost)} (no byte fallback): such words are left out of a table",
        )
    else:
        yield ok("unknown words", "the tokenizer can write words of other scripts")


def date(case: Case) -> Found:
    """The date that a template shows is pinned."""
    if case.encoder.template_date:
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
    if not case.is_reward:
        yield ok("answer's end", f"the answer's first token is read after {case.text(case.ids[-1:])!r}")
        return
    assert case.shape is not None
    place = case.reading.place(case.ids)
    token = case.text([case.ids[place]])
    if case.shape.opens_a_turn:
        yield note(
            "answer's end",
            "the chat template opens another assistant's turn after the answer, and the reward is read at its end, at "
            f"{token!r}",
        )
    elif place < len(case.ids) - 1:
        yield note("answer's end", f"the reward is read before the end, at {token!r}: see `padding`")
    else:
        yield ok("answer's end", f"the reward is read at the last token, {token!r}")


def padding(case: Case) -> Found:
    """A padding token that stands in the conversation: the model's class searches for it, and may read another token."""
    if not case.is_reward:
        return
    conversations = case.encoder.conversations(QUESTION, WORDS)
    early = max(len(ids) - 1 - case.reading.of_class(ids) for ids in conversations)
    pad = case.reading.pad
    stands = pad is not None and any(pad in ids for ids in conversations)
    if early:
        token = case.text([case.ids[case.reading.of_class(case.ids)]])
        yield note(
            "padding",
            f"the padding token {case.text([int(pad or 0)])!r} stands in the conversation, and the model's own class reads the "
            f"reward {early} token{'s' * (early > 1)} before the end, at {token!r}: so does birthmark (--read end reads the end)",
        )
    elif stands:
        yield note(
            "padding",
            f"the padding token {case.text([int(pad or 0)])!r} stands in the conversation; the class reads the end all the same",
        )
    else:
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
    rows = max((shape[0] for name, shape in shapes.items() if name.endswith(EMBEDDINGS)), default=None)
    if rows is not None and max(case.ids) >= rows:
        yield wrong("vocabulary", missing_embedding(case.tokenizer, max(case.ids), rows))
    elif rows is not None and len(case.tokenizer) > rows:
        yield note("vocabulary", f"the tokenizer has {len(case.tokenizer):,} tokens and the model {rows:,} embeddings")
    else:
        yield ok("vocabulary", "every token of the tokenizer has an embedding")


CHECKS: tuple[Callable[[Case], Found], ...] = (
    beginning,
    ending,
    unknown,
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
    """The two engines give the same scores, scores differ between words, and what other ways of reading would give."""
    engine, why = choose_engine("prefix", network)

    def scorer_of(**options: Any) -> Scorer:
        return make_scorer(
            network,
            case.tokenizer,
            kind=case.model.kind,
            words=WORDS,
            vocabulary=False,
            frame=case.encoder.frame,
            engine=engine.name,
            template_date=case.encoder.template_date,
            **({"bos": case.encoder.bos, "padding": case.reading.pad} if case.is_reward else {}) | options,
        )

    scorer = scorer_of()
    yield positions(case, scorer)
    scores = scorer.score(QUESTION).scores
    if not np.isfinite(scores).all():
        at = int(np.flatnonzero(~np.isfinite(scores))[0])
        yield wrong("scores", f"some scores are not finite: {first_not_finite(network, scorer.ids_of(QUESTION, at))}")
        return
    spread = float(scores.max() - scores.min())
    level: Literal["ok", "wrong"] = "ok" if spread > 0 else "wrong"
    yield CheckFinding(
        trap="scores", level=level, message=f"{len(scores)} words have scores over a range of {spread:.3g}"
    )
    if why:
        yield note("engines", f"{why}: the plain engine runs it")
    else:
        check = scorer.verify([QUESTION], sample=len(WORDS))
        message = f"the engines differ by at most {check.max_abs_diff:.2g}, and the bound is {check.bound:.2g}"
        yield ok("engines", message) if check.passed else wrong("engines", f"{message}: use --engine plain")
    if not case.is_reward:
        return
    if case.writes_bos and case.encoder.prepended:
        other: Bos = "one" if case.encoder.bos == "two" else "two"
        yield _beside("beginning", f"--bos {other}", scorer, scores, scorer_of(bos=other))
    if case.reading.place(case.ids) < len(case.ids) - 1:
        yield _beside("padding", "--read end", scorer, scores, scorer_of(read="end"))


def positions(case: Case, scorer: Scorer) -> CheckFinding:
    """How long a conversation may be."""
    most = scorer.limits.positions
    here = f"a conversation has {len(case.ids):,} tokens"
    return ok(
        "positions", f"{here}, and the model {most:,} positions" if most else f"{here}; the model states no limit"
    )


def _beside(check: str, option: str, scorer: Scorer, scores: np.ndarray, other: Scorer) -> CheckFinding:
    """The same words' scores as they are and under another option, and how alike the two orders are."""
    others = other.score(QUESTION).scores
    words = scorer.candidates["candidate"].to_list()
    pairs = ", ".join(f"{word} {a:.3g} and {b:.3g}" for word, a, b in zip(words, scores, others, strict=True))
    a, b = (np.argsort(np.argsort(values)).astype(np.float64) for values in (scores, others))
    alike = float(np.corrcoef(a, b)[0, 1]) if len(words) > 1 else 1.0
    return note(check, f"scores as they are and with {option} (rank correlation {alike:.2f}): {pairs}")
