"""Continuations of one context as a tree of tokens: which of its nodes a model must be run over, each once.

Knows nothing of how a model is run or of what the tokens mean.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

Ids = Sequence[int]
Node = tuple[int, ...]  # the tokens from the context to here; the context's end itself is ()


class ContinuationTree:
    """The chosen ones of some continuations: `paths` are the runs of tokens that reach every inner node.

    No path is the beginning of another. The last token of a continuation is read and never run.
    """

    def __init__(self, continuations: Sequence[Ids], chosen: Sequence[int]) -> None:
        self._steps: dict[Node, list[tuple[int, int]]] = defaultdict(list)  # node -> (continuation, next token)
        for index in chosen:
            tokens = tuple(continuations[index])
            for depth in range(len(tokens)):
                self._steps[tokens[:depth]].append((index, tokens[depth]))
        passed = {node[:depth] for node in self._steps for depth in range(len(node))}
        self.paths = [node for node in self._steps if node and node not in passed]
        self._read: set[Node] = set()

    def read(self, indices: Sequence[int], states: torch.Tensor, root: torch.Tensor | None = None) -> "Ran":
        """What a pass over some paths gave: the nodes not read before, and their states [nodes, hidden].

        `states` [tokens of these paths, hidden], one path after the other; `root` [1, hidden] that of the context's end.
        """
        nodes = [self.paths[index][:depth] for index in indices for depth in range(1, len(self.paths[index]) + 1)]
        new = {node: row for row, node in reversed(list(enumerate(nodes))) if node not in self._read}
        self._read |= new.keys()
        found = states[list(new.values())]
        return (self, list(new), found) if root is None else (self, [(), *new], torch.cat((root, found)))

    def steps_from(self, nodes: Sequence[Node]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every step that leaves one of the nodes: its node's row, its continuation, the token it goes to, int64 [n] each."""
        steps = [(row, *step) for row, node in enumerate(nodes) for step in self._steps.get(node, ())]
        rows, indices, tokens = np.array(steps, dtype=np.int64).reshape(-1, 3).T
        return rows.copy(), indices.copy(), tokens.copy()


Ran = tuple[ContinuationTree, list[Node], torch.Tensor]  # a tree, nodes of it, their states [nodes, hidden]
