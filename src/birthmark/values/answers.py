"""Do one-word values hold in sentences? A model's word ranks by answer format: how they agree, lean and vary."""

from collections.abc import Sequence

import numpy as np
import scipy

from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import WORD, AnswerSet, format_of
from birthmark.inputs.lexicons import Lexicon
from birthmark.inputs.prompts import KEY_COLUMNS, prompt_set_record
from birthmark.records import (
    AnswerFormats,
    FormatCorrelation,
    FormatLean,
    Framing,
    ModelAnswers,
    NotApplicable,
    RankVariance,
    Reliability,
    known,
)
from birthmark.scoring.table import ScoreTable
from birthmark.stats.generalizability import Generalizability, generalizability
from birthmark.stats.words import WordTest, compare_words_many, place_values
from birthmark.values.ranks import framing_contrast, framings, lexicon_scores, membership, rank, stems
from birthmark.values.wording_answers import NOTE, RULE, answers_sentence, verdict_of


def has_sentences(table: ScoreTable) -> bool:
    """Whether a table's prompts are crossed with answer formats."""
    return any(table.prompts[key].answer is not None for key in table.prompt_keys)


def only_answers(table: ScoreTable, answers: AnswerSet) -> ScoreTable:
    """The table with the word alone and, of the sentences of `answers`, those that it has; others are left out.

    Without sentences its prompts have the keys of a table that was never scored in any. Raises `BirthmarkError` where the
    table has none of the sentences.
    """
    texts = {template.text for template in answers.templates.values()}
    kept = {key: prompt for key, prompt in table.prompts.items() if prompt.answer is None or prompt.answer in texts}
    if texts and not any(prompt.answer for prompt in kept.values()):
        raise BirthmarkError(
            f"{table.model} was not scored in the sentences of {answers.name}: score it with --answers {answers.name}"
        )
    names = {key: key if texts else key.removesuffix(f"@{WORD}") for key in kept}
    asked = table.record.prompt_set
    prompts = prompt_set_record(
        asked.name if texts else asked.name.partition("@")[0],
        {names[key]: prompt for key, prompt in kept.items()},
        asked.system,
        asked.persona,
    )
    by_prompt = {
        field: {names[key]: value for key, value in found.items() if key in names}
        for field in ("mass", "context_ids")
        if (found := getattr(table.record, field)) is not None
    }
    columns = [name for name in table.frame.columns if name in KEY_COLUMNS]
    frame = table.frame.select(*columns, *kept).rename(names)
    return ScoreTable(frame, table.record.model_copy(update={"prompt_set": prompts, **by_prompt}))


def answer_formats(tables: Sequence[ScoreTable], lexicons: Sequence[Lexicon], *, seed: int = 0) -> AnswerFormats | None:
    """What the tables with sentences say, model by model and lexicon by lexicon; None where no table has any."""
    found = [
        _of_model(table, lexicon, seed)
        for lexicon in lexicons
        for table in tables
        if has_sentences(table) and lexicon.match(table.frame["candidate"])
    ]
    return AnswerFormats(rule=RULE, note=NOTE, models=found) if found else None


