"""The verdicts: the rule, what the published files give, and that swapped family labels turn the directional ones."""

from collections.abc import Callable
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.paper.claims_scores import count_words, score_claims, top_ten
from birthmark.paper.claims_training import training_claims
from birthmark.paper.data import StudyData, study_data
from birthmark.paper.scores import Figures, figures
from birthmark.paper.training import training_points
from birthmark.paper.verdicts import CLAIMS, judged, untestable
from birthmark.records import Claim

Edit = Callable[[str, Callable[[str], str]], None]
TRAINING = "data/reward_model_training"
SWAPPED_FILES = {
    "Skywork_Skywork-Reward-Gemma-2-27B-v0.2": "Skywork_Skywork-Reward-Llama-3.1-8B-v0.2",
    "nicolinho_QRM-Gemma-2-27B": "nicolinho_QRM-Llama3.1-8B",
    "Ray2333_GRM-gemma2-2B-rewardmodel-ft": "Ray2333_GRM-Llama3.2-3B-rewardmodel-ft",
    "Skywork_Skywork-Reward-Gemma-2-27B": "Ray2333_GRM-Llama3-8B-rewardmodel-ft",
}


def by_id(claims: list[Claim]) -> dict[str, Claim]:
    return {claim.id: claim for claim in claims}


def swap_labels(text: str) -> str:
    return text.replace('"Gemma"', "?").replace('"Llama"', '"Gemma"').replace("?", '"Llama"')


# --------------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("claim_id", "reproduced", "supported", "partly", "verdict"),
    [
        ("positive-agency", True, True, False, "holds"),
        ("positive-agency", True, False, False, "partly"),
        ("positive-agency", True, None, False, "partly"),
        ("positive-agency", False, False, False, "fails"),
        ("positive-agency", False, False, True, "partly"),
        ("training-direction", True, None, False, "holds"),
        ("training-direction", True, None, True, "partly"),
        ("training-direction", False, None, False, "fails"),
    ],
)
def test_the_rule(claim_id: str, reproduced: bool, supported: bool | None, partly: bool, verdict: str) -> None:
    claim = judged(claim_id, reproduced=reproduced, supported=supported, partly=partly, sentence="")
    assert claim.verdict == verdict


def test_what_cannot_be_tested_has_no_findings() -> None:
    claim = untestable("movers", "absent")
    assert (claim.reproduced, claim.supported, claim.verdict) == (None, None, "not testable here")


# --------------------------------------------------------------------------------------------- the reward models


def test_the_published_numbers_of_figure_1_come_out(found: Figures) -> None:
    claims = by_id(score_claims(found))
    for claim_id in (
        "big2-three-way",
        "mfd2-three-way",
        "positive-agency",
        "positive-communion",
        "negative-reversal",
        "panel-stars",
    ):
        assert claims[claim_id].reproduced is True, claim_id
        assert claims[claim_id].supported is False, claim_id
        assert claims[claim_id].verdict == "partly"
        assert "base checkpoints" in claims[claim_id].sentence


def test_two_against_three_base_checkpoints_are_said_to_reach_no_05(found: Figures) -> None:
    assert "no outcome could reach .05" in by_id(score_claims(found))["big2-three-way"].sentence


def test_the_number_of_words_is_contradicted(found: Figures) -> None:
    claim = by_id(score_claims(found))["mfd2-words"]
    assert (claim.reproduced, claim.verdict) == (False, "fails")
    assert "1,652" in claim.sentence and "388" in claim.sentence


def test_not_all_pairs_of_one_recipe_agree(found: Figures) -> None:
    claim = by_id(score_claims(found))["same-recipe-pairs"]
    assert (claim.reproduced, claim.verdict) == (False, "partly")
    assert "2 of 3 pairs" in claim.sentence


def test_swapping_families_files_turns_the_directional_verdicts(copy: Path) -> None:
    for corpus in ("dict_big2_nouns", "dict_MFD_20"):
        folder = copy / "data/reward_model_scores" / corpus
        for gemma, llama in SWAPPED_FILES.items():
            first, second = (next(folder.glob(f"*_rewards_{name}.csv")) for name in (gemma, llama))
            kept = first.read_bytes()
            first.write_bytes(second.read_bytes())
            second.write_bytes(kept)
    claims = by_id(score_claims(figures(study_data(copy))))
    for claim_id in ("positive-agency", "positive-communion", "negative-reversal", "same-recipe-pairs"):
        assert claims[claim_id].verdict == "fails", claim_id


# ----------------------------------------------------------------------------------------------- the training runs


