"""Scores to ranks, and ranks to medians, means and contrasts of a lexicon's categories; what a candidate's text is.

Rank 1 is the best candidate after a prompt, ties averaged. Words are grouped by stem where inflections of one word are
not independent draws.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import polars as pl
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.text import did_you_mean
from birthmark.inputs.words import clean_word
from birthmark.records import Framing
from birthmark.scoring.table import ScoreTable

Sort = Literal["markdown", "punctuation", "whitespace"]
SORTS: tuple[Sort, ...] = get_args(Sort)
_NO_WORD = r"^[\s\p{P}\p{Sm}\p{Sc}\p{Sk}]*$"  # no letter, digit, emoji or mark of a script
_BLANK = r"^\s*$"
_MARKS = r"[*_#`~|]"  # Markdown wherever they stand
_LINE_STARTS = r"^[\s\-+=>]+$"  # Markdown where nothing else stands with them: lists, quotes, rules, underlines


def sort_of(text: pl.Expr) -> pl.Expr:
    """`markdown`, `punctuation`, `whitespace`, or null for a text with a letter, a digit or another sign in it.

    Markdown is a text without any of those that holds `*`, `_`, `#`, a backquote, `~` or `|`, or that is made of `-`, `+`,
    `=`, `>` (and white space) only: `**`, ` ##`, `**:`, `-`. Other texts of punctuation and symbols are punctuation.
    """
    bare = text.str.contains(_NO_WORD)
    return (
        pl.when(text.str.contains(_BLANK))
        .then(pl.lit("whitespace"))
        .when(bare & (text.str.contains(_MARKS) | text.str.contains(_LINE_STARTS)))
        .then(pl.lit("markdown"))
        .when(bare)
        .then(pl.lit("punctuation"))
    )


def folded(text: pl.Expr) -> pl.Expr:
    """Lower case, without the spaces it begins with; a text of spaces alone, or of a space and a line break, stays."""
    return text.str.to_lowercase().str.replace(r"^ +(\S)", "${1}")


def parse_sorts(given: str | Sequence[str]) -> tuple[Sort, ...]:
    """Names of sorts, each once, several joined by commas; raises `BirthmarkError` for another name."""
    parts = [part.strip() for text in ([given] if isinstance(given, str) else given) for part in text.split(",")]
    names = [name for name in dict.fromkeys(parts) if name]
    for name in names:
        if name not in SORTS:
            raise BirthmarkError(f'no candidates of the sort "{name}" can be set aside: {did_you_mean(name, SORTS)}')
    return tuple(sort for sort in SORTS if sort in names)


def stems(words: Iterable[str]) -> list[str]:
    """Each English word's stem, lower-case, in order: `stems(["caring", "Cares", "careful"]) == ["care"] * 3`.

    A stem is a label to group by; it need not be a word.
    """
    from snowballstemmer import stemmer

    # A stemmer keeps the word at hand in itself, so that threads may not share one.
    return list(stemmer("english").stemWords([word.strip().lower() for word in words]))


@dataclass(frozen=True)
class LexiconScores:
    """One table's scores of a lexicon's words.

    `scores` is float32 [words, prompts], rows in the order of `categories`' keys (alphabetical), columns in the table's
    order. `from_tokens` are the words that had no word row and took their token's; `duplicates` those with several rows;
    `respelled` those whose row the table spells with invisible characters or decomposed letters.
    """

    categories: Mapping[str, tuple[str, ...]]
    prompts: tuple[str, ...]
    scores: np.ndarray
    from_tokens: tuple[str, ...]
    duplicates: tuple[str, ...]
    respelled: tuple[str, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.categories)


def rank(scores: np.ndarray) -> np.ndarray:
    """Ranks within each prompt: 1 for the highest score, ties averaged.

    `scores` [n, prompts] → float64 [n, prompts]; each column sums to n(n + 1)/2. Constant scores are all ties: each
    rank is (n + 1)/2. Raises `BirthmarkError` for NaN or infinite scores, which have no rank.
    """
    _require_finite(scores)
    return np.asarray(
        scipy.stats.rankdata(-np.asarray(scores, dtype=np.float64), method="average", axis=0), dtype=np.float64
    )


def _require_finite(scores: np.ndarray) -> None:
    if not np.isfinite(scores).all():
        raise BirthmarkError("NaN or infinite scores have no rank: score the model again, in float32")


def lexicon_scores(table: ScoreTable, lexicon: Lexicon) -> LexiconScores:
    """The rows of a table that are the lexicon's words: a word's own row, or the identical token's where it has none.

    Of several rows with the same text (a vocabulary can spell a text by two ids; published files repeat responses) the
    highest score after each prompt counts, that of the most probable. A word that a word row has only with invisible
    characters or decomposed letters is that row's; a token is what it is. Raises `BirthmarkError` where no word is found,
    or where a score is NaN or infinite.
    """
    respelled = _respelled(table, lexicon)
    frame = table.frame
    if respelled:
        is_word = pl.col("token_id").is_null()
        frame = frame.with_columns(pl.when(is_word).then(pl.col("candidate").replace(respelled)).otherwise("candidate"))
    found = lexicon.match(frame["candidate"].unique().to_list())
    if not found:
        raise BirthmarkError(
            f"no word of the lexicon {lexicon.name} is among the candidates of {table.model}: score it with --lexicon"
        )
    rows = frame.filter(pl.col("candidate").is_in(list(found)))
    worded = set(rows.filter(pl.col("token_id").is_null())["candidate"])
    rows = rows.filter(pl.col("token_id").is_null() | ~pl.col("candidate").is_in(list(worded)))
    _check_finite(rows, table)
    # The key column `token_id` is free to hold the number of rows: no prompt can be called that.
    best = rows.group_by("candidate").agg(pl.len().alias("token_id"), pl.col(table.prompt_keys).max()).sort("candidate")
    words = best["candidate"].to_list()
    return LexiconScores(
        categories={word: tuple(sorted(found[word])) for word in words},
        prompts=tuple(table.prompt_keys),
        scores=best.select(table.prompt_keys).to_numpy(),
        from_tokens=tuple(word for word in words if word not in worded),
        duplicates=tuple(best.filter(pl.col("token_id") > 1)["candidate"]),
        respelled=tuple(respelled.values()),
    )


def _respelled(table: ScoreTable, lexicon: Lexicon) -> dict[str, str]:
    """A table's words → the lexicon's, where only the former have invisible characters or decomposed letters."""
    words = table.words["candidate"]
    odd = words.filter(words.str.contains(r"[^ -~]")).unique().to_list()
    plain = {word: clean_word(word) for word in odd if not lexicon.match([word])}
    known = set(words.filter(words.is_in(list(plain.values())))) if plain else set()
    return {word: name for word, name in plain.items() if name not in known and lexicon.match([name])}


def _check_finite(rows: pl.DataFrame, table: ScoreTable) -> None:
    for prompt in table.prompt_keys:
        wrong = rows.filter(~pl.col(prompt).is_finite().fill_null(False))
        if wrong.height:
            word, value = wrong["candidate"][0], wrong[prompt][0]
            raise BirthmarkError(
                f"{table.model} gives {word!r} the score {value} after {prompt}: score it again, in float32, or leave it out"
            )


def membership(categories: Mapping[str, tuple[str, ...]], names: Sequence[str]) -> np.ndarray:
    """Which word is in which category: bool [categories, words]; a word may be in several."""
    return np.array([[name in of_word for of_word in categories.values()] for name in names], dtype=bool)


def category_medians(ranks: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Median rank of each category's words: ranks [..., words, prompts] → [..., categories, prompts]."""
    return np.stack([np.median(ranks[..., words, :], axis=-2) for words in member], axis=-2)


