"""Values under other frames of mind: `OUT/personas.json`."""

from birthmark.records.base import Kind, Record


class PersonaLeaning(Record):
    """One model's leaning under one persona, with one lexicon; `shift` is what the persona adds to the neutral control.

    `contrast` is of median ranks, `mean_rank_contrast` of mean ranks, as in an effects file's `models[]`; null where the
    lexicon has more than two categories or the prompts no two framings. `shift` is of `mean_rank_contrast`; below zero is
    towards the first of the `categories`.
    """

    persona: str
    lexicon: str
    categories: list[str] = []
    kind: Kind
    model: str
    family: str | None
    contrast: float | None
    mean_rank_contrast: float | None
    shift: float | None


class Personas(Record):
    """`systems`: the system prompt of each persona, the control `neutral` first; each has a folder of its name in OUT."""

    neutral: str
    systems: dict[str, str]
    leanings: list[PersonaLeaning]
