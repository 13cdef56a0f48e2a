"""A value budget: how far a model's values may move from a reference's, and which words moved them.

An expression such as `contrast<=10` is a quantity, `<=` or `<`, and a number of ranks. The quantity is taken in both
models over the words and prompts that both have; what is held against the number is |new − reference|. Beside it stand its
95% interval over words and its null: how far random relabelings of the words move. Reads no file.
"""

import re
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.foreign import one_line
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import BudgetCheck, WordShift
from birthmark.scoring.table import ScoreTable
from birthmark.stats.words import compare_words
from birthmark.values.formats import plural, some
from birthmark.values.joined import Joined, join_tables
from birthmark.values.ranks import contrast, framing_contrast, framing_means, stems
from birthmark.values.wording_training import budget_sentence

Quantity = Literal["contrast", "median_contrast", "median_rank"]
QUANTITIES: tuple[Quantity, ...] = ("contrast", "median_contrast", "median_rank")
ALIASES = {"mean_rank_contrast": "contrast"}  # the key of the same number in `effects/<lexicon>.json`
WORDS_SHOWN = 6
DRAWS = 499
TIE = 1e-9
WIDE = 2.0  # times the null's 95%, from where on a budget is called wide
_EXPRESSION = re.compile(r"\s*(\w+)\s*(<=|<|≤)\s*(\d+(?:\.\d+)?|\.\d+)\s*")


@dataclass(frozen=True)
class Budget:
    """`quantity` may move by at most `limit` ranks, or by less than that where `strict`."""

    quantity: Quantity
    limit: float
    strict: bool

    def allows(self, moved: float) -> bool:
        return moved < self.limit if self.strict else moved <= self.limit


def parse_budget(expression: str) -> Budget:
    """`contrast<=10`, `median_contrast<8.5`, `median_rank<=20`; raises `BirthmarkError` for anything else."""
    found = _EXPRESSION.fullmatch(expression)
    named = ALIASES.get(found[1], found[1]) if found else ""
    if found is None or named not in QUANTITIES or not np.isfinite(float(found[3])):
        raise BirthmarkError(
            f'the budget "{one_line(expression)}" cannot be read: write a quantity ({", ".join(QUANTITIES)}), <= and a number of '
            'ranks, such as "contrast<=10"'
        )
    if not np.isfinite(float(found[3])):
        raise BirthmarkError(f"the budget of {one_line(found[3], 20)} ranks is no finite number: write a smaller one")
    quantity = next(name for name in QUANTITIES if name == named)
    return Budget(quantity, float(found[3]), strict=found[2] == "<")


def check_budget(
    new: ScoreTable, reference: ScoreTable, lexicon: Lexicon, budget: Budget, seed: int = 0
) -> BudgetCheck:
    """Hold the move of `new` away from `reference` against the budget, in ranks among the words that both have.

    `contrast` is one model's contrast of mean ranks, `median_contrast` that of median ranks; `median_rank` is the largest
    move of a category's median rank, a mean over a framing's prompts. `seed` drives what is drawn. Raises `BirthmarkError`
    for tables of different kinds
    or frames or without words in common, and where the lexicon or the prompts have no contrast.
    """
    _check_comparable(new, reference)
    joined = join_tables([_renamed(new, "new"), _renamed(reference, "reference")], lexicon)
    value, at, cell = _values(joined, budget.quantity)
    moved = abs(value - at)
    within = budget.allows(moved)
    words = _shifts(joined, np.sign(value - at), cell)
    low, high = _interval(joined, budget.quantity, cell, seed)
    null = _relabelled(joined, budget.quantity, seed)
    null_95 = float(np.quantile(null, 0.95))
    check = BudgetCheck(
        lexicon=lexicon.name,
        quantity=budget.quantity,
        limit=budget.limit,
        new=new.model,
        reference=reference.model,
        new_value=value,
        reference_value=at,
        moved=moved,
        within=within,
        cell=" ".join(cell) if cell else None,
        n_candidates=len(joined.words),
        ci_low=low,
        ci_high=high,
        null_95=null_95,
        p_null=float((1 + (null >= moved - TIE).sum()) / (len(null) + 1)),
        words=words,
        sentence="",
        warnings=_warnings(new, reference, lexicon, joined, budget, null_95),
    )
    return check.model_copy(update={"sentence": budget_sentence(check)})


def _warnings(
    new: ScoreTable, reference: ScoreTable, lexicon: Lexicon, joined: Joined, budget: Budget, null: float
) -> list[str]:
    """What makes the check weaker than it looks: words or prompts of one table alone, equal weights, a wide budget."""
    said = []
    every = set(lexicon.match(new.frame["candidate"])) | set(lexicon.match(reference.frame["candidate"]))
    if lost := len(every - set(joined.words)):
        said.append(
            f"{lost} of {len(every)} words of {lexicon.name} are in one of the two tables only and left out: score both with "
            "the same --lexicon"
        )
    if others := sorted({*new.prompt_keys} ^ {*reference.prompt_keys}):
        said.append(f"{plural(len(others), 'prompt')} of one of the two tables only and left out: {some(others)}")
    if new.record.digests is not None and new.record.digests == reference.record.digests:
        said.append(f"{new.model} and {reference.model} have the same weights: a model is held to itself")
    if budget.limit > WIDE * null > 0:
        said.append(
            f"the budget of {budget.limit:g} ranks is {budget.limit / null:.1f} times what relabelings of these words reach "
            f"({null:.1f}): a smaller one notices more"
        )
    return said


