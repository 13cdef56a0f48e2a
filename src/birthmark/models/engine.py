"""Two ways to run a causal transformer over many token sequences with a common beginning: `plain` and `prefix`.

Token id sequences in, states and log-probabilities out. `PlainEngine` runs every sequence in full, in padded batches, through
transformers' model. `PrefixEngine` runs the shared prefix once, keeps its keys and values (one copy, never expanded), and runs
only the suffixes, grouped by length so that nothing is padded.
"""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from inspect import signature
from itertools import groupby
from typing import Any, Literal, Protocol

import numpy as np
import torch

from birthmark.models.encoding import common_prefix_length
from birthmark.models.packing import Batching, ContinuationTree, Node, fast_layers, is_out_of_memory, linear
from birthmark.models.shared_attention import PackedBatch, PackedTrees, SharedPrefix, attending, rows_that_fit

Ids = Sequence[int]

PLAIN_ROWS = 64
PREFIX_TOKENS = {"cpu": 1024, "mps": 4096, "cuda": 16384}
PREFIX_CHUNK = 512  # tokens of a long shared prefix that are run at a time
CONTINUATIONS_AT_ONCE = 2048
LOGITS_AT_ONCE = 2**25  # numbers in one block of logits, 128 MB in float32
LOGITS_IN_CACHE = 2**21  # the same on a CPU, 8 MB: log-sum-exp reads a block three times


def _shared_length(sequences: Sequence[Ids], ordered: Sequence[int]) -> int:
    """How many ids the sequences of these (ordered) indices share, at most all but one of the shortest."""
    outer = common_prefix_length([sequences[ordered[0]], sequences[ordered[-1]]])
    return min(outer, min(len(sequences[index]) for index in ordered) - 1)


def _in_parts(continuations: Sequence[Ids]) -> Iterator[list[int]]:
    """Indices of the continuations in lexicographic order, as many at a time as make a tree; at least one part."""
    ordered = sorted(range(len(continuations)), key=lambda index: tuple(continuations[index]))
    for start in range(0, max(len(ordered), 1), CONTINUATIONS_AT_ONCE):
        yield ordered[start : start + CONTINUATIONS_AT_ONCE]


def _log_sum_exp(logits: torch.Tensor) -> torch.Tensor:
    """log Σ exp over the last dimension, float64 on the CPU; the logits are overwritten.

    Exponentials are added pairwise in float32, the logarithm is taken in float64: `torch.log_softmax` in float32 is off
    by 2e-5 over a vocabulary, this by 3e-7.
    """
    top = logits.amax(dim=-1, keepdim=True)
    total = logits.sub_(top).exp_().sum(dim=-1)
    return top[..., 0].cpu().double() + total.cpu().double().log()


