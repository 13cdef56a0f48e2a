"""The numbers of an effects record in plain English: which side ranks which category higher, by how much, how sure.

Reads records only; decides nothing that the numbers have not decided.
"""

from collections.abc import Sequence

from birthmark.inputs.lexicons import INQUIRER_DEFAULT
from birthmark.records import Blocks, CategoryTest, Effects, LevelTest, ModelsFixed

UNITS = {"base_checkpoint": "base checkpoint", "model": "model"}
ASKED = "asked for good things rather than bad ones"


def effects_sentence(record: Effects) -> str:
    """The answer of a lexicon, in a few sentences."""
    if record.headline is not None:
        return record.headline.sentence + _category_sentence(record.per_category)
    if record.models_fixed is not None:
        return _fixed_sentence(record, record.models_fixed)
    if len(record.models) == 1 and record.models[0].mean_rank_contrast is not None:
        value, model = record.models[0].mean_rank_contrast, record.models[0].model
        if round(value, 1) == 0:
            return (
                f"{model} ranks {' and '.join(record.categories)} words alike whether it is {ASKED} or not (mean ranks among "
                f"{record.n_candidates:,} words). It is one model, with nothing to compare it with."
            )
        better, worse = record.categories if value < 0 else record.categories[::-1]
        return (
            f"When {ASKED}, {model} ranks {better} words above {worse} words by {_ranks(value)} more "
            f"(mean ranks among {record.n_candidates:,} words). It is one model, with nothing to compare it with."
        )
    return f"No comparison by the lexicon {record.lexicon}: {record.headline_why or 'there is nothing to compare'}."


def disagreement(records: Sequence[Effects]) -> list[str]:
    """A line for each lexicon that gives two families the opposite leaning from the first one's, of one kind of score.

    Power stands for agency and affiliation for communion; lexicons of other categories are not compared.
    """
    lines = []
    for kind in sorted({record.kind for record in records}):
        leanings = {
            record.lexicon: side for record in records if record.kind == kind and (side := _agentic_side(record))
        }
        first, *others = leanings or [""]
        lines += [
            f"The lexicons disagree: by {first} {leanings[first]} leans more to agency, by {other} {leanings[other]} does."
            for other in others
            if leanings[other] != leanings[first]
        ]
    return lines


def _agentic_side(record: Effects) -> str | None:
    """The family that ranks the agentic category higher when good things are asked for; None where nothing says so."""
    if record.models_fixed is None or record.models_fixed.estimate == 0:
        return None
    if set(record.categories) not in ({"Agency", "Communion"}, set(INQUIRER_DEFAULT)):
        return None
    prefers_first = record.families[1] if record.models_fixed.estimate < 0 else record.families[0]
    prefers_second = record.families[0] if record.models_fixed.estimate < 0 else record.families[1]
    return prefers_first if record.categories[0] == "Agency" else prefers_second


def level_sentence(test: LevelTest, categories: Sequence[str], n_candidates: int, groups: str = "families") -> str:
    """A test of families, or of other `groups`, over units, in words; where no outcome could have given p ≤ .05, it says so."""
    *most, last = (f"{n} of {group}" for group, n in test.n_units.items())
    over = f"over {UNITS[test.unit]}s ({', '.join(most)} and {last})"
    certainty = f"exact p {p_equals(test.p_exact)} ({test.count:,} of {test.n_splits:,} splits)"
    clear = "" if test.p_exact is not None and test.p_exact <= 0.05 else f"No clear difference between {groups}. "
    if test.estimate is None:
        leanings = "Their preferences" if clear else f"The {groups}' preferences"
        said = f"{clear}{leanings} among {len(categories)} categories, tested {over}: {certainty}."
    else:
        a, b = test.n_units
        leaning, other = (b, a) if test.estimate < 0 else (a, b)
        said = (
            f"{clear}When {ASKED}, {leaning} ranks {categories[0]} words above {categories[1]} words by "
            f"{_ranks(test.estimate)} of {n_candidates:,} more than {other} does, {over}: {b} − {a} = {test.estimate:.1f}, {_interval(test)}, "
            f"{certainty}."
        )
    if test.min_p is not None and test.min_p > 0.05:
        said += f" The test cannot reach .05 with these units: the smallest p that they allow is {p_text(test.min_p)}."
    if test.unit == "model":
        said += " Models that share a base checkpoint are not independent, so this p is too small."
    return said


