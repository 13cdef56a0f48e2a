"""Continuations of one context as a tree of tokens: which of its nodes a model must be run over, each once.

Knows nothing of how a model is run or of what the tokens mean.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

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

    def nodes_along(self, indices: Sequence[int], seen: set[Node]) -> tuple[list[Node], list[int]]:
        """The nodes along some paths that are not in `seen` yet, and the place of each in those paths laid end to end.

        They are added to `seen`.
        """
        nodes = [self.paths[index][:depth] for index in indices for depth in range(1, len(self.paths[index]) + 1)]
        new = {node: place for place, node in reversed(list(enumerate(nodes))) if node not in seen}
        seen.update(new)
        return list(new), list(new.values())

    def steps_from(self, nodes: Sequence[Node]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every step that leaves one of the nodes: its node's row, its continuation, the token it goes to, int64 [n] each."""
        steps = [(row, *step) for row, node in enumerate(nodes) for step in self._steps.get(node, ())]
        rows, indices, tokens = np.array(steps, dtype=np.int64).reshape(-1, 3).T
        return rows.copy(), indices.copy(), tokens.copy()
