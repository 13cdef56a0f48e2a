"""One edit of a reward model's head: read the states that it reads, compute the change, measure it on what was held out.

Written is what was measured: contrasts and accuracies are those of the weights as the file's precision holds them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import AnswerTemplate
from birthmark.inputs.lexicons import Lexicon
from birthmark.models.folder import read_json
from birthmark.models.linear_end import LinearEnd, linear_end
from birthmark.models.resolve import ResolvedModel
from birthmark.models.scorers import RewardScorer
from birthmark.progress import note, progress_bar
from birthmark.records import EditMethod, EditTarget, OtherLexicon, SentenceLean
from birthmark.records.edit import Method, Part
from birthmark.scoring.backend import Job
from birthmark.scoring.local import LocalBackend, choose_machine, naming
from birthmark.scoring.measure import Measure
from birthmark.scoring.table import ScoreTable
from birthmark.stats.linear_edit import Covariance, Ridge, choose_ridge, leace, reach, step
from birthmark.training.data import Pair, thin, tokenize_pairs
from birthmark.training.edit_effects import in_sentences
from birthmark.training.heldout import hold_out, pair_rewards
from birthmark.training.sources import Source, count_drops, open_source, read_pairs, scan
from birthmark.values.editing import Asked, ask, lean_change, pair_change
from birthmark.values.ranks import lexicon_scores, stems

FEWEST_PAIRS = 40  # half for the covariance, half to measure on
DEFAULT_PAIRS = 400
OTHER_WORDS = 60  # of a category of the second lexicon
PAIRS_AT_ONCE = 16
NEAR = 1.0  # ranks within which a target counts as reached
PARTS: tuple[tuple[Part, Part], ...] = (
    ("training", "training"),
    ("training", "held-out"),
    ("held-out", "training"),
    ("held-out", "held-out"),
    ("all", "all"),
)


@dataclass(frozen=True)
class EditRequest:
    """What is asked of one edit. `target_table`: of the model whose contrast is the target; `other`: a second lexicon; `templates`: sentences by key."""

    model: ResolvedModel
    measure: Measure
    lexicon: Lexicon
    target: str
    target_ranks: float | None
    target_table: ScoreTable | None
    other: Lexicon | None
    templates: Mapping[str, AnswerTemplate]
    preferences: str
    pairs: int | None
    max_tokens: int


@dataclass(frozen=True)
class PairSample:
    """The pairs of an edit: those for the covariance and those held out (by question), and what was dropped."""

    name: str
    sha256: str | None
    training: list[Pair]
    held_out: list[Pair]
    dropped: dict[str, int]


@dataclass(frozen=True)
class PairStates:
    """States float32 [pairs, 2, hidden], the chosen answer's first; `kept` are the places of the held-out ones in the sample."""

    training: np.ndarray
    held_out: np.ndarray
    kept: list[int]
    dropped: dict[str, int]


@dataclass(frozen=True)
class Edited:
    """A computed edit, with all that its record says. `scores`: rewards before and after, float64 [words, prompts]."""

    end: LinearEnd
    asked: Asked
    rows: np.ndarray
    before: np.ndarray
    wanted: np.ndarray
    exact: np.ndarray
    weights: np.ndarray
    target: EditTarget
    ridge: Ridge
    methods: list[EditMethod]
    scores: np.ndarray
    scores_after: np.ndarray
    sample: PairSample
    pairs: PairStates
    other: OtherLexicon | None = None
    in_sentences: list[SentenceLean] = field(default_factory=list)
    dtype: str = ""
    device: str = ""
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


