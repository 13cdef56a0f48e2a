"""Every published issue is detected, and correcting it in a copy of the files removes its note."""

import csv
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import polars as pl
import pytest

from birthmark.paper import data_issues, data_issues_training
from birthmark.paper.data import StudyData, study_data
from birthmark.paper.scores import Figures
from birthmark.records import DataNote

Edit = Callable[[str, Callable[[str], str]], None]
TRAINING = "data/reward_model_training"
SCORES = "data/reward_model_scores"
CORPORA = "data/corpora"


def checks(notes: list[DataNote]) -> list[str]:
    return [note.check for note in notes]


def of_file(notes: list[DataNote], check: str, name: str) -> list[DataNote]:
    return [note for note in notes if note.check == check and name in note.file]


# ------------------------------------------------------------------------------------------------------ scores


def test_two_words_are_scored_that_the_lexicon_does_not_list(study: StudyData) -> None:
    (note,) = data_issues.words_outside_lexicon(study)
    assert note.words == ["discussion", "eagerness"]
    assert "265 rows for 263 entries" in note.finding


def test_dropping_the_unlisted_words_from_the_scores_removes_the_note(copy: Path, edit: Edit) -> None:
    for path in sorted((copy / SCORES / "dict_big2_nouns").glob("*.csv")):
        edit(
            str(path.relative_to(copy)),
            lambda text: re.sub(r'^"?(discussion|eagerness)"?,.*\n', "", text, flags=re.MULTILINE),
        )
    assert data_issues.words_outside_lexicon(study_data(copy)) == []


def test_a_word_without_a_row_is_noted(copy: Path, edit: Edit, study: StudyData) -> None:
    assert data_issues.words_not_scored(study) == []
    name = "big2_rewards_nicolinho_QRM-Llama3.1-8B.csv"
    edit(f"{SCORES}/dict_big2_nouns/{name}", lambda text: re.sub(r'^"?affection"?,.*\n', "", text, flags=re.MULTILINE))
    (note,) = data_issues.words_not_scored(study_data(copy))
    assert (note.file, note.words) == (f"dict_big2_nouns/{name}", ["affection"])


def test_six_files_are_named_for_the_other_lexicon(study: StudyData) -> None:
    (note,) = data_issues.misnamed_files(study)
    assert len(note.words) == 6
    assert all(name.startswith("big2_rewards_") for name in note.words)
    assert "overwrite 6 others" in note.effect


def test_renaming_the_files_removes_the_note(copy: Path) -> None:
    for path in sorted((copy / SCORES / "dict_MFD_20").glob("big2_*.csv")):
        path.rename(path.with_name(path.name.replace("big2_", "MFD20_")))
    assert data_issues.misnamed_files(study_data(copy)) == []


def test_words_of_both_lexicons_have_two_different_scores(study: StudyData) -> None:
    (note,) = data_issues.words_scored_twice(study)
    assert len(note.words) == 45
    assert "0.75 apart" in note.finding


def test_one_score_a_word_removes_the_note(copy: Path, edit: Edit) -> None:
    """Rows of words that are in both lexicons' files are taken from the one folder into the other's."""
    nouns = read_rows(sorted((copy / SCORES / "dict_big2_nouns").glob("*.csv")))
    for path in sorted((copy / SCORES / "dict_MFD_20").glob("*.csv")):
        rows = nouns[path.name.partition("_rewards_")[2]]
        edit(
            str(path.relative_to(copy)),
            lambda text, rows=rows: (
                "\n".join(rows.get(line.partition(",")[0], line) for line in text.splitlines()) + "\n"
            ),
        )
    assert data_issues.words_scored_twice(study_data(copy)) == []


def read_rows(paths: list[Path]) -> dict[str, dict[str, str]]:
    """Model as in a file's name → word → its line, without the header."""
    return {
        path.name.partition("_rewards_")[2]: {
            line.partition(",")[0]: line for line in path.read_text(encoding="utf-8").splitlines()[1:]
        }
        for path in paths
    }


def test_a_column_is_left_out_of_the_published_range(study: StudyData, found: Figures) -> None:
    (note,) = data_issues.columns_left_out(study, found)
    assert note.column == "Sanctity_Vice"
    assert len(note.words) == 388
    assert "1,652 words are ranked, not 2,040" in note.effect
    assert "7 of 10 panels are significant (as published 9 of 10)" in note.effect


