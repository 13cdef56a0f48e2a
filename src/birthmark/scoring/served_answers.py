"""A policy behind an address: answers drawn by a server's /v1/completions, from conversations that are tokenized here.

Each answer is a request of its own with a seed of its own, so that what is drawn does not depend on what else a server runs,
as far as the server keeps to the seed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.models.scored import Sample, Sampling
from birthmark.scoring.measure import Measure
from birthmark.scoring.server import ServerBackend
from birthmark.scoring.serving import MALFORMED, Connection, Served

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel

REASONS = {"stop": True, "length": False}


class ServedPolicy:
    """A served language model that answers."""

    def __init__(
        self,
        connection: Connection,
        served: Served,
        model: "ResolvedModel",
        sampling: Sampling,
        template_date: str | None,
    ) -> None:
        from birthmark.models.encoding import Encoder
        from birthmark.models.generation import ends_of_answers
        from birthmark.models.tokenizer import read_tokenizer

        assert served.completions is not None
        self.connection, self.served, self.sampling = connection, served, sampling
        self.path = served.completions.path
        self.encoder = Encoder(read_tokenizer(model), "chat", template_date=template_date)
        self.ends, self.next_turn = ends_of_answers(self.encoder)

    def sample(self, question: str, n: int) -> list[Sample]:
        """n answers to a question. Raises `BirthmarkError` for an answer of another form than OpenAI's."""
        from birthmark.models.generation import seed_of

        context = self.encoder.context(question)
        longest = self.served.longest
        if longest is not None and len(context) + self.sampling.max_tokens > longest:
            raise BirthmarkError(
                f"a question and its answer may have {len(context) + self.sampling.max_tokens:,} tokens, and the server takes "
                f"{longest:,}: lower --max-tokens"
            )
        bodies = [self._body(context, seed_of(self.sampling.seed, question, at)) for at in range(n)]
        what = f"an answer to {one_line(question, 40)!r}"
        return [self._answer(found, what) for found in self.connection.post_all(self.path, bodies, [what] * n)]

    def _body(self, context: list[int], seed: int) -> dict[str, Any]:
        stops = {"stop_token_ids": self.ends} if self.served.kind in ("vllm", "sglang") else {}
        return {
            "model": self.served.model, "prompt": context, "max_tokens": self.sampling.max_tokens, "n": 1,
            "temperature": self.sampling.temperature, "top_p": 1, "seed": seed % 2**31, **stops,
        }  # fmt: skip

    def _answer(self, found: Any, what: str) -> Sample:
        from birthmark.models.generation import answer_of

        try:
            (choice,) = found["choices"]
            text, finished = choice["text"], REASONS[choice["finish_reason"]]
            if not isinstance(text, str):
                raise TypeError
        except MALFORMED:
            raise BirthmarkError(
                f"{self.connection.address}{self.path} answers in a form that is not known here, for {what}: {one_line(found)}"
            ) from None
        tokens = len(self.encoder.tokenizer(text, add_special_tokens=False)["input_ids"])
        return answer_of(text, tokens, finished, self.next_turn)


@contextmanager
def served_policy(address: str, model: "ResolvedModel", sampling: Sampling, measure: Measure) -> Iterator[ServedPolicy]:
    """The policy, once the server says that it has this model. Raises `BirthmarkError` where it has another."""
    backend = ServerBackend(address)
    served, connection = backend.served(model), Connection(address)
    try:
        yield ServedPolicy(connection, served, model, sampling, measure.template_date)
    finally:
        connection.close()
