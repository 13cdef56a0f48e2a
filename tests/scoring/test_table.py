"""Score tables on disk."""

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.files import atomic_path
from birthmark.inputs.prompts import prompt_set_record
from birthmark.records import PromptRecord, ScoreRecord
from birthmark.scoring.table import ScoreTable, read_scores, warnings_of, write_scores


def make_table(slug: str = "tiny") -> ScoreTable:
    prompts = {"a": PromptRecord(text="A?", framing="positive"), "b": PromptRecord(text="B?", framing="negative")}
    frame = pl.DataFrame(
        {"candidate": ["x", " x", "x"], "token_id": [7, 9, None], "a": [1.5, -2.0, 0.25], "b": [0.0, 1.0, np.pi]},
        schema={"candidate": pl.String, "token_id": pl.Int64, "a": pl.Float32, "b": pl.Float32},
    )
    record = ScoreRecord(
        model="tiny", slug=slug, revision=None, family="F", base_checkpoint="B", kind="reward", dtype="float32",
        device="cpu", engine="plain", attention=None, frame="chat", protocol="birthmark", digests=None,
        prompt_set=prompt_set_record("two", prompts), candidates_sha256="", n_tokens=2, n_words=1, template_date=None,
        versions={}, sha256="", context_ids=None, mass=None, seconds=1.0, load_seconds=0.0, verify_seconds=None,
        verify_max_abs_diff=None, candidates_per_second=None,
    )  # fmt: skip
    return ScoreTable(frame, record)


def test_a_table_reads_back_as_it_was_written(tmp_path):
    table = make_table()
    back = read_scores(write_scores(table, tmp_path))
    assert back.frame.equals(table.frame)
    assert back.record.sha256 and back.prompt_keys == ["a", "b"]
    assert back.words["candidate"].to_list() == ["x"] and back.tokens["token_id"].to_list() == [7, 9]


def test_the_same_scores_give_the_same_bytes(tmp_path):
    first, second = (write_scores(make_table(), tmp_path / name).read_bytes() for name in ("one", "two"))
    assert first == second


def test_best_is_sorted_by_the_mean_over_prompts():
    assert make_table().best(2)["mean"].to_list() == pytest.approx([(0.25 + np.pi) / 2, 0.75])


@pytest.mark.parametrize("name", ["missing.parquet", "missing.csv"])
def test_a_missing_table_names_the_file(tmp_path, name):
    with pytest.raises(BirthmarkError, match=name):
        read_scores(tmp_path / name)


def test_a_table_without_its_json(tmp_path):
    path = write_scores(make_table(), tmp_path)
    path.with_suffix(".json").unlink()
    with pytest.raises(BirthmarkError, match="json is missing"):
        read_scores(path)


def test_a_json_of_another_layout_names_the_key(tmp_path):
    path = write_scores(make_table(), tmp_path)
    path.with_suffix(".json").write_text('{"model": 1}')
    with pytest.raises(BirthmarkError, match="model"):
        read_scores(path)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half of the new")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file"]


def test_prompt_sets_differ_in_digest_where_a_text_framing_or_factor_differs():
    base = {"a": PromptRecord(text="A?", framing="positive", factors={"adjective": "best"})}
    others = [
        {"a": PromptRecord(text="B?", framing="positive", factors={"adjective": "best"})},
        {"a": PromptRecord(text="A?", framing="negative", factors={"adjective": "best"})},
        {"a": PromptRecord(text="A?", framing="positive", factors={"adjective": "good"})},
        {"b": PromptRecord(text="A?", framing="positive", factors={"adjective": "best"})},
    ]
    digests = {prompt_set_record("set", prompts).sha256 for prompts in [base, *others]}
    assert len(digests) == 5


def test_a_warning_names_the_models_it_is_of_unless_it_is_of_all():
    one, two = make_table("one").record, make_table("two").record
    one = one.model_copy(update={"model": "one", "warnings": ["trims", "opens a turn"]})
    two = two.model_copy(update={"model": "two", "warnings": ["opens a turn"]})
    assert warnings_of([one, two]) == ["trims (one)", "opens a turn"] and warnings_of([one]) == [
        "trims",
        "opens a turn",
    ]