def _check_comparable(new: ScoreTable, reference: ScoreTable) -> None:
    if new.record.kind != reference.record.kind:
        raise BirthmarkError("rewards and log-probabilities are never pooled: hold a model to a reference of its kind")
    frames = new.record.frame, reference.record.frame
    if frames[0] != frames[1]:
        raise BirthmarkError(
            f"{new.model} was scored in the frame {frames[0]}, {reference.model} in {frames[1]}: score both in one"
        )


def _renamed(table: ScoreTable, name: str) -> ScoreTable:
    """A retrained model often has its predecessor's name; here the two are named by their part."""
    return ScoreTable(
        table.frame, table.record.model_copy(update={"model": name, "family": "all", "base_checkpoint": name})
    )


def _values(joined: Joined, quantity: Quantity) -> tuple[float, float, tuple[str, str] | None]:
    """The quantity in the new model and in the reference, and for `median_rank` the category and framing it is of."""
    if quantity == "median_rank":
        if not joined.framings_present:
            raise BirthmarkError(
                "a median rank is of positive or negative prompts: score both models with such prompts"
            )
        cells = [
            (name, framing, framing_means(joined.medians, joined.framings, framing)[:, row])
            for row, name in enumerate(joined.categories)
            for framing in joined.framings_present
        ]
        name, framing, both = max(cells, key=lambda cell: abs(float(cell[2][0] - cell[2][1])))
        return float(both[0]), float(both[1]), (name, framing)
    if joined.no_contrast_why is not None:
        raise BirthmarkError(f'{joined.no_contrast_why}: take the budget "median_rank<=…"')
    both = contrast(joined.means if quantity == "contrast" else joined.medians, joined.framings)
    return float(both[0]), float(both[1]), None


def _interval(
    joined: Joined, quantity: Quantity, cell: tuple[str, str] | None, seed: int
) -> tuple[float | None, float | None]:
    """95% over words of new − reference; null with too few words.

    Of a contrast of mean ranks by `compare_words`; of medians by the percentile bootstrap, word stems drawn again within each
    category with all ranks kept (Efron and Tibshirani 1993).
    """
    labels = np.asarray(stems(joined.words))
    if quantity == "contrast":
        at, categories = joined.places
        by_model = framing_contrast(joined.place_values, joined.framings)
        try:
            found = compare_words(by_model[0] - by_model[1], categories, labels[at].tolist(), seed=seed)
        except BirthmarkError:
            return None, None
        return found.ci_low, found.ci_high
    rng = np.random.default_rng([seed, 1])
    groups = [[np.flatnonzero(row & (labels == stem)) for stem in np.unique(labels[row])] for row in joined.member]
    if any(len(group) < 2 for group in groups):
        return None, None
    drawn = []
    for _ in range(DRAWS):
        chosen = [np.concatenate([group[at] for at in rng.integers(len(group), size=len(group))]) for group in groups]
        medians = np.stack(
            [np.median(joined.ranks[:, rows], axis=1) for rows in chosen], axis=1
        )  # [2, categories, prompts]
        drawn.append(_move_of(joined, medians, cell))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _move_of(joined: Joined, medians: np.ndarray, cell: tuple[str, str] | None) -> float:
    """new − reference of the median contrast, or of a cell's median rank; medians [2 models, categories, prompts]."""
    if cell is None:
        return float(np.subtract(*contrast(medians, joined.framings)))
    of_framing = framing_means(medians, joined.framings, cell[1])  # type: ignore[arg-type]
    return float(np.subtract(*of_framing[:, joined.categories.index(cell[0])]))


def _relabelled(joined: Joined, quantity: Quantity, seed: int) -> np.ndarray:
    """|new − reference| where word stems exchange their categories at random: [draws]."""
    rng = np.random.default_rng([seed, 2])
    _, first, code = np.unique(np.asarray(stems(joined.words)), return_index=True, return_inverse=True)
    of_stem = joined.member[:, first]  # [categories, stems]; a stem's first word says whose it is
    if not of_stem.any(axis=1).all():  # a category that has no stem to itself: single words change places
        of_stem, code = joined.member, np.arange(len(joined.words))
    found: list[float] = []
    for _ in range(DRAWS):
        member = of_stem[:, rng.permutation(of_stem.shape[1])][:, code]
        value, at, _ = _values(replace(joined, member=member), quantity)
        found.append(abs(value - at))
    return np.array(found)


def _shifts(joined: Joined, direction: float, cell: tuple[str, str] | None) -> list[WordShift]:
    """The words whose change pulls most in the direction of the move, largest first."""
    by_framing = {
        framing: framing_means(joined.ranks, joined.framings, framing) for framing in joined.framings_present
    }  # [2 models, words]
    changes = {framing: both[0] - both[1] for framing, both in by_framing.items()}
    whole = np.subtract(*framing_contrast(joined.ranks, joined.framings)) if joined.is_contrastable else None
    if cell is not None:
        pull = np.where(joined.member[joined.categories.index(cell[0])], changes[cell[1]], 0.0)  # type: ignore[index]
    else:
        sign = joined.member[0].astype(float) - joined.member[1]
        pull = sign * (whole if whole is not None else 0.0)
    order = [at for at in np.argsort(-direction * pull, kind="stable") if direction * pull[at] > 0][:WORDS_SHOWN]
    return [
        WordShift(
            word=joined.words[at],
            categories=[joined.categories[row] for row in np.flatnonzero(joined.member[:, at])],
            positive=_at(changes.get("positive") if cell is None or cell[1] == "positive" else None, at),
            negative=_at(changes.get("negative") if cell is None or cell[1] == "negative" else None, at),
            contrast=_at(whole, at) if cell is None else None,
        )
        for at in order
    ]


def _at(values: np.ndarray | None, at: int) -> float | None:
    return None if values is None else float(values[at])
