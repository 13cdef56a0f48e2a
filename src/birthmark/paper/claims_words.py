"""The claim about the ten best words of each reward model, judged from the predecessor study's table of top tokens.

A column of that table is a model, best token first; a token counts for the category of its trimmed, lower-cased text.
"""

import csv
from pathlib import Path

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.paper.claims_scores import p_said, reach
from birthmark.paper.verdicts import ALPHA, judged, untestable
from birthmark.records import Claim
from birthmark.stats.headline import average_by_unit, level_test

TOP = 10
PUBLISHED = {"Gemma": (5.0, 0.0), "Llama": (3.67, 2.33)}
"""Family → published mean number of communion and of agency words in the top ten."""
BASES = {
    "N-Gem-27B": "gemma-2-27b-it",
    "S-Gem-27B-v0.2": "gemma-2-27b-it",
    "S-Gem-27B": "gemma-2-27b-it",
    "S-Lla-8B-v0.2": "Llama-3.1-8B-Instruct",
    "N-Lla-8B": "Llama-3.1-8B-Instruct",
    "L-Lla-8B": "Llama-3.1-8B-Instruct",
    "R-Lla-8B": "Meta-Llama-3-8B-Instruct",
    "R-Lla-3B": "Llama-3.2-3B-Instruct",
    "F-Lla-8B-v0.1": "Meta-Llama-3-8B-Instruct",
    "R-Gem-2B": "gemma-2-2b-it",
}
"""The table's names of the ten reward models, and their base checkpoints."""


def top_ten(path: Path | None, lexicon: Lexicon) -> Claim:
    """The claim `top-ten`. Raises `BirthmarkError` where the table has a model that the study does not."""
    if path is None:
        return untestable("top-ten", "The predecessor study's table of top tokens (table_a7) is not among the files.")
    counts = count_words(path, lexicon)
    families = {model: "Gemma" if "-Gem-" in model else "Llama" for model in counts}
    means = {
        family: np.mean([counts[model] for model in counts if families[model] == family], axis=0)
        for family in PUBLISHED
    }
    found = {family: tuple(round(float(value), 2) for value in mean) for family, mean in means.items()}
    matched = sum(a == b for family in PUBLISHED for a, b in zip(found[family], PUBLISHED[family], strict=True))
    as_claimed = means["Gemma"][0] > means["Llama"][0] and means["Llama"][1] > means["Gemma"][1]
    leaning = np.array([communion - agency for communion, agency in counts.values()], dtype=float)
    units, _, unit_families = average_by_unit(leaning, [BASES[model] for model in counts], list(families.values()))
    test = level_test(units, unit_families)
    some = [agency for model, (_, agency) in counts.items() if families[model] == "Llama" and agency]
    return judged(
        "top-ten",
        reproduced=matched == 4,
        supported=as_claimed and test.p_exact <= ALPHA,
        partly=as_claimed and 0 < matched < 4,
        sentence=f"Communion / agency words in the top ten: Gemma {found['Gemma'][0]:g} / {found['Gemma'][1]:g}, Llama "
        f"{found['Llama'][0]:g} / {found['Llama'][1]:g}"
        + (
            f" ({np.mean(some):.2f} agency words only over the {len(some)} Llama models that have any)"
            if some and len(some) < sum(family == "Llama" for family in families.values())
            else ""
        )
        + f". Over base checkpoints exact {p_said(test.p_exact)}{reach(test.min_p, test.n_splits)}",
    )


def count_words(path: Path, lexicon: Lexicon) -> dict[str, tuple[int, int]]:
    """Model → communion and agency words among its ten best tokens."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if unknown := [model for model in header if model not in BASES]:
        raise BirthmarkError(f'{path} has a column "{unknown[0]}" that is no model of the study: fetch it again')
    counts = {}
    for column, model in enumerate(header):
        names = [lexicon.entries.get(row[column].strip().lower(), ()) for row in rows[:TOP]]
        counts[model] = (
            sum("Communion" in of_word for of_word in names),
            sum("Agency" in of_word for of_word in names),
        )
    return counts
