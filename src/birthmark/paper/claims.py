"""Every claim of the study with its verdict, in the order of the table in `verdicts`."""

from collections.abc import Mapping, Sequence

from birthmark.paper.claims_logprobs import logprob_claims
from birthmark.paper.claims_planted import planted_claim
from birthmark.paper.claims_scores import score_claims
from birthmark.paper.claims_training import training_claims
from birthmark.paper.claims_words import top_ten
from birthmark.paper.data import StudyData
from birthmark.paper.figures import Figures
from birthmark.paper.logprobs import LogprobFigures
from birthmark.paper.movers import movers_claim
from birthmark.paper.verdicts import CLAIMS
from birthmark.records import Claim, TrainingPoint, WordMove
from birthmark.records.planted import PlantedMetric


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
