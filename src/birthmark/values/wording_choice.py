"""Findings about a choice of bases: what is told apart and what is not, what it would take, which base may be named.

Records in, sentences out.
"""

from collections.abc import Sequence

from birthmark.records.choice import ChoiceAccuracy, ChoiceLean, Difference, Forecast, Nearer, Needed
from birthmark.values.formats import interval, listed, p_words, percent, plural, signed


def points(value: float) -> str:
    """A difference of shares in percentage points: `+4.2 points`."""
    return f"{signed(100 * value)} points"


def difference_sentence(row: Difference) -> str:
    """Whether two bases are told apart, by how much, and over what."""
    after = f"after {plural(row.pairs, 'pair')}"
    scale = 100 if row.measured == "accuracy" else 1
    over = "held-out pairs" if row.measured == "accuracy" else "words"
    size = points(row.difference) if row.measured == "accuracy" else f"{signed(row.difference)} ranks"
    what = "accuracies" if row.measured == "accuracy" else f"leans on {row.lexicon}"
    held = [
        f"{interval(scale * low, scale * high)} over {name}"
        for name, low, high in ((over, row.sample_low, row.sample_high), ("seeds", row.seeds_low, row.seeds_high))
        if low is not None and high is not None
    ]
    between = f"{row.base_b} − {row.base_a}: {'; '.join([size, *held])}"
    if row.told_apart:
        said = f"the two {what} are told apart {after} ({between}; {p_words(row.p_holm)})"
    else:
        why = row.seeds_why or row.sample_why
        said = f"the two {what} cannot be told apart {after} ({between})" + (f": {why}" if why else "")
    if row.outside_heads is not None:
        inside = "outside" if row.outside_heads else "within"
        said += f"; the difference is {inside} what random heads give ({interval(row.heads_low, row.heads_high)})"
    return f"{row.base_a} and {row.base_b}: {said}."


def lean_sentence(item: ChoiceLean, ends: Sequence[str]) -> str:
    """A base's lean against random heads; `ends` are the lexicon's two categories."""
    towards = "" if abs(item.lean) < 0.05 else f" towards {ends[0] if item.lean < 0 else ends[1]}"
    said = (
        f"{item.base}'s lean on {item.lexicon} after {plural(item.pairs, 'pair')}, {signed(item.lean)} ranks{towards}"
    )
    if item.outside_heads is None:
        return f"{said}, has no random heads to be held against: {item.heads_why}."
    inside = "outside" if item.outside_heads else "within"
    return f"{said}, is {inside} what random heads give ({interval(item.heads_low, item.heads_high)})."


def accuracy_sentence(item: ChoiceAccuracy) -> str:
    """A base's accuracy with its intervals, and whether it is better than guessing."""
    over_seeds = (
        f"{interval(100 * item.seeds_low, 100 * item.seeds_high)} over seeds"
        if item.seeds_low is not None and item.seeds_high is not None
        else f"no interval over seeds, since {item.seeds_why}"
    )
    guess = "" if item.pairs_low > 0.5 else "; not told apart from guessing"
    return (
        f"{item.base} after {plural(item.pairs, 'pair')}: right on {percent(item.accuracy, 1)} of {item.held_out:,} held-out "
        f"pairs ({interval(100 * item.pairs_low, 100 * item.pairs_high)} over pairs, {over_seeds}){guess}."
    )


def needed_sentence(item: Needed, row: Difference) -> str:
    """What it would take to tell the two apart, if they differ by as much as they seem to."""
    what = "accuracies" if item.measured == "accuracy" else f"leans on {item.lexicon}"
    size = points(item.difference) if item.measured == "accuracy" else f"{signed(item.difference)} ranks"
    of = f"{item.base_a} and {item.base_b}, {what}"
    if row.told_apart:
        said = f"{of}: told apart already"
    else:
        parts = [
            *([f"{plural(item.seeds, 'seed')}"] if item.seeds else [f"seeds: {item.seeds_why}"]),
            *([f"{plural(item.held_out, 'held-out pair')}"] if item.held_out else []),
        ]
        if item.measured == "accuracy" and not item.held_out:
            parts.append(f"held-out pairs: {item.held_out_why}")
        said = f"{of}: if they differ by {size} as they seem to, 80% power takes {listed(parts)}"
    if item.detectable is not None:
        least = f"{100 * item.detectable:.1f} points" if item.measured == "accuracy" else f"{item.detectable:.1f} ranks"
        said += f"; these seeds would find {least}"
    if item.bases:
        said += f"; for the same of two families, {plural(item.bases, 'base checkpoint')} a family"
    return f"{said}."


def best_of(rows: Sequence[Difference], found: Sequence[ChoiceAccuracy]) -> tuple[str | None, str | None]:
    """The base whose accuracy is told apart from every other's and above them, or why none is named."""
    first = max(found, key=lambda item: item.accuracy)
    of_first = [row for row in rows if first.base in (row.base_a, row.base_b)]
    open_ = sorted({({row.base_a, row.base_b} - {first.base}).pop() for row in of_first if not row.told_apart})
    if not open_:
        return first.base, None
    if len(first.by_seed) < 2:
        return None, "with one seed the spread over seeds is not known"
    return None, f"{first.base} has the highest accuracy, which cannot be told apart from that of {listed(open_)}"


def nearest_of(rows: Sequence[Nearer], bases: Sequence[str]) -> tuple[str | None, str | None]:
    """The base that is nearer to the target than every other, or why none is named."""
    for base in bases:
        of_base = [row for row in rows if base in (row.base_a, row.base_b)]
        if of_base and all(row.nearer == base for row in of_base):
            return base, None
    return None, "which base is nearest to the target cannot be told over words and seeds"


def verdict(
    best: str | None, best_why: str | None, nearest: str | None, nearest_why: str | None, target: str | None
) -> str:
    """Which base the measurements name, if any."""
    accuracy = f"{best} is the most accurate" if best else f"No base is named for its accuracy: {best_why}"
    if target is None:
        return f"{accuracy}. No target was given, so none is named for its lean."
    if best and best == nearest:
        return f"{best} is both the most accurate and the nearest to the target, {target}."
    lean = (
        f"{nearest} is the nearest to the target, {target}" if nearest else f"none is named for its lean: {nearest_why}"
    )
    joined = "; " if best is None or nearest is None else ", and "
    return f"{accuracy}{joined}{lean}."


def forecast_sentence(item: Forecast) -> str:
    """What a reward model's lean is forecast to be, and whether this study's fell there."""
    said = (
        f"{item.base}: a reward model on it is forecast to lean {signed(item.forecast)} ranks on {item.lexicon} "
        f"({interval(item.low, item.high)}, {percent(item.level)} of new base checkpoints; from "
        f"{item.reward_models:,} reward models on {item.bases} base checkpoints)"
    )
    if item.seen is None:
        return f"{said}."
    return f"{said}; here it is {signed(item.seen)}, {'inside' if item.held else 'outside'}."