def test_moving_the_column_into_the_range_removes_the_note(copy: Path, edit: Edit, found: Figures) -> None:
    edit(f"{CORPORA}/moral-foundations-dictionary-20.dicx", sanctity_vice_first)
    assert data_issues.columns_left_out(study_data(copy), found) == []


def sanctity_vice_first(text: str) -> str:
    """The dictionary with its last column moved before the last but one."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([*row[:-2], row[-1], row[-2]] for row in csv.reader(StringIO(text)))
    return out.getvalue()


# -------------------------------------------------------------------------------------------------- word lists


def test_thirty_five_words_are_listed_more_than_once(study: StudyData) -> None:
    (note,) = data_issues.repeated_entries(study)
    assert len(note.words) == 35
    assert {"skill", "care", "you"} <= set(note.words)
    assert "723 rows for agency and 729 for communion" in note.effect  # as often as uf_100 repeats its rows


def test_listing_each_word_once_removes_the_note(copy: Path, edit: Edit) -> None:
    edit(f"{CORPORA}/dict_big2_expanded.csv", lambda text: "\n".join(dict.fromkeys(text.splitlines())) + "\n")
    assert data_issues.repeated_entries(study_data(copy)) == []


def test_tokens_become_words_by_losing_letters(study: StudyData) -> None:
    (note,) = data_issues.false_friends(study)
    assert len(note.words) == 7
    assert " także" in note.words


def test_dropping_tokens_with_other_letters_removes_the_note(copy: Path, edit: Edit) -> None:
    for word in data_issues.false_friends(study_data(copy))[0].words:
        edit(f"{CORPORA}/token_intersection.csv", lambda text, word=word: re.sub(rf'"\d+","{word}"\r?\n', "", text))
    assert data_issues.false_friends(study_data(copy)) == []


def test_tokens_that_readers_treat_as_missing_are_named(study: StudyData) -> None:
    (note,) = data_issues.tokens_read_as_missing(study)
    assert {"NA", "null", "nan", "None"} <= set(note.words)
    assert "85,524 tokens" in note.finding


# ---------------------------------------------------------------------------------------------- training files


def test_identical_files_with_two_names_are_noted(study: StudyData) -> None:
    (note,) = data_issues.identical_files(study)
    assert note.file == "rank_results_uf_13.csv, rank_results_uf_27.csv"


def test_a_run_on_13k_pairs_removes_all_notes_on_the_13k_file(copy: Path, edit: Edit) -> None:
    edit(
        f"{TRAINING}/rank_results_uf_13.csv",
        lambda text: "\n".join(
            line.replace("27k", "13k").replace(",3314,", ",1657,")
            for line in text.splitlines()
            if not re.search(",[23]000,", line)
        ),
    )
    mended = study_data(copy)
    assert data_issues.identical_files(mended) == []
    notes = data_issues_training.training_issues(mended)
    assert not of_file(notes, "quantity_in_ids", "uf_13") and not of_file(notes, "quantity_in_steps", "uf_13")


@pytest.mark.parametrize(
    ("check", "name", "words"),
    [
        ("quantity_in_ids", "rank_results_uf_13.csv", "gemma2b_unified27k_lora"),
        ("quantity_in_steps", "rank_results_uf_13.csv", "3314"),
        ("quantity_in_steps", "rank_results_uf_100.csv", "13258"),
        ("quantity_in_steps", "rank_results_sky_80k.csv", "9578"),
        ("unequal_repeats", "rank_results_uf_100.csv", "Qwen2.5-3B-Instruct"),
        ("unnamed_bases", "rank_results_uf_54.csv", "Qwen2.5-3B-Instruct"),
        ("unnamed_bases", "rank_results_uf_100.csv", "Qwen2.5-3B-Instruct"),
        ("other_bases_in_ids", "rank_results_sky_80k.csv", "google--gemma-2b-it"),
        ("several_ids_of_a_base", "rank_results_*.csv", "gemma2b"),
        ("columns_of_one_file", "rank_results_*.csv", "data_size"),
        ("start_not_saved", "rank_results_sky_80k.csv", "1000"),
        ("others_models", "rank_results_grm_80k.csv", "R-Gem-2B"),
        ("grm_size", "rank_results_grm_80k.csv", "85"),
        ("grm_source", "rank_results_grm_80k.csv", "skywork"),
        ("grm_step", "rank_results_grm_80k.csv", "1"),
    ],
)
def test_an_issue_in_the_training_files_is_detected(study: StudyData, check: str, name: str, words: str) -> None:
    (note,) = of_file(data_issues_training.training_issues(study), check, name)
    assert words in note.words
    assert note.finding and note.effect


def test_rows_repeat_for_each_ranked_token(study: StudyData) -> None:
    (note,) = of_file(data_issues_training.training_issues(study), "repeated_rows", "uf_100")
    assert "60,956 rows hold 84 distinct values" in note.finding


def drop_repeats(text: str) -> str:
    """Rows once each, whatever their running number."""
    return "\n".join({line.partition(",")[2]: line for line in text.splitlines()}.values()) + "\n"


@pytest.mark.parametrize(
    ("check", "name", "mend"),
    [
        ("repeated_rows", "rank_results_uf_100.csv", drop_repeats),
        ("unequal_repeats", "rank_results_uf_100.csv", drop_repeats),
        ("unnamed_bases", "rank_results_uf_54.csv", lambda text: text.replace(",NA,", ',"Qwen",')),
        (
            "other_bases_in_ids",
            "rank_results_sky_80k.csv",
            lambda text: text.replace("gemma-2b-it", "gemma-2-2b-it").replace("Llama-3.2-3B", "Llama-3.2-3B-Instruct"),
        ),
        ("start_not_saved", "rank_results_sky_80k.csv", lambda text: text.replace(",1000,", ",0,")),
        (
            "others_models",
            "rank_results_grm_80k.csv",
            lambda text: text.replace("R-Gem-2B", "gemma2b_grm").replace("R-Lla-3B", "llama3b_grm"),
        ),
        ("grm_size", "rank_results_grm_80k.csv", lambda text: text.replace(",85,", ",632,")),
        ("grm_source", "rank_results_grm_80k.csv", lambda text: text.replace("skywork", "uf+skywork")),
        ("grm_step", "rank_results_grm_80k.csv", lambda text: re.sub(r",1,", ",9000,", text)),
    ],
)
def test_correcting_an_issue_removes_its_note(
    copy: Path, edit: Edit, check: str, name: str, mend: Callable[[str], str]
) -> None:
    assert of_file(data_issues_training.training_issues(study_data(copy)), check, name)
    edit(f"{TRAINING}/{name}", mend)
    assert not of_file(data_issues_training.training_issues(study_data(copy)), check, name)


def test_swapped_family_labels_are_noted_as_disagreeing_with_the_ids(copy: Path, edit: Edit, study: StudyData) -> None:
    assert "labels_that_disagree" not in checks(data_issues_training.training_issues(study))
    edit(
        f"{TRAINING}/rank_results_sky_80k.csv",
        lambda text: text.replace('"Gemma"', "?").replace('"Llama"', '"Gemma"').replace("?", '"Llama"'),
    )
    (note,) = of_file(data_issues_training.training_issues(study_data(copy)), "labels_that_disagree", "sky_80k")
    assert "google--gemma-2b-it: Llama" in note.words


def test_giving_all_files_the_same_columns_removes_the_note(copy: Path) -> None:
    for path in (copy / TRAINING).glob("*.csv"):
        rows = pl.read_csv(path, infer_schema=False)
        rows.with_columns(
            pl.lit("1").alias(name) for name in ("data_size", "data_source", "method", "prompt")
        ).write_csv(path)
    assert "columns_of_one_file" not in checks(data_issues_training.training_issues(study_data(copy)))


def test_one_id_a_base_removes_the_note(copy: Path) -> None:
    for path in (copy / TRAINING).glob("rank_results_[us]*.csv"):
        rows = pl.read_csv(path, infer_schema=False)
        family = pl.col("base_model").replace({"NA": "Qwen"})
        rows.with_columns((family).alias("model_id")).write_csv(path)
    assert "several_ids_of_a_base" not in checks(data_issues_training.training_issues(study_data(copy)))


def test_dropping_texts_that_look_like_missing_values_removes_the_note(copy: Path, edit: Edit) -> None:
    names = "|".join(data_issues.NULL_WORDS)
    edit(f"{CORPORA}/token_intersection.csv", lambda text: re.sub(rf'"\d+","({names})"\r?\n', "", text))
    assert data_issues.tokens_read_as_missing(study_data(copy)) == []


def test_absent_training_files_leave_no_notes_on_them(copy: Path) -> None:
    for path in (copy / TRAINING).glob("*.csv"):
        path.unlink()
    assert data_issues_training.training_issues(study_data(copy)) == []
