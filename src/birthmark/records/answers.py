"""`answers.json`: whether one-word values hold in sentences; each model's words by the format of the answer."""

from typing import Literal

from birthmark.records.base import Framing, Kind, Record, Row, Shown

Verdict = Literal["hold", "do not hold", "no lean"]


class FormatLean(Record):
    """One answer format: its sentence (null for the word alone) and the contrast of mean ranks under it, with the 95%
    interval over word stems; null where there is no contrast."""

    format: str
    text: str | None
    contrast: float | None
    ci_low: float | None
    ci_high: float | None


class FormatCorrelation(Record):
    """Spearman's ρ between formats of the words' mean ranks over the prompts of one framing: [formats][formats].

    A row or column is null where all words tie in that format.
    """

    framing: Framing | None
    n_prompts: int
    matrix: list[list[float | None]]


class Reliability(Record):
    """A generalizability coefficient with its 95% jackknife interval over stems, and how many a coefficient of `target` needs."""

    coefficient: float
    ci_low: float | None
    ci_high: float | None
    interval_why: str | None
    target: float
    needed: int | None


class RankVariance(Record):
    """What the variance of ranks is, over the prompts of one framing: `shares` by component (word, template, prompt, their
    interactions), and how far the words' ranks generalize over prompts, over templates, over both."""

    framing: Framing | None
    n_words: int
    n_templates: int
    n_prompts: int
    shares: dict[str, float]
    over_prompts: Reliability
    over_templates: Reliability
    over_both: Reliability


class ModelAnswers(Record):
    """One model's words of one lexicon. `with_word`: the mean ρ of the sentence formats with the word alone, over framings."""

    model: str
    kind: Kind
    lexicon: str
    categories: list[str]
    n_words: int
    formats: list[FormatLean]
    contrast_why: str | None
    correlations: list[FormatCorrelation]
    with_word: float | None
    variance: list[RankVariance]
    variance_why: str | None
    verdict: Verdict | None
    sentence: str


class AnswerFormats(Shown, Record):
    """`rule` says when values hold; `note` what the headline numbers of the study are with several formats."""

    rule: str
    note: str
    models: list[ModelAnswers]

    def summary(self) -> str:
        return "\n".join(item.sentence for item in self.models)

    def rows(self) -> list[Row]:
        """A row a model, lexicon and format."""
        return [
            {"model": item.model, "lexicon": item.lexicon, **lean.model_dump()}
            for item in self.models
            for lean in item.formats
        ]
