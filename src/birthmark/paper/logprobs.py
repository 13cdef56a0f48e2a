"""Figures 2 and 3 and Table 1, from the study's files of language models' log-probabilities, if they are present.

A file `data/logprobs/<org>--<name>.csv` has the columns `token_id`, `token_name`, `token_decoded`, then one column of
log-probabilities per prompt. The files take about 2 GB and are not in the authors' repository (they are in the hub dataset
Oxford-HIPlab/iclr2026-lm-logprobs).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from birthmark.errors import BirthmarkError
from birthmark.files import read_csv
from birthmark.inputs.prompts import STUDY, load_prompts
from birthmark.paper.data import LOGPROBS, StudyData
from birthmark.records import LogprobMedian, MwlrPair, MwlrToken
from birthmark.values.metrics import mwlr
from birthmark.values.ranks import folded, rank, sort_of

Stage = Literal["pretrained", "instruct"]
PAIR_OF_STAGE: dict[Stage, tuple[str, str]] = {
    "instruct": ("google/gemma-2-2b-it", "meta-llama/Llama-3.2-3B-Instruct"),
    "pretrained": ("google/gemma-2-2b", "meta-llama/Llama-3.2-3B"),
}
"""The Gemma and Llama models of figure 2; Table 1 uses the first pair."""
GEMMAS = ("google/gemma-2-2b-it", "google/gemma-2-9b-it", "google/gemma-2-27b-it")
LLAMAS = (
    "meta-llama/Llama-3.2-1B-Instruct",
    "meta-llama/Llama-3.2-3B-Instruct",
    "meta-llama/Meta-Llama-3-8B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Meta-Llama-3-70B-Instruct",
    "meta-llama/Llama-3.1-70B-Instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
)
PROMPT = "greatest_ever_one"
SHOWN = 15
TEXT = "token_decoded"


@dataclass(frozen=True)
class LogprobFigures:
    """The figures and tables of log-probabilities; each part is empty if its files are missing."""

    figure_2: list[LogprobMedian] = field(default_factory=list)
    figure_3: list[MwlrPair] = field(default_factory=list)
    table_1: list[MwlrToken] = field(default_factory=list)
    bottom_words: list[MwlrToken] = field(default_factory=list)


def logprob_figures(study: StudyData) -> LogprobFigures:
    """Figures 2 and 3 and Table 1, from the files that are present."""
    nouns = study.lexicon("dict_big2_nouns")
    category = {word: names[0] for word, names in nouns.entries.items()}
    figure_2 = [row for stage in PAIR_OF_STAGE for row in _stage_medians(study, stage, category)]
    table = _table_1(study)
    return LogprobFigures(
        figure_2=figure_2,
        figure_3=_pairs(study),
        table_1=[*table[:SHOWN], *table[max(SHOWN, len(table) - SHOWN) :]],
        bottom_words=_words(table)[-SHOWN:],
    )


def logprob_file(study: StudyData, model: str) -> Path | None:
    """The file of a hub model's log-probabilities, or None if it is missing."""
    return study.path(LOGPROBS / f"{model.replace('/', '--')}.csv")


# ---------------------------------------------------------------------------------------------------- figure 2


def _stage_medians(study: StudyData, stage: Stage, category: dict[str, str]) -> list[LogprobMedian]:
    """Median ranks, for each prompt, of the nouns that are exactly one token's text in both models."""
    paths = [logprob_file(study, model) for model in PAIR_OF_STAGE[stage]]
    found = [path for path in paths if path]
    if len(found) < 2:
        return []
    prompts = load_prompts(STUDY).prompts
    rows = [_read(path, list(prompts)).filter(pl.col(TEXT).is_in(list(category))) for path in found]
    shared = sorted(set(rows[0][TEXT]) & set(rows[1][TEXT]))
    medians = []
    for model, table in zip(PAIR_OF_STAGE[stage], rows, strict=True):
        mine = table.filter(pl.col(TEXT).is_in(shared))
        ranks = rank(mine.select(list(prompts)).to_numpy())  # [rows, prompts]
        names = np.array([category[word] for word in mine[TEXT]])
        for name in sorted(set(names.tolist())):
            for key, value in zip(prompts, np.median(ranks[names == name], axis=0), strict=True):
                framing = prompts[key].framing
                if framing is None:
                    continue
                medians.append(
                    LogprobMedian(
                        model=model,
                        family=_family(model),
                        stage=stage,
                        category=name,
                        framing=framing,
                        prompt=key,
                        median_rank=float(value),
                    )
                )
    return medians


