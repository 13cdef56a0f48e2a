"""`choice.json`: what the trainings of `choose` show of each base, what is told apart, and what it would take."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.inputs.lexicons import Lexicon
from birthmark.records import Choice, NotApplicable, Track, read_record
from birthmark.records.choice import ChoiceBase, ChoiceLean, Forecast
from birthmark.scoring.measure import Measure
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.values.choosing import (
    Leanings,
    accuracies,
    differences,
    distances,
    language_leans,
    leans,
    nearer_bases,
    what_it_takes,
)
from birthmark.values.forecasts import History, forecasts
from birthmark.values.joined import Joined, join_tables
from birthmark.values.random_heads import read_head_words
from birthmark.values.wording_choice import best_of, lean_sentence, nearest_of, verdict

if TYPE_CHECKING:
    from birthmark.training.contest import Contest
    from birthmark.values.choosing import Trained


def choice_of(
    contest: "Contest",
    folder: Path,
    measure: Measure,
    lexicons: Sequence[Lexicon],
    audited: Sequence[ScoreTable],
    trained: "Sequence[Trained]",
    dropped: int,
    target: str | None,
    targets: Mapping[str, float],
    tables: Sequence[ScoreTable] | None,
) -> Choice:
    """All that the page of `choose` says, from the audit of the bases, the trained models and their track in `folder`.

    `targets`: lexicon → the contrast aimed at. `tables`: the history, None where no folder was given.
    """
    of_model = {table.record.digests.weights: table for table in audited if table.record.digests is not None}
    languages = [(item.label, of_model[item.model.digests.weights]) for item in contest.candidates]
    joined, leanings = _leanings(contest, folder, lexicons, trained, measure.seed)
    most = contest.pairs[-1]
    accuracy = accuracies(trained)
    found = [lean for leaning in leanings for lean in leans(leaning, measure.seed)]
    apart = differences(trained, leanings, measure.seed)
    labels = [item.label for item in contest.candidates]
    last = [row for row in apart if row.pairs == most]
    best, best_why = best_of(
        [row for row in last if row.measured == "accuracy"], [item for item in accuracy if item.pairs == most]
    )
    near = nearer_bases(leanings, labels, most, targets, measure.seed)
    first = [row for row in near if row.lexicon == leanings[0].lexicon]
    nearest, nearest_why = nearest_of(first, labels) if targets else (None, "no target was given")
    after = [item for item in found if item.pairs == most]
    ahead = _forecast(tables, languages, lexicons, after)
    ends = {lexicon.name: sorted(lexicon.categories) for lexicon in lexicons}
    return Choice.build(
        bases=[
            ChoiceBase(
                base=item.label,
                name=item.model.name,
                family=item.model.family or item.label,
                weights=item.model.digests.weights,
                chat_template=item.template,
                frame=str(table.record.frame),
            )
            for item, (_, table) in zip(contest.candidates, languages, strict=True)
        ],
        preferences=contest.source.name,
        pairs=contest.pairs,
        seeds=contest.seeds,
        held_out=trained[0].correct.shape[1],
        held_out_dropped=dropped,
        questions=len(contest.split.training),
        lexicons=[lexicon.name for lexicon in lexicons],
        language=[row for lexicon in lexicons for row in language_leans(languages, lexicon, measure.seed)],
        accuracies=accuracy,
        leans=found,
        differences=apart,
        needed=what_it_takes(apart, trained, leanings),
        target=target,
        distances=distances(found, most, targets),
        nearer=near,
        best=best,
        best_why=best_why,
        nearest=nearest,
        nearest_why=nearest_why,
        forecasts=ahead,
        sentences=[
            verdict(best, best_why, nearest, nearest_why, target),
            *(row.sentence for row in last),
            *(lean_sentence(item, ends[item.lexicon]) for item in after),
        ],
        warnings=_warnings(contest, dropped, joined),
    )


def _leanings(
    contest: "Contest", folder: Path, lexicons: Sequence[Lexicon], trained: "Sequence[Trained]", seed: int
) -> tuple[list[Joined], list[Leanings]]:
    """The reward models' last checkpoints joined under each lexicon, from the track in `folder`."""
    tracked = {run.run: run for run in read_record(folder / "track" / "track.json", Track).runs}
    tables: list[ScoreTable] = []
    rows: dict[tuple[str, int], list[int]] = {}
    for item in trained:
        rows[item.cell] = list(range(len(tables), len(tables) + len(item.runs)))
        for run in item.runs:
            slug = tracked[run].tables[-1]
            table = read_scores(folder / "track" / "scores" / f"{slug}.parquet")
            labels = {"model": slug, "family": tracked[run].family, "base_checkpoint": item.base}
            tables.append(ScoreTable(table.frame, table.record.model_copy(update=labels)))
    of_lexicon, found = [], []
    for lexicon in lexicons:
        joined = join_tables(tables, lexicon)
        heads = {
            item.base: item.contrasts(lexicon, joined.words) for item in read_head_words(folder / "track", lexicon.name)
        }
        known = {base: values for base, values in heads.items() if values is not None}
        of_lexicon.append(joined)
        found.append(Leanings.of(joined, lexicon.name, rows, contest.seeds, known))
    return of_lexicon, found


def _forecast(
    tables: Sequence[ScoreTable] | None,
    languages: Sequence[tuple[str, ScoreTable]],
    lexicons: Sequence[Lexicon],
    after: Sequence[ChoiceLean],
) -> list[Forecast] | NotApplicable:
    if tables is None:
        return NotApplicable("no history of other bases was given (--history FOLDER)")
    history = History.of(tables, str(languages[0][1].record.frame))
    found: list[Forecast] = []
    for lexicon in lexicons:
        of_lexicon = forecasts(history, languages, lexicon, after)
        if isinstance(of_lexicon, NotApplicable):
            return of_lexicon
        found += of_lexicon
    return found


def _warnings(contest: "Contest", dropped: int, joined: Sequence[Joined]) -> list[str]:
    said = [
        f"{item.label} has no chat template of its own: its reward models are trained and read with the bundled `plain`"
        for item in contest.candidates
        if item.template == "plain"
    ]
    if dropped:
        said.append(
            f"{dropped} held-out pairs are left out for all bases: one of them cannot tell the two answers apart"
        )
    if len(contest.seeds) < 2:
        said.append("one seed: nothing can be told apart, since the spread over seeds is not known")
    return [*said, *sorted({text for item in joined for text in item.warnings})]
