"""The claims about the study's own training runs (figures 4a, 4b, A5b), judged from the published median ranks.

A leaning to communion is agency's median rank − communion's, in ranks. A gap is Gemma's leaning minus Llama's: positive in
the published direction. There is one run per base and setting, so these claims are judged as statements about those runs.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from birthmark.paper.training import RANK_FILES, SKYWORK, gap, last_gap, last_points, pairs_of_steps
from birthmark.paper.verdicts import judged, untestable
from birthmark.records import Claim, TrainingPoint
from birthmark.values.formats import percent

Points = Mapping[str, Sequence[TrainingPoint]]
OPEN = 20.0
"""A gap of at most this many ranks (of about 1,450) counts as closed: a tenth of the gaps at 27k and 53k pairs."""
THIRD, SETTLED = 1 / 3, 0.15
"""A gap counts as settled if it moves by no more than this share of its total change in training."""
ONE_RUN = "One run per base model: this describes these runs; it is not a test of families."


def training_claims(points: Points) -> list[Claim]:
    """All claims of this module, from the rank files that are present."""
    return [*_claims_4a(points.get(SKYWORK, [])), *_claims_4b(points)]


# ------------------------------------------------------------------------------------------ one run, over steps


def _claims_4a(points: Sequence[TrainingPoint]) -> list[Claim]:
    gaps = gap(points, "Gemma", "Llama")
    if len(gaps) < 3:
        why = f"{SKYWORK} with Gemma and Llama at three steps or more is not among the files."
        return [untestable(name, why) for name in FIGURE_4A]
    return [_training_direction(points), _widest_at_start(gaps), _narrows(gaps), _stable(gaps)]


def _training_direction(points: Sequence[TrainingPoint]) -> Claim:
    rank = {(p.family, p.category, p.step): p.median_rank for p in points}
    steps = sorted({step for _, _, step in rank})
    agency = [rank["Llama", "Agency", step] < rank["Gemma", "Agency", step] for step in steps]
    communion = [rank["Gemma", "Communion", step] < rank["Llama", "Communion", step] for step in steps]
    as_published = sum(agency) + sum(communion)
    return judged(
        "training-direction",
        reproduced=as_published == 2 * len(steps),
        partly=len(steps) < as_published < 2 * len(steps),
        sentence=f"Llama ranks agency higher at {sum(agency)} and Gemma communion at {sum(communion)} of the {len(steps)} "
        f"saved steps ({steps[0]:,} to {steps[-1]:,}). {ONE_RUN}",
    )


def _widest_at_start(gaps: Mapping[int, float]) -> Claim:
    first = min(gaps)
    widest = max(gaps, key=lambda step: abs(gaps[step]))
    return judged(
        "widest-at-start",
        reproduced=widest == first,
        partly=first > 0 and widest == first,
        sentence=f"The gap is {abs(gaps[first]):g} ranks at step {first:,}, the first that was saved, and widest "
        f"{'there' if widest == first else f'at step {widest:,} ({abs(gaps[widest]):g})'}. "
        + ("Step 0, the start itself, is not in the files." if first > 0 else ONE_RUN),
    )


def _narrows(gaps: Mapping[int, float]) -> Claim:
    first, last = gaps[min(gaps)], gaps[max(gaps)]
    narrows, open_still = abs(last) < abs(first), last * first > 0 and abs(last) > OPEN
    return judged(
        "narrows-not-closes",
        reproduced=narrows and open_still,
        partly=narrows and not open_still,
        sentence=f"The gap falls from {abs(first):g} to {abs(last):g} ranks, {percent(abs(last / first))} of what it was at step "
        f"{min(gaps):,}{'' if open_still else ', and closes or reverses'}. {ONE_RUN}",
    )


def _stable(gaps: Mapping[int, float]) -> Claim:
    first, last = min(gaps), max(gaps)
    later = {step: value for step, value in gaps.items() if step >= last * THIRD}
    change = abs(gaps[last] - gaps[first])
    moves = max(later.values()) - min(later.values())
    settled = moves <= SETTLED * change
    return judged(
        "stable-at-third",
        reproduced=settled,
        sentence=f"From step {min(later):,} on (a third is {last * THIRD:,.0f}) the gap stays between "
        f"{min(later.values()):g} and {max(later.values()):g} ranks: it moves by {percent(moves / change)} of its whole change, "
        f"where at most {percent(SETTLED)} counts as stable. {ONE_RUN}",
    )


FIGURE_4A = ("training-direction", "widest-at-start", "narrows-not-closes", "stable-at-third")

# --------------------------------------------------------------------------------- many runs, at their last step


def _claims_4b(points: Points) -> list[Claim]:
    return [
        _source_minor(points),
        _hundred_thousand(points),
        _more_data(points),
        _point_13k(points),
        _qwen_open(points),
        _grm_open(points),
    ]


def _open_gaps(points: Points, family: str, other: str, source: str | None = None) -> dict[int, float]:
    """Thousands of pairs → gap at the last step, for Bradley–Terry runs; a file that duplicates another counts once."""
    gaps: dict[int, float] = {}
    seen: list[set[tuple[str, str, int, float]]] = []
    for file in RANK_FILES[::-1]:
        mine = points.get(file.name, [])
        rows = {(p.model_id, p.category, p.step, p.median_rank) for p in mine}
        found = last_gap(mine, family, other)
        if file.loss != "BT" or found is None or rows in seen or source not in (None, file.source):
            continue
        seen.append(rows)
        gaps[file.pairs_thousands] = found
    return dict(sorted(gaps.items()))


def _listed(gaps: Mapping[int, float]) -> str:
    return ", ".join(f"{value:g} at {pairs}k" for pairs, value in gaps.items())


def _source_minor(points: Points) -> Claim:
    uf, skywork = (_open_gaps(points, "Gemma", "Llama", source) for source in ("uf", "skywork"))
    if not uf or not skywork:
        return untestable("source-minor", "Runs on both sources are not among the files.")
    shared = sorted(set(uf) & set(skywork))
    if not shared:
        return untestable(
            "source-minor",
            "The two sources were never trained at equal quantities, so source and quantity cannot be told apart: Skywork "
            f"has a gap of {_listed(skywork)} pairs, Unified-Feedback of {_listed(uf)}.",
        )
    apart = max(abs(uf[pairs] - skywork[pairs]) for pairs in shared)
    return judged(
        "source-minor",
        reproduced=apart < OPEN,
        sentence=f"At equal quantities the sources' gaps are up to {apart:g} ranks apart. {ONE_RUN}",
    )


def _hundred_thousand(points: Points) -> Claim:
    gaps = _open_gaps(points, "Gemma", "Llama")
    below = {pairs: value for pairs, value in gaps.items() if pairs < 100}
    above = {pairs: value for pairs, value in gaps.items() if pairs >= 100}
    if not below or not above:
        return untestable("hundred-thousand-needed", "Runs below and above 100k pairs are not among the files.")
    open_below = all(value > OPEN for value in below.values())
    gone_above = all(value <= OPEN for value in above.values())
    turned = min(above.values()) < -OPEN
    grm = last_gap(points.get("rank_results_grm_80k.csv", []), "Gemma", "Llama")
    return judged(
        "hundred-thousand-needed",
        reproduced=open_below and gone_above,
        partly=(open_below or gone_above) and (turned or not (open_below and gone_above)),
        sentence=f"The gap is {_listed(gaps)} pairs"
        + (": past 100k it is not closed but reversed" if turned else "")
        + f". One run past 100k, without a repeat{f'; public GRM models on more pairs have {grm:g}' if grm else ''}.",
    )


def _more_data(points: Points) -> Claim:
    gaps = _open_gaps(points, "Gemma", "Llama", "uf")
    if len(gaps) < 2:
        return untestable("more-data-less-gap", "Runs on two quantities of Unified-Feedback are not among the files.")
    values = list(gaps.values())
    falls = [b < a for a, b in pairwise(values)]
    return judged(
        "more-data-less-gap",
        reproduced=all(falls),
        partly=not all(falls) and values[-1] < values[0],
        sentence=f"On Unified-Feedback the gap is {_listed(gaps)} pairs: it falls in {sum(falls)} of {len(falls)} steps "
        f"between distinct quantities. {ONE_RUN}",
    )


def _point_13k(points: Points) -> Claim:
    mine = points.get("rank_results_uf_13.csv")
    found = last_gap(mine or [], "Gemma", "Llama")
    if not mine or found is None:
        return untestable("point-13k", "rank_results_uf_13.csv with Gemma and Llama is not among the files.")
    last_step = max(point.step for point in last_points(mine))
    seen = pairs_of_steps(last_step)
    twins = [
        file.name
        for file in RANK_FILES
        if file.name != "rank_results_uf_13.csv" and _same(mine, points.get(file.name, []))
    ]
    genuine = not twins and abs(seen - 13) < 2
    return judged(
        "point-13k",
        reproduced=genuine and found > OPEN,
        sentence=(
            f"rank_results_uf_13.csv holds runs of {last_step:,} steps, about {seen:.1f}k pairs"
            + (f", and the same rows as {twins[0]}" if twins else "")
            + f" (models {', '.join(sorted({p.model_id for p in mine}))}): "
            + (f"their gap is {found:g} ranks. {ONE_RUN}" if genuine else "no run on 13k pairs is in the files.")
        ),
    )


def _same(a: Sequence[TrainingPoint], b: Sequence[TrainingPoint]) -> bool:
    return bool(a) and {(p.model_id, p.category, p.step, p.median_rank) for p in a} == {
        (p.model_id, p.category, p.step, p.median_rank) for p in b
    }


def _qwen_open(points: Points) -> Claim:
    against = {other: _open_gaps(points, "Qwen", other) for other in ("Gemma", "Llama")}
    if not all(against.values()):
        return untestable("qwen-open", "Runs from Qwen beside Gemma and Llama are not among the files.")
    values = [value for gaps in against.values() for value in gaps.values()]
    still = [abs(value) > OPEN for value in values]
    words = "; ".join(f"over {other} {_listed(gaps)}" for other, gaps in against.items())
    return judged(
        "qwen-open",
        reproduced=all(still) and len({value > 0 for value in values}) == 1,
        partly=any(still) and not all(still),
        sentence=f"Qwen leans to communion more than both at every quantity, in ranks: {words} pairs. {ONE_RUN}"
        if all(value > OPEN for value in values)
        else f"Qwen's leaning to communion, in ranks: {words} pairs. {ONE_RUN}",
    )


def _grm_open(points: Points) -> Claim:
    mine = points.get("rank_results_grm_80k.csv", [])
    found = last_gap(mine, "Gemma", "Llama")
    if found is None:
        return untestable("grm-open", "rank_results_grm_80k.csv with Gemma and Llama is not among the files.")
    own = [point.model_id for point in mine if point.model_id.startswith("R-")]
    return judged(
        "grm-open",
        reproduced=found > OPEN,
        partly=found > OPEN and bool(own),
        sentence=f"The gap is {found:g} ranks"
        + (
            f", but between {' and '.join(sorted(set(own)))}, public models of another team with other first-stage data "
            "and full fine-tuning: neither the loss nor the quantity is what sets them apart, and no run past 600k pairs "
            "is in the files."
            if own
            else f". {ONE_RUN}"
        ),
    )
