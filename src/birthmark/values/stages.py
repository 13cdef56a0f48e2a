"""Of a reward model's values, how much each earlier stage holds: pretraining, instruction tuning, preference data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Catalog, find_entry, load_catalog
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import (
    Effects,
    Line,
    LineageCell,
    LineageOf,
    LineageStage,
    NotApplicable,
    Stage,
    StageFit,
    Stages,
    StagesOf,
)
from birthmark.scoring.table import ScoreTable
from birthmark.values.joined import Joined, join_tables
from birthmark.values.random_heads import HeadWords
from birthmark.values.ranks import framing_contrast, stems
from birthmark.values.wording_lineage import lineage_sentence
from birthmark.values.wording_training import stages_sentence

NO_HEADS = "no random heads were named: --null DIR is the OUT of birthmark track"


def line_of(
    reward_model: str, models: Sequence[str], stages: Mapping[str, Stage | None], results: Sequence[Effects]
) -> Line:
    """What each lexicon says of `models`, the oldest first and the reward model last.

    `stages` maps models to `pretrained`, `instruct` or `reward`; `results` are the effects of both kinds of score.
    """
    lexicons = list(dict.fromkeys(item.lexicon for item in results))
    return Line(
        reward_model=reward_model,
        models=list(models),
        lexicons=[
            _of_lexicon(models, stages, [item for item in results if item.lexicon == lexicon]) for lexicon in lexicons
        ],
    )


def _of_lexicon(models: Sequence[str], stages: Mapping[str, Stage | None], results: Sequence[Effects]) -> LineageOf:
    found = [_stage(model, stages.get(model), results) for model in models]
    rows = [row for row in found if row is not None]
    item = LineageOf(lexicon=results[0].lexicon, categories=results[0].categories, stages=rows, sentence="")
    return item.model_copy(update={"sentence": lineage_sentence(item)})


def _stage(model: str, stage: Stage | None, results: Sequence[Effects]) -> LineageStage | None:
    for effects in results:
        for contrast in effects.models:
            if contrast.model == model:
                return LineageStage(
                    model=model,
                    stage=stage,
                    kind=effects.kind,
                    frame=contrast.frame,  # type: ignore[arg-type]
                    n_candidates=effects.n_candidates,
                    cells=[
                        LineageCell(
                            category=cell.category,
                            framing=cell.framing,
                            mean_median_rank=cell.mean_median_rank,
                            mean_rank=cell.mean_rank,
                        )
                        for cell in effects.model_cells
                        if cell.model == model
                    ],
                    contrast=contrast.contrast,
                    mean_rank_contrast=contrast.mean_rank_contrast,
                )
    return None


ORDER = ("pretrained", "language model", "instruct")
DRAWS = 1_999


def stages(
    tables: Sequence[ScoreTable],
    lexicon: Lexicon,
    heads: Sequence[HeadWords] = (),
    *,
    catalog: Catalog | None = None,
    seed: int = 0,
) -> Stages:
    """How much of each family's reward models, and of the gap between two families, each earlier stage explains.

    Parameters
    ----------
    tables
        Of each family one or more reward models and its language models, under the same prompts. A language model's stage
        is the catalog's; where that says nothing, a family's only one is `language model`, its first of two `pretrained`
        and its second `instruct`. Models of one stage are averaged.
    heads
        Random heads on each family's base; without them there is no null.

    Per word, numbers are ranked; `spearman` is Pearson's correlation of those ranks, `r_squared` that of their linear
    regression on a stage's ranks and all earlier stages'. Intervals are percentile bootstraps of word stems.

    Raises `BirthmarkError` where prompts lack a framing, a family lacks rewards or a language model, or the two families
    have other stages.
    """
    joined = join_tables_of_stages(tables, lexicon)
    if not joined.is_contrastable:
        raise BirthmarkError("stages are compared by what good and bad things get: score prompts of both framings")
    named = stages_of_tables(tables, catalog if catalog is not None else load_catalog())
    values = framing_contrast(joined.ranks, joined.framings)  # [models, words]
    of_families = {family: _Family.of(family, joined, named, values) for family in joined.families}
    found = [_explain(one, _heads_of(one.name, joined, heads), joined, seed) for one in of_families.values()]
    gap_why = None
    if len(of_families) != 2:
        gap_why = f"a gap is between two families, and the tables are of {len(of_families)}"
    else:
        a, b = of_families.values()
        if list(a.stages) != list(b.stages):
            gap_why = f"{a.name} has the stages {', '.join(a.stages)}, {b.name} {', '.join(b.stages)}"
        else:
            nulls = [_heads_of(one.name, joined, heads) for one in (a, b)]
            null = _gap_of_heads(*nulls) if all(item is not None for item in nulls) else None
            found.append(_explain(_gap(a, b), null, joined, seed))
    return Stages(
        lexicon=lexicon.name,
        families=list(joined.families),
        found=found,
        gap_why=gap_why,
        warnings=list(joined.warnings),
    )


def join_tables_of_stages(tables: Sequence[ScoreTable], lexicon: Lexicon) -> Joined:
    """Ranks of all tables, of both kinds of score: ranks within a model are comparable where scores are not."""
    kinds = {table.record.kind for table in tables}
    if kinds != {"reward", "logprob"}:
        raise BirthmarkError("stages need language models and reward models: name the score tables of both")
    as_one = [
        t.record.model_copy(update={"kind": "reward", "base_checkpoint": t.record.base_checkpoint or t.model})
        for t in tables
    ]  # a base checkpoint plays no part here: nobody need name one
    return join_tables([ScoreTable(t.frame, record) for t, record in zip(tables, as_one, strict=True)], lexicon)


def stages_of_tables(tables: Sequence[ScoreTable], catalog: Catalog) -> list[str]:
    """Each table's stage: `reward`, or a language model's as the catalog or its place in the family says."""
    named: list[str | None] = []
    for table in tables:
        entry = find_entry(catalog, table.model)
        named.append("reward" if table.record.kind == "reward" else (entry.stage if entry else None))
    families = [table.record.family for table in tables]
    for family in set(families):
        unknown = [at for at, stage in enumerate(named) if stage is None and families[at] == family]
        known = [stage for at, stage in enumerate(named) if stage not in (None, "reward") and families[at] == family]
        places = {1: ["language model"], 2: ["pretrained", "instruct"]}
        if known and unknown:
            places[1] = ["instruct"] if known == ["pretrained"] else ["pretrained"]
        if unknown and (len(unknown) not in places or len(unknown) + len(known) > 2):
            raise BirthmarkError(
                f"{family or 'a family'} has {len(unknown)} language models of unknown stages: name their `stage` in a catalog "
                "(--catalog), or give two, the pretrained one first"
            )
        for at, stage in zip(unknown, places.get(len(unknown), []), strict=True):
            named[at] = stage
    return [stage or "" for stage in named]


@dataclass(frozen=True)
class _Family:
    """Values a word, float64 [words], of the reward models and of each earlier stage, in order."""

    name: str
    rewards: np.ndarray
    reward_models: list[str]
    stages: Mapping[str, np.ndarray]
    models: Mapping[str, list[str]]

    @classmethod
    def of(cls, family: str, joined: Joined, named: Sequence[str], values: np.ndarray) -> "_Family":
        at = {stage: [row for row in joined.models_of(family) if named[row] == stage] for stage in (*ORDER, "reward")}
        present = [stage for stage in ORDER if at[stage]]
        if not at["reward"] or not present:
            lacks = "reward model" if present else "language model"
            raise BirthmarkError(f"{family} has no {lacks} among the tables: each family needs both")
        return cls(
            name=family,
            rewards=values[at["reward"]].mean(axis=0),
            reward_models=[joined.models[row] for row in at["reward"]],
            stages={stage: values[at[stage]].mean(axis=0) for stage in present},
            models={stage: [joined.models[row] for row in at[stage]] for stage in present},
        )


def _gap(a: _Family, b: _Family) -> _Family:
    return _Family(
        name=f"{b.name} − {a.name}",
        rewards=b.rewards - a.rewards,
        reward_models=[*a.reward_models, *b.reward_models],
        stages={stage: b.stages[stage] - a.stages[stage] for stage in a.stages},
        models={stage: [*a.models[stage], *b.models[stage]] for stage in a.stages},
    )


def _heads_of(family: str, joined: Joined, heads: Sequence[HeadWords]) -> np.ndarray | None:
    """Values [heads, words] in the order of the joined words; None where the family has none, or lacks a word."""
    return next(
        (found for item in heads if item.family == family and (found := item.of(joined.words)) is not None), None
    )


def _gap_of_heads(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    if a is None or b is None:
        return None
    n = min(len(a), len(b))
    return b[:n] - a[:n]


def _explain(one: _Family, heads: np.ndarray | None, joined: Joined, seed: int) -> StagesOf:
    names = list(one.stages)
    y = _ranked(one.rewards)
    x = np.stack([_ranked(one.stages[name]) for name in names])  # [stages, words]
    alone, cumulative = _fit(y[None], x)
    drawn_alone, drawn_cumulative = _bootstrap(one, joined, seed)
    null_alone = null_cumulative = None
    if heads is not None:
        null_alone, null_cumulative = _fit(_ranked(heads), x)
    fits = []
    for row, name in enumerate(names):
        low, high = np.quantile(drawn_alone[:, row], [0.025, 0.975])
        added, drawn_added = (_added(values, row) for values in (cumulative, drawn_cumulative))
        added_low, added_high = np.quantile(drawn_added, [0.025, 0.975])
        null_added = None if null_cumulative is None else _added(null_cumulative, row)
        null_of = None if null_alone is None else null_alone[:, row]
        fits.append(
            StageFit(
                stage=name,
                models=list(one.models[name]),
                spearman=float(alone[0, row]),
                ci_low=float(low),
                ci_high=float(high),
                null_low=None if null_of is None else float(np.quantile(null_of, 0.025)),
                null_high=None if null_of is None else float(np.quantile(null_of, 0.975)),
                p_null=None if null_of is None else _p(np.abs(null_of), abs(float(alone[0, row]))),
                r_squared=float(cumulative[0, row]),
                added=float(added[0]),
                added_ci_low=float(added_low),
                added_ci_high=float(added_high),
                added_null=None if null_added is None else float(null_added.mean()),
                added_p_null=None if null_added is None else _p(null_added, float(added[0])),
            )
        )
    left_low, left_high = np.quantile(1 - drawn_cumulative[:, -1], [0.025, 0.975])
    result = StagesOf.build(
        of=one.name,
        reward_models=one.reward_models,
        n_words=len(y),
        stages=fits,
        left=float(1 - cumulative[0, -1]),
        left_ci_low=float(left_low),
        left_ci_high=float(left_high),
        n_heads=len(heads) if heads is not None else NotApplicable(NO_HEADS),
        sentence="",
    )
    return result.model_copy(update={"sentence": stages_sentence(result)})


def _ranked(values: np.ndarray) -> np.ndarray:
    """Ranks over words, the last axis."""
    return np.asarray(scipy.stats.rankdata(values, axis=-1), dtype=np.float64)


def _fit(y: np.ndarray, x: np.ndarray, weights: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Correlations with each stage alone, and R² of regressions on the first stages: both [rows of y, stages].

    y [rows, words], x [stages, words], weights [words] count how often a word was drawn.
    """
    w = np.ones(x.shape[1]) if weights is None else weights
    y, x = (np.sqrt(w) * (v - np.average(v, axis=-1, weights=w)[:, None]) for v in (y, x))
    y, x = (v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-12) for v in (y, x))
    alone = y @ x.T
    explained = np.empty_like(alone)
    basis: list[np.ndarray] = []  # of the stages so far, orthonormal
    for row, column in enumerate(x):
        rest = column - sum(((column @ b) * b for b in basis), np.zeros_like(column))
        if np.linalg.norm(rest) > 1e-9:  # else a combination of the stages before
            basis.append(rest / np.linalg.norm(rest))
        explained[:, row] = sum(((y @ b) ** 2 for b in basis), np.zeros(len(y)))
    return alone, explained


def _bootstrap(one: _Family, joined: Joined, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`_fit` of redrawn word stems, ranks kept: both [draws, stages]."""
    _, code = np.unique(stems(joined.words), return_inverse=True)
    n = int(code.max()) + 1
    y, x = _ranked(one.rewards)[None], np.stack([_ranked(values) for values in one.stages.values()])
    counts = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=DRAWS)[:, code]
    fits = [_fit(y, x, weights.astype(np.float64)) for weights in counts]
    return np.concatenate([fit[0] for fit in fits]), np.concatenate([fit[1] for fit in fits])


def _added(cumulative: np.ndarray, row: int) -> np.ndarray:
    return np.asarray(cumulative[:, row] - (cumulative[:, row - 1] if row else 0.0))


def _p(null: np.ndarray, observed: float) -> float:
    return (int((null >= observed * (1 - 1e-9)).sum()) + 1) / (len(null) + 1)
