"""Own scores of a published reward model beside the published ones: rank correlation, largest difference, words that differ.

Ranks are what every result rests on; scores themselves differ by rounding, which depends on the machine and on the batch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.records import PublishedCheck, PublishedFile, ScoreDifference, ScoreRecord
from birthmark.scoring.table import ScoreTable
from birthmark.values.ranks import rank
from birthmark.values.wording_among import published_check_sentence

REPRODUCED = 0.99  # Spearman's ρ, mean over prompts
ROUNDING = {"bfloat16": 2.0**-8, "float16": 2.0**-11, "float32": 2.0**-24}  # half of the last place, relative
PLACES = 4  # last places of the published precision that two machines may differ by
MOST = 50  # words that are listed


def check_reproduced(
    own: ScoreTable, published: Mapping[Path, ScoreTable], as_published: Mapping[Path, bool]
) -> PublishedCheck:
    """Own scores beside those of each published file of the model; `as_published`: whether a file is the pinned one."""
    repeat = _largest_repeat(list(published.values()))
    files = [_beside(own, table, path, as_published.get(path), repeat) for path, table in published.items()]
    record: ScoreRecord = own.record
    first = next(iter(published.values()))
    found = PublishedCheck(
        model=own.model,
        revision=record.revision,
        weights_sha256=record.digests.weights if record.digests else "",
        dtype=record.dtype,
        device=record.device,
        protocol=record.protocol,
        published_dtype=None if first.record.dtype == "unknown" else first.record.dtype,
        published_repeat=repeat,
        files=files,
        reproduced=all(item.spearman >= REPRODUCED for item in files),
        sentence="",
    )
    return found.model_copy(update={"sentence": published_check_sentence(found)})


def _matrix(table: ScoreTable, words: Sequence[str], prompts: Sequence[str]) -> np.ndarray:
    at = {word: row for row, word in enumerate(table.frame["candidate"])}
    return table.frame.select(prompts).to_numpy().astype(np.float64)[[at[word] for word in words]]


def _largest_repeat(tables: Sequence[ScoreTable]) -> float | None:
    """The largest difference between tables of one model over the words that two of them have."""
    found = []
    for at, one in enumerate(tables):
        for other in tables[at + 1 :]:
            words = sorted(set(one.frame["candidate"]) & set(other.frame["candidate"]))
            prompts = [key for key in one.prompt_keys if key in other.prompt_keys]
            if words and prompts:
                found.append(np.abs(_matrix(one, words, prompts) - _matrix(other, words, prompts)).max())
    return float(max(found)) if found else None


def _beside(
    own: ScoreTable, published: ScoreTable, path: Path, as_published: bool | None, repeat: float | None
) -> PublishedFile:
    mine = set(own.frame["candidate"])
    words = [word for word in published.frame["candidate"] if word in mine]
    prompts = [key for key in published.prompt_keys if key in own.prompt_keys]
    if len(words) < 3 or not prompts:
        raise BirthmarkError(
            f"{path} shares too few words or prompts with what was scored: name a published score file"
        )
    scores, theirs = _matrix(own, words, prompts), _matrix(published, words, prompts)  # [words, prompts]
    apart = scores - theirs
    rho = _spearman(rank(scores), rank(theirs))
    rounding = PLACES * ROUNDING.get(published.record.dtype, ROUNDING["bfloat16"]) * float(np.abs(theirs).max())
    tolerance = max(rounding, repeat or 0.0)
    largest = np.abs(apart).argmax(axis=1)  # each word's prompt
    reach = np.abs(apart).max(axis=1)
    differing = [at for at in np.argsort(-reach, kind="stable") if reach[at] > tolerance]
    lowest = int(rho.argmin())
    return PublishedFile(
        file=f"{path.parent.name}/{path.name}",
        sha256=published.record.sha256,
        as_published=as_published,
        n_words=len(words),
        n_prompts=len(prompts),
        spearman=float(rho.mean()),
        spearman_lowest=float(rho[lowest]),
        lowest_prompt=prompts[lowest],
        max_abs_diff=float(reach.max()),
        mean_abs_diff=float(np.abs(apart).mean()),
        tolerance=tolerance,
        n_differing=len(differing),
        differing=[
            ScoreDifference(
                word=words[at],
                prompt=prompts[largest[at]],
                own=float(scores[at, largest[at]]),
                published=float(theirs[at, largest[at]]),
                difference=float(apart[at, largest[at]]),
            )
            for at in differing[:MOST]
        ],
    )


def _spearman(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Rank correlation over the rows, column by column: [words, prompts] twice → [prompts]; 0 where a ranking is constant."""
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    norm = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray((a * b).sum(axis=0) / np.where(norm > 0, norm, 1.0))
