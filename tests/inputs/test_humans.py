"""People's rankings and the predecessor study's files: what is read, and what is refused."""

from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.published import ELO_FILES, fetch_elo_files, is_elo_file, read_human_ranking
from birthmark.scoring.table import read_elo_scores

HEADER = "elo_rank,elo_score,name,elo_matches,Skywork/Skywork-Reward-Gemma-2-27B,someone/else\n"


def write(folder: Path, name: str, text: str) -> Path:
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
    assert read_human_ranking(write(tmp_path, "people.csv", text)).ranks == {"water": 1.0, "fire": 2.5, "air": 2.5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "has the columns a, b"),
        ("candidate,rank\nlove,1\nlove,2\n", 'ranks "love" twice'),
        ("candidate,rank\nlove,first\n", "no finite number"),
        ("candidate,rank\n", "has no rows"),
    ],
)
def test_another_layout_is_a_one_line_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BirthmarkError, match=message) as error:
        read_human_ranking(write(tmp_path, "people.csv", text))
    assert "\n" not in str(error.value)


def test_a_missing_file_is_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="is not a file"):
        read_human_ranking(tmp_path / "none.csv")


def test_a_table_a_model_has_a_column_a_file(tmp_path: Path) -> None:
    first = write(tmp_path, "elo-humans-prefer.csv", HEADER + "1,9,null,3,0.5,-1\n2,8,NA,3,-0.5,2\n")
    second = write(tmp_path, "mine.csv", HEADER + "1,9,null,3,1,2\n2,8,NA,3,3,4\n")
    tables = read_elo_scores([first, second])
    assert [table.model for table in tables] == ["skywork-reward-gemma-2-27b", "someone/else"]
    assert tables[0].record.family == "Gemma"
    assert tables[0].prompt_keys == ["humans_prefer", "mine"]
    assert tables[0].frame["candidate"].to_list() == ["null", "NA"]
    assert tables[1].matrix().tolist() == [[-1.0, 2.0], [2.0, 4.0]]


def test_files_of_different_things_are_refused(tmp_path: Path) -> None:
    first = write(tmp_path, "a.csv", HEADER + "1,9,love,3,0.5,-1\n")
    second = write(tmp_path, "b.csv", HEADER + "1,9,hate,3,0.5,-1\n")
    with pytest.raises(BirthmarkError, match="other things or models"):
        read_elo_scores([first, second])


def test_only_files_of_the_layout_are_taken_for_it(tmp_path: Path) -> None:
    assert is_elo_file(write(tmp_path, "a.csv", HEADER))
    assert not is_elo_file(write(tmp_path, "b.csv", "response,best_ever_one\n"))


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
