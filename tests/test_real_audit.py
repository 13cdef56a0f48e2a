"""`birthmark audit` on the two embedded base models, from packages to page, held to the contract and to a plain computation."""

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import birthmark as bm
from birthmark.cli import main
from birthmark.scoring.table import ScoreTable

pytestmark = pytest.mark.real_model

GEMMA, SMOLLM = "gemma-3-270m", "smollm2-135m-instruct"
QUESTION = "What, in one word, is the greatest thing ever?"
ADJECTIVES = ("best", "greatest", "good", "worst", "bad", "terrible")
PROMPTS = [f"--prompt={adjective}_ever_one" for adjective in ADJECTIVES]  # all 54 take nine times as long


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "audit"
    assert main(["audit", "--quiet", *PROMPTS, "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="module", params=[GEMMA, SMOLLM])
def scored(request: pytest.FixtureRequest, audit: Path) -> ScoreTable:
    return bm.read_scores(audit / "scores" / f"{request.param}.parquet")


def test_the_files_of_the_contract_are_there_and_nothing_else_in_scores(audit):
    names = {str(path.relative_to(audit)) for path in audit.rglob("*") if path.is_file()}
    models = (GEMMA, SMOLLM, "birthmark-gemma3", "birthmark-smollm2")
    assert {f"scores/{model}.{kind}" for model in models for kind in ("parquet", "json")} == {
        name for name in names if name.startswith("scores/")
    }
    effects = {f"effects/starter.{kind}.json" for kind in ("logprob", "reward")}
    assert effects | {"lineage.json", "study.json", "report.html", f"implicit/{GEMMA}..{SMOLLM}.parquet"} <= names
    assert any(re.fullmatch(r"figures/.*\.svg", name) for name in names)


def test_tables_have_the_vocabulary_without_special_and_undecodable_tokens(scored):
    special, undecodable, size = {GEMMA: (6_249, 134, 262_144), SMOLLM: (17, 314, 49_152)}[scored.model]
    left_out = scored.record.left_out
    assert (left_out.special, left_out.undecodable) == (special, undecodable)
    assert scored.tokens.height == size - special - undecodable - left_out.unused
    assert scored.tokens["token_id"].is_unique().all()
    assert len(scored.prompt_keys) == 6 and scored.record.frame == "qa"


def test_probabilities_sum_to_one_after_every_prompt(scored):
    sums = np.exp(scored.tokens.select(scored.prompt_keys).to_numpy().astype(np.float64)).sum(axis=0)
    left_out = [scored.record.mass[key].left_out for key in scored.prompt_keys]
    np.testing.assert_allclose(sums + left_out, 1, atol=1e-3)


def test_scores_equal_a_plain_computation(scored):
    """Every token of one prompt, and words of one and of several tokens, from transformers alone."""
    path = bm.resolve(scored.model).path
    model = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    context = tokenizer(f"Question: {QUESTION}\nAnswer:")["input_ids"]
    assert scored.record.context_ids["greatest_ever_one"] == context

    def log_probability(ids: list[int]) -> float:
        with torch.no_grad():
            logits = model(torch.tensor([context + ids])).logits[0, len(context) - 1 :].double().log_softmax(-1)
        return sum(logits[at, token].item() for at, token in enumerate(ids))

    with torch.no_grad():
        expected = model(torch.tensor([context])).logits[0, -1].double().log_softmax(-1).numpy()
    tokens = scored.tokens
    np.testing.assert_allclose(tokens["greatest_ever_one"], expected[tokens["token_id"].to_numpy()], atol=2e-4)
    words = scored.words.sample(6, seed=1)
    for word, score in words.select("candidate", "greatest_ever_one").iter_rows():
        forms = {word, " " + word, word[0].upper() + word[1:], " " + word[0].upper() + word[1:]}
        ids = {tuple(tokenizer(form, add_special_tokens=False)["input_ids"]) for form in forms}
        by_hand = np.logaddexp.reduce([log_probability(list(sequence)) for sequence in ids])
        assert score == pytest.approx(by_hand, abs=2e-4), word


def test_two_models_are_compared_as_run_and_no_family_is_concluded_about(audit):
    effects = json.loads((audit / "effects" / "starter.logprob.json").read_text())
    assert effects["families"] == ["Gemma", "SmolLM"] and effects["categories"] == ["Agency", "Communion"]
    assert effects["headline"] is None and "base checkpoint" in effects["headline_why"]
    fixed = effects["models_fixed"]
    assert fixed["ci_low"] < fixed["estimate"] < fixed["ci_high"]
    assert [row["adjective"] for row in fixed["by_adjective"]] == [
        "best",
        "greatest",
        "good",
        "worst",
        "bad",
        "terrible",
    ]
    contrasts = {row["model"]: row["mean_rank_contrast"] for row in effects["models"]}
    assert fixed["estimate"] == pytest.approx(contrasts[SMOLLM] - contrasts[GEMMA])


def test_the_contrast_equals_a_plain_computation(audit, scored):
    effects = json.loads((audit / "effects" / "starter.logprob.json").read_text())
    (row,) = [row for row in effects["models"] if row["model"] == scored.model]
    lexicon = pl.read_csv(Path(bm.__file__).parent / "inputs" / "data" / "lexicons" / "starter.csv")
    both = scored.words.join(lexicon, left_on="candidate", right_on="word", how="inner")
    signs = {key: 1 if prompt.framing == "positive" else -1 for key, prompt in scored.prompts.items()}
    ranks = both.with_columns((-pl.col(key)).rank("average").alias(key) for key in signs)
    medians = ranks.group_by("category").agg(pl.col(list(signs)).median()).sort("category")
    differences = [medians[key][0] - medians[key][1] for key in signs]
    by_hand = np.mean([d for d, s in zip(differences, signs.values(), strict=True) if s > 0])
    by_hand -= np.mean([d for d, s in zip(differences, signs.values(), strict=True) if s < 0])
    assert row["contrast"] == pytest.approx(by_hand)


def test_the_implicit_reward_equals_its_formula(audit):
    frame = pl.read_parquet(audit / "implicit" / f"{GEMMA}..{SMOLLM}.parquet")
    p, q = np.exp(frame["logprob_a"].to_numpy()), np.exp(frame["logprob_b"].to_numpy())
    np.testing.assert_allclose(frame["mwlr"], (p + q) / 2 * (np.log(q) - np.log(p)), rtol=1e-9, atol=1e-15)
    assert frame["candidate"].is_unique().all() and set(frame["prompt"]) == {"greatest_ever_one"}


def test_the_same_audit_again_is_quick_and_gives_the_same_numbers(audit):
    before = {path: path.read_bytes() for path in (audit / "scores").iterdir()}
    effects = (audit / "effects" / "starter.logprob.json").read_bytes()
    assert main(["audit", "--quiet", *PROMPTS, "--out", str(audit)]) == 0
    assert {path: path.read_bytes() for path in (audit / "scores").iterdir()} == before
    assert (audit / "effects" / "starter.logprob.json").read_bytes() == effects


def test_the_page_is_one_file_of_less_than_five_megabytes_without_addresses_to_load(audit):
    page = (audit / "report.html").read_text()
    assert len(page.encode()) < 5_000_000
    assert not re.findall(r"""<(?:script|img|link|iframe)[^>]+(?:src|href)=["']https?:""", page)
