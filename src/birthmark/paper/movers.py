"""Figures 5 and A6: which nouns move most in training, where the study's token scores by checkpoint are there.

A file `greatest_ever_one_across_checkpoints_<family>.parquet` has `token_decoded` and a column of scores a step, `step-<n>`.
The files are large and not in the authors' repository; its files of ranks hold no words.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.paper.data import TRAINING, StudyData
from birthmark.paper.verdicts import untestable
from birthmark.records import Claim, WordMove
from birthmark.values.ranks import rank

TOKEN_SCORES = "greatest_ever_one_across_checkpoints_{}.parquet"
FAMILIES = ("Gemma", "Llama", "Qwen")
SHOWN = 10


def word_moves(study: StudyData) -> list[WordMove]:
    """Every noun's rank at the first and last saved step, of the families whose file is there."""
    paths = {family: study.path(TRAINING / TOKEN_SCORES.format(family.lower())) for family in FAMILIES}
    nouns = study.lexicon("dict_big2_nouns")
    return [move for family, path in paths.items() if path for move in read_moves(path, family, nouns)]


def read_moves(path: Path, family: str, nouns: Lexicon) -> list[WordMove]:
    """The moves of one run: non-ASCII letters deleted, trimmed, lower-cased, a word's variants averaged, nouns ranked.

    Raises `BirthmarkError` where the file has no token texts, no noun, or fewer than two steps.
    """
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = " ".join(str(error).split())[:80]
        raise BirthmarkError(f"{path} cannot be read as Parquet ({reason}): fetch it again") from None
    steps = sorted((name for name in table.columns if re.fullmatch(r"step-\d+", name)), key=lambda name: int(name[5:]))
    if "token_decoded" not in table.columns or len(steps) < 2:
        raise BirthmarkError(f"{path} needs the column token_decoded and two or more columns step-<n>")
    word = pl.col("token_decoded").str.replace_all(r"[^\x00-\x7f]", "").str.strip_chars().str.to_lowercase()
    chosen = (
        table.select(word.alias("word"), pl.col(steps[0]).alias("first"), pl.col(steps[-1]).alias("last"))
        .filter(pl.col("word").is_in(list(nouns.entries)))
        .group_by("word")
        .agg(pl.col("first", "last").mean())
        .sort("word")
    )
    if not chosen.height:
        raise BirthmarkError(f"{path} has no token that is a noun of {nouns.name}")
    ranks = rank(chosen.select("first", "last").to_numpy())
    return [
        WordMove(family=family, word=name, category=nouns.entries[name][0], first_rank=float(a), last_rank=float(b))
        for name, (a, b) in zip(chosen["word"], ranks, strict=True)
    ]


def most_moved(moves: Sequence[WordMove], family: str) -> tuple[list[WordMove], list[WordMove]]:
    """The ten words of one family that rise most, and the ten that fall most, the furthest first."""
    mine = [move for move in moves if move.family == family]
    change = np.array([move.first_rank - move.last_rank for move in mine])
    order = np.argsort(-change, kind="stable").tolist()
    return [mine[at] for at in order[:SHOWN]], [mine[at] for at in order[::-1][:SHOWN]]


def movers_claim(moves: Sequence[WordMove]) -> Claim:
    """The claim `movers`: what moves can be told from the files, what the figure shows is drawn and not listed."""
    if not moves:
        return untestable(
            "movers", "The scores of tokens by checkpoint are not among the files; the files of ranks hold no words."
        )
    said = []
    for family in dict.fromkeys(move.family for move in moves):
        up, down = most_moved(moves, family)
        said.append(f"{family} up {', '.join(move.word for move in up)}; down {', '.join(move.word for move in down)}")
    return untestable(
        "movers", f"The published words are drawn, not listed, so none can be checked; here: {'. '.join(said)}."
    )