def _family(model: str) -> str:
    return "Gemma" if "gemma" in model.lower() else "Llama"


# --------------------------------------------------------------------------------------- figure 3 and Table 1


def _pairs(study: StudyData) -> list[MwlrPair]:
    """Mean MWLR of the forms of "freedom" and "love", over the token texts shared by all ten vocabularies."""
    paths = {model: logprob_file(study, model) for model in (*GEMMAS, *LLAMAS)}
    files = {model: path for model, path in paths.items() if path}
    if len(files) < len(paths):
        return []
    columns = {model: _most_probable(path) for model, path in files.items()}
    joined = _join(list(columns.values()))
    position = {model: f"p{at}" for at, model in enumerate(columns)}
    word = joined.select(folded(pl.col(TEXT))).to_series()
    pairs = []
    for gemma, llama in product(GEMMAS, LLAMAS):
        scores = mwlr(joined[position[gemma]].to_numpy(), joined[position[llama]].to_numpy())
        freedom, love = (scores[(word == text).to_numpy()] for text in ("freedom", "love"))
        if not freedom.size or not love.size:
            return []
        pairs.append(MwlrPair(gemma=gemma, llama=llama, freedom=float(freedom.mean()), love=float(love.mean())))
    return pairs


def _table_1(study: StudyData) -> list[MwlrToken]:
    """All shared token texts, sorted by decreasing MWLR of Llama 3.2 3B over Gemma 2 2B."""
    paths = [logprob_file(study, model) for model in PAIR_OF_STAGE["instruct"]]
    found = [path for path in paths if path]
    if len(found) < 2:
        return []
    joined = _join([_most_probable(path) for path in found])
    scores = mwlr(joined["p0"].to_numpy(), joined["p1"].to_numpy())
    order = np.argsort(-scores, kind="stable")
    texts = joined[TEXT].to_list()
    return [
        MwlrToken(place=place, token=texts[at], mwlr=float(scores[at]))
        for place, at in enumerate(order.tolist(), start=1)
    ]


def _words(table: Sequence[MwlrToken]) -> list[MwlrToken]:
    """The tokens that are not only Markdown, punctuation or white space."""
    tokens = pl.DataFrame({"token": [row.token for row in table]}, schema={"token": pl.String})
    sorts = tokens.select(sort_of(pl.col("token"))).to_series()
    return [row for row, sort in zip(table, sorts, strict=True) if sort is None]


def _most_probable(path: Path) -> pl.DataFrame:
    """Token text → log-probability after `PROMPT`; if several tokens have the same text, the most probable one."""
    return _read(path, [PROMPT]).group_by(TEXT).agg(pl.col(PROMPT).max())


def _join(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The texts that are in all tables, sorted, with columns `p0`, `p1`, … of log-probabilities."""
    joined = tables[0].rename({PROMPT: "p0"})
    for at, table in enumerate(tables[1:], start=1):
        joined = joined.join(table.rename({PROMPT: f"p{at}"}), on=TEXT, how="inner")
    return joined.sort(TEXT)


def _read(path: Path, prompts: list[str]) -> pl.DataFrame:
    """`token_decoded`, always as text, and float64 columns. Raises `BirthmarkError` for any other layout."""
    try:
        rows = read_csv(path, columns=[TEXT, *prompts])
        return rows.select(pl.col(TEXT).fill_null(""), pl.col(prompts).cast(pl.Float64))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = re.sub(r"\s+", " ", str(error))[:80]
        raise BirthmarkError(f"{path} is not a file of log-probabilities ({reason}): fetch it again") from None
