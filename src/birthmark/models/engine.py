"""Two ways to run a causal transformer over many conversations that begin alike: `plain` and `prefix`.

It is purely token id sequences in, states and log-probabilities out; it knows nothing of tokenization, templates,
words or heads. `PlainEngine` runs every sequence in full, in padded batches, through the model as transformers has it.
`PrefixEngine` runs the tokens that all sequences share once, keeps their keys and values (one copy, never expanded),
and runs only what follows, grouped by length so that nothing is padded.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import groupby
from typing import Any, Literal, TypeVar

import numpy as np
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.continuations import ContinuationTree, Ran
from birthmark.models.products import fast_linear_layers, linear
from birthmark.models.shared_attention import Pass, SharedPrefix, attending, rows_that_fit

Ids = Sequence[int]
T = TypeVar("T")

PLAIN_ROWS = 64
PREFIX_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
PREFIX_CHUNK = 512  # tokens of a long shared prefix that are run at a time
CONTINUATIONS_AT_ONCE = 2048
LOGITS_AT_ONCE = 2**25  # numbers in one block of logits, 128 MB in float32


def common_prefix_length(sequences: Sequence[Ids]) -> int:
    """How many leading ids all sequences share."""
    first, last = min(sequences, key=list), max(sequences, key=list)
    length = 0
    for a, b in zip(first, last, strict=False):
        if a != b:
            break
        length += 1
    return length


def _shared_length(sequences: Sequence[Ids], ordered: Sequence[int]) -> int:
    """How many ids the sequences of these (ordered) indices share, at most all but one of the shortest."""
    outer = common_prefix_length([sequences[ordered[0]], sequences[ordered[-1]]])
    return min(outer, min(len(sequences[index]) for index in ordered) - 1)


def _log_sum_exp(logits: torch.Tensor) -> torch.Tensor:
    """log Σ exp over the last dimension, float64 on the CPU.

    Exponentials are added pairwise in float32, the logarithm is taken in float64: `torch.log_softmax` in float32 is off
    by 2e-5 over a vocabulary, this by 3e-7.
    """
    top = logits.amax(dim=-1, keepdim=True)
    total = (logits - top).exp_().sum(dim=-1)
    return top[..., 0].cpu().double() + total.cpu().double().log()


class _Batching:
    """Runs items in batches that halve when memory runs out, and stay halved."""

    def __init__(self, limit: float) -> None:
        self.limit = limit

    def run(
        self, items: Sequence[T], width: float, run: Callable[[Sequence[T]], Any], most: int | None = None
    ) -> Iterator[tuple[Sequence[T], Any]]:
        """Yield (batch, its result); a batch holds at most limit ÷ width items, and at most `most`."""
        start = 0
        while start < len(items):
            rows = max(1, int(self.limit / width))
            batch = items[start : start + min(rows, most or rows)]
            try:
                result = run(batch)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                result = None
            if result is not None:
                yield batch, result
                start += len(batch)
                continue
            if len(batch) == 1:
                raise BirthmarkError(
                    "not enough memory for a single conversation: use a smaller --dtype, or another --device"
                )
            self.limit = len(batch) // 2 * width
            if torch.cuda.is_available():
                torch.cuda.empty_cache()


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return "out of memory" in text or "not enough memory" in text or "can't allocate memory" in text


class PlainEngine:
    """Every sequence in full, in padded batches of `batch_size` rows, through the model as it is."""

    name: Literal["plain"] = "plain"

    def __init__(self, model: Any, batch_size: int | None = None) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        self._batching = _Batching(batch_size or PLAIN_ROWS)

    def last_states(self, sequences: Sequence[Ids]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """States after the final norm at each sequence's last token: (indices, [len(indices), hidden]) a batch."""
        for indices, states, _ in self.states(sequences):
            yield indices, states

    @torch.inference_mode()
    def states(
        self, sequences: Sequence[Ids], further: Sequence[int] | None = None
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor | None]]:
        """`last_states`, and the states at one further token of each sequence: (indices, last, further) a batch.

        `further` are places in the sequences, one each; where None, so is the third.
        """

        def run(batch: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor | None]:
            ids, mask = self._padded([sequences[index] for index in batch])
            states = self.decoder(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
            rows, last = torch.arange(len(batch), device=states.device), mask.sum(dim=1) - 1
            return states[rows, last], None if further is None else states[rows, [further[index] for index in batch]]

        for batch, (last, other) in self._batching.run(range(len(sequences)), 1, run):
            yield list(batch), last, other

    @torch.inference_mode()
    def log_probs(self, context: Ids, continuations: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
        """log p of every next token after the context, float32 [vocabulary], and of each continuation, float64 [n].

        A continuation's is the sum over its tokens of log p(token | context and the tokens before it).
        """
        ids = torch.tensor([list(context)], device=self.model.device)
        logits = self.model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1].float()
        following = (logits.cpu().double() - _log_sum_exp(logits)).numpy()
        sums = following[np.array([continuation[0] for continuation in continuations], dtype=np.int64)]
        longer = [index for index, continuation in enumerate(continuations) if len(continuation) > 1]
        most = max(1, LOGITS_AT_ONCE // (max(map(len, continuations), default=1) * len(following)))

        def run(batch: Sequence[int]) -> np.ndarray:
            return self._chains(context, [continuations[index] for index in batch])

        for batch, values in self._batching.run(longer, 1, run, most):
            sums[list(batch)] = values
        return following.astype(np.float32), sums

    def _chains(self, context: Ids, continuations: Sequence[Ids]) -> np.ndarray:
        ids, mask = self._padded([[*context, *continuation[:-1]] for continuation in continuations])
        kept = ids.shape[1] - len(context) + 1
        logits = self.model(input_ids=ids, attention_mask=mask, use_cache=False, logits_to_keep=kept).logits
        logits = logits.float()  # [rows, longest continuation, vocabulary]
        normalizers = _log_sum_exp(logits).numpy()
        return np.array(
            [
                sum(float(logits[row, place, token]) - normalizers[row, place] for place, token in enumerate(tokens))
                for row, tokens in enumerate(continuations)
            ]
        )

    def _padded(self, sequences: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids padded on the right and their mask, both [rows, longest]. What the padding is cannot matter."""
        longest = max(map(len, sequences))
        ids = torch.zeros((len(sequences), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.tensor(list(sequence))
            mask[row, : len(sequence)] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


class PrefixEngine:
    """What all sequences share once, then only what follows; equal to `PlainEngine` up to rounding.

    Raises `BirthmarkError` where a layer of the model cannot be run so (the message says to use the plain engine).
    """

    name: Literal["prefix"] = "prefix"

    def __init__(self, model: Any, batch_size: int | None = None) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        self.rows = batch_size
        self._batching = _Batching(PREFIX_TOKENS.get(model.device.type, PREFIX_TOKENS["cpu"]))
        self._worth_a_pass = self._batching.limit / 16  # tokens that one more pass over a single row must save

    def last_states(self, sequences: Sequence[Ids]) -> Iterator[tuple[list[int], torch.Tensor]]:
        """States after the final norm at each sequence's last token: (indices, [len(indices), hidden]) a batch."""
        for indices, states, _ in self.states(sequences):
            yield indices, states

    @torch.inference_mode()
    def states(
        self, sequences: Sequence[Ids], further: Sequence[int] | None = None
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor | None]]:
        """`last_states`, and the states at one further token of each sequence: (indices, last, further) a batch.

        `further` are places in the sequences, one each; where None, so is the third. A place that the sequences share
        costs nothing more: its state comes out where the shared tokens are run. Every sequence keeps at least one token
        of its own, so that a state comes out for it.
        """
        ordered = sorted(range(len(sequences)), key=lambda index: list(sequences[index]))
        if ordered:
            yield from self._branch(SharedPrefix(layers=len(self.decoder.layers)), sequences, ordered, further, {})

    def _branch(
        self,
        before: SharedPrefix,
        sequences: Sequence[Ids],
        ordered: list[int],
        further: Sequence[int] | None,
        known: Mapping[int, torch.Tensor],
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor | None]]:
        """Run what some sequences share after `before`, then each large enough group that shares still more, then the rest.

        `ordered` holds indices of sequences in lexicographic order, so that those that go on alike are neighbours;
        `known` the states [hidden] at the further places within `before`.
        """
        start = before.length
        end = _shared_length(sequences, ordered)
        wanted = {further[index] for index in ordered} if further is not None else set()
        shared, _, kept = self._share(sequences[ordered[0]][start:end], before, wanted)
        known = {**known, **kept}
        alone: list[int] = []
        for _, group in groupby(ordered, key=lambda index: sequences[index][end]):
            members = list(group)
            saved = (len(members) - 1) * (_shared_length(sequences, members) - end)
            if saved >= self._worth_a_pass and len(members) < len(ordered):
                yield from self._branch(shared, sequences, members, further, known)
            else:
                alone += members
        if further is None:
            for indices, last in self._run_suffixes(
                shared, [sequences[index][end:] for index in alone], only_last=True
            ):
                yield [alone[index] for index in indices], last, None
            return
        early = [index for index in alone if further[index] < end]
        for indices, last in self._run_suffixes(shared, [sequences[index][end:] for index in early], only_last=True):
            members = [early[index] for index in indices]
            yield members, last, torch.stack([known[further[index]] for index in members])
        late = [index for index in alone if further[index] >= end]
        for indices, states in self._run_suffixes(shared, [sequences[index][end:] for index in late], only_last=False):
            members = [late[index] for index in indices]
            ends = np.cumsum([len(sequences[index]) - end for index in members])  # in the packed row
            places = [stop - len(sequences[index]) + further[index] for stop, index in zip(ends, members, strict=True)]
            yield members, states[ends - 1], states[places]

    @torch.inference_mode()
    def log_probs(self, context: Ids, continuations: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
        """log p of every next token after the context, float32 [vocabulary], and of each continuation, float64 [n].

        Continuations form a tree of tokens; the model runs once over each of its inner nodes, whatever the number of
        continuations that pass through it, and the whole vocabulary's logits exist only a block at a time.
        """
        ordered = sorted(range(len(continuations)), key=lambda index: tuple(continuations[index]))
        trees = [
            ContinuationTree(continuations, ordered[start : start + CONTINUATIONS_AT_ONCE])
            for start in range(0, max(len(ordered), 1), CONTINUATIONS_AT_ONCE)
        ]
        following, sums = np.empty(0), np.zeros(len(continuations))
        with fast_linear_layers(self.decoder):
            ran = self._run_together(context, trees[0]) if len(trees) == 1 else None
            for tree, nodes, states in ran or self._run_apart(context, trees):
                rows, indices, tokens = tree.steps_from(nodes)
                picked, first = self._token_log_probs(states, rows, tokens, whole_first=nodes[0] == ())
                np.add.at(sums, indices, picked)
                following = first if first is not None else following
        return following.astype(np.float32), sums

    def _run_together(self, context: Ids, tree: ContinuationTree) -> list[Ran] | None:
        """Context and tree in one pass, or None where that is too much for one."""
        tokens = len(context) + sum(map(len, tree.paths))
        longest = max(map(len, tree.paths), default=0)
        most = rows_that_fit(self.decoder.config, len(context) + longest, max(longest, 1))
        if not tree.paths or tokens > self._batching.limit or len(tree.paths) > min(most, self.rows or most):
            return None
        try:
            states = self._forward(SharedPrefix(layers=len(self.decoder.layers)), tree.paths, leading=context)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            return None
        root = len(context) - 1
        return [tree.read(range(len(tree.paths)), states[root + 1 :], root=states[root : root + 1])]

    def _run_apart(self, context: Ids, trees: Sequence[ContinuationTree]) -> Iterator[Ran]:
        """The context, then the trees in batches that fit."""
        shared, state, _ = self._share(context)
        for tree in trees:
            yield tree.read((), state[:0], root=state)
            for indices, states in self._run_suffixes(shared, tree.paths, only_last=False):
                yield tree.read(indices, states)

    def _share(
        self, prefix: Ids, before: SharedPrefix | None = None, wanted: AbstractSet[int] = frozenset()
    ) -> tuple[SharedPrefix, torch.Tensor, dict[int, torch.Tensor]]:
        """Run ids once, after `before` if given: the keys and values so far, the last state [1, hidden], wanted states.

        `wanted` are places counted from the very beginning; those among these ids come back, each [hidden].
        """
        shared = before.copy() if before else SharedPrefix(layers=len(self.decoder.layers))
        state, kept = torch.empty(0), {}
        for start in range(0, len(prefix), PREFIX_CHUNK):
            first = shared.length
            states = self._forward(shared, [prefix[start : start + PREFIX_CHUNK]], extending=True)
            kept.update({place: states[place - first].clone() for place in wanted if first <= place < shared.length})
            state = states[-1:]
        return shared, state, kept

    def _forward(
        self,
        shared: SharedPrefix,
        suffixes: Sequence[Ids],
        extending: bool = False,
        only_last: bool = False,
        leading: Ids = (),
    ) -> torch.Tensor:
        """States after the final norm of suffixes that follow the shared prefix, run as one packed row.

        [tokens of all suffixes, hidden], or with `only_last` [suffixes, hidden]; with `leading` ids, which the suffixes
        follow too, theirs come first.
        """
        packed = [*leading, *(token for suffix in suffixes for token in suffix)]
        ids = torch.tensor([packed], device=self.model.device)
        run = Pass(shared, [len(suffix) for suffix in suffixes], ids.device, extending, only_last, len(leading))
        with attending(self.decoder, run):
            states = self.decoder(
                input_ids=ids, position_ids=run.positions, use_cache=False, prefix_pass=run
            ).last_hidden_state[0]
        return states[run.last] if only_last and not run.trimming else states

    def _run_suffixes(
        self, shared: SharedPrefix, suffixes: Sequence[Ids], only_last: bool
    ) -> Iterator[tuple[Sequence[int], torch.Tensor]]:
        """Run suffixes, the shortest first: (indices, states as `_forward` gives them) a batch."""
        order = sorted(range(len(suffixes)), key=lambda index: len(suffixes[index]))
        if not order:
            return
        longest = len(suffixes[order[-1]])
        most = rows_that_fit(self.decoder.config, shared.length + longest, longest)

        def run(batch: Sequence[int]) -> torch.Tensor:
            return self._forward(shared, [suffixes[index] for index in batch], only_last=only_last)

        tokens = sum(map(len, suffixes)) / len(suffixes)
        yield from self._batching.run(order, tokens, run, min(most, self.rows or most))

    def _token_log_probs(
        self, states: torch.Tensor, rows: np.ndarray, tokens: np.ndarray, whole_first: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """log p(token | state), float64 [n], of tokens after states[rows]; states [nodes, hidden].

        With `whole_first` that of every token after the first state too, float64 [vocabulary].
        """
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        block = max(1, LOGITS_AT_ONCE // (4 * len(states)))
        total = torch.full((len(states),), -torch.inf, dtype=torch.float64)
        row_of, token_of = (torch.from_numpy(numbers).to(states.device) for numbers in (rows, tokens))
        picked = torch.empty(len(tokens), dtype=torch.float32, device=states.device)
        whole = []
        for start in range(0, vocabulary, block):
            logits = self._logits(states, slice(start, start + block))  # [nodes, block]
            here = (token_of >= start) & (token_of < start + block)
            picked[here] = logits[row_of[here], token_of[here] - start]
            total = torch.logaddexp(total, _log_sum_exp(logits))
            if whole_first:
                whole.append(logits[0].cpu().double())
        first = (torch.cat(whole) - total[0]).numpy() if whole_first else None
        return (picked.cpu().double() - total[rows]).numpy(), first

    def _logits(self, states: torch.Tensor, tokens: slice) -> torch.Tensor:
        """float32 logits [n, tokens] of states [n, hidden], with the model's final soft-capping if it has one."""
        output = self.model.get_output_embeddings()
        bias = output.bias[tokens] if getattr(output, "bias", None) is not None else None
        logits = linear(states, output.weight[tokens], bias).float()
        cap = getattr(self.decoder.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits


Engine = PlainEngine | PrefixEngine


def make_engine(name: Literal["plain", "prefix"], model: Any, batch_size: int | None = None) -> Engine:
    """The engine of that name for a loaded model."""
    return PrefixEngine(model, batch_size) if name == "prefix" else PlainEngine(model, batch_size)
