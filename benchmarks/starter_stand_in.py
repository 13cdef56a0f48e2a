"""How well one lexicon stands in for another: each model's contrast by both, from one folder with both effects files.

    birthmark compare data/reward_model_scores/dict_big2_nouns/*.csv \\
        --lexicon starter --lexicon data/corpora/dict_big2_nouns.csv --out both
    python benchmarks/starter_stand_in.py both

Contrasts are of mean ranks, divided by the number of ranked words, so that lexicons of unlike length can be compared.
"""

import sys
from pathlib import Path

from scipy.stats import pearsonr, spearmanr

from birthmark.records import Effects, read_record


def contrasts(effects: Effects) -> dict[str, float]:
    """Model → mean-rank contrast as a share of the ranked words."""
    return {row.model: (row.mean_rank_contrast or 0.0) / effects.n_candidates for row in effects.models}


def main(folder: Path) -> None:
    first, second = (read_record(path, Effects) for path in sorted((folder / "effects").glob("*.json"))[:2])
    a, b = contrasts(first), contrasts(second)
    print(f"| model | {first.lexicon} ({first.n_candidates} words) | {second.lexicon} ({second.n_candidates} words) |")
    print("| --- | --- | --- |")
    for model in a:
        print(f"| {model} | {a[model]:+.3f} | {b[model]:+.3f} |")
    if len(a) > 2:
        pearson, spearman = pearsonr(list(a.values()), list(b.values())), spearmanr(list(a.values()), list(b.values()))
        print(
            f"\nPearson's r = {pearson.statistic:.2f}, Spearman's rho = {spearman.statistic:.2f} over {len(a)} models"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
