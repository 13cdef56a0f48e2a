"""Files of every kind, the hub's data sets by name, and what is wrong with others."""

from pathlib import Path
from typing import Any

import datasets
import pytest

from birthmark.errors import BirthmarkError
from birthmark.training.data import Pair
from birthmark.training.sources import NAMED, count_drops, open_source, read_pairs, scan
from preference_files import pair_rows, said, write_rows

ROWS = pair_rows(5)
MESSAGES = [{"chosen": [said("user", "Why?"), said("assistant", "Because.")],
             "rejected": [said("user", "Why?"), said("assistant", f"No {i}.")]} for i in range(3)]  # fmt: skip


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.json", "a.json.gz", "a.parquet"])
@pytest.mark.parametrize("rows", [ROWS, MESSAGES], ids=["text", "messages"])
def test_every_kind_of_file_gives_the_same_rows(name: str, rows: list, tmp_path: Path) -> None:
    source = open_source(write_rows(tmp_path / name, rows))
    assert (source.name, list(source.rows()), list(source.rows())) == ("a", rows, rows)
    assert source.sha256


def test_a_scan_counts_what_is_read_usable_and_dropped(tmp_path: Path) -> None:
    rows = [*ROWS, {"prompt": "a", "chosen": "b", "rejected": "b"}, {"prompt": "a", "chosen": "", "rejected": "b"}]
    source = open_source(write_rows(tmp_path / "a.jsonl", rows))
    found = scan(source)
    assert (found.read, found.usable, found.layout) == (7, [1, 2, 3, 4, 5], "text, explicit prompt")
    assert count_drops(found.drops) == {"an empty turn": 1, "the same answer twice": 1}
    assert [pair.row for pair in read_pairs(source, [4, 2])] == [4, 2]


@pytest.mark.parametrize("asked", ["unified-feedback", "llm-blender/Unified-Feedback", "llm-blender/unified-feedback"])
def test_a_data_set_of_the_hub_is_read_by_its_configuration_and_split(
    asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    conversations = {"conv_A": MESSAGES[0]["chosen"], "conv_B": MESSAGES[0]["rejected"], "source": "x"}
    rows = [{**conversations, "conv_A_rating": a, "conv_B_rating": b} for a, b in ((1.0, 1.0), (0.2, 0.9), (3.0, 1.0))]

    def load(*arguments: Any, **options: Any) -> datasets.Dataset:
        seen.append((arguments, options))
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = open_source(asked)
    assert seen == [(("llm-blender/Unified-Feedback", "all"), {"split": "train"})]
    assert scan(source).usable == [2, 3]
    second, third = read_pairs(source, [2, 3])
    assert (second.chosen[-1].content, third.chosen[-1].content) == ("No 0.", "Because.")


def test_the_studys_sources_and_ultrafeedback_have_names() -> None:
    hub_ids = {hub_id for hub_id, _, _ in NAMED.values()}
    assert {
        "Skywork/Skywork-Reward-Preference-80K-v0.2",
        "llm-blender/Unified-Feedback",
        "openbmb/UltraFeedback",
    } <= hub_ids


def test_a_hub_that_cannot_be_read_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*arguments: Any, **options: Any) -> None:
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(datasets, "load_dataset", load)
    with pytest.raises(BirthmarkError, match="OWNER/NAME .*no route"):
        open_source("OWNER/NAME")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b"", "empty"),
        ("a.jsonl", b'{"chosen": 1', "JSON lines"),
        ("a.jsonl", b'"text"\n', "row 1"),
        ("a.jsonl", b"\xff\xfe", "JSON lines"),
        ("a.jsonl.gz", b"not gzip", "JSON lines"),
        ("a.json", b'{"chosen": "a"}', "JSON list"),
        ("a.parquet", b"PAR1", "Parquet"),
        ("a.csv", b"chosen,rejected\n", "ending"),
        ("a.jsonl", b'{"text": "a"}\n', "text.*chosen"),
        ("a.jsonl", b'{"chosen": "a", "rejected": "a"}\n', "no usable pairs left: 1 for 'no prompt in common'"),
    ],
)
def test_a_file_that_is_no_preference_file_is_one_line(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BirthmarkError, match=words) as error:
        scan(open_source(tmp_path / name))
    assert "\n" not in str(error.value)


def test_a_row_of_absurd_length_is_refused_before_it_is_read(tmp_path: Path) -> None:
    long = "a" * 11_000_000
    for name in ("long.jsonl.gz", "long.parquet"):
        write_rows(tmp_path / name, [{"chosen": long, "rejected": "b"}])
        assert (tmp_path / name).stat().st_size < 1_000_000
        with pytest.raises(BirthmarkError, match="over 10,000,000 characters|11 MB in 1 rows"):
            scan(open_source(tmp_path / name))


@pytest.mark.parametrize("name", ["missing.jsonl", "folder/missing.jsonl", "nothing"])
def test_a_file_that_is_not_there_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(BirthmarkError, match="neither a file, nor a hub id"):
        open_source(name)


def test_the_two_sources_beside_the_checkout_are_read_whole(shared: Path) -> None:
    harmless = open_source(shared / "preferences" / "hh-harmless-base-test.jsonl.gz")
    found = scan(harmless)
    assert (found.read, found.layout) == (2312, "dialogue")
    assert len(found.usable) + len(found.drops) == 2312 and len(found.usable) > 2200
    (pair,) = read_pairs(harmless, found.usable[:1])
    assert isinstance(pair, Pair) and pair.chosen[0].role == "user" and pair.chosen[:-1] == pair.rejected[:-1]
    alpaca = scan(open_source(shared / "preferences" / "alpacaeval-gpt4.jsonl.gz"))
    assert (alpaca.read, alpaca.layout) == (2123, "text, explicit prompt")
