"""Issues in the published scores and word lists, each detected by a check of the files, with its effect.

Each check returns notes, and returns none if a file is corrected or missing. The checks of training files are in
`data_issues_training`.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from birthmark.files import read_csv, sha256_of
from birthmark.paper.data import CORPORA, SCORES, TRAINING, Corpus, StudyData
from birthmark.paper.data_issues_training import training_issues
from birthmark.paper.scores import Figures, dictionary_columns, published_columns
from birthmark.records import DataNote, Effects
from birthmark.scoring.table import ScoreTable
from birthmark.stats.mixed import JointF
from birthmark.values.ranks import category_medians, framing_contrast, membership, rank

FOLDERS: tuple[Corpus, ...] = ("dict_big2_nouns", "dict_MFD_20")
PREFIXES = {"dict_big2_nouns": "big2_rewards_", "dict_MFD_20": "MFD20_rewards_"}


EXPANDED, SHARED_TOKENS = "dict_big2_expanded.csv", "token_intersection.csv"


NULL_WORDS = ("NA", "N/A", "NULL", "Null", "null", "NaN", "nan", "None", "NONE", "none")


"""Texts that common CSV readers treat as a missing value; which ones depends on the reader."""


def data_notes(study: StudyData, found: Figures) -> list[DataNote]:
    """All notes on the study's files: scores first, then word lists, then training files."""
    return [
        *words_outside_lexicon(study),
        *words_not_scored(study),
        *misnamed_files(study),
        *words_scored_twice(study),
        *columns_left_out(study, found),
        *identical_files(study),
        *repeated_entries(study),
        *false_friends(study),
        *tokens_read_as_missing(study),
        *training_issues(study),
    ]


# ------------------------------------------------------------------------------------------------------ scores


def words_outside_lexicon(study: StudyData) -> list[DataNote]:
    """Words that were scored but are in no category: if ranked with the others, they would shift the ranks below them."""
    notes = []
    for corpus in FOLDERS:
        entries = study.lexicon(corpus).entries
        extra = {
            path.name: [word for word in table.frame["candidate"] if word not in entries]
            for path, table in zip(study.score_files(corpus), study.tables(corpus), strict=True)
        }
        words = sorted({word for found in extra.values() for word in found})
        if not words:
            continue
        files = [name for name, found in extra.items() if found]
        shift, contrast = _shift_by_extras(study.tables(corpus), corpus, study)
        notes.append(
            DataNote(
                check="words_outside_lexicon",
                file=_named(files, corpus, study),
                column="response",
                words=words,
                finding=f"{len(files)} of {len(extra)} files score {len(words)} words that {study.lexicon_file(corpus).name} "
                f"does not list: {_most_rows(study.tables(corpus)):,} rows for {len(entries):,} entries.",
                effect=f"The published join drops them. If ranked with the others, they would change a median rank by up to "
                f"{shift:g} and a model's contrast by up to {contrast:.2g} ranks.",
            )
        )
    return notes


def _most_rows(tables: Sequence[ScoreTable]) -> int:
    return max(table.frame.height for table in tables)


def _shift_by_extras(tables: Sequence[ScoreTable], corpus: Corpus, study: StudyData) -> tuple[float, float]:
    """Largest change of a median rank, and of a framing contrast, when words of no category are ranked too."""
    entries = study.lexicon(corpus).entries
    shifts, contrasts = [0.0], [0.0]
    for table in tables:
        words = table.frame["candidate"].to_list()
        inside = np.array([word in entries for word in words])
        listed = {word: entries[word] for word in words if word in entries}
        member = membership(listed, sorted({name for names in listed.values() for name in names}))
        scores = table.matrix()
        without = category_medians(rank(scores[inside]), member)
        within = category_medians(rank(scores)[inside], member)
        framings = [table.prompts[key].framing for key in table.prompt_keys]
        change = within - without
        shifts.append(float(np.abs(change).max()))
        by_category = framing_contrast(change, framings)
        contrasts.append(float(np.ptp(by_category)))
    return max(shifts), max(contrasts)


