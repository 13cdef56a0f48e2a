"""The published study once more: its figures, its slips and a verdict on each of its claims, as one record.

Reads the study's files and nothing else, but for one claim that they cannot tell: there it takes what was planted here.
The record is all that the report, the figures and the table of claims need.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from birthmark.paper.claims import all_claims
from birthmark.paper.curves import SKYWORK, figure_4b, training_points
from birthmark.paper.data import COMMIT, REPOSITORY, StudyData, study_data
from birthmark.paper.figures import figures
from birthmark.paper.logprobs import logprob_figures
from birthmark.paper.movers import word_moves
from birthmark.paper.slips import data_notes
from birthmark.records import Replication
from birthmark.records.planted import PlantedMetric

Progress = Callable[[str], None]


def replicate_study(
    data: Path | StudyData | None,
    *,
    seed: int = 0,
    planted: Sequence[PlantedMetric] = (),
    progress: Progress | None = None,
) -> Replication:
    """Replicate the study from `data`, a clone of its repository or files already found; fetched where it is None.

    `seed` drives bootstraps and drawn permutations; the same seed and files give the same record. `planted` is what
    `calibrate planted` found (`planted_metrics`), the one thing from elsewhere: figure A3 has no files. `progress` is told
    in a line what is being done. About 20 s on two cores, once the files are there.

    Raises `BirthmarkError` where the ten reward models' scores or their lexicons are absent or damaged, or where
    fetching fails. Figures and claims whose other files are absent are empty and `not testable here`.
    """
    say = progress or (lambda line: None)
    study = data if isinstance(data, StudyData) else study_data(data, progress)
    say("ranking the reward models' words: figures 1 and A1")
    found = figures(study, seed)
    say("reading log-probabilities and training runs: figures 2 to 5")
    logprobs = logprob_figures(study)
    points = training_points(study)
    moves = word_moves(study)
    say("checking the published files for slips")
    notes = data_notes(study, found)
    say("judging the claims")
    return Replication(
        data=f"github.com/{REPOSITORY}@{COMMIT}" if study.fetched else str(study.root),
        not_as_published=study.not_as_published,
        figure_1a=found.figure_1a,
        figure_1b_as_published=found.figure_1b_as_published,
        figure_1b_all_columns=found.figure_1b_all_columns,
        figure_a1a=found.figure_a1a,
        figure_a1b=found.figure_a1b,
        figure_2=logprobs.figure_2,
        figure_3=logprobs.figure_3,
        table_1=logprobs.table_1,
        figure_4a=points.get(SKYWORK, []),
        figure_4b=figure_4b(points),
        figure_5=moves,
        claims=all_claims(study, found, logprobs, points, moves, planted),
        data_notes=notes,
    )
