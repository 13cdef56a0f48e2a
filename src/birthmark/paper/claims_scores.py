"""The claims about the ten reward models' published scores (figures 1, A1) and the predecessor study's top words.

Differences are always Llama − Gemma.
"""

import csv
from pathlib import Path

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.paper.scores import Figures
from birthmark.paper.verdicts import ALPHA, judged, untestable
from birthmark.records import Claim, Effects, Framing, Panel
from birthmark.stats.mixed import JointF
from birthmark.stats.unit_tests import average_by_unit, family_test
from birthmark.values.formats import p_number, p_words

FROM, TO = "Gemma", "Llama"


D_LOW, D_HIGH = 0.40, 0.43


STARS_1A, STARS_1B, WORDS_1B = 4, 9, 2_040


PAIRS = {
    "Skywork v0.2": ("skywork-reward-gemma-2-27b-v0.2", "skywork-reward-llama-3.1-8b-v0.2"),
    "QRM": ("qrm-gemma-2-27b", "qrm-llama3.1-8b"),
    "GRM": ("grm-gemma2-2b", "grm-llama3.2-3b"),
}


"""Reward models of one team, data and recipe on two bases, by catalog name."""


def score_claims(found: Figures) -> list[Claim]:
    """All claims of this module."""
    big_two, moral = found.figure_1a, found.figure_1b_as_published
    return [
        _three_way("big2-three-way", big_two, found.three_way_1a),
        _three_way("mfd2-three-way", moral, found.three_way_1b_as_published),
        _mfd2_words(found),
        _positive("positive-agency", big_two, "Agency", sign=-1),
        _positive("positive-communion", big_two, "Communion", sign=1),
        _negative_reversal(big_two),
        _panel_stars(found),
        _same_recipe_pairs(big_two),
    ]


def _three_way(claim_id: str, effects: Effects, test: JointF) -> Claim:
    headline = effects.headline
    sentence = (
        f"The mixed model gives F({test.df_num}, {test.df_den:,}) = {test.f:.1f}, {p_words(test.p)}, taking "
        f"{test.df_den:,} degrees of freedom from ten models."
    )
    if headline is None or headline.p_exact is None:
        return judged(claim_id, reproduced=test.p < 0.001, sentence=f"{sentence} {effects.headline_why or ''}".strip())
    supported = headline.p_exact <= ALPHA
    estimate = "" if headline.estimate is None else f"the difference is {headline.estimate:.1f} ranks, "
    sentence += f" Over base checkpoints ({_units(headline.n_units)}) {estimate}exact {p_words(headline.p_exact)}"
    return judged(
        claim_id,
        reproduced=test.p < 0.001,
        supported=supported,
        sentence=sentence + reach(headline.min_p, headline.n_splits),
    )


def _mfd2_words(found: Figures) -> Claim:
    ranked, every = found.figure_1b_as_published, found.figure_1b_all_columns
    left_out = every.n_candidates - ranked.n_candidates
    return judged(
        "mfd2-words",
        reproduced=ranked.n_candidates == WORDS_1B,
        sentence=f"The published columns rank {ranked.n_candidates:,} words; all columns hold {every.n_candidates:,}"
        + (f", of which {left_out:,} are left out." if left_out else "."),
    )


# ----------------------------------------------------------------------------------------------------- panels


def _positive(claim_id: str, effects: Effects, category: str, sign: int) -> Claim:
    panel = _panel(effects, category, "positive")
    if panel is None:
        return untestable(claim_id, f"There is no panel of {category} after positive prompts for {FROM} and {TO}.")
    difference, d = _toward(panel, panel.difference), _toward(panel, panel.cohens_d_unweighted)
    as_claimed = difference * sign > 0
    size = D_LOW <= round(abs(d), 2) <= D_HIGH
    p_base, limit = _over_bases(effects, category, "positive")
    return judged(
        claim_id,
        reproduced=as_claimed and _starred(panel) and size,
        supported=as_claimed and p_base <= ALPHA,
        partly=as_claimed and not (_starred(panel) and size),
        sentence=f"{TO} − {FROM} is {difference:+.1f} ranks of {category.lower()} (1 is best), d = {d:+.2f}, Bonferroni "
        f"{p_words(panel.p_bonferroni)}. Over base checkpoints exact {p_words(p_base)}{limit}",
    )


def _negative_reversal(effects: Effects) -> Claim:
    panels = {category: _panel(effects, category, "negative") for category in ("Agency", "Communion")}
    agency, communion = panels["Agency"], panels["Communion"]
    if agency is None or communion is None:
        return untestable("negative-reversal", f"There are no panels after negative prompts for {FROM} and {TO}.")
    reversed_ = [_toward(agency, agency.difference) > 0, _toward(communion, communion.difference) < 0]
    stars = [_starred(agency), _starred(communion)]
    bases = [_over_bases(effects, category, "negative") for category in panels]
    return judged(
        "negative-reversal",
        reproduced=all(reversed_) and all(stars),
        supported=all(reversed_) and all(p <= ALPHA for p, _ in bases),
        partly=any(reversed_) and not (all(reversed_) and all(stars)),
        sentence=f"After negative prompts {TO} − {FROM} is {_toward(agency, agency.difference):+.1f} ranks of agency "
        f"(Bonferroni {p_words(agency.p_bonferroni)}) and {_toward(communion, communion.difference):+.1f} of communion "
        f"({p_words(communion.p_bonferroni)}). Over base checkpoints exact {p_words(bases[0][0])} and {p_words(bases[1][0])}{bases[0][1]}",
    )


