"""Whether one-word values hold in sentences: numbers by the tests they come from and by plain formulas, and what is said."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import scipy

from birthmark.inputs.answers import AnswerSet, AnswerTemplate, crossed
from birthmark.inputs.lexicons import Lexicon
from birthmark.records import FormatLean, ModelAnswers
from birthmark.report.answers import answers_topic
from birthmark.report.figure import Figure
from birthmark.scoring.table import ScoreTable
from birthmark.stats.generalizability import generalizability
from birthmark.stats.words import compare_words, place_values
from birthmark.study import write_answers
from birthmark.values.answers import answer_formats
from birthmark.values.ranks import category_means, contrast, framing_contrast, membership, rank, stems
from birthmark.values.wording_answers import verdict_of

WORDS = {
    **dict.fromkeys(("power", "success", "freedom", "strength", "victory", "courage"), "A"),
    **dict.fromkeys(("love", "family", "care", "trust", "peace", "harmony"), "B"),
}
PROMPTS = ("best_1", "great_1", "worst_1", "bad_1")
SENTENCES = AnswerSet(
    "own", {"late": AnswerTemplate(text="I say {word}."), "early": AnswerTemplate(text="{word}, yes.")}
)
FRAMINGS = ["positive", "positive", "negative", "negative"]


@pytest.fixture
def make_sentences(make_table: Callable[..., ScoreTable]) -> Callable[..., ScoreTable]:
    """A table of `leans` (what words of A gain after positive prompts, by format) and noise of its own in each column."""

    def make(leans: tuple[float, float, float], noise: float = 0.3, prompts: tuple[str, ...] = PROMPTS) -> ScoreTable:
        rng, words = np.random.default_rng(1), sorted(WORDS)
        of_a = np.array([1.0 if WORDS[word] == "A" else -1.0 for word in words])
        base = rng.standard_normal(len(words))
        signs = [1 if prompt.startswith(("best", "great")) else -1 for prompt in prompts]
        columns = [
            base + lean * sign * of_a + noise * rng.standard_normal(len(words)) for lean in leans for sign in signs
        ]
        names = [f"{key}@{name}" for name in ("word", "late", "early") for key in prompts]
        table = make_table("m", words, np.stack(columns, axis=1), prompts=names)
        plain = make_table("m", words, np.zeros((len(words), len(prompts))), prompts=prompts).record.prompt_set
        return ScoreTable(table.frame, table.record.model_copy(update={"prompt_set": crossed(plain, SENTENCES)}))

    return make


@pytest.fixture
def lexicon(make_lexicon: Callable[[Mapping[str, str]], Lexicon]) -> Lexicon:
    return make_lexicon(WORDS)


def only(table: ScoreTable, lexicon: Lexicon) -> ModelAnswers:
    record = answer_formats([table], [lexicon])
    assert record is not None
    (found,) = record.models
    return found


def test_every_number_is_that_of_its_own_formula(make_sentences, lexicon):
    table = make_sentences((0.6, 0.5, 0.4))
    found, words = only(table, lexicon), sorted(WORDS)
    member = membership({word: (WORDS[word],) for word in words}, ["A", "B"])
    ranks = {
        name: rank(table.frame.select(f"{key}@{name}" for key in PROMPTS).to_numpy())
        for name in ("word", "late", "early")
    }
    rows, at = np.nonzero(member)
    for lean in found.formats:
        of_format = ranks[lean.format]
        assert lean.contrast == pytest.approx(contrast(category_means(of_format, member), FRAMINGS))
        values = framing_contrast(place_values(of_format[None], member), FRAMINGS)[0]
        test = compare_words(values, [("A", "B")[row] for row in rows], stems(words[place] for place in at))
        assert (lean.ci_low, lean.ci_high) == pytest.approx((test.ci_low, test.ci_high))
    assert [lean.text for lean in found.formats] == [None, "I say {word}.", "{word}, yes."]
    for item, half in zip(found.correlations, (slice(0, 2), slice(2, 4)), strict=True):
        means = [ranks[name][:, half].mean(axis=1) for name in ("word", "late", "early")]
        assert np.array(item.matrix) == pytest.approx(
            np.array([[scipy.stats.spearmanr(a, b).statistic for b in means] for a in means])
        )
    rhos = [item.matrix[0][place] for item in found.correlations for place in (1, 2)]
    assert found.with_word == pytest.approx(np.mean(rhos))
    for item, half in zip(found.variance, (slice(0, 2), slice(2, 4)), strict=True):
        values = np.stack([ranks[name][:, half] for name in ("word", "late", "early")], axis=1)
        wanted = generalizability(values, word_clusters=stems(words))
        assert item.shares == pytest.approx(wanted.shares)
        assert (item.n_templates, item.n_prompts) == (3, 2)
        for name in ("over_prompts", "over_templates", "over_both"):
            assert getattr(item, name).model_dump() == pytest.approx(vars(getattr(wanted, name)))


def test_a_lean_that_every_sentence_has_holds_and_one_that_turns_does_not(make_sentences, lexicon):
    held, turned = only(make_sentences((1.5, 1.5, 1.2)), lexicon), only(make_sentences((1.5, -1.5, 1.2)), lexicon)
    assert held.verdict == "hold" and "m, small: these values hold in sentences: the contrast A − B is" in held.sentence
    assert turned.verdict == "do not hold" and "of the same sign in 1" in turned.sentence


@pytest.mark.parametrize(
    ("word", "others", "rho", "verdict"),
    [
        ((-9, -12, -6), (-3.0, -1.0), 0.5, "hold"),
        ((-9, -12, -6), (-3.0, -1.0), 0.49, "do not hold"),
        ((-9, -12, -6), (-3.0, 0.0), 0.9, "do not hold"),
        ((-9, -12, 6), (-3.0, -1.0), 0.9, "no lean"),
        ((None, None, None), (None, None), 0.9, None),
        ((-9, -12, -6), (-3.0, -1.0), None, None),
    ],
)
def test_the_verdict_follows_its_rule(word, others, rho, verdict):
    formats = [FormatLean(format="word", text=None, contrast=word[0], ci_low=word[1], ci_high=word[2])]
    formats += [
        FormatLean(format=f"f{at}", text="I say {word}.", contrast=value, ci_low=None, ci_high=None)
        for at, value in enumerate(others)
    ]
    assert verdict_of(formats, rho) == verdict


def test_one_framing_or_three_categories_have_no_contrast_and_say_why(make_sentences, make_lexicon):
    three = make_lexicon({**WORDS, "peace": "C", "trust": "C"})
    found = only(make_sentences((0.6, 0.5, 0.4)), three)
    assert (found.verdict, found.contrast_why) == (None, "a contrast is of two categories; the lexicon has 3")
    found = only(make_sentences((0.6, 0.5, 0.4), prompts=PROMPTS[:2]), make_lexicon(WORDS))
    assert "both framings" in str(found.contrast_why) and "no contrast to hold" in found.sentence


def test_one_prompt_has_no_reliability_and_says_why(make_sentences, lexicon):
    found = only(make_sentences((0.6, 0.5, 0.4), prompts=("best_1", "worst_1")), lexicon)
    assert found.variance == [] and "two or more words, answer templates and prompts" in str(found.variance_why)


def test_words_that_tie_in_a_format_have_no_correlation(make_sentences, lexicon):
    table = make_sentences((0.6, 0.5, 0.4))
    late = [key for key in table.prompt_keys if key.endswith("@late")]
    flat = ScoreTable(table.frame.with_columns(table.frame[key] * 0 for key in late), table.record)
    found = only(flat, lexicon)
    assert found.correlations[0].matrix[0][1] is None and found.with_word is None and found.verdict is None
    assert "cannot be told, for all words tie" in found.sentence


def test_tables_of_bare_words_have_no_file_and_a_stale_one_goes(make_table, lexicon, make_sentences, tmp_path):
    assert write_answers([make_sentences((1, 1, 1))], [lexicon], tmp_path, seed=0) is not None
    assert (tmp_path / "answers.json").is_file()
    bare = make_table("m", sorted(WORDS), np.random.default_rng(0).standard_normal((12, 2)))
    assert write_answers([bare], [lexicon], tmp_path, seed=0) is None
    assert not (tmp_path / "answers.json").exists()


def test_the_page_has_a_figure_with_a_row_a_format_and_a_table(make_sentences, lexicon):
    record = answer_formats([make_sentences((0.6, 0.5, 0.4))], [lexicon])
    topic = answers_topic(record)
    (figure,) = [part for part in topic.parts if isinstance(part, Figure)]
    assert [row["row"] for row in figure.table.drawn] == ["word", "late", "early"]
    assert figure.wide["layer"] and figure.narrow["layer"]