def category_means(ranks: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Mean rank of each category's words: ranks [..., words, prompts] → [..., categories, prompts]."""
    return np.stack([ranks[..., words, :].mean(axis=-2) for words in member], axis=-2)


def framing_means(values: np.ndarray, framings: Sequence[Framing | None], framing: Framing) -> np.ndarray:
    """Mean over the prompts of one framing: [..., prompts] → [...]."""
    return values[..., [given == framing for given in framings]].mean(axis=-1)


def framing_contrast(values: np.ndarray, framings: Sequence[Framing | None]) -> np.ndarray:
    """Mean over positive prompts minus mean over negative ones: [..., prompts] → [...]."""
    return framing_means(values, framings, "positive") - framing_means(values, framings, "negative")


def contrast(values: np.ndarray, framings: Sequence[Framing | None]) -> np.ndarray:
    """(first − second category, positive prompts) − (the same, negative prompts), of median or of mean ranks.

    `values` [..., 2 categories, prompts] → [...], in ranks. Since 1 is best, a negative contrast says that the first
    category is preferred where good things are asked for, beyond what it is where bad things are.
    """
    by_category = framing_contrast(values, framings)
    return by_category[..., 0] - by_category[..., 1]


QUANTILE_SHARES = np.unique(np.concatenate([np.linspace(0.0, 1.0, 101), np.geomspace(1e-5, 1e-2, 31)]))


@dataclass(frozen=True)
class Standings:
    """One model's candidates after one framing's prompts (null: prompts without a framing).

    `frame` has a row a candidate in the table's order: `candidate`, `token_id`, float64 `mean_rank`, `median_rank` over
    the prompts, and `mean_score`. Ranks are among these `frame.height` candidates, 1 is best.
    """

    model: str
    framing: Framing | None
    prompts: tuple[str, ...]
    frame: pl.DataFrame

    def top(self, n: int) -> pl.DataFrame:
        """The `n` candidates with the best mean rank, best first; equal ones in the table's order."""
        return self.frame.sort("mean_rank", maintain_order=True).head(n)

    def bottom(self, n: int) -> pl.DataFrame:
        """The `n` candidates with the worst mean rank, worst first; equal ones in the table's order."""
        return self.frame.sort("mean_rank", descending=True, maintain_order=True).head(n)

    def quantiles(self) -> np.ndarray:
        """`median_rank` at `QUANTILE_SHARES` of the candidates, best first: float64, one a share.

        A share is that of the candidates with a better median rank; the shares are closest together at the top.
        """
        return np.quantile(self.frame["median_rank"].to_numpy(), QUANTILE_SHARES)


def framings(table: ScoreTable) -> list[Framing | None]:
    """The framings of a table's prompts: `positive`, `negative`, null, in this order, those that occur."""
    given = {table.prompts[key].framing for key in table.prompt_keys}
    order: list[Framing | None] = ["positive", "negative", None]
    return [framing for framing in order if framing in given]


def standings(table: ScoreTable, rows: pl.DataFrame) -> list[Standings]:
    """The standings of `rows` (`table.tokens` or `table.words`) within each of the table's framings.

    Scores become ranks within each prompt (ties averaged); a candidate's standing is their mean and their median over
    the framing's prompts. No rows, no standings. Raises `BirthmarkError` for scores that are NaN or infinite.
    """
    if rows.is_empty():
        return []
    return [_standing(table, rows, framing) for framing in framings(table)]


def _standing(table: ScoreTable, rows: pl.DataFrame, framing: Framing | None) -> Standings:
    prompts = tuple(key for key in table.prompt_keys if table.prompts[key].framing == framing)
    scores = rows.select(prompts).to_numpy()  # [candidates, prompts]
    _require_finite(scores)
    # `rank` of a vocabulary takes twice as long; −0 and 0 are one score
    ranks = rows.select((pl.col(prompts) + 0.0).rank("average", descending=True)).to_numpy()
    frame = rows.select("candidate", "token_id").with_columns(
        mean_rank=pl.Series(ranks.mean(axis=1)),
        median_rank=pl.Series(np.median(ranks, axis=1)),
        mean_score=pl.Series(scores.mean(axis=1, dtype=np.float64)),
    )
    return Standings(table.record.slug, framing, prompts, frame)


def shared_candidates(frames: Sequence[pl.DataFrame]) -> list[str]:
    """Texts that occur as a candidate in every one of `frames`, in the first one's order, each once."""
    if not frames:
        return []
    shared = frames[0]["candidate"].unique(maintain_order=True)
    for frame in frames[1:]:
        shared = shared.filter(shared.is_in(frame["candidate"].unique().to_list()))
    return shared.to_list()


def best_of_each(frame: pl.DataFrame, candidates: Sequence[str]) -> np.ndarray:
    """The median rank of each of `candidates`, of duplicates the best: float64 [candidates]; each must be in `frame`."""
    best = frame.group_by("candidate").agg(pl.col("median_rank").min())
    wanted = pl.DataFrame({"candidate": list(candidates)}, schema={"candidate": pl.String})
    return wanted.join(best, on="candidate", how="left", maintain_order="left")["median_rank"].to_numpy()
