"""How models relate: rank correlations over shared candidates, a map, what predicts likeness, agreement with people.

Correlations are of rankings after one prompt and are averaged over the prompts that all models share. It reads no file;
team and size of a model come from the catalog or from the caller.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import find_entry, load_catalog
from birthmark.inputs.published import HumanRanking
from birthmark.inputs.words import clean_text
from birthmark.records import HumanAgreement, Likeness, Map, MapPlace, Predictor, Valued
from birthmark.scoring.table import ScoreTable
from birthmark.stats.rankings import least_stress, matrix_regression, overlap_profile, rank_biased_overlap, stress
from birthmark.values.formats import some
from birthmark.values.ranks import rank

RBO_P = 0.9  # persistence of rank-biased overlap: the first 10 places carry 86% of its weight
SHUFFLES = 4_999
SHOWN = 15


@dataclass(frozen=True)
class Facts:
    """What may make two models alike; what is not known is None."""

    family: str | None = None
    base_checkpoint: str | None = None
    team: str | None = None
    parameters: int | None = None


@dataclass(frozen=True)
class Ranked:
    """Ranks of the shared candidates: float64 [models, prompts, candidates], 1 is best, ties averaged."""

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    candidates: tuple[str, ...]
    ranks: np.ndarray
    n_left_out: int
    warnings: tuple[str, ...] = ()


def relate(
    tables: Sequence[ScoreTable],
    *,
    human: HumanRanking | None = None,
    facts: Mapping[str, Facts] | None = None,
    seed: int = 0,
) -> Map:
    """How the models of the tables relate, and with `human` how they agree with people.

    `facts` (model → facts) take the place of what the tables and the catalog say. `seed` drives the permutations.

    Raises `BirthmarkError` for fewer than two models, both kinds of score, no shared prompt or candidate, or a constant
    ranking, which correlates with nothing.
    """
    ranked = shared_ranks(tables)
    known = {table.model: (facts or {}).get(table.model) or facts_of(table) for table in tables}
    likeness = _likeness(ranked)
    kendall = _square([pair.kendall for pair in likeness], len(ranked.models))
    places, badness = _places(kendall, ranked.models, known)
    predictors, why = _predictors(kendall, [known[model] for model in ranked.models], seed)
    shared = Map(
        kind=tables[0].record.kind,
        models=list(ranked.models),
        prompts=list(ranked.prompts),
        n_candidates=len(ranked.candidates),
        n_left_out=ranked.n_left_out,
        rbo_p=RBO_P,
        likeness=likeness,
        places=places,
        stress=badness,
        predictors=predictors,
        predictors_why=why,
        warnings=list(ranked.warnings),
    )
    return shared if human is None else shared.model_copy(update=_agreement(ranked, human))


def facts_of(table: ScoreTable) -> Facts:
    """Family and base checkpoint as the table has them, team and size from the catalog."""
    entry = find_entry(load_catalog(), table.model)
    return Facts(
        table.record.family,
        table.record.base_checkpoint,
        entry.team if entry else None,
        entry.parameters if entry else None,
    )


def shared_ranks(tables: Sequence[ScoreTable]) -> Ranked:
    """Rank the candidates that all tables have, after the prompts that all have; of one text's rows the best counts.

    Word rows are taken where every table has them, else token rows. Tables whose token
    rows are passed over, prompts and candidates that are not shared are told in `warnings`. Errors as in `relate`.
    """
    models = tuple(table.model for table in tables)
    if len(set(models)) < 2 or len(set(models)) < len(models):
        raise BirthmarkError("a map needs two or more tables of different models")
    if len({table.record.kind for table in tables}) > 1:
        raise BirthmarkError("rewards and log-probabilities are never pooled: map tables of one kind at a time")
    prompts = tuple(key for key in tables[0].prompt_keys if all(key in table.prompt_keys for table in tables))
    if not prompts:
        raise BirthmarkError("the tables have no prompt in common: score the models with the same --prompts")
    use_words = all(table.words.height for table in tables)
    _check_prompts(tables, prompts)
    best = [
        (table.words if use_words else table.tokens).group_by("candidate").agg(pl.col(prompts).max())
        for table in tables
    ]
    every = set().union(*(rows["candidate"] for rows in best))
    shared = sorted(set(best[0]["candidate"]).intersection(*(rows["candidate"] for rows in best[1:])))
    if len(shared) < 3:
        raise BirthmarkError(
            "the tables share fewer than three candidates: score the models with the same --candidates"
        )
    order = pl.DataFrame({"candidate": shared})
    scores = [order.join(rows, on="candidate", how="left").select(prompts).to_numpy() for rows in best]
    for model, matrix in zip(models, scores, strict=True):
        if not np.isfinite(matrix).all():
            row, column = np.argwhere(~np.isfinite(matrix))[0]
            raise BirthmarkError(
                f"{model} gives {shared[row][:40]!r} the score {matrix[row, column]} after {prompts[column]}: score it again, "
                "in float32, or leave it out"
            )
    ranks = np.stack([rank(matrix).T for matrix in scores])  # [models, prompts, candidates]
    for at, constant in np.argwhere(np.ptp(ranks, axis=2) == 0)[:1]:
        raise BirthmarkError(
            f"{models[at]} assigns identical scores to all candidates for {prompts[constant]}: leave that prompt or model out"
        )
    n_left_out = len(every) - len(shared)
    return Ranked(
        models, prompts, tuple(shared), ranks, n_left_out, tuple(_lost(tables, prompts, use_words, n_left_out))
    )


def _check_prompts(tables: Sequence[ScoreTable], prompts: Sequence[str]) -> None:
    """One key is one question in all tables, or what is compared are answers to different ones."""
    first = tables[0]
    for key in prompts:
        for other in tables[1:]:
            if other.prompts[key].text != first.prompts[key].text:
                raise BirthmarkError(
                    f"the prompt {key} of {other.model} is not that of {first.model}: score both with the same --prompts"
                )


def _lost(tables: Sequence[ScoreTable], prompts: Sequence[str], use_words: bool, n_left_out: int) -> list[str]:
    """What is in some tables and not in the map, a line each."""
    said = []
    lost = sorted({key for table in tables for key in table.prompt_keys} - set(prompts))
    if lost:
        said.append(f"{_counted(len(lost), 'prompt')} not in all tables and left out: {some(lost)}")
    if n_left_out:
        said.append(f"{_counted(n_left_out, 'candidate')} not in all tables and left out")
    if use_words and any(table.tokens.height for table in tables):
        said.append("words are what is ranked; the tables' vocabulary tokens are left out")
    return said


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what} is" if n == 1 else f"{n:,} {what}s are"


def _likeness(ranked: Ranked) -> list[Likeness]:
    """Kendall's τ_b, Spearman's ρ and rank-biased overlap of every two models, means over prompts."""
    profiles = [[overlap_profile(ranks, RBO_P) for ranks in of_model] for of_model in ranked.ranks]
    spearman = np.mean([np.corrcoef(ranked.ranks[:, at]) for at in range(len(ranked.prompts))], axis=0)
    return [
        Likeness(
            a=ranked.models[a],
            b=ranked.models[b],
            kendall=float(
                np.mean([scipy.stats.kendalltau(*pair).statistic for pair in zip(*ranked.ranks[[a, b]], strict=True)])
            ),
            spearman=float(spearman[a, b]),
            rbo=float(np.mean([rank_biased_overlap(*pair) for pair in zip(profiles[a], profiles[b], strict=True)])),
        )
        for a, b in combinations(range(len(ranked.models)), 2)
    ]


def _square(values: Sequence[float], n: int) -> np.ndarray:
    """Pairs in the order of `combinations` as a symmetric matrix with ones on its diagonal."""
    return np.asarray(scipy.spatial.distance.squareform(np.asarray(values)) + np.eye(n), dtype=np.float64)


def _places(kendall: np.ndarray, models: Sequence[str], known: Mapping[str, Facts]) -> tuple[list[MapPlace], float]:
    """1 − τ as distances in two dimensions, the map's stress, and the order of an average-linkage tree's leaves."""
    distance = 1.0 - kendall
    np.fill_diagonal(distance, 0.0)
    at = least_stress(distance)
    condensed = scipy.spatial.distance.squareform(distance, checks=False)
    leaves = scipy.cluster.hierarchy.leaves_list(
        scipy.cluster.hierarchy.optimal_leaf_ordering(scipy.cluster.hierarchy.linkage(condensed, "average"), condensed)
    ).tolist()
    places = [
        MapPlace(
            model=model,
            family=known[model].family,
            base_checkpoint=known[model].base_checkpoint,
            x=float(at[row, 0]),
            y=float(at[row, 1]),
            order=leaves.index(row),
        )
        for row, model in enumerate(models)
    ]
    return places, stress(distance, at)


# -------------------------------------------------------------------------------------------------- predictors


def _predictors(kendall: np.ndarray, facts: Sequence[Facts], seed: int) -> tuple[list[Predictor], str | None]:
    """Permutation regression of τ on the same base checkpoint, family and team, and on nearness in size."""
    if len(facts) < 5:
        return [], f"a permutation regression needs five models or more; there are {len(facts)}"
    matrices = {name: matrix for name, matrix in _alike(facts).items() if matrix is not None and _varies(matrix)}
    names: list[str] = []
    for name in matrices:  # in the order of _alike, each that is not a combination of those before it
        if _independent([matrices[other] for other in (*names, name)]):
            names.append(name)
    if not names:
        return [], "no two models differ from the others in base checkpoint, family, team or size as far as is known"
    why = _left_out(matrices, names, facts)
    tests = matrix_regression(kendall, [matrices[name] for name in names], shuffles=SHUFFLES, seed=seed)
    found = [
        Predictor.build(test, predictor=name, n_shuffles=SHUFFLES) for name, test in zip(names, tests, strict=True)
    ]
    return found, why


def _left_out(matrices: Mapping[str, np.ndarray], names: Sequence[str], facts: Sequence[Facts]) -> str | None:
    """Which predictors are not among `names`, and why; None where all are."""
    determined = [name for name in matrices if name not in names]
    unknown = [name for name, matrix in _alike(facts).items() if matrix is None]
    alike = [name for name, matrix in _alike(facts).items() if matrix is not None and not _varies(matrix)]
    reasons = (
        ("as the others determine it", determined),
        ("as it is not known of all models", unknown),
        ("as it is the same for every two models", alike),
    )
    said = "; ".join(f"{reason}: {', '.join(left)}" for reason, left in reasons if left)
    return f"left out, {said}" if said else None


def _alike(facts: Sequence[Facts]) -> dict[str, np.ndarray | None]:
    """Predictor → matrix [models, models]: 1 where two models share it; for size − |log2 of the ratio|."""
    shared = {
        "same base checkpoint": [fact.base_checkpoint for fact in facts],
        "same team": [fact.team for fact in facts],
        "same family": [fact.family for fact in facts],
    }
    found: dict[str, np.ndarray | None] = {
        name: None if None in labels else np.array([[float(a == b) for b in labels] for a in labels])
        for name, labels in shared.items()
    }
    sizes = [fact.parameters for fact in facts]
    known = [size for size in sizes if size is not None]
    logs = np.log2(known) if len(known) == len(sizes) else None
    found["nearness in size"] = None if logs is None else -np.abs(logs[:, None] - logs[None, :])
    return found


def _varies(matrix: np.ndarray) -> bool:
    return bool(np.ptp(matrix[np.triu_indices_from(matrix, 1)]) > 0)


def _independent(matrices: Sequence[np.ndarray]) -> bool:
    rows = np.triu_indices_from(matrices[0], 1)
    columns = np.column_stack([np.ones(len(rows[0])), *(matrix[rows] for matrix in matrices)])
    return bool(np.linalg.matrix_rank(columns) == columns.shape[1])


# ------------------------------------------------------------------------------------------------------ humans


def _agreement(ranked: Ranked, human: HumanRanking) -> dict[str, object]:
    """The fields of `Map` that compare models with people, over the things that both rank."""
    by_people = {clean_text(name): rank for name, rank in human.ranks.items()} | dict(human.ranks)
    rows = [row for row, name in enumerate(ranked.candidates) if name in by_people]
    if len(rows) < 3:
        raise BirthmarkError(
            f"{human.name} and the tables share {len(rows)} things, exactly spelled: score the models with its things"
        )
    names = [ranked.candidates[row] for row in rows]
    people = _ranked_again(np.array([by_people[name] for name in names]))
    models = np.stack([[_ranked_again(ranks[rows]) for ranks in of_model] for of_model in ranked.ranks])
    found = [
        agreement
        for at, model in enumerate(ranked.models)
        for agreement in _model_agreement(model, models[at], people, ranked.prompts, names)
    ]
    over, under = _valued(models.mean(axis=(0, 1)), people, names)
    return {
        "human_file": human.name,
        "n_human": len(rows),
        "humans": found,
        "overvalued": over,
        "undervalued": under,
        "warnings": [*ranked.warnings, *_people_lost(len(rows), len(human.ranks), len(ranked.candidates))],
    }


def _people_lost(n_shared: int, n_human: int, n_candidates: int) -> list[str]:
    """What of either side has no counterpart on the other."""
    said = []
    if n_shared < n_human:
        said.append(f"{n_human - n_shared:,} of the {n_human:,} things that people ranked are not in all tables")
    if n_shared < n_candidates:
        said.append(f"{n_candidates - n_shared:,} of the {n_candidates:,} candidates were not ranked by people")
    return said


def _model_agreement(
    model: str, ranks: np.ndarray, people: np.ndarray, prompts: Sequence[str], names: Sequence[str]
) -> list[HumanAgreement]:
    """One model's agreement after each prompt, and their mean with what it values otherwise; `ranks` [prompts, things]."""
    profile = overlap_profile(people, RBO_P)
    rows = [
        HumanAgreement(
            model=model,
            prompt=prompt,
            kendall=float(scipy.stats.kendalltau(mine, people).statistic),
            spearman=float(np.corrcoef(mine, people)[0, 1]),
            rbo=rank_biased_overlap(overlap_profile(mine, RBO_P), profile),
        )
        for prompt, mine in zip(prompts, ranks, strict=True)
    ]
    over, under = _valued(ranks.mean(axis=0), people, names)
    mean = HumanAgreement(
        model=model,
        prompt=None,
        kendall=float(np.mean([row.kendall for row in rows])),
        spearman=float(np.mean([row.spearman for row in rows])),
        rbo=float(np.mean([row.rbo for row in rows])),
        overvalued=over,
        undervalued=under,
    )
    return [mean, *rows]


def _valued(model_ranks: np.ndarray, people: np.ndarray, names: Sequence[str]) -> tuple[list[Valued], list[Valued]]:
    """The things that models rank most above people, and most below, the furthest first."""
    difference = model_ranks - people
    order = np.argsort(difference, kind="stable").tolist()

    def valued(at: int) -> Valued:
        return Valued(
            name=names[at],
            human_rank=float(people[at]),
            model_rank=float(model_ranks[at]),
            difference=float(difference[at]),
        )

    return [valued(at) for at in order[:SHOWN]], [valued(at) for at in order[::-1][:SHOWN]]


def _ranked_again(ranks: np.ndarray) -> np.ndarray:
    """Ranks among fewer things."""
    return rank(-ranks[:, None])[:, 0]
