"""How alike the starter lexicon's two categories are in what alone would shift ranks: frequency, length, valence, tokens.

Each row: the means of the two categories, Cohen's d (second − first), the p of Welch's, the paired and the
Kolmogorov–Smirnov test, and the largest difference within a pair (the words stand pair by pair in the file). Valence is
measured where `--norms` names a CSV of ratings (columns `Word` and `V.Mean.Sum`, as in Warriner, Kuperman and Brysbaert,
2013, doi 10.3758/s13428-012-0314-x); no such list is part of this project.

    python benchmarks/starter_matching.py
    python benchmarks/starter_matching.py --norms BRM-emot-submit.csv --model smollm2-135m-instruct --model gemma-3-270m
"""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import stats
from wordfreq import zipf_frequency

import birthmark as bm

Measure = Callable[[str], float | None]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--norms", type=Path, help="a CSV of valence ratings")
    parser.add_argument("--model", action="append", default=[], help="count tokens of this model; repeatable")
    asked = parser.parse_args()
    measures: dict[str, Measure] = {
        "Zipf frequency": lambda word: float(zipf_frequency(word, "en")),
        "letters": lambda word: float(len(word)),
    }
    if asked.norms:
        measures["valence (1 to 9)"] = read_norms(asked.norms).get
    for model in asked.model:
        measures[f"tokens, {model}"] = token_counter(model)
    pairs = starter_pairs()
    print(f"{len(pairs)} pairs\n\n| measure | n | agency | communion | d | Welch p | paired p | KS p | widest pair |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, measure in measures.items():
        print(f"| {name} | {row([(measure(agency), measure(communion)) for agency, communion in pairs])} |")


def starter_pairs() -> list[tuple[str, str]]:
    words = bm.load_lexicon("starter").words
    return list(zip(words[::2], words[1::2], strict=True))


def read_norms(path: Path) -> dict[str, float]:
    with path.open(newline="", encoding="utf-8") as file:
        return {line["Word"]: float(line["V.Mean.Sum"]) for line in csv.DictReader(file)}


def token_counter(model: str) -> Measure:
    """How many tokens a word has after a space."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(bm.resolve(model).path)
    return lambda word: float(len(tokenizer(f" {word}", add_special_tokens=False)["input_ids"]))


def row(values: list[tuple[float | None, float | None]]) -> str:
    agency = np.array([a for a, _ in values if a is not None])
    communion = np.array([c for _, c in values if c is not None])
    both = np.array([(a, c) for a, c in values if a is not None and c is not None])  # [pairs, 2]
    means = f"{len(agency)}, {len(communion)} | {agency.mean():.2f} | {communion.mean():.2f}"
    if np.ptp(both) == 0:
        return f"{means} | – | – | – | – | 0"
    spread = np.sqrt((agency.var(ddof=1) + communion.var(ddof=1)) / 2)
    tests = (
        stats.ttest_ind(agency, communion, equal_var=False).pvalue,
        stats.ttest_rel(*both.T).pvalue,
        stats.ks_2samp(agency, communion).pvalue,
    )
    shown = " | ".join(f"{p:.2f}" for p in tests)
    widest = np.abs(both[:, 0] - both[:, 1]).max()
    return f"{means} | {(communion.mean() - agency.mean()) / spread:.2f} | {shown} | {widest:.2f}"


if __name__ == "__main__":
    main()