def _panel_stars(found: Figures) -> Claim:
    lexicons = (found.figure_1a, found.figure_1b_as_published)
    stars = [sum(_starred(panel) for panel in effects.panels) for effects in lexicons]
    exact = [sum((panel.model_exact_p or 1) <= ALPHA for panel in effects.panels) for effects in lexicons]
    bases = [
        sum(_over_bases(effects, panel.category, panel.framing)[0] <= ALPHA for panel in effects.panels)
        for effects in lexicons
    ]
    totals = [len(effects.panels) for effects in lexicons]

    def counted(counts: list[int]) -> str:
        return " and ".join(f"{count} of {total}" for count, total in zip(counts, totals, strict=True))

    return judged(
        "panel-stars",
        reproduced=stars == [STARS_1A, STARS_1B] and totals == [4, 10],
        supported=bases == stars,
        partly=stars[0] == STARS_1A and stars[1] != STARS_1B,
        sentence=f"By Welch's p over model × prompt medians, which is what the published code keeps of its permutation "
        f"test, {counted(stars)} panels are significant after Bonferroni correction. Permuting the models, uncorrected, "
        f"{counted(exact)} are below .05; permuting base checkpoints {counted(bases)}.",
    )


def _panel(effects: Effects, category: str, framing: Framing) -> Panel | None:
    for panel in effects.panels:
        if (panel.category, panel.framing) == (category, framing) and {panel.family_a, panel.family_b} == {FROM, TO}:
            return panel
    return None


def _toward(panel: Panel, value: float | None) -> float:
    """A difference or d of the panel (b − a), signed as Llama − Gemma."""
    return (value or 0.0) if panel.family_b == TO else -(value or 0.0)


def _starred(panel: Panel) -> bool:
    return panel.p_bonferroni is not None and panel.p_bonferroni < ALPHA


def _over_bases(effects: Effects, category: str, framing: Framing) -> tuple[float, str]:
    """Exact p of a panel with base checkpoints as units, and the note on its smallest attainable p."""
    base = {model.model: model.base_checkpoint for model in effects.models}
    cells = [cell for cell in effects.model_cells if (cell.category, cell.framing) == (category, framing)]
    values = np.array([cell.mean_median_rank for cell in cells])
    means, _, families = average_by_unit(values, [base[cell.model] for cell in cells], [cell.family for cell in cells])
    test = family_test(means, families)
    return test.p_exact, reach(test.min_p, test.n_splits)


def reach(min_p: float | None, n_splits: int | None) -> str:
    """The end of a sentence on an exact p: a note if no outcome with these units could have reached .05."""
    if min_p is None or min_p <= ALPHA:
        return "."
    return f"; with {n_splits} splits no outcome could reach .05 (smallest p {p_number(min_p)})."


# ------------------------------------------------------------------------------------------------------ pairs


def _same_recipe_pairs(effects: Effects) -> Claim:
    known = {model.model: model for model in effects.models}
    differences: dict[str, float] = {}
    for team, names in PAIRS.items():
        by_family = {known[name].family: known[name].contrast for name in names if name in known}
        first, second = by_family.get(FROM), by_family.get(TO)
        if first is not None and second is not None:
            differences[team] = second - first
    if not differences:
        return untestable(
            "same-recipe-pairs", "No two reward models of one recipe on different bases are in the files."
        )
    as_claimed = [value < 0 for value in differences.values()]
    listed = ", ".join(f"{team} {value:+.1f}" for team, value in differences.items())
    return judged(
        "same-recipe-pairs",
        reproduced=all(as_claimed),
        supported=all(as_claimed) and 2.0 ** (1 - len(differences)) <= ALPHA,
        partly=any(as_claimed) and not all(as_claimed) and sum(differences.values()) < 0,
        sentence=f"The contrast (agency − communion, positive − negative prompts) of {TO} minus {FROM}, in ranks, is {listed}: "
        f"{sum(as_claimed)} of {len(differences)} pairs lie in the published direction, and {len(differences)} pairs allow no "
        f"p below {p_number(2.0 ** (1 - len(differences)))}.",
    )


def _units(n_units: dict[str, int]) -> str:
    return ", ".join(f"{count} {family}" for family, count in n_units.items())


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
    """The claim `top-ten`. Raises `BirthmarkError` if the table has a model that is not in the study."""
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
    test = family_test(units, unit_families)
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
        + f". Over base checkpoints exact {p_words(test.p_exact)}{reach(test.min_p, test.n_splits)}",
    )


def count_words(path: Path, lexicon: Lexicon) -> dict[str, tuple[int, int]]:
    """Model → communion and agency words among its ten best tokens."""
    with path.open(newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    if unknown := [model for model in header if model not in BASES]:
        raise BirthmarkError(f'{path} has a column "{unknown[0]}" that is not a model of the study: fetch it again')
    counts = {}
    for column, model in enumerate(header):
        names = [lexicon.entries.get(row[column].strip().lower(), ()) for row in rows[:TOP]]
        counts[model] = (
            sum("Communion" in of_word for of_word in names),
            sum("Agency" in of_word for of_word in names),
        )
    return counts
