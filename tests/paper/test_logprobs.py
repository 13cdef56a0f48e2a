"""Figures 2, 3 and 5 and Table 1 on small files of the published layouts, with planted answers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import STUDY, load_prompts
from birthmark.paper.claims_logprobs import logprob_claims, three_way_f
from birthmark.paper.data import StudyData
from birthmark.paper.logprobs import GEMMAS, LLAMAS, PAIR_OF_STAGE, logprob_figures
from birthmark.paper.training import most_moved, movers_claim, read_moves, word_moves
from birthmark.records import LogprobMedian

AGENCY = ["power", "freedom", "goal", "skill", "victory", "courage"]
COMMUNION = ["love", "care", "friend", "family", "trust", "peace"]
OTHERS = ["**", "#", "NA", "null", " Love", " Freedom", "Freedom", "Love", "the"]
MODELS = [*GEMMAS, *LLAMAS, *PAIR_OF_STAGE["pretrained"]]


@pytest.fixture
def small(tmp_path: Path) -> StudyData:
    """A clone with twelve files of log-probabilities: Llama prefers freedom, the more the larger it is; Gemma love."""
    corpora = tmp_path / "data" / "corpora"
    corpora.mkdir(parents=True)
    rows = [("Agency", word) for word in AGENCY] + [("Communion", word) for word in COMMUNION]
    lines = ['"Category","token_decoded"', *(f'"{name}","{word}"' for name, word in rows)]
    (corpora / "dict_big2_nouns.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "data" / "logprobs").mkdir()
    rng = np.random.default_rng(0)
    for size, model in enumerate(MODELS, start=1):
        write_logprobs(tmp_path / "data" / "logprobs" / f"{model.replace('/', '--')}.csv", model, size, rng)
    return StudyData(tmp_path, None)


def write_logprobs(path: Path, model: str, size: int, rng: np.random.Generator) -> None:
    texts = [*AGENCY, *COMMUNION, *OTHERS, "the"]  # one text twice
    sign = 1.0 if "lama" in model else -1.0
    columns: dict[str, np.ndarray] = {}
    for key, prompt in load_prompts(STUDY).prompts.items():
        scores = rng.normal(-9.0, 0.5, len(texts))
        towards = sign if prompt.framing == "positive" else -sign
        scores[: len(AGENCY)] += towards
        scores[[texts.index(" Freedom"), texts.index("Freedom"), texts.index("freedom")]] = -4.0 + sign * size / 10
        scores[[texts.index(" Love"), texts.index("Love"), texts.index("love")]] = -4.0 - sign * size / 10
        scores[texts.index("**")] = -1.5 - sign
        columns[key] = scores
    frame = pl.DataFrame({"token_id": range(len(texts)), "token_name": texts, "token_decoded": texts, **columns})
    frame.write_csv(path)


def test_planted_differences_come_out_in_every_figure(small: StudyData) -> None:
    found = logprob_figures(small)
    assert len(found.figure_2) == 2 * 2 * 2 * 54
    assert len(found.figure_3) == 21
    assert all(pair.freedom > pair.love for pair in found.figure_3)
    assert found.table_1[0].token.strip().lower() == "freedom"
    assert found.table_1[-1].token == "**"
    assert found.bottom_words[-1].token.strip().lower() == "love"
    assert not {"**", "#"} & {row.token for row in found.bottom_words}


def test_table_1_is_the_mixture_weighted_ratio_of_llama_over_gemma(small: StudyData) -> None:
    found = logprob_figures(small)
    folder = small.root / "data" / "logprobs"
    gemma, llama = (pl.read_csv(folder / f"{name.replace('/', '--')}.csv") for name in PAIR_OF_STAGE["instruct"])
    p, q = (float(np.exp(t.filter(pl.col("token_decoded") == "power")["greatest_ever_one"][0])) for t in (gemma, llama))
    row = next(row for row in found.table_1 if row.token == "power")
    assert row.mwlr == pytest.approx((p + q) / 2 * np.log(q / p))


def test_texts_that_look_like_missing_values_are_tokens_like_others(small: StudyData) -> None:
    assert {"NA", "null"} <= {row.token for row in logprob_figures(small).table_1}


def test_claims_follow_the_planted_differences(small: StudyData) -> None:
    claims = {claim.id: claim for claim in logprob_claims(logprob_figures(small))}
    verdicts: Mapping[str, str] = {name: claim.verdict for name, claim in claims.items()}
    assert verdicts["logprob-cells"] == "holds"
    assert verdicts["mwlr-top"] == verdicts["mwlr-bottom"] == verdicts["freedom-above-love"] == "holds"
    assert verdicts["logprob-instruct"] == "partly"  # significant, but not the published F
    assert verdicts["gap-grows-with-size"] in ("holds", "partly")


def test_without_the_files_the_claims_are_not_testable(tmp_path: Path, study: StudyData) -> None:
    found = logprob_figures(study)
    assert (found.figure_2, found.figure_3, found.table_1) == ([], [], [])
    assert {claim.verdict for claim in logprob_claims(found)} == {"not testable here"}


def test_one_missing_model_leaves_figure_3_empty(small: StudyData) -> None:
    (small.root / "data" / "logprobs" / "meta-llama--Llama-3.3-70B-Instruct.csv").unlink()
    assert logprob_figures(small).figure_3 == []


def test_a_file_of_another_layout_is_a_one_line_error(small: StudyData) -> None:
    (small.root / "data" / "logprobs" / "google--gemma-2-2b.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(BirthmarkError, match="not a file of log-probabilities"):
        logprob_figures(small)


def test_three_way_f_equals_statsmodels_type_ii_anova() -> None:
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    rng = np.random.default_rng(1)
    rows = [
        LogprobMedian(
            model=family,
            family=family,
            stage="instruct",
            category=category,
            framing=framing,
            prompt=str(prompt),
            median_rank=float(rng.normal(10.0 + 2.0 * (family == "Llama") * (framing == "positive"), 1.0)),
        )
        for family in ("Gemma", "Llama")
        for category in ("Agency", "Communion")
        for framing in ("positive", "negative")
        for prompt in range(27)
    ]
    data = pl.DataFrame([row.model_dump() for row in rows]).to_pandas()
    table = anova_lm(ols("median_rank ~ C(category) * C(framing) * C(family)", data=data).fit(), typ=2)
    f, df, p = three_way_f(rows)
    oracle = table.loc["C(category):C(framing):C(family)"]
    assert (f, df, p) == (pytest.approx(oracle["F"]), 208, pytest.approx(oracle["PR(>F)"]))


# ------------------------------------------------------------------------------------------------------ movers


def write_token_scores(path: Path) -> None:
    words = ["Love", " love", "power", "goal", "carè"]  # the last is `car`, no noun, without its accent
    pl.DataFrame(
        {
            "token_decoded": words,
            "step-10000": [9.0, 7.0, 1.0, 2.0, 0.0],
            "step-0": [1.0, 1.0, 5.0, 3.0, 0.0],
            "step-2000": [0.0, 0.0, 0.0, 0.0, 0.0],
        }
    ).write_parquet(path)


def test_nouns_are_ranked_at_the_first_and_last_step(small: StudyData, tmp_path: Path) -> None:
    path = tmp_path / "scores.parquet"
    write_token_scores(path)
    moves = {move.word: move for move in read_moves(path, "Llama", small.lexicon("dict_big2_nouns"))}
    assert set(moves) == {"goal", "love", "power"}
    assert (moves["love"].first_rank, moves["love"].last_rank) == (3.0, 1.0)
    assert (moves["power"].first_rank, moves["power"].last_rank) == (1.0, 3.0)


def test_the_furthest_moves_come_first(small: StudyData) -> None:
    folder = small.root / "data" / "reward_model_training"
    folder.mkdir()
    write_token_scores(folder / "greatest_ever_one_across_checkpoints_llama.parquet")
    moves = word_moves(small)
    up, down = most_moved(moves, "Llama")
    assert (up[0].word, down[0].word) == ("love", "power")
    assert "Llama up love" in movers_claim(moves).sentence


def test_without_token_scores_movers_are_not_testable(study: StudyData) -> None:
    assert movers_claim(word_moves(study)).verdict == "not testable here"


def test_token_scores_without_steps_are_a_one_line_error(tmp_path: Path, published: Path) -> None:
    path = tmp_path / "scores.parquet"
    pl.DataFrame({"token_decoded": ["love"], "step-0": [1.0]}).write_parquet(path)
    with pytest.raises(BirthmarkError, match="two or more columns step"):
        read_moves(path, "Llama", load_lexicon(published / "data/corpora/dict_big2_nouns.csv"))
