"""How a result shows itself: a short `repr`, a table in a notebook, rows as a polars or pandas frame.

Knows nothing of what the rows mean.
"""

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas
    import polars

SHOWN_ROWS = 60

Row = dict[str, object]


class Shown:
    """A result with a sentence (`summary`) and rows of the same columns (`rows`)."""

    def summary(self) -> str:
        """One or a few sentences."""
        raise NotImplementedError

    def rows(self) -> list[Row]:
        """What `to_polars` gives, a row a dict."""
        raise NotImplementedError

    def to_polars(self) -> "polars.DataFrame":
        import polars

        return polars.DataFrame(self.rows(), infer_schema_length=None)

    def to_pandas(self) -> "pandas.DataFrame":
        return self.to_polars().to_pandas()

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.summary()}"

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        rows = self.rows()
        more = f"<p>… and {len(rows) - SHOWN_ROWS:,} more rows: .to_polars()</p>" if len(rows) > SHOWN_ROWS else ""
        return f"<p>{escape(self.summary())}</p>{_table(rows[:SHOWN_ROWS])}{more}"


def _table(rows: list[Row]) -> str:
    if not rows:
        return ""
    header = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row.values()))}</tr>" for row in rows)
    return f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td style="text-align:right">{value:.4g}</td>'
    return f"<td>{'–' if value is None else escape(str(value))}</td>"