class PlainEngine:
    """Runs every sequence in full, in padded batches of `batch_size` rows, through the unchanged model."""

    name: Literal["plain"] = "plain"

    def __init__(self, model: Any, batch_size: int | None = None) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        self._batching = Batching(batch_size or PLAIN_ROWS)

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
        logits = self._last_logits(ids, 1)[0, -1].float()
        following = (logits.cpu().double() - _log_sum_exp(logits)).numpy()
        sums = following[np.array([continuation[0] for continuation in continuations], dtype=np.int64)]
        longer = [index for index, continuation in enumerate(continuations) if len(continuation) > 1]
        most = max(1, LOGITS_AT_ONCE // (max(map(len, continuations), default=1) * len(following)))

        def run(batch: Sequence[int]) -> np.ndarray:
            return self._chains(context, [continuations[index] for index in batch])

        for batch, values in self._batching.run(longer, 1, run, most):
            sums[list(batch)] = values
        return following.astype(np.float32), sums

    def batches(self, contexts: Sequence[Ids], continuations: Sequence[Ids]) -> list[range]:
        """Each context alone."""
        return [range(index, index + 1) for index in range(len(contexts))]

    def log_probs_after(
        self, contexts: Sequence[Ids], continuations: Sequence[Ids]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """`log_probs` after each of the contexts."""
        return [self.log_probs(context, continuations) for context in contexts]

    def _chains(self, context: Ids, continuations: Sequence[Ids]) -> np.ndarray:
        ids, mask = self._padded([[*context, *continuation[:-1]] for continuation in continuations])
        kept = ids.shape[1] - len(context) + 1
        logits = self._last_logits(ids, kept, attention_mask=mask).float()  # [rows, longest continuation, vocabulary]
        picked = [
            [float(logits[row, place, token]) for place, token in enumerate(tokens)]
            for row, tokens in enumerate(continuations)
        ]
        normalizers = _log_sum_exp(logits).numpy()
        return np.array([sum(values) - normalizers[row, : len(values)].sum() for row, values in enumerate(picked)])

    def _last_logits(self, ids: torch.Tensor, kept: int, **inputs: torch.Tensor) -> torch.Tensor:
        """Logits after the last `kept` tokens, [rows, kept, vocabulary]; some classes compute those of all tokens."""
        if "logits_to_keep" in signature(self.model.forward).parameters:
            return self.model(input_ids=ids, use_cache=False, logits_to_keep=kept, **inputs).logits
        return self.model(input_ids=ids, use_cache=False, **inputs).logits[:, -kept:]

    def _padded(self, sequences: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids padded on the right and their mask, both [rows, longest]. The value of the padding has no effect."""
        longest = max(map(len, sequences))
        ids = torch.zeros((len(sequences), longest), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.tensor(list(sequence))
            mask[row, : len(sequence)] = 1
        return ids.to(self.model.device), mask.to(self.model.device)


class PrefixEngine:
    """Runs the shared prefix once and then only the suffixes; equal to `PlainEngine` up to rounding.

    Raises `BirthmarkError` if a layer of the model does not support this (the message says to use the plain engine).
    """

    name: Literal["prefix"] = "prefix"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.decoder = model.get_decoder()
        self._batching = Batching(PREFIX_TOKENS.get(model.device.type, PREFIX_TOKENS["cpu"]))
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

    def log_probs(self, context: Ids, continuations: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
        """log p of every next token after the context, float32 [vocabulary], and of each continuation, float64 [n]."""
        return self.log_probs_after([context], continuations)[0]

    def batches(self, contexts: Sequence[Ids], continuations: Sequence[Ids]) -> list[range]:
        """Which of the contexts go through the model together, each with all continuations after it."""
        size = max(1, self._contexts_at_once(max(map(len, contexts)), self._tree(continuations)))
        return [range(start, min(start + size, len(contexts))) for start in range(0, len(contexts), size)]

    def log_probs_after(
        self, contexts: Sequence[Ids], continuations: Sequence[Ids]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """`log_probs` after each of the contexts of a batch.

        Continuations form a tree of tokens; the model runs once over each of its inner nodes, whatever the number of
        continuations that pass through it, and the whole vocabulary's logits exist only a block at a time.
        """
        tree = self._tree(continuations)
        fits = self._contexts_at_once(max(map(len, contexts)), tree) >= len(contexts)
        found = self._log_probs_together(contexts, tree, len(continuations)) if tree and fits else None
        return found or [self._log_probs_apart(context, continuations) for context in contexts]

    @staticmethod
    def _tree(continuations: Sequence[Ids]) -> ContinuationTree | None:
        """The tree of all continuations, or None where they are too many for one."""
        parts = list(_in_parts(continuations))
        return ContinuationTree(continuations, parts[0]) if len(parts) == 1 else None

    def _contexts_at_once(self, longest: int, tree: ContinuationTree | None) -> int:
        """How many contexts go through the model together, each with the whole tree after it; 0 where not even one does."""
        if tree is None or not tree.nodes:
            return 0
        tokens = longest + len(tree.nodes)
        return min(int(self._batching.limit / tokens), rows_that_fit(self.decoder.config, 2 * longest, tokens))

    @torch.inference_mode()
    def _log_probs_together(
        self, contexts: Sequence[Ids], tree: ContinuationTree, n: int
    ) -> list[tuple[np.ndarray, np.ndarray]] | None:
        """Contexts and the tree after each in one run of the model, or None where memory does not suffice."""
        rows, indices, tokens = tree.steps_from([(), *tree.nodes])
        roots = np.arange(len(contexts)) * (1 + len(tree.nodes))  # of each context, its own row among the states read
        try:
            states = self._run_together(contexts, tree)
            picked, following = self._token_log_probs(
                states, (roots[:, None] + rows).ravel(), np.tile(tokens, len(contexts)), roots
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        sums = np.zeros((len(contexts), n))
        for own, steps in zip(sums, picked.reshape(len(contexts), -1), strict=True):
            np.add.at(own, indices, steps)
        return list(zip(following.astype(np.float32), sums, strict=True))

    def _run_together(self, contexts: Sequence[Ids], tree: ContinuationTree) -> torch.Tensor:
        """States at each context's end and at the tree's nodes after it: [contexts · (1 + nodes), hidden].

        What all contexts begin with is run once.
        """
        device, nodes = self.model.device, len(tree.nodes)
        order = sorted(range(len(contexts)), key=lambda index: list(contexts[index]))
        common = _shared_length(contexts, order) if len(contexts) > 1 else 0
        nothing, shared = (SharedPrefix(layers=len(self.decoder.layers)) for _ in range(2))
        lengths = [len(context) - common for context in contexts]
        own = PackedBatch(shared, lengths, device, start=common)
        trees = PackedTrees(own, tree.chains(), device)
        passes = [PackedBatch(nothing, [common], device, extends=[shared])] if common else []
        packed = [*contexts[0][:common], *(token for context in contexts for token in context[common:])]
        ends = common + np.cumsum(lengths) - 1
        wanted = [
            [end, *range(first, first + nodes)]
            for end, first in zip(ends, range(len(packed), len(packed) + nodes * len(contexts), nodes), strict=True)
        ]
        packed += [node[-1] for node in tree.nodes] * len(contexts)
        return self._run(packed, *passes, own, trees)[np.concatenate(wanted)]

    @torch.inference_mode()
    def _log_probs_apart(self, context: Ids, continuations: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]:
        """The context, then the trees after it in batches that fit; a tree exists while it is run."""
        sums = np.zeros(len(continuations))

        def add(tree: ContinuationTree, nodes: Sequence[Node], states: torch.Tensor, whole: Sequence[int] = ()) -> Any:
            rows, indices, tokens = tree.steps_from(nodes)
            picked, following = self._token_log_probs(states, rows, tokens, whole)
            np.add.at(sums, indices, picked)
            return following

        shared, root, _ = self._share(context)
        for part in _in_parts(continuations):
            tree = ContinuationTree(continuations, part)
            following = add(tree, [()], root, [0])[0]
            seen: set[Node] = set()
            for indices, states in self._run_suffixes(shared, tree.paths, only_last=False):
                nodes, places = tree.nodes_along(indices, seen)
                add(tree, nodes, states[places])
        return following.astype(np.float32), sums

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
        self, shared: SharedPrefix, suffixes: Sequence[Ids], extending: bool = False, only_last: bool = False
    ) -> torch.Tensor:
        """States after the final norm of suffixes that follow the shared prefix, run as one packed row.

        [tokens of all suffixes, hidden], or with `only_last` [suffixes, hidden].
        """
        lengths, extends = [len(suffix) for suffix in suffixes], [shared] if extending else []
        run = PackedBatch(shared, lengths, self.model.device, extends, only_last)
        states = self._run([token for suffix in suffixes for token in suffix], run)
        return states[run.last] if only_last and not run.trimming else states

    def _run(self, packed: Ids, *passes: PackedBatch) -> torch.Tensor:
        """States after the final norm of one row of packed tokens, which are the passes' one after the other."""
        ids = torch.tensor([list(packed)], device=self.model.device)
        positions = torch.cat([run.positions for run in passes], dim=1)
        with fast_layers(self.decoder), attending(self.decoder, *passes):
            return self.decoder(
                input_ids=ids, position_ids=positions, use_cache=False, prefix_passes=passes
            ).last_hidden_state[0]

    def _run_suffixes(
        self, shared: SharedPrefix, suffixes: Sequence[Ids], only_last: bool
    ) -> Iterator[tuple[Sequence[int], torch.Tensor]]:
        """Run suffixes, the shortest first: (indices, states as `_forward` gives them) a batch."""
        order = sorted(range(len(suffixes)), key=lambda index: len(suffixes[index]))
        if not order:
            return
        longest = len(suffixes[order[-1]])
        most = max(1, rows_that_fit(self.decoder.config, shared.length + longest, longest))

        def run(batch: Sequence[int]) -> torch.Tensor:
            return self._forward(shared, [suffixes[index] for index in batch], only_last=only_last)

        tokens = sum(map(len, suffixes)) / len(suffixes)
        yield from self._batching.run(order, tokens, run, most)

    def _token_log_probs(
        self, states: torch.Tensor, rows: np.ndarray, tokens: np.ndarray, whole: Sequence[int] | np.ndarray = ()
    ) -> tuple[np.ndarray, np.ndarray]:
        """log p(token | state), float64 [n], of tokens after states[rows]; states [nodes, hidden].

        And that of every token after each of the states `whole`, float64 [whole, vocabulary].
        """
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        block = max(1, (LOGITS_IN_CACHE if states.device.type == "cpu" else LOGITS_AT_ONCE // 4) // len(states))
        total = torch.full((len(states),), -torch.inf, dtype=torch.float64)
        row_of, token_of = (torch.from_numpy(numbers).to(states.device) for numbers in (rows, tokens))
        picked = torch.empty(len(tokens), dtype=torch.float32, device=states.device)
        kept = []
        for start in range(0, vocabulary, block):
            logits = self._logits(states, slice(start, start + block))  # [nodes, block]
            here = (token_of >= start) & (token_of < start + block)
            picked[here] = logits[row_of[here], token_of[here] - start]
            kept.append(logits[list(whole)].cpu())
            total = torch.logaddexp(total, _log_sum_exp(logits))
        following = torch.cat(kept, dim=1).double() - total[list(whole), None]
        return (picked.cpu().double() - total[rows]).numpy(), following.numpy()

    def _logits(self, states: torch.Tensor, tokens: slice) -> torch.Tensor:
        """float32 logits [n, tokens] of states [n, hidden], with the model's final soft-capping if it has one."""
        output = self.model.get_output_embeddings()
        bias = output.bias[tokens] if getattr(output, "bias", None) is not None else None
        logits = linear(states, output.weight[tokens], bias).float()
        cap = getattr(self.decoder.config, "final_logit_softcapping", None)
        return torch.tanh(logits / cap) * cap if cap else logits


class Engine(Protocol):
    """What a scorer asks of an engine: token ids in, states and log-probabilities out."""

    @property
    def name(self) -> Literal["plain", "prefix"]: ...

    def last_states(self, sequences: Sequence[Ids]) -> Iterator[tuple[list[int], torch.Tensor]]: ...

    def states(
        self, sequences: Sequence[Ids], further: Sequence[int] | None = None
    ) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor | None]]: ...

    def log_probs(self, context: Ids, continuations: Sequence[Ids]) -> tuple[np.ndarray, np.ndarray]: ...

    def batches(self, contexts: Sequence[Ids], continuations: Sequence[Ids]) -> list[range]: ...

    def log_probs_after(
        self, contexts: Sequence[Ids], continuations: Sequence[Ids]
    ) -> list[tuple[np.ndarray, np.ndarray]]: ...


def make_engine(name: Literal["plain", "prefix"], model: Any) -> Engine:
    """The engine of that name for a loaded model."""
    return PrefixEngine(model) if name == "prefix" else PlainEngine(model)
