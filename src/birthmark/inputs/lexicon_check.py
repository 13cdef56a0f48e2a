"""Checks of a lexicon for its author, before it is used: errors, warnings and notes."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev
from typing import Literal

from birthmark.inputs.lexicon_files import Reading, Row, read_lexicon_file
from birthmark.inputs.lexicons import NAMED, Lexicon, load_lexicon
from birthmark.inputs.text import is_file
from birthmark.inputs.words import Notice, one_edit_apart

SMALL_CATEGORY = 10
NOTABLE_D = 0.5
"""Cohen's d from which a difference between categories in length or frequency is reported: a medium effect."""


@dataclass(frozen=True)
class LexiconFinding:
    """One result: with an `error` the lexicon cannot be read, a `warning` can shift ranks, a `note` is information."""

    level: Literal["error", "warning", "note"]
    message: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.level}: {Notice(self.message, self.words)}"


def check_lexicon(
    lexicon: Lexicon | str | Path, tokens_by_model: Mapping[str, Collection[str]] | None = None
) -> list[LexiconFinding]:
    """Check a lexicon; errors come first.

    A file is checked row by row: category ids that its header does not declare, a `*` in the wrong place, duplicate rows,
    words without a category; and what reading it changed is told: invisible characters, joined files, split or merged
    categories, thresholds. Any lexicon is checked for words in several categories, words that differ only in case, garbled
    words, categories that are small or one letter apart, and categories that differ in length or frequency (Zipf, from
    wordfreq if it is installed), which alone shifts ranks. With `tokens_by_model` (each model's token strings) also for
    words that are not a token of any model, as written or after a space.

    Raises `BirthmarkError` only if the file cannot be read at all.
    """
    findings: list[LexiconFinding] = []
    if not isinstance(lexicon, Lexicon):
        if str(lexicon) not in NAMED and is_file(Path(lexicon)):
            reading = read_lexicon_file(Path(lexicon))
            findings = _row_findings(reading)
            if not reading.rows:
                findings.insert(0, LexiconFinding("error", "no word has a category: add at least one"))
            if any(finding.level == "error" for finding in findings):
                return findings
        lexicon = load_lexicon(lexicon)
    findings += _category_findings(lexicon)
    findings += _difference(lexicon, "length (letters)", len)
    findings += _frequency_findings(lexicon)
    findings += _token_findings(lexicon, tokens_by_model or {})
    order = ("error", "warning", "note")
    return sorted(findings, key=lambda finding: order.index(finding.level))


def single_tokens(lexicon: Lexicon, tokens: Collection[str]) -> dict[str, int]:
    """The number of words of each category that are one token of a model, as written or after a space."""
    counts = dict.fromkeys(lexicon.categories, 0)
    for word in lexicon.words:
        if word in tokens or f" {word}" in tokens:
            for category in lexicon.entries[word]:
                counts[category] += 1
    return counts


def _row_findings(reading: Reading) -> list[LexiconFinding]:
    def named(rows: Iterable[Row], part: Callable[[Row], str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"{part(row)} (line {row.line})" for row in rows))

    twice = Counter((row.word, row.category) for row in reading.rows)
    stray = [row for row in reading.rows if "*" in row.word[:-1] or row.word == "*"]
    found = [
        LexiconFinding(
            "error",
            "category ids that the header does not declare",
            named(reading.unknown_ids, lambda row: f"{row.category} of {row.word}"),
        ),
        LexiconFinding("error", "a `*` that does not end a stem", named(stray, lambda row: row.word)),
        LexiconFinding(
            "warning",
            "words that are in one category twice (they count once)",
            tuple(f"{word} ({category})" for (word, category), times in twice.items() if times > 1),
        ),
        LexiconFinding("warning", "words without a category (they are left out)", reading.bare_words),
    ]
    done = [LexiconFinding(notice.level, notice.message, notice.words) for notice in reading.notices]
    return [*(finding for finding in found if finding.words), *done]


