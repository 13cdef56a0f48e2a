"""The study's score files as score tables. People's rankings and the predecessor study's files: what is read, and what is refused."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs import published
from birthmark.inputs.prompts import load_prompts
from birthmark.inputs.published import ELO_FILES, fetch_elo_files, is_elo_file, read_human_ranking
from birthmark.scoring.table import ScoreTable, read_elo_scores, read_scores

# --- published

ODD_WORDS = ["null", "NA", "nan", "true", "None", "1", "-inf", 'say "yes"', "give, take", " love", "é", "0x1"]


def write(folder: Path, words: list[str], keys: list[str], name: str = "scores.csv") -> Path:
    path = folder / name
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["response", *keys])
        writer.writerows(
            [word, *(f"{row + column / 8}" for column in range(len(keys)))] for row, word in enumerate(words)
        )
    return path


def files(shared: Path) -> list[Path]:
    return sorted((shared / "paper-data/data/reward_model_scores").rglob("*.csv"))


def test_every_published_file_is_read_to_the_last_digit(shared: Path) -> None:
    paths = files(shared)
    assert len(paths) == 20
    for path in paths:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        table = read_scores(path)
        assert table.frame["candidate"].to_list() == [row["response"] for row in rows]
        expected = np.array([[float(row[key]) for key in table.prompt_keys] for row in rows]).astype(np.float32)
        np.testing.assert_array_equal(table.matrix(), expected)
        assert table.prompt_keys == list(load_prompts().prompts)
        assert table.record.prompt_set == load_prompts()
        assert table.record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_every_published_file_is_of_a_catalogued_reward_model(shared: Path) -> None:
    tables = [read_scores(path) for path in files(shared)]
    models: dict[str, list[ScoreTable]] = {}
    for table in tables:
        models.setdefault(table.model, []).append(table)
        assert table.record.kind == "reward"
        assert table.record.protocol == "christian2026"
    assert len(models) == 10
    assert all(len(of) == 2 for of in models.values())
    families = {model: (of[0].record.family, of[0].record.base_checkpoint) for model, of in models.items()}
    assert len({base for _, base in families.values()}) == 5
    assert sorted({base for family, base in families.values() if family == "Gemma"}) == [
        "gemma-2-27b-it",
        "gemma-2-2b-it",
    ]


def test_odd_words_stay_words(tmp_path: Path) -> None:
    table = read_scores(write(tmp_path, ODD_WORDS, ["best_ever_one", "worst_ever_one"]))
    assert table.frame["candidate"].to_list() == ODD_WORDS
    assert table.frame.schema == {
        "candidate": pl.String,
        "token_id": pl.Int64,
        "best_ever_one": pl.Float32,
        "worst_ever_one": pl.Float32,
    }
    assert table.words.height == len(ODD_WORDS)
    assert table.matrix()[2].tolist() == [2.0, 2.125]


def test_the_prompt_set_is_the_columns_that_are_there(tmp_path: Path) -> None:
    table = read_scores(write(tmp_path, ["love"], ["worst_ever_one", "best_ever_one"]))
    assert list(table.prompts) == table.prompt_keys == ["worst_ever_one", "best_ever_one"]
    assert table.prompts["worst_ever_one"].framing == "negative"
    assert table.record.prompt_set.name == "christian2026"
    assert table.record.prompt_set.sha256 != load_prompts().sha256


def test_a_file_of_no_known_model_is_called_after_itself(tmp_path: Path) -> None:
    for name in ("scores.csv", "big2_rewards_Someone_New-RM.csv"):
        record = read_scores(write(tmp_path, ["love"], ["best_ever_one"], name)).record
        assert record.model == record.slug == name.removesuffix(".csv")
        assert record.family is None
        assert record.base_checkpoint is None


def test_a_files_model_is_looked_up_by_its_hub_id(tmp_path: Path) -> None:
    path = write(tmp_path, ["love"], ["best_ever_one"], "MFD20_rewards_nicolinho_QRM-Gemma-2-27B.csv")
    record = read_scores(path).record
    assert (record.model, record.family, record.base_checkpoint) == ("qrm-gemma-2-27b", "Gemma", "gemma-2-27b-it")


def test_rows_that_say_the_same_count_once_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_text("response,best_ever_one\nlove,1.5\npower,1\nlove,1.5\n", encoding="utf-8")
    table = read_scores(path)
    assert table.frame["candidate"].to_list() == ["love", "power"]
    assert table.record.warnings == ["1 rows of scores.csv repeat another and count once"]


def test_a_byte_order_mark_quotes_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(b'\xef\xbb\xbf"response","best_ever_one"\r\n"love","1.5"\r\n')
    table = read_scores(path)
    assert table.frame.rows() == [("love", None, 1.5)]


def test_a_large_file_of_empty_lines_raises_before_it_takes_memory(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    path.write_bytes(b"response,best_ever_one\n" + b"\n" * 20_000_000)
    with pytest.raises(BirthmarkError, match="has lines without 1 scores"):
        read_scores(path)


def test_a_file_over_the_size_raises_unread(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    with path.open("wb") as file:
        file.truncate(published.MAX_BYTES + 1)
    with pytest.raises(BirthmarkError, match="has 256 MB, and may have at most 256"):
        read_scores(path)


# --- humans

HEADER = "elo_rank,elo_score,name,elo_matches,Skywork/Skywork-Reward-Gemma-2-27B,someone/else\n"


def write_of_humans(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        "elo_rank,name\n1,water\n2,fire\n2,air\n",
        "candidate,rank\nwater,1\nfire,5\nair,5\n",
        "candidate,score\nwater,9\nfire,-2\nair,-2\n",
    ],
)
def test_ranks_are_from_the_best_on_with_ties_averaged(tmp_path: Path, text: str) -> None:
    assert read_human_ranking(write_of_humans(tmp_path, "people.csv", text)).ranks == {
        "water": 1.0,
        "fire": 2.5,
        "air": 2.5,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("candidate,rank\nlove,1\nlove,2\n", 'ranks "love" twice'),
        ("candidate,rank\nlove,first\n", "not a finite number"),
        ("candidate,rank\n", "has no rows"),
    ],
)
def test_another_layout_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BirthmarkError, match=message) as error:
        read_human_ranking(write_of_humans(tmp_path, "people.csv", text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="is not a file"):
        read_human_ranking(tmp_path / "none.csv")


def test_a_table_a_model_has_a_column_a_file(tmp_path: Path) -> None:
    first = write_of_humans(tmp_path, "elo-humans-prefer.csv", HEADER + "1,9,null,3,0.5,-1\n2,8,NA,3,-0.5,2\n")
    second = write_of_humans(tmp_path, "mine.csv", HEADER + "1,9,null,3,1,2\n2,8,NA,3,3,4\n")
    tables = read_elo_scores([first, second])
    assert [table.model for table in tables] == ["skywork-reward-gemma-2-27b", "someone/else"]
    assert tables[0].record.family == "Gemma"
    assert tables[0].prompt_keys == ["humans_prefer", "mine"]
    assert tables[0].frame["candidate"].to_list() == ["null", "NA"]
    assert tables[1].matrix().tolist() == [[-1.0, 2.0], [2.0, 4.0]]


def test_files_of_different_things_raise(tmp_path: Path) -> None:
    first = write_of_humans(tmp_path, "a.csv", HEADER + "1,9,love,3,0.5,-1\n")
    second = write_of_humans(tmp_path, "b.csv", HEADER + "1,9,hate,3,0.5,-1\n")
    with pytest.raises(BirthmarkError, match="other items or models"):
        read_elo_scores([first, second])


def test_only_files_of_the_layout_are_taken_for_it(tmp_path: Path) -> None:
    assert is_elo_file(write_of_humans(tmp_path, "a.csv", HEADER))
    assert not is_elo_file(write_of_humans(tmp_path, "b.csv", "response,best_ever_one\n"))


def test_the_published_files_are_read_whole(shared: Path) -> None:
    tables = read_elo_scores([shared / "predecessor-data" / file.name for file in ELO_FILES])
    assert len(tables) == 10
    assert {table.frame.height for table in tables} == {7530}
    assert None not in {table.record.base_checkpoint for table in tables}


def test_fetching_asks_for_the_sources_own_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        "birthmark.inputs.published.fetch_file", lambda url, sha256, name: asked.append(url) or tmp_path / name
    )
    fetch_elo_files()
    assert asked[0].endswith("/data/elo/What,%20in%20one%20word,%20is%20the%20greatest%20thing%20ever.csv")
