"""What one model reads, and what is found wrong with it: `score --explain --json` and `models check --json`."""

from typing import Literal

from birthmark.records.base import Kind, Record


class Explanation(Record):
    """One conversation as one model reads it.

    `rendered` is the text, `token_ids` and `tokens` what it becomes. `shared_prefix` counts the tokens that begin the
    conversations of all candidates; `read` is the position whose state gives the score (an LM's: the last before the
    answer), `gate` that of a reward head's gate. `forms`: an LM's ways to write the candidate, each with its token ids.
    """

    model: str
    kind: Kind
    head: str | None
    frame: Literal["chat", "qa", "bare"]
    protocol: Literal["birthmark", "christian2026"]
    prompt: str
    question: str
    system: str | None
    system_place: Literal["system", "user"] | None
    template_system: str | None
    template_date: str | None
    candidate: str
    n_candidates: int
    rendered: str
    token_ids: list[int]
    tokens: list[str]
    shared_prefix: int
    read: int
    gate: int | None
    forms: dict[str, list[int]] | None
    warnings: list[str]


class Finding(Record):
    """`wrong`: scores would be another model's or none; `note`: a reader of scores must know it."""

    trap: str
    level: Literal["ok", "note", "wrong"]
    message: str


class ModelCheck(Record):
    """What every trap's test found on one model; `wrong` counts the findings of that level."""

    model: str
    kind: Kind
    device: str
    dtype: str
    wrong: int
    findings: list[Finding]
