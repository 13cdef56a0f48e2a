"""`birthmark replicate`: the published study from its data, every claim with its verdict, in the order of the table in `verdicts`.

Reads the study's files and nothing else, but for one claim that they cannot tell: there it takes what was planted here.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Unpack

from birthmark.commands.calibrate import Clone, read_planted
from birthmark.files import write_text
from birthmark.paper.claims_logprobs import logprob_claims
from birthmark.paper.claims_scores import score_claims, top_ten
from birthmark.paper.claims_training import training_claims
from birthmark.paper.data import COMMIT, REPOSITORY, StudyData, study_data
from birthmark.paper.data_issues import data_notes
from birthmark.paper.logprobs import LogprobFigures, logprob_figures
from birthmark.paper.scores import Figures, figures
from birthmark.paper.training import SKYWORK, figure_4b, movers_claim, training_points, word_moves
from birthmark.paper.verdicts import CLAIMS, planted_claim
from birthmark.progress import note
from birthmark.records import Claim, Replication, TrainingPoint, WordMove, to_json
from birthmark.records.calibration import PlantedMetric
from birthmark.scoring.declarations import Option, with_options
from birthmark.scoring.options import QuietOptions, SeedOptions, out_option
from birthmark.study import open_study


def all_claims(
    study: StudyData,
    found: Figures,
    logprobs: LogprobFigures,
    points: Mapping[str, Sequence[TrainingPoint]],
    moves: Sequence[WordMove],
    planted: Sequence[PlantedMetric],
) -> list[Claim]:
    """One `Claim` for every id of `CLAIMS`."""
    claims = [
        *score_claims(found),
        top_ten(study.top_tokens, study.lexicon("dict_big2_nouns")),
        *logprob_claims(logprobs),
        planted_claim(planted),
        *training_claims(points),
        movers_claim(moves),
    ]
    by_id = {claim.id: claim for claim in claims}
    return [by_id[claim_id] for claim_id in CLAIMS]


Progress = Callable[[str], None]


class ReplicateOptions(SeedOptions, QuietOptions, total=False):
    """What `replicate` shares with other commands."""


@with_options
def replicate(
    data: Clone = None,
    *,
    planted: Annotated[
        "str | Path | None",
        Option(
            "What birthmark calibrate planted wrote: it judges the claim that has no published files.",
            None,
            metavar="DIR",
            command_line=Path,
            place="name",
        ),
    ] = None,
    out: Annotated["str | Path", out_option()] = "birthmark-replicate",
    **options: Unpack[ReplicateOptions],
) -> Replication:
    """Replicate the published study from a clone of its repository, or from fetched files: figures, data issues, verdicts.

    `planted`: a folder that `calibrate("planted")` wrote, or its `calibration.json`: it decides the claim that MWLR finds
    planted words best, for which no file is published.
    """

    def say(text: str) -> None:
        note(text, quiet=options["quiet"])

    given = read_planted(Path(planted)) if planted else None
    found = study_data(Path(data) if data is not None else None, say)
    seed = options["seed"]
    study = open_study(Path(out), "replicate", {"data": str(data) if data else "fetched", "seed": seed})
    for path, digest in found.digests.items():
        study.add_input("published file", path, digest)
    study.record.asked["planted"] = str(planted) if planted else None
    if given:
        study.add_input("planted calibration", given.path.name, given.sha256, given.path)
    with study.timed("replicate"):
        record = replicate_study(found, seed=seed, planted=given.metrics if given else (), progress=say)
    write_text(study.out / "replication.json", to_json(record))
    study.finish([], quiet=options["quiet"])
    return record


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
    say("checking the published files for issues")
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
