"""How results show themselves: a short repr, a table in a notebook, rows as frames."""

import altair as alt
import numpy as np
import pytest
import vl_convert

from birthmark.commands.audit import AuditResult
from birthmark.commands.compare import compare
from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import load_lexicon
from birthmark.records import CandidateReward, Effects, Implicit, ImplicitPrompt
from birthmark.records.base import SHOWN_ROWS, Shown
from birthmark.values.effects import effects


@pytest.fixture
def record(tmp_path, make_scores) -> Effects:
    file = tmp_path / "small.csv"
    file.write_text("word,category\nlove,Communion\ncare,Communion\npower,Agency\nskill,Agency\n")
    tables = [make_scores("a", "Gemma", [3, 2, 1, 0]), make_scores("b", "Llama", [0, 1, 2, 3])]
    return effects(tables, load_lexicon(file))


@pytest.fixture
def make_scores():
    import polars as pl

    from birthmark.inputs.prompts import prompt_set_record
    from birthmark.records import PromptRecord, ScoreRecord
    from birthmark.scoring.table import ScoreTable

    def make(model: str, family: str, best: list[float]) -> ScoreTable:
        prompts = {
            "best_1": PromptRecord(text="best?", framing="positive"),
            "worst_1": PromptRecord(text="worst?", framing="negative"),
        }
        nothing = dict.fromkeys(name for name, field in ScoreRecord.model_fields.items() if field.is_required())
        facts = {
            "model": model, "slug": model, "family": family, "base_checkpoint": model, "kind": "reward",
            "dtype": "float32", "device": "cpu", "frame": "chat", "protocol": "birthmark", "candidates_sha256": "",
            "n_tokens": 0, "n_words": 4, "versions": {}, "sha256": "", "prompt_set": prompt_set_record("p", prompts),
        }  # fmt: skip
        frame = pl.DataFrame({"candidate": ["love", "care", "power", "skill"], "token_id": [None] * 4})
        scores = np.array(best, dtype=np.float32)
        return ScoreTable(
            frame.with_columns(pl.col("token_id").cast(pl.Int64), best_1=scores, worst_1=-scores),
            ScoreRecord.model_validate(nothing | facts),
        )

    return make


def test_effects_have_a_row_a_model_with_its_contrasts_and_median_ranks(record) -> None:
    frame = record.to_polars(wide=True)
    assert frame["model"].to_list() == ["a", "b"]
    assert frame["mean_rank_contrast"].to_list() == [row.mean_rank_contrast for row in record.models]
    assert frame["Communion, positive"].to_list() == [1.5, 3.5]
    assert list(record.to_pandas(wide=True).columns) == frame.columns


def test_a_repr_is_the_answer_and_not_the_whole_record(record) -> None:
    assert repr(record) == str(record) == f"Effects: {record.sentence}"


def test_in_a_notebook_a_result_is_its_sentence_and_a_table(record) -> None:
    html = record._repr_html_()
    assert html.startswith("<p>") and html.count("<tr>") == 1 + len(record.models)


def test_what_words_hold_is_escaped_and_a_long_table_is_cut() -> None:
    class Long(Shown):
        def summary(self) -> str:
            return "a < b"

        def rows(self) -> list[dict[str, object]]:
            return [{"word": "<script>", "rank": float(at), "why": None} for at in range(SHOWN_ROWS + 5)]

    html = Long()._repr_html_()
    assert "<script>" not in html and "a &lt; b" in html and "&lt;script&gt;" in html and "–" in html
    assert html.count("<tr>") == 1 + SHOWN_ROWS and "5 more rows" in html


def test_an_implicit_reward_has_a_row_for_each_end() -> None:
    rewards = [CandidateReward(candidate=w, logprob_a=-1, logprob_b=-2, log_ratio=-1, mwlr=-0.5) for w in "xy"]
    prompt = ImplicitPrompt(
        prompt="p", n_shared=2, mass_a=1, mass_b=1, top=rewards[:1], bottom=rewards[1:], category_means={}
    )
    record = Implicit(
        a="A", b="B", frame_a="qa", frame_b="qa", metrics=["mwlr"], duplicates="max", prompts=[prompt], n_only_a=0, n_only_b=0
    )  # fmt: skip
    assert record.to_polars().select("prompt", "end", "candidate").rows() == [("p", "top", "x"), ("p", "bottom", "y")]
    assert "B" in repr(record) and len(repr(record)) < 200


def test_an_audit_shows_all_answers_and_what_its_figures_draw(record, tmp_path) -> None:
    result = AuditResult(out=tmp_path, tables=[], effects=[record], implicit=None, report=tmp_path / "report.html")
    assert record.sentence in repr(result)
    assert result.to_polars().height == 2 * 2 * 2
    assert {"lexicon", "model", "category", "framing", "mean_median_rank"} <= set(result.to_polars(wide=True).columns)


def test_records_compare_and_read_back_as_before(record) -> None:
    assert Effects.model_validate_json(record.model_dump_json()) == record


def test_a_frame_is_tidy_by_default_one_mean_rank_a_row(record, make_scores, tmp_path) -> None:
    frame = record.to_polars()
    assert frame.columns == ["model", "lexicon", "category", "framing", "prompt", "value"]
    assert frame.height == 2 * 2 * 2
    one = frame.filter(model="a", category="Communion", prompt="best_1")
    assert one["value"].to_list() == [1.5] and one["framing"].to_list() == ["positive"]
    result = AuditResult(out=tmp_path, tables=[], effects=[record], implicit=None, report=tmp_path / "report.html")
    assert result.to_polars().equals(frame)
    assert list(record.to_pandas().columns) == frame.columns


def test_a_score_table_is_long_and_wide_on_request(make_scores) -> None:
    table = make_scores("a", "Gemma", [3, 2, 1, 0])
    long = table.to_polars()
    assert long.columns == ["model", "candidate", "token_id", "framing", "prompt", "value"]
    assert long.height == 4 * 2
    assert long.filter(candidate="care", prompt="worst_1").row(0) == ("a", "care", None, "negative", "worst_1", -2.0)
    assert table.to_polars(wide=True).equals(table.frame)
    assert list(table.to_pandas().columns) == long.columns


def test_a_comparison_is_a_list_that_shows_and_draws_itself(make_scores, tmp_path) -> None:
    file = tmp_path / "small.csv"
    file.write_text("word,category\nlove,Communion\ncare,Communion\npower,Agency\nskill,Agency\n")
    found = compare([make_scores("a", "Gemma", [3, 2, 1, 0]), make_scores("b", "Llama", [0, 1, 2, 3])], lexicons=file)
    assert isinstance(found, list) and found[0].lexicon == "small"
    assert found.to_polars().height == 8 and "<table>" in found._repr_html_()
    drawn = found.plot()
    assert isinstance(drawn, alt.TopLevelMixin)
    assert "var(--" not in drawn.to_json()
    assert "<svg" in vl_convert.vegalite_to_svg(drawn.to_json())


def test_what_has_no_figure_says_so(record, tmp_path) -> None:
    bare = record.model_copy(update={"cells": []})
    result = AuditResult(out=tmp_path, tables=[], effects=[bare], implicit=None, report=tmp_path / "report.html")
    with pytest.raises(BirthmarkError, match="no figure"):
        result.plot()
