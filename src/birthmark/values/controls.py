"""The effects of a lexicon with something held fixed: word frequency, length, token count, or what a neutral prompt gets.

A word that is merely common, short or one token wins for that alone. Ranks are regressed on such confounds, or each
score is taken less the word's own after a neutral prompt; then the same numbers are computed as without, by the same
functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.prompts import NEUTRAL_KEY
from birthmark.records import ControlledEffects, NotApplicable, known
from birthmark.scoring.measure import NEUTRAL_CONTROL, parse_controls
from birthmark.scoring.table import ScoreTable
from birthmark.values.confounds import token_counts, word_lengths, zipf_frequencies
from birthmark.values.effects import cells, model_contrasts
from birthmark.values.families import models_fixed
from birthmark.values.joined import Joined, join_tables
from birthmark.values.ranks import lexicon_scores
from birthmark.values.units import families_over, per_category
from birthmark.values.wording_families import control_sentence

KEY_TYPES = {"candidate": pl.String, "token_id": pl.Int64}


def controlled_effects(
    tables: Sequence[ScoreTable],
    lexicon: Lexicon,
    controls: str | Sequence[str],
    seed: int = 0,
    groups: Mapping[str, str] | None = None,
) -> list[ControlledEffects]:
    """A lexicon's effects under each control, beside which those of `effects(tables, lexicon, groups=groups)` stand.

    Each of `controls` is one or more of `frequency`, `length`, `tokens`, `prompt`, joined by commas, and gives one
    record. `prompt`: a score is the word's own less its score after the neutral prompt (log p(word | prompt) −
    log p(word | neutral prompt); for a reward model the rewards' difference), and is then ranked; Holtzman et al. 2021
    do so with log-probabilities. The others: see `regress_out`; `prompt` comes first where both are asked for.

    Raises `BirthmarkError` where a table lacks what a control needs, and as `join_tables` does.
    """
    parsed = parse_controls(controls)
    if not parsed:
        return []
    plain = join_tables([without_neutral(table) for table in tables], lexicon, groups=groups)
    before = known(families_over(plain, "base_checkpoint", seed))
    found = [_controlled(tables, lexicon, control, plain, seed, groups) for control in parsed]
    contrasts = None if plain.mean_rank_contrasts is None else plain.mean_rank_contrasts.tolist()
    without = _difference_of_means(plain)
    return [
        record.model_copy(
            update={
                "sentence": control_sentence(record, before, plain.families, contrasts, without, plain.no_contrast_why)
            }
        )
        for record in found
    ]


def _difference_of_means(plain: Joined) -> float | None:
    """The second family's mean contrast of mean ranks less the first's; None unless there are two."""
    if plain.mean_rank_contrasts is None or len(plain.families) != 2:
        return None
    a, b = (plain.mean_rank_contrasts[plain.models_of(family)].mean() for family in plain.families)
    return float(b - a)


def _controlled(
    tables: Sequence[ScoreTable],
    lexicon: Lexicon,
    control: Sequence[str],
    plain: Joined,
    seed: int,
    groups: Mapping[str, str] | None,
) -> ControlledEffects:
    joined = plain
    shares: dict[str, float] | NotApplicable = NotApplicable("nothing was regressed out: scores are differences")
    if NEUTRAL_CONTROL in control:
        joined = join_tables([less_neutral(table, lexicon) for table in tables], lexicon, groups=groups)
    names = [name for name in control if name != NEUTRAL_CONTROL]
    if names:
        residuals, explained = regress_out(joined.ranks, design(joined, tables, names))
        shares = dict(zip(joined.models, explained.mean(axis=1).tolist(), strict=True))
        joined = replace(joined, ranks=residuals)
    return ControlledEffects.build(
        control=",".join(control),
        n_candidates=len(joined.words),
        r_squared=shares,
        cells=cells(joined),
        models=model_contrasts(joined, tables),
        headline=families_over(joined, "base_checkpoint", seed),
        models_fixed=models_fixed(joined, seed),
        per_category=per_category(joined, seed),
        sentence="",
    )


def without_neutral(table: ScoreTable) -> ScoreTable:
    """The table without the column of the neutral prompt, which asks for nothing and is no observation."""
    return ScoreTable(table.frame.drop(NEUTRAL_KEY), table.record) if NEUTRAL_KEY in table.prompt_keys else table


def less_neutral(table: ScoreTable, lexicon: Lexicon) -> ScoreTable:
    """The lexicon's words with each score less the word's score after the neutral prompt, float64, that prompt left out.

    Raises `BirthmarkError` where the model was not scored after the neutral prompt.
    """
    found = lexicon_scores(table, lexicon)
    if NEUTRAL_KEY not in found.prompts:
        raise BirthmarkError(
            f"{table.model} was not scored after the neutral prompt: score it again with --control prompt"
        )
    scores = found.scores.astype(np.float64)
    differences = scores - scores[:, [found.prompts.index(NEUTRAL_KEY)]]
    words = pl.DataFrame({"candidate": found.words, "token_id": [None] * len(found.words)}, schema=KEY_TYPES)
    columns = {key: differences[:, at] for at, key in enumerate(found.prompts) if key != NEUTRAL_KEY}
    return ScoreTable(words.with_columns(**columns), table.record)


def design(joined: Joined, tables: Sequence[ScoreTable], names: Sequence[str]) -> np.ndarray:
    """What is held fixed, by model and word: float64 [models, words, confounds]; `tables` in the order of the models.

    Raises `BirthmarkError` where a table does not say how its words were tokenized.
    """
    columns = []
    for name in names:
        if name == "tokens":
            columns.append(np.stack([_tokens(table, joined.words) for table in tables]))
        else:
            values = zipf_frequencies(joined.words) if name == "frequency" else word_lengths(joined.words)
            columns.append(np.broadcast_to(values, (len(tables), len(values))))
    return np.stack(columns, axis=-1)


def _tokens(table: ScoreTable, words: Sequence[str]) -> np.ndarray:
    counts = token_counts(table, words)
    if counts is None:
        raise BirthmarkError(
            f"the table of {table.model} does not say how its words were tokenized: score the model with birthmark, or "
            "leave tokens out of --control"
        )
    return counts


def regress_out(ranks: np.ndarray, confounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ranks less what an ordinary least squares regression on confounds predicts, within each model and prompt.

    `ranks` [models, words, prompts], `confounds` [models, words, k]. Per model and prompt, with an intercept,
    r = Xβ + e; the result is e + (n + 1)/2, in ranks: their mean is what it was and none correlates with a confound.
    Residuals are not ranked anew, which would bring the correlation back. The regression doesn't know the categories: what a
    category and a confound share is counted as the confound's, so that what remains of a difference is rather too small
    than too large. Constant and collinear confounds do no harm. Also returns R² [models, prompts], 0 for constant ranks.

    Raises `BirthmarkError` where there are no more words than coefficients.
    """
    n_words, n_coefficients = ranks.shape[1], confounds.shape[2] + 1
    if n_words <= n_coefficients:
        raise BirthmarkError(
            f"{n_words} words are too few to hold {n_coefficients - 1} things fixed: control for fewer"
        )
    centre = (n_words + 1) / 2
    residuals, shares = np.empty_like(ranks), np.zeros((ranks.shape[0], ranks.shape[2]))
    for at, (of_model, x) in enumerate(zip(ranks, confounds, strict=True)):
        centred, y = x - x.mean(axis=0), of_model - of_model.mean(axis=0)  # [words, k], [words, prompts]
        left = y - centred @ np.linalg.lstsq(centred, y)[0]
        total = (y**2).sum(axis=0)
        shares[at] = np.where(total > 0, 1 - (left**2).sum(axis=0) / np.where(total > 0, total, 1), 0)
        residuals[at] = left + centre
    return residuals, shares