def words_not_scored(study: StudyData) -> list[DataNote]:
    """Words of the lexicon without a row in a file."""
    notes = []
    for corpus in FOLDERS:
        entries = study.lexicon(corpus).entries
        for path, table in zip(study.score_files(corpus), study.tables(corpus), strict=True):
            scored = set(table.frame["candidate"])
            words = [word for word in entries if word not in scored]
            if words:
                notes.append(
                    DataNote(
                        check="words_not_scored",
                        file=f"{corpus}/{path.name}",
                        column="response",
                        words=words,
                        finding=f"{len(words)} words of {study.lexicon_file(corpus).name} have no row.",
                        effect="They are left out of the ranks of all models, so that all models rank the same words.",
                    )
                )
    return notes


def misnamed_files(study: StudyData) -> list[DataNote]:
    """Score files named after the other lexicon than that of their folder and words."""
    notes = []
    for corpus in FOLDERS:
        other = next(folder for folder in FOLDERS if folder != corpus)
        wrong = [path.name for path in study.score_files(corpus) if path.name.startswith(PREFIXES[other])]
        twins = [name for name in wrong if (study.root / SCORES / other / name).is_file()]
        if wrong:
            notes.append(
                DataNote(
                    check="misnamed_files",
                    file=f"{corpus}/{PREFIXES[other]}*.csv",
                    column=None,
                    words=wrong,
                    finding=f"{len(wrong)} of {len(study.score_files(corpus))} files in {corpus} are named "
                    f"{PREFIXES[other]}…, but contain the words of {study.lexicon_file(corpus).name}; {len(twins)} have the "
                    f"same name as a file in {other}.",
                    effect="None if the folder identifies the lexicon, as here. Their names would identify them "
                    f"as scores of {other}, and in one folder {len(twins)} files would overwrite {len(twins)} others.",
                )
            )
    return notes


def words_scored_twice(study: StudyData) -> list[DataNote]:
    """Words in both lexicons have two scores by the same model after the same prompt; these should be equal."""
    apart: dict[str, tuple[float, float]] = {}
    words: list[str] = []
    others = {table.model: table.frame for table in study.mfd2_tables}
    for table in study.big_two_tables:
        if table.model not in others:
            continue
        both = table.frame.join(others[table.model], on="candidate", how="inner", suffix=" again").sort("candidate")
        keys = [key for key in table.prompt_keys if f"{key} again" in both.columns]
        once, again = (both.select(names).to_numpy() for names in (keys, [f"{key} again" for key in keys]))
        if once.size and not np.array_equal(once, again):
            words = both["candidate"].to_list()
            moved = float(np.abs(rank(once) - rank(again)).max())
            apart[table.model] = (float(np.abs(once - again).max()), moved)
    if not apart:
        return []
    worst = max(apart, key=lambda model: apart[model][0])
    return [
        DataNote(
            check="words_scored_twice",
            file="dict_big2_nouns/*.csv, dict_MFD_20/*.csv",
            column="response",
            words=words,
            finding=f"{len(words)} words are in both lexicons, and {len(apart)} of {len(others)} models give them two "
            f"different scores after the same prompt, at most {apart[worst][0]:.2g} apart ({worst}).",
            effect="Consistent with rounding that depends on the batch: among these words ranks differ by at most "
            f"{max(moved for _, moved in apart.values()):g}. Each figure uses one of the two, and nothing pools them.",
        )
    ]


