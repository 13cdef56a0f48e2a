"""One specification of columns for a table, the tooltips of the figure beside it, and its download as CSV."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from birthmark.foreign import csv_text
from birthmark.values.formats import p_words

if TYPE_CHECKING:
    import altair as alt

LONGEST_WHOLE = 24  # characters
Row: TypeAlias = Any  # a mapping or a record with the columns' keys


def shown(value: object) -> str:
    """Text as it is, another value as Python writes it, a dash for none."""
    return "–" if value is None else value if isinstance(value, str) else str(value)


def number(spec: str) -> Callable[[float | None], str]:
    """Numbers by a format specification of Python's (`,.1f`), with a true minus sign; a dash for none."""
    return lambda value: "–" if value is None else format(value, spec).replace("-", "−")


def yes(value: bool | None) -> str:
    return "–" if value is None else "yes" if value else "no"


def p_value(p: float | None) -> str:
    return "–" if p is None else p_words(p)


def bare_p(p: float | None) -> str:
    """A p value under a header that says so."""
    return p_value(p).removeprefix("p = ").removeprefix("p ")


@dataclass(frozen=True)
class Column:
    """A column of a table: `show` makes a cell's text of the values that a row has under `key`.

    `key` is one field or several that make up one text, such as an interval's ends. `tip`: the column is also in the
    tooltips of the figure that draws the rows; `table`: it is in the table and in the download.
    `tip_title` is the title in the tooltip where `title` has a name in it: Vega reads a tooltip's titles as an expression.
    """

    key: str | tuple[str, ...]
    title: str
    show: Callable[..., str] = shown
    tip: bool = False
    table: bool = True
    tip_title: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        return (self.key,) if isinstance(self.key, str) else self.key

    def values(self, row: Row) -> list[Any]:
        return [row[key] if isinstance(row, Mapping) else getattr(row, key) for key in self.keys]

    def text(self, row: Row) -> str:
        return self.show(*self.values(row))

    @property
    def field(self) -> str:
        """The field of a drawn row that has the text: the key's own where it is shown as it is."""
        return self.keys[0] if self.show is shown else f"{'_'.join(self.keys)}_text"

    def plain(self, row: Row) -> list[Any]:
        """The values for a download; what is more than a text or a number, as it is shown."""
        values = self.values(row)
        return (
            values
            if all(value is None or isinstance(value, str | int | float) for value in values)
            else [self.text(row)]
        )

    def names(self) -> list[str]:
        """The headers of its values in a download: several values are named by their keys."""
        return [self.title] if len(self.keys) == 1 else [f"{self.title} ({key})" for key in self.keys]


@dataclass(frozen=True)
class Table:
    """Rows under columns; the first cell names its row. `note` stands below; `sortable`: a reader can sort the rows."""

    caption: str
    columns: Sequence[Column]
    data: Sequence[Row]
    note: str = ""
    sortable: bool = False

    @property
    def shown(self) -> list[Column]:
        return [column for column in self.columns if column.table]

    @cached_property
    def _texts(self) -> list[tuple[str, list[str]]]:
        """Titles and texts of the columns to be read: one that has nothing but dashes is in the download alone."""
        texts = [(column.title, [column.text(row) for row in self.data]) for column in self.shown]
        return [
            (title, cells) for at, (title, cells) in enumerate(texts) if at == 0 or not cells or set(cells) != {"–"}
        ]

    @property
    def headers(self) -> tuple[str, ...]:
        return tuple(title for title, _ in self._texts)

    @cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The cells' texts."""
        return tuple(zip(*(cells for _, cells in self._texts), strict=True))

    @property
    def whole_names(self) -> bool:
        """Whether the rows' names are short enough that none need be broken within a word."""
        return all(len(part) <= LONGEST_WHOLE for row in self.rows for part in re.split(r"[\s-]", row[0]))

    @cached_property
    def csv(self) -> str:
        """The values as they are, not as they are shown."""
        header = [name for column in self.shown for name in column.names()]
        return csv_text(
            [header, *([value for column in self.shown for value in column.plain(row)] for row in self.data)]
        )

    @cached_property
    def drawn(self) -> list[dict[str, Any]]:
        """The rows for a figure."""
        return drawn(self.data, self.columns)

    @property
    def tips(self) -> "list[alt.Tooltip]":
        return tips(self.columns)


def drawn(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Rows for a figure: with the texts that their tooltips show."""
    told = [column for column in columns if column.tip and column.show is not shown]
    return [{**row, **{column.field: column.text(row) for column in told}} for row in rows]


def tips(columns: Sequence[Column]) -> "list[alt.Tooltip]":
    """The tooltips of drawn rows."""
    import altair as alt

    return [
        alt.Tooltip(f"{column.field}:N", title=column.tip_title or column.title) for column in columns if column.tip
    ]
