"""Pages of sections: what is long is folded up, what is text is escaped."""

from pathlib import Path

import pytest

from birthmark.report.figure import Table
from birthmark.report.layout import MOST_ROWS, Section, write_plain_page


@pytest.mark.parametrize(("rows", "folded"), [(MOST_ROWS, False), (MOST_ROWS + 1, True)])
def test_a_long_table_is_folded_up_and_says_how_long_it_is(tmp_path: Path, rows: int, folded: bool) -> None:
    table = Table("Words <b>", ("Word",), tuple((f"word {at}",) for at in range(rows)))
    page = write_plain_page(tmp_path, "Title", "Lead", [Section("a", "A", tables=[table])]).read_text(encoding="utf-8")
    assert (f"<summary>Words &lt;b&gt;: {rows} rows</summary>" in page) is folded
    assert f"word {rows - 1}" in page