def columns_left_out(study: StudyData, found: Figures) -> list[DataNote]:
    """Columns of the moral foundations dictionary outside the range that the published analysis uses."""
    path = study.lexicon_file("dict_MFD_20")
    columns = dictionary_columns(path)
    left_out = [name for name in columns if name not in published_columns(path)]
    lexicon = study.lexicon("dict_MFD_20")
    words = [word for word, names in lexicon.entries.items() if set(names) <= set(left_out)]
    if not left_out:
        return []
    published, every = found.figure_1b_as_published, found.figure_1b_all_columns
    return [
        DataNote(
            check="columns_left_out",
            file=path.name,
            column=", ".join(left_out),
            words=words,
            finding=f"{', '.join(left_out)} comes after Sanctity_Virtue in the file, so the published range of columns "
            f"leaves it out, with {len(words)} of {len(lexicon.entries):,} words.",
            effect=f"{published.n_candidates:,} words are ranked, not {every.n_candidates:,}. With all columns "
            f"{_stars(every)} panels are significant (as published {_stars(published)}){_changed(published, every)}, and "
            f"the joint F over the three-way terms is {_f(found.three_way_1b_all_columns)} "
            f"(as published {_f(found.three_way_1b_as_published)}).",
        )
    ]


def _stars(effects: Effects) -> str:
    starred = sum(panel.p_bonferroni is not None and panel.p_bonferroni < 0.05 for panel in effects.panels)
    return f"{starred} of {len(effects.panels)}"


def _changed(a: Effects, b: Effects) -> str:
    """The panels whose sign or significance differs between two analyses."""
    theirs = {(panel.category, panel.framing): panel for panel in b.panels}
    turned = []
    for panel in a.panels:
        other = theirs.get((panel.category, panel.framing))
        if other is None or panel.p_bonferroni is None or other.p_bonferroni is None:
            continue
        if (panel.difference > 0) != (other.difference > 0):
            turned.append(f"{panel.category} {panel.framing} changes sign")
        elif (panel.p_bonferroni < 0.05) != (other.p_bonferroni < 0.05):
            turned.append(
                f"{panel.category} {panel.framing} {'loses' if panel.p_bonferroni < 0.05 else 'gains'} its star"
            )
    return f": {', '.join(turned)}" if turned else ""


def _f(test: JointF) -> str:
    return f"F({test.df_num}, {test.df_den:,}) = {test.f:.1f}"


def identical_files(study: StudyData) -> list[DataNote]:
    """Identical files with different names in one folder."""
    notes = []
    for folder in (*(SCORES / corpus for corpus in FOLDERS), TRAINING, CORPORA):
        by_digest: dict[str, list[Path]] = {}
        for path in sorted((study.root / folder).glob("*.*")):
            by_digest.setdefault(sha256_of(path), []).append(path)
        for twins in by_digest.values():
            if len(twins) > 1:
                notes.append(
                    DataNote(
                        check="identical_files",
                        file=", ".join(path.name for path in twins),
                        column=None,
                        finding=f"{len(twins)} files are identical, byte for byte.",
                        effect=f"They are one measurement: {twins[0].name} adds nothing to {twins[-1].name}, "
                        + (
                            "so figures 4b and A5b show the same points at two quantities of data."
                            if folder == TRAINING
                            else "and using both would count one model twice."
                        ),
                    )
                )
    return notes


# -------------------------------------------------------------------------------------------------- word lists


@dataclass(frozen=True)
class _Variants:
    """Token texts of the shared vocabulary, and the dictionary's rows that match the plain form of each."""

    plain: list[tuple[str, str]]  # token text, plain form
    rows: Counter[str]  # dictionary word → rows
    category: dict[str, str]

    def ranked(self, category: str, *, repeats: bool = True) -> int:
        """Rows ranked for a category: a token's row is repeated for each row of its word in the dictionary."""
        return sum((self.rows[word] if repeats else 1) for _, word in self.plain if self.category.get(word) == category)


def repeated_entries(study: StudyData) -> list[DataNote]:
    """Words that the expanded dictionary lists more than once: after the join with tokens, each counts that often."""
    entries = _expanded_rows(study)
    repeated = sorted(word for word, rows in Counter(word for word, _ in entries).items() if rows > 1)
    if not repeated:
        return []
    variants = _variants(study)
    counted = ""
    if variants:
        agency, communion = (variants.ranked(name) for name in ("Agency", "Communion"))
        once = [variants.ranked(name, repeats=False) for name in ("Agency", "Communion")]
        counted = (
            f" Of the shared tokens {agency} rows for agency and {communion} for communion are ranked; counted once, there "
            f"would be {once[0]} and {once[1]}: {agency + communion - sum(once)} of {agency + communion:,} ranks in "
            "figures 4 and A5 are repeats, and the scores needed to correct this are not in the files."
        )
    return [
        DataNote(
            check="repeated_entries",
            file=EXPANDED,
            column="DicTerm",
            words=repeated,
            finding=f"{len(entries)} rows hold {len({word for word, _ in entries})} words: {len(repeated)} are listed more "
            "than once.",
            effect=f"Each counts as often as it is listed in the training runs' medians.{counted}",
        )
    ]


