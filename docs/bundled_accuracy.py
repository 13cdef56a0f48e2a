"""How often the two bundled reward models prefer the chosen answer of pairs that they were not trained on.

    python docs/bundled_accuracy.py hh-harmless-base-test.jsonl.gz     # the file of Anthropic's HH that they were trained from

Prints each model's share with its 95% Wilson interval; conversations are cut to the 96 tokens of training.
"""

import sys

import numpy as np
from statsmodels.stats.proportion import proportion_confint

from birthmark.commands.audit import BUNDLED
from birthmark.models.resolve import resolve
from birthmark.training.data import thin
from birthmark.training.heldout import pair_rewards
from birthmark.training.sources import open_source, read_pairs, scan

PAIRS, SEED, TOKENS = 2_000, 0, 96


def main(path: str) -> None:
    source = open_source(path)
    usable = scan(source).usable
    trained = set(thin(usable, pairs=PAIRS, every=None, seed=SEED, source=path))
    pairs = read_pairs(source, [row for row in usable if row not in trained])
    for name in BUNDLED:
        correct = pair_rewards(resolve(name, quiet=True), pairs, max_tokens=TOKENS).correct()
        correct = correct[~np.isnan(correct)]
        low, high = proportion_confint(correct.sum(), len(correct), method="wilson")
        print(f"{name}: {correct.mean():.1%} of {len(correct)} pairs, 95% {low:.1%} to {high:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