def sample_pairs(request: EditRequest) -> PairSample:
    """A seeded sample of the preferences, half of it held out. Raises `BirthmarkError` where there are too few."""
    source = open_source(request.preferences)
    found = scan(source)
    fresh = _not_trained_on(request.model, source, found.usable)
    seed, usable = request.measure.seed, len(fresh)
    asked = request.pairs if request.pairs is not None else min(DEFAULT_PAIRS, usable)
    if min(usable, asked) < FEWEST_PAIRS:
        has = f"has {usable:,} usable pairs" if usable < FEWEST_PAIRS else f"gives {asked:,} pairs (--pairs)"
        has += " that the model was not trained on" if usable < len(found.usable) else ""
        raise BirthmarkError(
            f"{source.path or source.name} {has}, and an edit needs {FEWEST_PAIRS} or more: half for the covariance of ordinary "
            "answers, half held out to measure what it costs"
        )
    rows = thin(fresh, pairs=asked, every=None, seed=seed, source=source.name)
    pairs = read_pairs(source, rows)
    questions = len({pair.chosen[:-1] for pair in pairs})
    if questions < FEWEST_PAIRS:
        raise BirthmarkError(
            f"{source.path or source.name} gives {len(pairs):,} pairs of {questions:,} different questions, and an edit needs "
            f"{FEWEST_PAIRS} or more: half of the questions are held out"
        )
    split = hold_out(pairs, questions // 2, seed=seed)
    left_out = {"trained on": len(found.usable) - usable, "a held-out question": split.set_aside}
    dropped = count_drops(found.drops) | {reason: count for reason, count in left_out.items() if count}
    return PairSample(source.name, source.sha256, split.training, split.held_out, dropped)


def _not_trained_on(model: ResolvedModel, source: Source, usable: list[int]) -> list[int]:
    """The usable rows without those that a checkpoint of `birthmark train` was trained on, where its run used this file."""
    places = [model.adapter, *model.adapter.parents[1:2]] if model.adapter else []  # a bundled one has it beside it
    run = next((path for place in places if (path := place / "run.json").is_file()), None)
    if run is None or source.sha256 is None:
        return usable
    record = read_json(run)
    if record.get("source_sha256") != source.sha256:
        return usable
    every = record.get("every")
    pairs = None if every else min(int(record["pairs"]), len(usable))
    trained = thin(usable, pairs=pairs, every=every, seed=int(record["seed"]), source=source.name)
    return sorted(set(usable) - set(trained))


def compute(request: EditRequest) -> Edited:
    """Load the model, and compute and measure the edit; nothing is written.

    Raises `BirthmarkError` for a head that is not linear, too few words, prompts or pairs, and a target out of reach.
    """
    start = perf_counter()
    end = linear_end(request.model)
    sample = sample_pairs(request)
    measure = request.measure
    job = Job(request.model, measure, "chat")
    with LocalBackend().open(job) as session, naming(request.model.name):
        scorer = session.scorer
        assert isinstance(scorer, RewardScorer)
        words = scorer.candidates["candidate"].to_list()
        asked = ask(words, request.lexicon, dict(measure.prompts.prompts), seed=measure.seed)
        states = _word_states(scorer, asked.prompts, measure, words, asked.words)
        pairs = _pair_states(scorer, sample, request)
        found = _edit(end, asked, states, sample, pairs, request)
        other = _other(scorer, found, end, request) if request.other else None
        after, goal = end.stored(found.weights), found.target.ranks or 0.0
        sentences = (
            in_sentences(scorer, end, after, asked, request.templates, measure, goal) if request.templates else []
        )
        facts = session.facts
    return replace(
        found,
        other=other,
        in_sentences=sentences,
        dtype=facts.dtype,
        device=facts.device,
        seconds=perf_counter() - start,
        warnings=facts.warnings,
    )


def own_margins(edited: Edited) -> np.ndarray:
    """z-scored margins of the held-out pairs by the old head, float64 [held-out pairs of the sample]; NaN for a dropped one."""
    rewards = np.full((len(edited.sample.held_out), 2), np.nan)
    rewards[edited.pairs.kept] = _rewards(edited.end, edited.pairs.held_out, edited.end.weights)
    return (rewards[:, 0] - rewards[:, 1]) / float(np.nanstd(rewards))


def margins_of(model: ResolvedModel, edited: Edited, request: EditRequest) -> np.ndarray:
    """The same by another reward model."""
    measure = request.measure
    device, dtype = choose_machine(measure.device, measure.dtype, model.entry)
    found = pair_rewards(
        model,
        edited.sample.held_out,
        device=device,
        dtype=dtype,
        max_tokens=request.max_tokens,
        quiet=measure.quiet,
    )
    return np.asarray(
        found.margins / float(np.nanstd(np.concatenate([found.chosen, found.rejected]))), dtype=np.float64
    )


def _word_states(
    scorer: RewardScorer, prompts: Sequence[str], measure: Measure, scored: Sequence[str], words: Sequence[str]
) -> np.ndarray:
    """The states of some words after some prompts, float32 [words, prompts, hidden]."""
    at = {word: row for row, word in enumerate(scored)}
    rows, texts = [at[word] for word in words], measure.prompts.prompts
    bar = progress_bar(list(prompts), "states of words", unit="prompts", quiet=measure.quiet)
    return np.stack([scorer.states(texts[key].text)[rows] for key in bar], axis=1)


def _pair_states(scorer: RewardScorer, sample: PairSample, request: EditRequest) -> PairStates:
    """The states of both answers of the pairs. Raises `BirthmarkError` where tokenizing leaves too few of them."""
    dropped, found, places = dict(sample.dropped), [], list[int]()
    for name, pairs in (("training", sample.training), ("held-out", sample.held_out)):
        kept, drops = tokenize_pairs(pairs, scorer.encoder, max_tokens=request.max_tokens, cut="left")
        for reason, count in count_drops(drops).items():
            dropped[reason] = dropped.get(reason, 0) + count
        if len(kept) < FEWEST_PAIRS // 2:
            raise BirthmarkError(
                f"{sample.name}: {len(kept)} of the {len(pairs)} {name} pairs are left once all are cut to {request.max_tokens} "
                f"tokens, and an edit needs {FEWEST_PAIRS // 2} or more: give more pairs, or a larger --max-tokens"
            )
        places = [pair.position for pair in kept]
        ids = [side for pair in kept for side in (pair.chosen.ids, pair.rejected.ids)]
        starts = range(0, len(ids), 2 * PAIRS_AT_ONCE)
        bar = progress_bar(list(starts), f"states of {name} pairs", unit="batches", quiet=request.measure.quiet)
        states = np.concatenate([scorer.states_of(ids[at : at + 2 * PAIRS_AT_ONCE]) for at in bar])
        found.append(states.reshape(len(kept), 2, -1))
    return PairStates(found[0], found[1], places, dropped)


def _edit(
    end: LinearEnd, asked: Asked, states: np.ndarray, sample: PairSample, pairs: PairStates, request: EditRequest
) -> Edited:
    """The change of the head, and every way of changing it measured on the same splits."""
    weights, seed = end.weights, request.measure.seed
    rows = asked.differences(states)
    before = rows @ weights
    target = _target(request, asked)
    unit = -before if target.ranks is None else asked.pattern()
    answers = pairs.training.reshape(-1, pairs.training.shape[-1]).astype(np.float64)
    note("choosing the ridge", quiet=request.measure.quiet)
    ridge = choose_ridge(answers, [at for at in range(len(pairs.training)) for _ in range(2)], rows, unit, seed=seed)
    trained = np.ix_(asked.training_words, asked.training_prompts)
    words = states[trained].reshape(-1, states.shape[-1])
    ways: dict[Method, Callable[[], np.ndarray]] = {
        "edit": lambda: step(rows, unit, Covariance.of(answers).solve(rows, ridge.ridge)),
        "projection": lambda: step(rows, unit, rows.T),
        "leace": lambda: leace(rows, unit, words),
    }
    size, found, methods = 1.0, {}, []
    for name, way in ways.items():
        try:
            direction = way()
            size = _size(end, asked, states, direction, target, request.lexicon)
        except BirthmarkError as error:
            if name == "edit":
                raise
            methods.append(EditMethod(method=name, moved=None, lean=[], pairs=None, why=str(error)))
            continue
        found[name] = (weights + size * direction, size)
        methods.append(_measured(name, end, asked, states, pairs, found[name][0], target, seed))
    exact, size = found["edit"]
    return Edited(
        end=end,
        asked=asked,
        rows=rows,
        before=before,
        wanted=before + size * unit,
        exact=rows @ exact,
        weights=exact,
        target=target,
        ridge=ridge,
        methods=methods,
        scores=_rewards(end, states, end.weights),
        scores_after=_rewards(end, states, end.stored(exact)),
        sample=sample,
        pairs=pairs,
    )


def _target(request: EditRequest, asked: Asked) -> EditTarget:
    """The target in ranks; a model's is its own contrast on the training words and prompts."""
    table = request.target_table
    if table is None:
        return EditTarget(asked=request.target, ranks=request.target_ranks, model=None)
    found = lexicon_scores(table, request.lexicon)
    inside = ask(found.words, request.lexicon, {key: table.prompts[key] for key in found.prompts}, seed=0, split=False)
    wanted = {word for word, chosen in zip(asked.words, asked.training_words, strict=True) if chosen}
    keys = {key for key, chosen in zip(asked.prompts, asked.training_prompts, strict=True) if chosen}
    words = np.array([word in wanted for word in inside.words])
    prompts = np.array([key in keys for key in inside.prompts])
    framings = {framing for framing, chosen in zip(inside.framings, prompts, strict=True) if chosen}
    if not inside.member[:, words].any(axis=1).all() or len(framings) < 2:
        raise BirthmarkError(
            f"{table.model} has too few of the lexicon's words or of the prompts to be a target: score it with the same ones"
        )
    columns = [found.prompts.index(key) for key in inside.prompts]
    scores = found.scores[np.ix_([found.words.index(word) for word in inside.words], columns)]
    ranks = inside.lean(scores, words, prompts) / inside.scale(words) * asked.scale(asked.training_words)
    return EditTarget(asked=request.target, ranks=ranks, model=table.model)


def _size(
    end: LinearEnd, asked: Asked, states: np.ndarray, direction: np.ndarray, target: EditTarget, lexicon: Lexicon
) -> float:
    """How far to go: the whole step for `neutral`, else until the contrast on the training words is the target.

    Raises `BirthmarkError` for a target that no length of the step brings within a rank.
    """
    if target.ranks is None:
        return 1.0
    old, new = (_rewards(end, states, each) for each in (end.weights, direction))

    def lean(size: float) -> float:
        return asked.lean(old + size * new, asked.training_words, asked.training_prompts)

    size, (low, high) = reach(lean, target.ranks, unit=float(old.std()) or 1.0)
    got = lean(size)
    if abs(got - target.ranks) > NEAR:
        raise BirthmarkError(
            f"the target of {target.ranks:.1f} ranks is out of reach: a change of the head brings the contrast of "
            f"{' and '.join(asked.categories)} on the training words of {lexicon.name} to between {low:.1f} and {high:.1f}"
        )
    return size


def _rewards(end: LinearEnd, states: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Rewards of states [..., hidden] by these weights, float64 [...]."""
    return end.rewards(states.reshape(-1, states.shape[-1]), weights).reshape(states.shape[:-1])


def _measured(
    name: Method,
    end: LinearEnd,
    asked: Asked,
    states: np.ndarray,
    pairs: PairStates,
    weights: np.ndarray,
    target: EditTarget,
    seed: int,
) -> EditMethod:
    """A way's leans on all parts and its rewards of the held-out pairs, by the weights as a file holds them."""
    stored = end.stored(weights)
    before, after = (_rewards(end, states, each) for each in (end.weights, stored))
    wanted = target.ranks or 0.0
    return EditMethod(
        method=name,
        moved=float(np.linalg.norm(stored - end.weights) / np.linalg.norm(end.weights)),
        lean=[lean_change(asked, before, after, parts, wanted, seed) for parts in PARTS],
        pairs=pair_change(_rewards(end, pairs.held_out, end.weights), _rewards(end, pairs.held_out, stored), seed),
    )


def _other(scorer: RewardScorer, found: Edited, end: LinearEnd, request: EditRequest) -> OtherLexicon | None:
    """The contrast of a lexicon that was not used, before and after, on held-out prompts and words that were not seen."""
    lexicon, measure = request.other, request.measure
    assert lexicon is not None
    seen = set(stems(w for w, chosen in zip(found.asked.words, found.asked.training_words, strict=True) if chosen))
    fresh = [word for word, root in zip(lexicon.words, stems(lexicon.words), strict=True) if root not in seen]
    taken = _some_words(fresh, lexicon, measure.seed)
    if not taken:
        return None
    beside = RewardScorer(scorer.model, scorer.encoder, scorer.engine, taken, None, scorer.head, scorer.reading)
    keys = [key for key, used in zip(found.asked.prompts, found.asked.training_prompts, strict=True) if not used]
    words = beside.candidates["candidate"].to_list()
    asked = ask(words, lexicon, {key: measure.prompts.prompts[key] for key in keys}, seed=measure.seed, split=False)
    if not asked.member.any(axis=1).all():
        return None
    states = _word_states(beside, asked.prompts, measure, words, asked.words)
    before, after = (_rewards(end, states, each) for each in (end.weights, end.stored(found.weights)))
    return OtherLexicon(
        lexicon=lexicon.name,
        sha256=lexicon.sha256,
        categories=list(asked.categories),
        left_out=len(lexicon.words) - len(fresh),
        lean=lean_change(asked, before, after, ("all", "all"), 0.0, measure.seed),
    )


def _some_words(words: Sequence[str], lexicon: Lexicon, seed: int) -> list[str]:
    """At most `OTHER_WORDS` words of each category, drawn by the seed."""
    rng = np.random.default_rng([seed, 4])
    found: Mapping[str, tuple[str, ...]] = lexicon.match(words)
    chosen: set[str] = set()
    for category in lexicon.categories:
        inside = sorted(word for word in words if category in found.get(word, ()))
        chosen |= {str(word) for word in rng.permutation(inside)[:OTHER_WORDS]}
    return [word for word in words if word in chosen]