def false_friends(study: StudyData) -> list[DataNote]:
    """Tokens that match a dictionary word only because their non-ASCII letters are deleted."""
    variants = _variants(study)
    if variants is None:
        return []
    friends = [text for text, word in variants.plain if not text.isascii() and word in variants.rows]
    if not friends:
        return []
    ranked = sum(variants.rows[word] for _, word in variants.plain)
    taken = ", ".join(f"{text.strip()} as {word}" for text, word in variants.plain if text in friends)
    return [
        DataNote(
            check="false_friends",
            file=SHARED_TOKENS,
            column="token_decoded",
            words=friends,
            finding=f"Deleting non-ASCII letters, as the published analysis does, turns {len(friends)} tokens of other "
            f"languages into dictionary words: {taken}.",
            effect=f"{len(friends)} of {ranked:,} ranked rows in figures 4 and A5 are not the words they count as; a median "
            "can change by a few ranks, and the scores needed to correct this are not in the files.",
        )
    ]


def tokens_read_as_missing(study: StudyData) -> list[DataNote]:
    """Token texts that common CSV readers convert to a missing value."""
    path = study.path(CORPORA / SHARED_TOKENS)
    if path is None:
        return []
    tokens = _shared_tokens(path)
    missing = [token for token in tokens if token in NULL_WORDS]
    if not missing:
        return []
    words = {word for word, _ in _expanded_rows(study)}
    hit = [token for token in missing if token.lower() in words]
    lines = path.read_text(encoding="utf-8", errors="replace").count("\n")
    return [
        DataNote(
            check="tokens_read_as_missing",
            file=SHARED_TOKENS,
            column="token_decoded",
            words=missing,
            finding=f"CSV readers treat {len(missing)} token texts as missing values; with line breaks inside "
            f"quotes the file has {lines:,} lines for {len(tokens):,} tokens.",
            effect="None on the figures: none of them is a word of the dictionary. A reader that infers types loses them, and "
            "counting lines miscounts the vocabulary."
            if not hit
            else f"A reader that infers types loses {', '.join(hit)}, words of the dictionary.",
        )
    ]


def _variants(study: StudyData) -> _Variants | None:
    path = study.path(CORPORA / SHARED_TOKENS)
    entries = _expanded_rows(study)
    if path is None or not entries:
        return None
    rows = Counter(word for word, _ in entries)
    plain = ((text, re.sub(r"[^\x00-\x7f]", "", text).strip().lower()) for text in _shared_tokens(path))
    return _Variants([(text, word) for text, word in plain if word in rows], rows, dict(entries))


def _expanded_rows(study: StudyData) -> list[tuple[str, str]]:
    """(word, category) of each row of the expanded dictionary; empty if the file is missing."""
    path = study.path(CORPORA / EXPANDED)
    if path is None:
        return []
    rows = read_csv(path).fill_null("NA")
    names = [name for name in rows.columns if name != "DicTerm"]
    return [(row["DicTerm"], name) for row in rows.iter_rows(named=True) for name in names if row[name] == "X"]


def _shared_tokens(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [row["token_decoded"] for row in csv.DictReader(file)]


def _named(names: Iterable[str], corpus: Corpus, study: StudyData) -> str:
    """File names with their folder; one pattern if they are all of the folder's files."""
    names = list(names)
    if len(names) == len(study.score_files(corpus)):
        return f"{corpus}/*.csv"
    return ", ".join(f"{corpus}/{name}" for name in names)
