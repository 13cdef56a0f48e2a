"""A served model while it is scored: what is sent for a candidate, and what is tried before its server is believed.

Sessions of reward models; those of language models are in `server`.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.answers import Asked, question_of
from birthmark.records import ServedBy
from birthmark.scoring.backend import CannotRescore, Facts, Job, PromptScores, Unit, Verification
from birthmark.scoring.local import LocalBackend, about_unknown, naming
from birthmark.scoring.serving import MALFORMED, Connection, Refused, RewardEnd, Served

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.models.scorers import LogProbScorer, RewardInputs

BLOCK = 512  # candidates of a reward model that are scored and kept as one
PROBE = 32  # conversations that are tried before anything is scored
FLOAT32_BOUND = 1e-4
UNKNOWN = "as served"  # the precision, which servers do not state
Ids = Sequence[int]


def served_by(served: Served, model: "ResolvedModel") -> ServedBy:
    """The server as a record states it."""
    end = served.rewards if model.kind == "reward" else served.completions
    assert end is not None
    reads = end.reads if isinstance(end, RewardEnd) else "ids"
    return ServedBy(server=served.kind, version=served.version, model=served.model, path=end.path, reads=reads)


def reads_text(server: str) -> str:
    """What it means that a server takes text only."""
    return (
        f"{server} takes text and tokenizes it itself: what is sent is the text that becomes these token ids with the "
        "model's own tokenizer here"
    )


class ServedSession:
    """What sessions of both kinds of model share: checks of the server before and after."""

    facts: Facts
    inputs: "RewardInputs | LogProbScorer"

    def __init__(self, job: Job, connection: Connection, served: Served, tokenizer: Any) -> None:
        from birthmark.models.encoding import Encoder
        from birthmark.models.guard import read_config
        from birthmark.models.limits import Limits, positions_of

        self.job, self.connection, self.served, self.tokenizer = job, connection, served, tokenizer
        model, measure = job.model, job.measure
        self.first = next(iter(measure.prompts.prompts.values())).text
        config = read_config(model.path).get_text_config()
        self.limits = Limits(tokenizer, config.vocab_size, positions_of(config))
        self.encoder: Encoder = Encoder(
            tokenizer,
            "chat" if model.kind == "reward" else job.frame,
            measure.protocol,
            template_date=measure.template_date,
            system=measure.prompts.system,
            bos=measure.bos_for(model),
        )

    @property
    def candidates(self) -> pl.DataFrame:
        return self.inputs.candidates

    def warnings(self, noise: float) -> tuple[str, ...]:
        inputs, model = self.inputs, self.job.model
        found = [*model.remarks, *inputs.chat.warnings, *about_unknown(inputs.unknown_words)]
        if noise:
            found.append(
                f"the server gives two numbers for one conversation: {noise:.2g} apart where the probe was sent twice"
            )
        return tuple(found)

    def make_facts(self, start: float, noise: float, **more: Any) -> Facts:
        inputs = self.inputs
        return Facts(
            dtype=UNKNOWN,
            device="server",
            bos=inputs.chat.bos,
            template_date=inputs.template_date,
            template_system=inputs.chat.system,
            system_place=self.encoder.system_place,
            left_out=inputs.left_out,
            word_tokens=inputs.word_tokens,
            unknown_words=inputs.unknown_words,
            prepare_seconds=perf_counter() - start,
            verify_why=_why_not_here(self.job),
            served=served_by(self.served, self.job.model),
            **{"warnings": self.warnings(noise), **more},
        )

    def require_length(self, sequences: Sequence[Ids], further: int = 0) -> None:
        """Raise `BirthmarkError` for a sequence that the model, or the server as it was started, does not take."""
        self.limits.check(sequences)
        longest, most = max(map(len, sequences), default=0) + further, self.served.longest
        if most is not None and longest > most:
            raise BirthmarkError(
                f"a conversation has {longest:,} tokens, and the server takes {most:,}: start it with more (vLLM: --max-model-len)"
            )

    def require_tokens(self, text: str, special: bool = False) -> None:
        """Raise `BirthmarkError` where the server tokenizes a text otherwise; `special`: with what begins and ends a text."""
        ours = list(self.tokenizer(text, add_special_tokens=special)["input_ids"])
        try:
            answer = self.connection.post("/tokenize", self.served.tokens_body(text, special), "a text to tokenize")
            theirs = self.served.tokens(answer)
        except (Refused, *MALFORMED):
            return  # not every server has this path
        if theirs != ours:
            at = next((place for place, pair in enumerate(zip(ours, theirs, strict=False)) if len(set(pair)) > 1), -1)
            raise BirthmarkError(
                f"the model behind {self.connection.address} has other tokens: of the first conversation it makes "
                f"{len(theirs)} and the model's own tokenizer {len(ours)}, and token {at + 1 if at >= 0 else min(len(ours), len(theirs)) + 1} "
                "is the first that differs: serve the model that was named"
            )

    def verify(
        self, texts: Sequence[Asked], *, sample: int, seed: int, scored: Mapping[Asked, np.ndarray]
    ) -> Verification:
        """A sample by the model's files here, the plain engine and float32.

        The bound is the one between two engines in float32, 1e-4 (rewards: times their standard deviation, if that is
        above one); where the server's scores differ by more, it is taken to run in half precision, and the bound is twice
        what bfloat16 moves here.
        """
        start, local = perf_counter(), LocalBackend()
        rows = self.inputs.sample_rows(sample, seed)
        reference = local.rescore(self.job, texts, rows)
        difference = float(np.abs(np.stack([scored[text][rows] for text in texts]) - reference).max())
        scale = max(1.0, *(float(row.std()) for row in reference)) if self.job.model.kind == "reward" else 1.0
        bound = FLOAT32_BOUND * scale
        if difference > bound:
            rough = local.rescore(self.job, texts, rows, dtype="bfloat16")
            bound = max(bound, 2 * float(np.abs(rough - reference).max()))
        return Verification(difference, bound, perf_counter() - start)


class RewardSession(ServedSession):
    """A served reward model."""

    inputs: "RewardInputs"

    def __init__(self, job: Job, connection: Connection, served: Served, tokenizer: Any) -> None:
        from birthmark.models.chat_template import reading_of, reward_head
        from birthmark.models.scorers import RewardInputs
        from birthmark.models.vocabulary import read_vocabulary

        super().__init__(job, connection, served, tokenizer)
        assert served.rewards is not None
        self.end: RewardEnd = served.rewards
        candidates, measure = job.candidates, job.measure
        head = reward_head(job.model)
        self.head = head.name if head else "linear" if job.model.digests.weights else None
        reading = reading_of(job.model, tokenizer, head, measure.read)
        vocabulary = read_vocabulary(tokenizer, self.limits.rows, measure.protocol) if candidates.vocabulary else None
        self.inputs = RewardInputs(self.encoder, candidates.words, vocabulary, reading, self.limits)

    @cached_property
    def answers(self) -> list[str]:
        return self.candidates["candidate"].to_list()

    def prepare(self, start: float) -> None:
        """Try the server, and state the facts."""
        chat = self.inputs.chat
        tried = np.linspace(0, len(self.answers) - 1, min(PROBE, len(self.answers))).astype(np.int64)
        answers = [self.answers[row] for row in tried]
        asked = self._inputs_of(self.first, answers)[0]
        reads_ids = self.end.reads == "ids"
        self.require_tokens(
            self.encoder.render(self.first, answers[0]) if reads_ids else asked[0], special=not reads_ids
        )
        if self.served.kind == "vllm":  # it checks ids; another server might stop at one that it does not have
            self._require_vocabulary(asked[0])
        found, again = self.ask(asked, answers), self.ask(asked, answers)
        noise = float(np.abs(found - again).max())
        if self.head in (None, "linear"):
            self._require_raw(asked, answers, tried, found, noise)
        more = () if reads_ids else (reads_text(self.served.kind),)
        self.facts = self.make_facts(
            start,
            noise,
            head=self.head,
            read=self.job.measure.read,
            read_token=chat.read_token,
            read_early=chat.read_early,
            trimmed=chat.trimmed,
            warnings=(*self.warnings(noise), *more),
        )

    def units(self, texts: Sequence[Asked]) -> list[Unit]:
        """Each prompt alone, in blocks of candidates."""
        count = len(self.answers)
        blocks = [range(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]
        return [Unit(range(index, index + 1), rows) for index in range(len(texts)) for rows in blocks]

    def score(self, texts: Sequence[Asked], units: Sequence[Unit]) -> Iterator[tuple[Unit, list[PromptScores]]]:
        """The next unit is tokenized while the server runs one."""
        from birthmark.models.packing import prefetch

        def tokenize(unit: Unit) -> tuple[Unit, list[str], tuple[list[Any], list[int]]]:
            answers = self.answers[unit.rows.start : unit.rows.stop]
            return unit, answers, self._inputs_of(question_of(texts[unit.prompts.start]), answers)

        with naming(self.job.model.name):
            for unit, answers, (asked, shared) in prefetch(units, tokenize):
                yield unit, [PromptScores(self.ask(asked, answers).astype(np.float32), shared)]

    def _inputs_of(self, prompt: str, answers: Sequence[str]) -> tuple[list[Any], list[int]]:
        """What is sent for each answer, ids up to the token that is read or the text, and the ids that all begin with."""
        from birthmark.models.encoding import common_prefix_length

        conversations = self.encoder.conversations(prompt, answers)
        shared = conversations[0][: common_prefix_length(conversations)]
        runs, _, _ = self.inputs.reading.cut(conversations, None)
        self.require_length(runs)
        if self.end.reads == "ids":
            return [list(ids) for ids in runs], shared
        return self._texts_of(prompt, answers, runs), shared

    def _texts_of(self, prompt: str, answers: Sequence[str], runs: Sequence[Ids]) -> list[str]:
        """The texts that become these ids where a tokenizer adds its special tokens.

        Raises `BirthmarkError` for an answer of which no text does.
        """
        bos = self.tokenizer.bos_token
        own = bos is not None and self.encoder.prepended[:1] == (self.tokenizer.bos_token_id,)
        texts = [self.encoder.render(prompt, answer) for answer in answers]
        texts = [text.removeprefix(bos) if own else text for text in texts]
        for answer, ids, there in zip(answers, runs, self.tokenizer(texts)["input_ids"], strict=True):
            if list(ids) != list(there):
                raise BirthmarkError(
                    f"{self.served.kind} takes text only, and the conversation with {one_line(answer)!r} has other tokens when "
                    "a tokenizer adds its own special ones: use a server that takes token ids (vLLM, SGLang)"
                )
        return texts

    def ask(self, asked: Sequence[Any], answers: Sequence[str], activated: bool = False) -> np.ndarray:
        """One number a conversation, float64. Raises `BirthmarkError` for an answer of another shape, or no number."""
        size, address = self.end.at_once, f"{self.connection.address}{self.end.path}"
        batches = [range(start, min(start + size, len(asked))) for start in range(0, len(asked), size)]
        whats = [named(answers[batch.start : batch.stop]) for batch in batches]
        bodies = [self.end.body(self.served.model, asked[batch.start : batch.stop], activated) for batch in batches]
        found: list[float] = []
        for batch, what, answer in zip(
            batches, whats, self.connection.post_all(self.end.path, bodies, whats), strict=True
        ):
            try:
                numbers = self.end.numbers(answer)
            except MALFORMED:
                raise BirthmarkError(
                    f"{address} answers in a form that is not known here, for {what}: {one_line(answer)}"
                ) from None
            if len(numbers) != len(batch):
                raise BirthmarkError(
                    f"{address} gives {len(numbers)} rewards of {len(batch)} conversations, for {what}"
                )
            if widths := {len(each) for each in numbers} - {1}:
                raise BirthmarkError(
                    f"{address} gives {widths.pop()} numbers a conversation, and a reward is one: serve {self.job.model.name} "
                    "as a classifier with one label"
                )
            for value, row in zip(numbers, batch, strict=True):
                if not np.isfinite(value[0]):
                    raise BirthmarkError(
                        f"{address} gives {value[0]} for {one_line(answers[row])!r}, which is no reward"
                    )
            found += [value[0] for value in numbers]
        return np.array(found, dtype=np.float64)

    def _require_vocabulary(self, ids: Ids) -> None:
        last = min(self.limits.rows, len(self.tokenizer)) - 1
        try:
            self.ask([[*ids[:-1], last]], ["the last token"])
        except Refused as error:
            raise smaller_vocabulary(self.connection, last, error) from None

    def _require_raw(
        self, asked: Sequence[Any], answers: Sequence[str], rows: np.ndarray, found: np.ndarray, noise: float
    ) -> None:
        """Raise `BirthmarkError` where rewards come squashed to 0–1, or nothing can tell that they do not.

        They are raw where one lies outside 0–1, where the server, asked for the activation, gives the sigmoid of them, or
        where they are nearer to the model's own rewards here than to the sigmoid of those.
        """
        if (found < 0).any() or (found > 1).any():
            return
        why = ""
        if self.end.can_activate:
            squashed = self.ask(asked, answers, activated=True)
            tolerance = 0.01 + noise
            if np.abs(squashed - _sigmoid(found)).max() < tolerance and np.abs(squashed - found).max() > 0.01:
                return
            why = ", and are the same when an activation is asked for"
        try:
            here = LocalBackend().rescore(self.job, [self.first], rows)[0]
        except CannotRescore as error:
            why += f"; whether the model's own do cannot be tried here ({error})"
        else:
            if np.abs(found - here).max() <= np.abs(found - _sigmoid(here)).max():
                return
            why += "; they are the sigmoid of what the model's files give here"
        cure = {"vllm": "start it with --pooler-config '{\"use_activation\": false}', or update vLLM"}.get(
            self.served.kind, "start the server so that it returns raw scores"
        )
        raise BirthmarkError(
            f"the rewards of {self.connection.address} look squashed: the {len(found)} that were tried lie between 0 and 1{why}. "
            f"Ranks would be kept and gaps lost: {cure}"
        )


def named(answers: Sequence[str]) -> str:
    """The answers that a request is for, in an error."""
    ends = [answers[0], answers[-1]] if len(answers) > 1 else [answers[0]]
    return f"the answer{'s' * (len(ends) > 1)} {' … '.join(repr(one_line(answer, 30)) for answer in ends)}"


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def smaller_vocabulary(connection: Connection, last: int, error: Refused) -> BirthmarkError:
    return BirthmarkError(
        f"the model behind {connection.address} does not take token {last:,}, the last of the model's own vocabulary: serve the "
        f"model that was named (it says: {error.said})"
    )


def _why_not_here(job: Job) -> str | None:
    """Why no sample can be rescored by the model's own files here, or None."""
    try:
        LocalBackend().require_float32(job)
    except CannotRescore as error:
        return str(error)
    return None
