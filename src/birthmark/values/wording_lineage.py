"""Findings about lines of descent, from a base model to a reward model, and about personas.

Records in, sentences out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mean

from birthmark.records import HeadsNull, LineageOf, LineageStage, Personas, PublishedValues
from birthmark.values.formats import capital, listed, places
from birthmark.values.wording import Finding
from birthmark.values.wording_families import ASKED

STAGES = {"pretrained": "pretrained", "instruct": "instruction-tuned", "reward": "reward model", None: "–"}
ONE_LINE = "One line of descent shows what was passed on, not how sure that is."
EVEN = 0.5  # ranks below which a model leans to neither side


def lineage_sentence(item: LineageOf) -> str:
    """The finding on a line of descent; with more than two categories, what the table beside it holds."""
    if has_leanings(item):
        return line_finding(item).text
    return lineage_said(item)


def lineage_said(item: LineageOf) -> str:
    """The same without what holds of every line of descent, for a page with several."""
    if has_leanings(item):
        return line_finding(item).said
    return f"The ranks of {item.lexicon}'s categories, from the oldest model to the reward model."


def has_leanings(item: LineageOf) -> bool:
    """Whether every model of a line, two or more, leans to one of two categories or to neither."""
    values = [stage.mean_rank_contrast for stage in item.stages]
    return len(item.categories) == 2 and len(values) > 1 and None not in values


def line_finding(item: LineageOf) -> Finding:
    """Where the reward model leans, where the models that it descends from do, and what that leaves open."""
    oldest, newest = item.stages[0], item.stages[-1]
    born, now = _leaning_side(item, oldest), _leaning_side(item, newest)
    if now == born:
        title = (
            f"{newest.model} leans to {now}, as {oldest.model} does" if now else f"{newest.model} leans to neither side"
        )
    else:
        title = f"{newest.model} leans to {now or 'neither side'}, {oldest.model} to {born or 'neither side'}"
    leans = [f"{stage.model} ({STAGES[stage.stage]}) {lean_words(item, stage)}" for stage in item.stages]
    return Finding(
        title,
        f"{ASKED}, {listed(leans)}, in rankings of {_words(item.stages)} words.",
        f"{ONE_LINE} Ranks of rewards and of log-probabilities are shown side by side and never pooled.",
    )


def lines_finding(items: Sequence[LineageOf], nulls: Mapping[str, HeadsNull]) -> Finding:
    """The finding on one line of descent or several, by whether a reward model leans further than random heads do."""
    if len(items) == 1:
        found, newest = line_finding(items[0]), items[0].stages[-1]
        null = nulls.get(newest.model)
        if null is None or not null.holds(newest.mean_rank_contrast):
            return found
        return replace(found, title=f"{newest.model} leans no further than random heads do")
    rewards = [item.stages[-1] for item in items]
    beyond = [stage for stage in rewards if _is_beyond(stage, nulls)]
    if beyond:
        leans = [f"{stage.model} {lean_words(items[0], stage)}" for stage in beyond]
        title = f"{listed(leans)}: further than random heads do"
    elif all(stage.model in nulls for stage in rewards):
        title = f"{'Neither' if len(rewards) == 2 else 'No'} reward model leans further than random heads do"
    else:
        title = f"What {listed([stage.model for stage in rewards])} have from their bases"
    of_lines = [
        listed([f"{stage.model} ({STAGES[stage.stage]}) {lean_words(item, stage)}" for stage in item.stages])
        for item in items
    ]
    words = _words([stage for item in items for stage in item.stages])
    return Finding(
        title,
        f"{ASKED}, in rankings of {words} words: {'; '.join(of_lines)}.",
        "A line of descent shows what was passed on, not how sure that is. Ranks of rewards and of log-probabilities "
        "are shown side by side and never pooled.",
    )


def _words(stages: Sequence[LineageStage]) -> str:
    """`120`, or `54 or 186` where language models and reward models share fewer words with their like."""
    return listed([f"{n:,}" for n in sorted({stage.n_candidates for stage in stages})], "or")


def _is_beyond(stage: LineageStage, nulls: Mapping[str, HeadsNull]) -> bool:
    null = nulls.get(stage.model)
    return null is not None and not null.holds(stage.mean_rank_contrast)


def published_sentence(values: PublishedValues) -> str:
    """What the ten published reward models show, by family over base checkpoints, for those who see nothing in small ones."""
    lexicon = values.lexicons[0]
    _, second = lexicon.categories
    of_family: dict[str, dict[str, list[float]]] = {}
    for model in lexicon.models:
        if model.mean_rank_contrast is not None and model.family is not None:
            of_family.setdefault(str(model.family), {}).setdefault(str(model.base_checkpoint), []).append(
                model.mean_rank_contrast
            )
    said = [
        f"{mean(mean(of_base) for of_base in bases.values()):+.0f} for {family} ({len(bases)} base checkpoints)"
        for family, bases in sorted(of_family.items())
    ]
    return (
        f"The ten published reward models, of 2 to 27 billion parameters, all move {second.lower()} words ahead when good "
        f"things are asked for, in ranks of {lexicon.n_words} nouns: {listed(said)}. So few base checkpoints cannot tell the "
        "families apart at the 5% level. To place a model among them: birthmark audit RM --among study"
    )


def _leaning_side(item: LineageOf, stage: LineageStage) -> str | None:
    value = stage.mean_rank_contrast or 0.0
    return None if abs(value) < EVEN else item.categories[0 if value < 0 else 1].lower()


def lean_words(item: LineageOf, stage: LineageStage) -> str:
    side = _leaning_side(item, stage)
    return f"leans to {side} by {places(stage.mean_rank_contrast or 0.0)}" if side else "leans to neither side"


def personas_sentence(record: Personas) -> str:
    """The largest shift in words."""
    moved = [item for item in record.leanings if item.shift is not None and item.persona != record.neutral]
    others = [f"“{name}”" for name in record.systems if name != record.neutral]
    if not moved:
        return f"{capital(listed(others))} beside the control “{record.neutral}”: these word lists give no leaning to compare."
    most = max(moved, key=lambda item: abs(item.shift or 0.0))
    towards = most.categories[0 if (most.shift or 0.0) < 0 else 1].lower() if len(most.categories) == 2 else "one side"
    return (
        f"Compared with the control “{record.neutral}”, the persona “{most.persona}” moves {most.model} furthest: "
        f"{places(most.shift or 0.0)} towards {towards} by the word list {most.lexicon}. A shift is "
        "what a persona adds to a neutral system prompt; no test shows here which shifts exceed chance in the choice of words."
    )