def _category_findings(lexicon: Lexicon) -> list[LexiconFinding]:
    sizes = lexicon.sizes()
    letters = [name for name in sizes if len(name) > 4 and name.isalpha()]
    near = [f"{first} and {second}" for first, second in combinations(letters, 2) if one_edit_apart(first, second)]
    cased = Counter(entry.casefold() for entry in lexicon.entries)
    found = [
        LexiconFinding(
            "note",
            "words in several categories (they count in each)",
            tuple(entry for entry, categories in lexicon.entries.items() if len(categories) > 1),
        ),
        LexiconFinding(
            "note",
            "words that differ only in case (each is matched exactly)",
            tuple(entry for entry in lexicon.entries if cased[entry.casefold()] > 1),
        ),
        LexiconFinding("warning", "categories that are one letter apart: is one of them mistyped?", tuple(near)),
        LexiconFinding(
            "warning",
            "words that lost letters, or show those of another encoding: save the file as UTF-8 and type them again",
            tuple(entry for entry in lexicon.entries if _is_garbled(entry)),
        ),
        LexiconFinding(
            "warning",
            f"categories with fewer than {SMALL_CATEGORY} entries (their medians are unstable)",
            tuple(f"{category} ({size})" for category, size in sizes.items() if size < SMALL_CATEGORY),
        ),
        LexiconFinding(
            "note",
            "stems match the candidates of a table; they are not scored themselves",
            lexicon.stems,
        ),
    ]
    if len(sizes) == 1:
        found.append(LexiconFinding("warning", "only one category: nothing to compare it with", tuple(sizes)))
    if lexicon.stems and not lexicon.words:
        found.append(LexiconFinding("warning", "only stems: give candidates for them to match", lexicon.stems))
    return [finding for finding in found if finding.words]


def _is_garbled(word: str) -> bool:
    """Whether a word has a replacement character, or is UTF-8 that was read as Windows-1252 (`cafÃ©`)."""
    if "\ufffd" in word:
        return True
    try:
        return word.encode("cp1252").decode("utf-8") != word
    except UnicodeError:
        return False


def _frequency_findings(lexicon: Lexicon) -> list[LexiconFinding]:
    try:
        from wordfreq import zipf_frequency
    except ImportError:
        return [LexiconFinding("note", "frequency was not checked: install birthmark[frequency]")]
    unknown = tuple(word for word in lexicon.words if zipf_frequency(word, "en") == 0)
    found = (
        [LexiconFinding("note", "words that wordfreq does not know (misspelt, or not English?)", unknown)]
        if unknown
        else []
    )
    return found + _difference(lexicon, "frequency (Zipf)", lambda word: zipf_frequency(word, "en"))


def _difference(lexicon: Lexicon, what: str, measure: Callable[[str], float]) -> list[LexiconFinding]:
    """The largest difference between two categories' means of a measure, if it is at least `NOTABLE_D` pooled SDs."""
    values = {
        category: [measure(word) for word in lexicon.words if category in lexicon.entries[word]]
        for category in lexicon.categories
    }
    values = {category: mine for category, mine in values.items() if len(mine) > 1}
    if len(values) < 2:
        return []
    low, high = (pick(values, key=lambda category: mean(values[category])) for pick in (min, max))
    gap = mean(values[high]) - mean(values[low])
    spread = ((stdev(values[low]) ** 2 + stdev(values[high]) ** 2) / 2) ** 0.5
    if gap == 0 or gap < NOTABLE_D * spread:
        return []
    message = (
        f"categories differ in {what}, which alone shifts ranks: {high} {mean(values[high]):.2f}, "
        f"{low} {mean(values[low]):.2f}"
    )
    return [LexiconFinding("warning", message)]


def _token_findings(lexicon: Lexicon, tokens_by_model: Mapping[str, Collection[str]]) -> list[LexiconFinding]:
    if not tokens_by_model:
        return []
    none = tuple(
        word
        for word in lexicon.words
        if not any(word in tokens or f" {word}" in tokens for tokens in tokens_by_model.values())
    )
    found = [LexiconFinding("warning", "words that are not a token of any model", none)] if none else []
    for model, tokens in tokens_by_model.items():
        counts, sizes = single_tokens(lexicon, tokens), lexicon.sizes()
        shares = ", ".join(f"{category} {counts[category]} of {sizes[category]}" for category in counts)
        found.append(LexiconFinding("note", f"single tokens in {model}: {shares}"))
    return found