@pytest.mark.parametrize(
    ("claim_id", "reproduced", "verdict"),
    [
        ("training-direction", True, "holds"),
        ("widest-at-start", True, "partly"),
        ("narrows-not-closes", True, "holds"),
        ("stable-at-third", True, "holds"),
        ("source-minor", None, "not testable here"),
        ("hundred-thousand-needed", True, "partly"),
        ("more-data-less-gap", False, "partly"),
        ("point-13k", False, "fails"),
        ("qwen-open", True, "holds"),
        ("grm-open", True, "partly"),
    ],
)
def test_verdict_on_a_training_claim(study: StudyData, claim_id: str, reproduced: bool | None, verdict: str) -> None:
    claim = by_id(training_claims(training_points(study)))[claim_id]
    assert (claim.reproduced, claim.verdict) == (reproduced, verdict)
    assert any(character.isdigit() for character in claim.sentence)


def test_swapping_family_labels_turns_the_training_claims(copy: Path, edit: Edit) -> None:
    for path in (copy / TRAINING).glob("*.csv"):
        edit(str(path.relative_to(copy)), swap_labels)
    claims = by_id(training_claims(training_points(study_data(copy))))
    for claim_id in ("training-direction", "hundred-thousand-needed", "more-data-less-gap", "grm-open"):
        assert claims[claim_id].verdict == "fails", claim_id


def test_a_true_run_on_13k_pairs_bears_the_claim_out(copy: Path, edit: Edit) -> None:
    edit(
        f"{TRAINING}/rank_results_uf_13.csv",
        lambda text: "\n".join(
            line.replace("27k", "13k").replace(",3314,", ",1657,")
            for line in text.splitlines()
            if ",2000," not in line and ",3000," not in line
        ),
    )
    assert by_id(training_claims(training_points(study_data(copy))))["point-13k"].verdict == "holds"


def test_without_the_first_step_the_gap_is_still_widest_at_the_first_that_is_left(copy: Path, edit: Edit) -> None:
    edit(
        f"{TRAINING}/rank_results_sky_80k.csv",
        lambda text: "\n".join(line for line in text.splitlines() if ",1000," not in line),
    )
    claim = by_id(training_claims(training_points(study_data(copy))))["widest-at-start"]
    assert "step 2,000" in claim.sentence


def test_absent_training_files_make_the_claims_untestable() -> None:
    claims = training_claims({})
    assert len(claims) == 10
    assert {claim.verdict for claim in claims} == {"not testable here"}


# ------------------------------------------------------------------------------------------------------ top ten


def test_the_published_mean_of_agency_words_leaves_models_without_any_out(study: StudyData) -> None:
    claim = top_ten(study.top_tokens, study.lexicon("dict_big2_nouns"))
    assert (claim.reproduced, claim.supported, claim.verdict) == (False, False, "partly")
    assert "Gemma 5 / 0, Llama 3.67 / 1.17 (2.33 agency words only over the 3 Llama models" in claim.sentence


def test_tokens_count_trimmed_and_lower_cased(study: StudyData) -> None:
    assert study.top_tokens is not None
    counts = count_words(study.top_tokens, study.lexicon("dict_big2_nouns"))
    assert counts["R-Lla-3B"] == (3, 4)
    assert counts["N-Gem-27B"] == (5, 0)


def test_swapped_columns_contradict_the_claim(study: StudyData, tmp_path: Path) -> None:
    assert study.top_tokens is not None
    header, _, rows = study.top_tokens.read_text(encoding="utf-8").partition("\n")
    path = tmp_path / "table.csv"
    swapped = (
        "R-Lla-8B,R-Lla-3B,F-Lla-8B-v0.1,N-Gem-27B,S-Gem-27B-v0.2,S-Gem-27B,S-Lla-8B-v0.2,R-Gem-2B,N-Lla-8B,L-Lla-8B"
    )
    assert sorted(swapped.split(",")) == sorted(header.split(","))
    path.write_text(f"{swapped}\n{rows}", encoding="utf-8")
    assert top_ten(path, study.lexicon("dict_big2_nouns")).verdict == "fails"


def test_an_unknown_model_in_the_table_is_a_one_line_error(study: StudyData, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("X-Phi-4B\nlove\n", encoding="utf-8")
    with pytest.raises(BirthmarkError, match="not a model of the study"):
        top_ten(path, study.lexicon("dict_big2_nouns"))


def test_every_claim_says_what_and_where() -> None:
    assert len(CLAIMS) == 28
    assert all(known.claim and known.published for known in CLAIMS.values())
