"""The whole replication on the published files: complete, as published to the digit, and the same every time."""

import json
import time
from pathlib import Path

import pytest

from birthmark.commands.replicate import replicate_study
from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.paper.data import TOP_TOKENS, StudyData, published_checksums, study_data
from birthmark.paper.verdicts import CLAIMS
from birthmark.records import Replication, to_json

README_IDS = [
    "big2-three-way",
    "mfd2-three-way",
    "mfd2-words",
    "positive-agency",
    "positive-communion",
    "negative-reversal",
    "panel-stars",
    "same-recipe-pairs",
    "top-ten",
    "logprob-instruct",
    "logprob-pretrained",
    "logprob-cells",
    "mwlr-top",
    "mwlr-bottom",
    "freedom-above-love",
    "gap-grows-with-size",
    "mwlr-most-sensitive",
    "training-direction",
    "widest-at-start",
    "narrows-not-closes",
    "stable-at-third",
    "source-minor",
    "hundred-thousand-needed",
    "more-data-less-gap",
    "point-13k",
    "qwen-open",
    "grm-open",
    "movers",
]


def test_every_claim_has_a_verdict_and_a_sentence(replication: Replication) -> None:
    assert [claim.id for claim in replication.claims] == README_IDS == list(CLAIMS)
    assert all(claim.sentence.endswith(".") for claim in replication.claims)


def test_claims_without_data_are_not_testable_here(replication: Replication) -> None:
    untestable = {claim.id for claim in replication.claims if claim.verdict == "not testable here"}
    assert untestable == {
        "logprob-instruct",
        "logprob-pretrained",
        "logprob-cells",
        "mwlr-top",
        "mwlr-bottom",
        "freedom-above-love",
        "gap-grows-with-size",
        "mwlr-most-sensitive",
        "source-minor",
        "movers",
    }


def test_the_moral_foundations_come_as_published_and_with_all_columns(replication: Replication) -> None:
    assert replication.figure_1a.n_candidates == 263
    assert replication.figure_1b_as_published.n_candidates == 1652
    assert replication.figure_1b_all_columns.n_candidates == 2040
    foundations = ["Authority", "Care", "Fairness", "Loyalty", "Sanctity"]
    assert replication.figure_1b_as_published.categories == foundations
    assert replication.figure_1b_all_columns.categories == foundations


def test_headlines_are_adjusted_over_the_two_lexicons(replication: Replication) -> None:
    nouns, moral = replication.figure_1a.headline, replication.figure_1b_as_published.headline
    assert nouns and moral and nouns.p_exact and moral.p_exact
    assert moral.p_exact < nouns.p_exact
    assert moral.p_holm == pytest.approx(2 * moral.p_exact)
    assert nouns.p_holm == pytest.approx(max(nouns.p_exact, 2 * moral.p_exact))


def test_the_stars_are_those_of_the_figures(replication: Replication) -> None:
    def stars(effects_name: str) -> list[bool]:
        return [(panel.p_bonferroni or 1) < 0.05 for panel in getattr(replication, effects_name).panels]

    assert sum(stars("figure_1a")) == 4
    assert sum(stars("figure_1b_as_published")) == 9
    assert sum(stars("figure_1b_all_columns")) == 7


def test_published_effect_sizes_are_the_unweighted_ones(replication: Replication) -> None:
    panels = {(panel.category, panel.framing): panel for panel in replication.figure_1a.panels}
    sizes = [round(panels[name, "positive"].cohens_d_unweighted or 0, 2) for name in ("Agency", "Communion")]
    assert sizes == [-0.43, 0.40]


def test_the_dots_of_a1_average_to_the_cells_of_figure_1(replication: Replication) -> None:
    cell = next(
        cell
        for cell in replication.figure_1a.cells
        if (cell.family, cell.category, cell.framing) == ("Gemma", "Agency", "positive")
    )
    dots = [
        value
        for row in replication.figure_a1a
        if (row.family, row.category, row.framing) == ("Gemma", "Agency", "positive")
        for value in row.median_ranks
    ]
    assert len(dots) == 4 * 27
    assert sum(dots) / len(dots) == pytest.approx(cell.mean_median_rank)


def test_the_record_survives_its_json(replication: Replication) -> None:
    assert Replication.model_validate(json.loads(to_json(replication))) == replication


def test_the_same_files_and_seed_give_the_same_record_in_under_a_minute_of_work(
    replication: Replication, published: Path
) -> None:
    start = time.process_time()
    again = replicate_study(published)
    assert time.process_time() - start < 60
    assert again == replication


def test_the_published_files_are_those_of_the_pinned_commit(study: StudyData, published: Path) -> None:
    assert study.not_as_published == []
    assert {path: sha256_of(published / path) for path in published_checksums()} == dict(published_checksums())


def test_a_changed_file_is_named(copy: Path) -> None:
    path = copy / "config" / "models.yaml"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert study_data(copy).not_as_published == ["config/models.yaml"]


def test_a_folder_that_is_not_there_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="is not a folder"):
        replicate_study(tmp_path / "nowhere")


def test_the_folder_of_data_in_a_clone_stands_for_the_clone(published: Path) -> None:
    assert study_data(published / "data").root == published.resolve()


def test_every_file_that_is_read_has_its_digest(study: StudyData) -> None:
    assert set(published_checksums()) <= set(study.digests)
    assert TOP_TOKENS in study.digests
    assert all(study.digests[path] == digest for path, digest in published_checksums().items())


def test_a_folder_without_scores_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="has no folder data/reward_model_scores"):
        replicate_study(tmp_path)


def test_fetching_takes_the_pinned_commit_with_checksums(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: dict[str, str] = {}

    def fetch(url: str, sha256: str, filename: str, note: object = None) -> Path:
        asked[url] = sha256
        path = tmp_path / filename
        path.write_bytes(b"")
        return path

    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("birthmark.paper.data.fetch_file", fetch)
    found = study_data(None)
    commit = "5d8d2e9d879bf0060c791b11300f0efda42c9bcf"
    assert sum(f"/{commit}/data/reward_model_scores/" in url for url in asked) == 20
    assert set(asked.values()) >= set(published_checksums().values())
    assert all((found.root / path).is_file() for path in published_checksums())
    assert found.top_tokens is not None