def _of_model(table: ScoreTable, lexicon: Lexicon, seed: int) -> ModelAnswers:
    words = lexicon_scores(table, lexicon)
    names = sorted({name for of_word in words.categories.values() for name in of_word})
    by_format: dict[str, list[int]] = {}  # format → the columns of its prompts, which are the same in each
    for at, key in enumerate(words.prompts):
        by_format.setdefault(format_of(key), []).append(at)
    ranks = np.stack([rank(words.scores)[:, columns] for columns in by_format.values()])  # [formats, words, prompts]
    first = [table.prompts[words.prompts[at]] for at in next(iter(by_format.values()))]
    asked = [prompt.framing for prompt in first]
    leans = _leans(ranks, membership(words.categories, names), names, words.words, asked, seed)
    tests: Sequence[WordTest | None] = known(leans) or [None] * len(by_format)
    formats = [
        FormatLean(
            format=name,
            text=table.prompts[words.prompts[columns[0]]].answer,
            contrast=test.estimate if test else None,
            ci_low=test.ci_low if test else None,
            ci_high=test.ci_high if test else None,
        )
        for (name, columns), test in zip(by_format.items(), tests, strict=True)
    ]
    groups = {framing: [at for at, given in enumerate(asked) if given == framing] for framing in framings(table)}
    correlations = [_correlation(ranks[:, :, at], framing) for framing, at in groups.items()]
    variance = [_variance(ranks[:, :, at], framing, words.words) for framing, at in groups.items()]
    with_word = _with_word(correlations, list(by_format))
    verdict = verdict_of(formats, with_word)
    return ModelAnswers(
        model=table.model,
        kind=table.record.kind,
        lexicon=lexicon.name,
        categories=names,
        n_words=len(words.words),
        formats=formats,
        contrast_why=leans.why if isinstance(leans, NotApplicable) else None,
        correlations=correlations,
        with_word=with_word,
        variance=[item for item in variance if isinstance(item, RankVariance)],
        variance_why=next((item.why for item in variance if isinstance(item, NotApplicable)), None),
        verdict=verdict,
        sentence=answers_sentence(table.model, lexicon.name, names, formats, with_word, verdict),
    )


def _leans(
    ranks: np.ndarray,
    member: np.ndarray,
    names: Sequence[str],
    words: Sequence[str],
    asked: Sequence[Framing | None],
    seed: int,
) -> list[WordTest] | NotApplicable:
    """The contrast of mean ranks under each format, with its interval over stems; all formats with the same permutations."""
    if len(names) != 2:
        return NotApplicable(f"a contrast is of two categories; the lexicon has {len(names)}")
    if not {"positive", "negative"} <= set(asked):
        return NotApplicable("a contrast needs prompts of both framings, positive and negative")
    rows, at = np.nonzero(member)
    values = framing_contrast(place_values(ranks, member), asked)  # [formats, places]
    try:
        return compare_words_many(
            values, [names[int(row)] for row in rows], stems(words[int(word)] for word in at), seed=seed
        )
    except BirthmarkError as error:
        return NotApplicable(str(error))


def _correlation(ranks: np.ndarray, framing: Framing | None) -> FormatCorrelation:
    means = ranks.mean(axis=2)  # [formats, words]
    places = scipy.stats.rankdata(means, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        matrix = np.corrcoef(places) if means.shape[1] > 1 else np.full((len(means),) * 2, np.nan)
    shown = [[float(value) if np.isfinite(value) else None for value in row] for row in np.atleast_2d(matrix)]
    return FormatCorrelation(framing=framing, n_prompts=ranks.shape[2], matrix=shown)


def _with_word(correlations: Sequence[FormatCorrelation], formats: Sequence[str]) -> float | None:
    row = formats.index(WORD)
    found = [value for item in correlations for at, value in enumerate(item.matrix[row]) if at != row]
    given = [value for value in found if value is not None]
    return float(np.mean(given)) if given and len(given) == len(found) else None


def _variance(ranks: np.ndarray, framing: Framing | None, words: Sequence[str]) -> RankVariance | NotApplicable:
    """ranks: [formats, words, prompts] of one framing; the word alone is one of the templates."""
    values = ranks.transpose(1, 0, 2)
    try:
        found = generalizability(values, word_clusters=stems(words))
    except BirthmarkError as error:
        return NotApplicable(str(error))
    n_words, n_templates, n_prompts = values.shape
    return RankVariance(
        framing=framing,
        n_words=n_words,
        n_templates=n_templates,
        n_prompts=n_prompts,
        shares=found.shares,
        **_reliabilities(found),
    )


def _reliabilities(found: Generalizability) -> dict[str, Reliability]:
    return {name: Reliability.build(getattr(found, name)) for name in ("over_prompts", "over_templates", "over_both")}