def blocks_sentence(found: Blocks, categories: Sequence[str]) -> str:
    """The test within teams and the pairs' signs, in words."""
    a, b = found.n_models
    leaning, other = (b, a) if found.estimate < 0 else (a, b)
    agreeing = sum(pair.agrees for pair in found.pairs)
    said = (
        f"Within the {len(found.teams)} teams that built on both families ({', '.join(found.teams)}), {leaning} ranks "
        f"{categories[0]} words above {categories[1]} words by {_ranks(found.estimate)} more than {other} does: exact p "
        f"{p_equals(found.p_exact)} ({found.count:,} of {found.n_splits:,} exchanges within teams). Of {len(found.pairs)} "
        f"matched pairs {agreeing} {'has' if agreeing == 1 else 'have'} the sign of the families' difference"
    )
    said += "." if agreeing == len(found.pairs) else ", so the pairs do not all agree."
    if found.min_p > 0.05:
        said += f" The smallest p that these teams allow is {p_text(found.min_p)}."
    return said


def equivalence_sentence(margin: float) -> str:
    """What may be said where no difference is found."""
    return f"No difference larger than {margin:.1f} ranks, at 5%, taking base checkpoints as the sample."


def p_text(p: float | None) -> str:
    """A p value as in APA style: two significant digits from .001 up, no leading zero."""
    if p is None:
        return "not known"
    if p < 0.001:
        return "< .001"
    if p >= 0.9995:
        return "1"
    return f"{p:.3f}".removeprefix("0")


def _fixed_sentence(record: Effects, fixed: ModelsFixed) -> str:
    """b − a of mean-rank contrasts between two families, most often two models."""
    a, b = (_side(record, family) for family in record.families)
    leaning, other = (b, a) if fixed.estimate < 0 else (a, b)
    first, second = record.categories
    how_sure = (
        f"95% interval over words {fixed.ci_low:.1f} to {fixed.ci_high:.1f}, p {p_equals(fixed.p_words)} "
        f"by shuffling the words' labels"
    )
    if fixed.clear:
        said = (
            f"When {ASKED}, {leaning} ranks {first} higher and {other} ranks {second} higher: they differ by "
            f"{_ranks(fixed.estimate)} of {record.n_candidates:,} ({how_sure})."
        )
    else:
        largest = max(abs(fixed.ci_low), abs(fixed.ci_high))
        said = (
            f"No clear difference between {a} and {b}: {leaning} ranks {first} higher and {other} {second}, by "
            f"{_ranks(fixed.estimate)} of {record.n_candidates:,}, which these words cannot tell from none ({how_sure}); "
            f"the data speak against a difference above {largest:.1f} ranks."
        )
    return f"{said} This is about these models as run, not about model families."


def _side(record: Effects, family: str) -> str:
    """A family's model where it has one, else `the 3 Llama models`."""
    models = [model.model for model in record.models if model.family == family]
    return models[0] if len(models) == 1 else f"the {len(models)} {family} models"


def _category_sentence(rows: Sequence[CategoryTest]) -> str:
    """The category that differs most, where there are more than two."""
    tested = [row for row in rows if row.unit == "base_checkpoint" and row.difference is not None]
    if len(tested) <= 2:
        return ""
    most = max(tested, key=lambda row: (-(row.p_max_t or 1.0), abs(row.difference or 0.0)))
    return f" Largest for {most.category}: {most.difference:+.1f} ranks, adjusted p {p_equals(most.p_max_t)}."


def _interval(test: LevelTest) -> str:
    if test.ci_low is None or test.ci_high is None:
        return "no interval, since a family has one unit"
    return f"95% interval {test.ci_low:.1f} to {test.ci_high:.1f}"


def _ranks(value: float) -> str:
    return f"{abs(value):.1f} ranks"


def p_equals(p: float | None) -> str:
    """`= .012`, `< .001`."""
    text = p_text(p)
    return text if text.startswith("<") else f"= {text}"
