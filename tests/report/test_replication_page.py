"""The replication's page: every claim and slip is on it, and every figure is a file."""

from pathlib import Path

import pytest

from birthmark.commands.replicate import replicate_study
from birthmark.errors import BirthmarkError
from birthmark.records import Replication, to_json
from birthmark.report.replication import claims_table, notes_table, write_replication_report
from report_outs import runs_only_its_own


@pytest.fixture(scope="module")
def replication(shared: Path) -> Replication:
    return replicate_study(shared / "paper-data")


def test_the_table_of_claims_has_a_row_a_claim_with_its_id(replication: Replication) -> None:
    rows = claims_table(replication.claims).rows
    assert len(rows) == 28
    assert all(f"({claim.id})" in row[0] for row, claim in zip(rows, replication.claims, strict=True))


def test_long_lists_of_words_are_cut_short(replication: Replication) -> None:
    (row,) = [row for row in notes_table(replication.data_notes).rows if row[1] == "Sanctity_Vice"]
    assert "and 380 more" in row[2]


def test_the_page_holds_claims_data_issues_and_figures(replication: Replication, tmp_path: Path) -> None:
    (tmp_path / "replication.json").write_text(to_json(replication), encoding="utf-8")
    page = write_replication_report(tmp_path).read_text(encoding="utf-8")
    assert runs_only_its_own(page)
    assert all(claim.id in page for claim in replication.claims)
    assert "rank_results_uf_13.csv, rank_results_uf_27.csv" in page
    assert "byte for byte, those of the pinned commit" in page
    assert page.count("80% power: ") == 2  # a lexicon each
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert {"figure-1a.svg", "figure-1b.png", "figure-A1a.svg", "figure-4b.png", "figure-A5b.svg"} <= names


def test_a_folder_without_a_replication_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="is missing"):
        write_replication_report(tmp_path)
