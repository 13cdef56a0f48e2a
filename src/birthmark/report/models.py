"""How each model was scored, as a table, and where its candidates stand, for the page's search box."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from birthmark.foreign import LONGEST_LABEL, legible, shortened
from birthmark.records import ScoreRecord
from birthmark.report.columns import Column, Table
from birthmark.values.formats import listed, percent, small
from birthmark.values.ranks import QUANTILE_SHARES, Standings, best_of_each, shared_candidates
from birthmark.values.wording_page import quoted

RUN_ROWS = (
    "Family",
    "Base checkpoint",
    "Score",
    "Reward head",
    "Read at",
    "Beginning-of-text tokens",
    "Frame",
    "System prompt",
    "The template's own system prompt",
    "Backend",
    "Engine",
    "Attention",
    "Precision, device",
    "Revision",
    "Weights (SHA-256)",
    "Tokenizer (SHA-256)",
    "Chat template",
    "Candidates",
    "Vocabulary left out",
    "Probability on the words",
    "Check against plain scoring",
    "Check against float32",
    "Time",
)


def run_table(scores: Sequence[ScoreRecord]) -> Table:
    """A row a fact, those of which no model has any left out."""
    told = [_run(record) for record in scores]
    rows = [
        {"fact": name, **{f"model {at}": values[row] for at, values in enumerate(told)}}
        for row, name in enumerate(RUN_ROWS)
        if any(values[row] != "–" for values in told)
    ]
    models = [Column(f"model {at}", record.model) for at, record in enumerate(scores)]
    return Table("The models and how they were scored", (Column("fact", ""), *models), rows)


def _run(record: ScoreRecord) -> tuple[str, ...]:
    digests, left = record.digests, record.left_out
    template = "–" if not digests or not digests.template else digests.template[:12]
    if record.template_date:
        template += f", dated {record.template_date}"
    kind = {"reward": "reward", "logprob": "log-probability"}[record.kind]
    return (
        record.family or "not known",
        (record.base_checkpoint or "not known") + (f" ({record.origin})" if record.origin else ""),
        kind + ("" if record.protocol == "birthmark" else f", protocol {record.protocol}"),
        record.head or "–",
        read_at(record) or "–",
        "–" if record.bos is None else str(record.bos),
        record.frame or "–",
        _system(record),
        quoted(record.template_system) if record.template_system else "–",
        _backend(record),
        (record.engine or "–") + (f": {record.engine_why}" if record.engine_why else ""),
        record.attention or "–",
        f"{record.dtype}, {record.device}" + (f", weights in {record.quantized}" if record.quantized else ""),
        (record.revision or "–")[:12],
        (f"adapter {digests.adapter[:12]}, base " if digests.adapter else "")
        + (digests.weights[:12] or "not on this machine")
        if digests
        else "–",
        digests.tokenizer[:12] if digests else "–",
        template,
        " and ".join(f"{n:,} {what}" for n, what in ((record.n_words, "words"), (record.n_tokens, "tokens")) if n),
        f"{left.special:,} special, {left.undecodable:,} undecodable, {left.unused:,} unused" if left else "–",
        _masses(record),
        _check(record),
        _precision(record),
        _time(record),
    )


def _backend(record: ScoreRecord) -> str:
    by = record.served
    if by is None:
        return record.backend
    reads = "token ids" if by.reads == "ids" else "text"
    return f"{record.backend}: {by.server} {by.version or ''} at {by.path}, {reads}".replace("  ", " ")


def read_at(record: ScoreRecord) -> str | None:
    """The token that a reward is read at, and whether that is the end; None where the table does not say."""
    if record.read_token is None:
        return None
    early = record.read_early or 0
    place = f"{early} token{'s' * (early > 1)} before the end" if early else "the end"
    whose = "where the model's class reads it" if record.read == "class" else "as asked for"
    return f"{record.read_token!r}, {place}, {whose}"


def read_early(scores: Sequence[ScoreRecord]) -> list[str]:
    """A sentence on the models whose rewards are not read at the end of the conversation."""
    models = [record.model for record in scores if record.read_early]
    if not models:
        return []
    why = "where the model's own class reads them, because its padding token stands there (--read end reads the end)"
    return [f"The rewards of {listed(models)} are read before the end of the conversation, {why}."]


def _system(record: ScoreRecord) -> str:
    """The system prompt that a person set, and where the template put it."""
    asked = record.prompt_set
    if asked.system is None:
        return "–"
    if not asked.system:
        return "empty"
    place = ", opening the user's turn" if record.system_place == "user" else ""
    return f"{f'persona {asked.persona}: ' if asked.persona else ''}{quoted(asked.system)}{place}"


def _masses(record: ScoreRecord) -> str:
    if not record.mass:
        return record.mass_why or "–"
    masses = [mass.lexicon for mass in record.mass.values()]
    return f"{percent(sum(masses) / len(masses), 2)} ({percent(min(masses), 2)} to {percent(max(masses), 2)})"


def _check(record: ScoreRecord) -> str:
    if record.verify_max_abs_diff is None:
        return record.verify_why or "–"
    bound = f", bound {small(record.verify_bound)}" if record.verify_bound is not None else ""
    return f"largest difference {small(record.verify_max_abs_diff)}{bound}"


def _precision(record: ScoreRecord) -> str:
    found = record.precision
    if found is None:
        return record.precision_why or "–"
    return (
        f"rank correlation {found.spearman:.4f} or more, largest difference {small(found.max_abs_diff)}; of "
        f"{found.n_candidates:,} ranks, differences below {found.noise_floor_rank:.1f} are rounding"
    )


def _time(record: ScoreRecord) -> str:
    if record.seconds is None:
        return "–"
    rate = f", {record.candidates_per_second:,.0f} scores a second" if record.candidates_per_second else ""
    return f"{record.seconds:.1f} s{rate}"


BUDGET = 2_400_000
BYTES_A_RANK = 7
BYTES_A_TOKEN = 12
WORD_LIKE = re.compile(r" ?[A-Za-z][A-Za-z'-]+")


@dataclass(frozen=True)
class SearchData:
    """`data` is the JSON; `n_shared` tokens are in every vocabulary, `n_kept` of them can be looked up."""

    data: dict[str, Any]
    n_words: int
    n_shared: int
    n_kept: int


def search_data(tokens: Sequence[Standings], words: Sequence[Standings], *, budget: int = BUDGET) -> SearchData:
    """Everything that the search box knows; `tokens` and `words` are the standings of all models and framings.

    Tokens are those that all vocabularies share as text, of duplicates the best; words are those of any model.
    """
    shared = shared_candidates([item.frame for item in tokens])
    ranks = [best_of_each(item.frame, shared) for item in tokens]
    kept = _kept(shared, ranks, budget)
    all_words = sorted({word for item in words for word in item.frame["candidate"]})
    data = {
        "shares": [round(float(share), 7) for share in QUANTILE_SHARES],
        "tokens": _part(tokens, [shared[at] for at in kept], [column[kept] for column in ranks]),
        "words": _part(words, all_words, [best_of_each(item.frame, all_words) for item in words]),
    }
    return SearchData(data, n_words=len(all_words), n_shared=len(shared), n_kept=len(kept))


def _part(items: Sequence[Standings], texts: list[str], ranks: Sequence[np.ndarray]) -> dict[str, Any]:
    columns = [
        {
            "model": shortened(legible(item.model), LONGEST_LABEL),
            "framing": item.framing,
            "n": item.frame.height,
            "quantiles": [_short(value) for value in item.quantiles()],
        }
        for item in items
    ]
    return {"columns": columns, "texts": texts, "ranks": [[_short(value) for value in column] for column in ranks]}


def _kept(shared: Sequence[str], ranks: Sequence[np.ndarray], budget: int) -> np.ndarray:
    """Positions in `shared` of the tokens that fit the budget: word-like ones first, by their best rank anywhere."""
    if not shared:
        return np.array([], dtype=int)
    room = budget // (BYTES_A_RANK * len(ranks) + BYTES_A_TOKEN)
    best = np.min([column for column in ranks], axis=0)
    word_like = np.array([WORD_LIKE.fullmatch(text) is not None for text in shared])
    order = np.lexsort((best, ~word_like))
    return np.sort(order[:room])


def _short(value: float) -> float | int | None:
    """A rank as JSON: whole above 1,000, one decimal below, null for none."""
    if np.isnan(value):
        return None
    rounded = round(float(value), 1) if value < 1000 else round(float(value))
    return int(rounded) if rounded == int(rounded) else rounded
