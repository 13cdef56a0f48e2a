"""Drawing: what a command has read is not read again for its page, and a folder without a page is refused."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.report.draw import draw
from birthmark.scoring import table


def test_one_audit_reads_and_checks_each_score_table_once(
    tiny_lm: Path, tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, hashed = Counter[str](), Counter[str]()
    read_parquet, sha256_of = table.read_parquet, table.sha256_of

    def counted_read(path: Path) -> pl.DataFrame:
        read[path.name] += 1
        return read_parquet(path)

    def counted_hash(path: Path) -> str:
        hashed[Path(path).name] += 1
        return sha256_of(path)

    monkeypatch.setattr(table, "read_parquet", counted_read)
    monkeypatch.setattr(table, "sha256_of", counted_hash)
    asked = {"prompt": ["best_ever_one", "worst_ever_one"], "candidates": "lexicon", "verify": False}
    for _ in range(2):  # scored, then resumed
        read.clear()
        hashed.clear()
        result = bm.audit(tiny_lm, tiny_base, out=tmp_path / "out", **asked)
        names = [f"{item.record.slug}.parquet" for item in result.tables]
        assert len(names) == 2
        assert [read[name] for name in names] == [1, 1]
        assert [hashed[name] for name in names] == [1, 1]  # a table that is written is hashed under a passing name too


def test_a_folder_that_is_no_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BirthmarkError, match="holds no study.json"):
        draw(tmp_path)
