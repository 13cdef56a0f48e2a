"""The page of an audit, a comparison or a score."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from birthmark.foreign import html
from birthmark.records import Effects, HeadsNull, Implicit, Line, LineageOf, ScoreRecord
from birthmark.report.among import among_topic
from birthmark.report.answers import answers_topic
from birthmark.report.columns import Column, Table
from birthmark.report.contents import Contents, read_contents
from birthmark.report.figure import Figure
from birthmark.report.implicit import implicit_figure
from birthmark.report.layout import (
    Code,
    Custom,
    Fold,
    Heading,
    Items,
    Page,
    Part,
    Terms,
    Text,
    Topic,
    Warnings,
    write_page,
)
from birthmark.report.lexicon_figures import lexicon_figures
from birthmark.report.lexicon_tables import lexicon_tables, mean_table
from birthmark.report.lineage import leading_lines, lineage_tables, lines_figure, nulls_of_lines
from birthmark.report.map import map_figures, predictor_tables
from birthmark.report.models import run_table
from birthmark.scoring.table import ScoreTable, warnings_of
from birthmark.values.among import published_values
from birthmark.values.formats import SCORES, interval, percent, sentence, signed
from birthmark.values.wording import Finding, contrast_sign, finding, key_numbers
from birthmark.values.wording_lineage import ONE_LINE, lineage_said, lines_finding, published_sentence
from birthmark.values.wording_page import caveats, examples, glossary, listed_as, mass_warning, mean_mass, system_said
from birthmark.values.wording_pairs import about_predictors, map_sentence
from birthmark.values.wording_undercuts import LEAST_MASS, null_sentence, null_sentences

OPEN_MODELS, OPEN_TABLES = 4, 3
MOST_CATEGORIES = 4  # whose words are shown at the top
FEWEST_MODELS = 2
FRAMED = {"positive": "Asked for the best", "negative": "Asked for the worst", None: "Asked neither way"}
INPUTS = (
    Column("name", "Name"),
    Column("role", "What"),
    Column("sha256", "SHA-256", lambda digest: html("<code>{}</code>", digest[:16])),
)


def write_report(out: Path | str, tables: Sequence[ScoreTable] = ()) -> Path:
    """Draw `out/report.html` and `out/figures/*.svg|png` from the files in `out`; returns the page's path.

    Raises `BirthmarkError` where `out` holds nothing to draw, or a file of it is damaged.
    """
    contents = read_contents(Path(out), tables)
    return write_page(Path(out), _page(contents))


def _page(contents: Contents) -> Page:
    lines = _leading_lines(contents)
    nulls = nulls_of_lines(lines, contents.effects)
    figures = [lexicon_figures(item) for item in contents.effects]
    first = figures[0][:1] if figures and not lines else []
    leading = [lines_figure(lines, nulls)] if lines else first
    found = lines_finding([item for _, item in lines], nulls) if lines else _found(contents)
    made = (
        _overview(contents),
        among_topic(contents.among) if contents.among else None,
        answers_topic(contents.answers) if contents.answers else None,
        _lineage(contents),
        _map(contents),
        _look_up(contents),
        _extremes_topic(contents),
        _implicit(contents),
        _numbers(contents, [[figure for figure in group if figure not in first] for group in figures]),
        _run(contents),
        Topic("limits", "What the numbers cannot say", [Items(caveats(contents.effects, contents.scores))], "Limits"),
    )
    return Page(
        found.title,
        [
            *_said(contents, found),
            *(
                _said_of_nulls(contents, lines, nulls)
                if lines
                else _against(contents.effects[0])
                if contents.effects
                else ()
            ),
            *leading,
            *_counted(contents, bool(lines)),
            *_beside(contents, bool(lines)),
        ],
        [topic for topic in made if topic is not None],
        kicker=_kicker(contents),
    )


def _kicker(contents: Contents) -> str:
    said = "Value report"
    if contents.scores:
        n_models, n_questions = len(contents.scores), len(contents.scores[0].prompt_set.prompts)
        said += f" · {_counted_as(n_models, 'model')}, {_counted_as(n_questions, 'question')}"
        if contents.effects:
            said += f", {contents.effects[0].n_candidates:,} words"
    return said


def _counted_as(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _said(contents: Contents, found: Finding) -> list[Part]:
    """The finding in words."""
    seconds = [text for text in (found.sure, system_said(contents.scores)) if text]
    return [Text(found.said, "lead"), *(Text(text, "lead second") for text in seconds)]


def _against(effects: Effects) -> list[Part]:
    """What undercuts the finding, and whether random heads give as much."""
    said = [*effects.undercuts, *null_sentences(effects)]
    return [Items(said, "prose against")] if said else []


def _said_of_nulls(
    contents: Contents, lines: Sequence[tuple[Line, LineageOf]], nulls: Mapping[str, HeadsNull]
) -> list[Part]:
    """Whether random heads on the base lean as far as a reward model does; where all do, what the published ones show."""
    lexicon = lines[0][1].lexicon
    models = [model for item in contents.effects if item.lexicon == lexicon for model in item.models]
    said = [null_sentence(model) for model in models if model.model in nulls]
    within = len(nulls) > 1 and all(
        null.holds(model.mean_rank_contrast) for model in models if (null := nulls.get(model.model)) is not None
    )
    return (
        [Items([*said, *([published_sentence(published_values())] if within else [])], "prose against")] if said else []
    )


def _counted(contents: Contents, of_line: bool) -> list[Part]:
    """The finding in numbers, and what the categories are; the numbers are the families', so a line has none."""
    if not contents.effects:
        return []
    lead = contents.effects[0]
    named = bool(lead.words) and len(lead.categories) <= MOST_CATEGORIES
    categories = [
        (name, f"{len(lead.words[name])} words: {', '.join(examples(lead, name))} …")
        for name in (lead.categories if named else [])
    ]
    return [Custom("finding", {"numbers": [] if of_line else key_numbers(lead), "categories": categories})]


def _beside(contents: Contents, of_line: bool) -> list[Part]:
    """What stands below the leading figure: the other word lists, warnings, terms."""
    others = [] if of_line else contents.effects[1:]
    said = [
        html("<strong>{}</strong> ({}): {}", item.lexicon, SCORES[item.kind], finding(item).said) for item in others
    ]
    parts: list[Part] = []
    if said:
        parts += [Heading("The other word lists", small=True), Items(said, "others")]
    if warnings := _warnings(contents):
        parts.append(Warnings(warnings))
    return [*parts, Fold("What the terms mean", [Terms(glossary(contents.effects, contents.implicit))])]


# ------------------------------------------------------------------------------------------------------ topics


def _overview(contents: Contents) -> Topic | None:
    """A row a model, to be sorted, where there are several."""
    table = overview_table(contents.effects, contents.scores)
    return Topic("models", "The models side by side", [table], "Models") if table else None


def _lineage(contents: Contents) -> Topic | None:
    if contents.lineage is None:
        return None
    parts = [
        part
        for line in contents.lineage.lines
        for item, table in zip(line.lexicons, lineage_tables(line), strict=True)
        for part in (lineage_said(item), table)
    ]
    return Topic("lineage", "From base model to reward model", [ONE_LINE, *parts], "From base to reward")


def _map(contents: Contents) -> Topic | None:
    found = contents.map
    if found is None:
        return None
    notes = [Text(text) for text in about_predictors(found)]
    heat, places, *_ = map_figures(found)
    parts: list[Part] = [map_sentence(found), places, heat, *predictor_tables(found.predictors), *notes]
    return Topic("map", "How the models relate", parts, "Map")


def _look_up(contents: Contents) -> Topic | None:
    if not contents.scores:
        return None
    return Topic("look-up", "Look up a word", [Custom("look_up", {"search": contents.search})])


def _extremes_topic(contents: Contents) -> Topic | None:
    if not contents.scores:
        return None
    values = {
        "models": contents.extremes,
        "marked": list(_marked(contents.effects)),
        "markers": _markers(contents.effects),
        "framed": FRAMED,
        "open_models": OPEN_MODELS,
    }
    return Topic("extremes", "What each model puts first and last", [Custom("extremes", values)], "First and last")


def _implicit(contents: Contents) -> Topic | None:
    """There, or said not to be there, where two language models were scored."""
    if not contents.implicit and sum(record.kind == "logprob" for record in contents.scores) < 2:
        return None
    asked = {key: prompt.text for record in contents.scores for key, prompt in record.prompt_set.prompts.items()}
    parts = [part for item in contents.implicit for part in _implicit_parts(item, asked)]
    missing = Text("There is none here: it takes the log-probabilities of two language models.", "missing")
    return Topic("implicit", "The implicit reward", parts or [missing], "Implicit reward")


def _implicit_parts(item: Implicit, asked: Mapping[str, str]) -> list[Part]:
    prompt, means = item.prompts[0], mean_table(item)
    question = f"“{asked[prompt.prompt]}”" if prompt.prompt in asked else html("<code>{}</code>", prompt.prompt)
    said = html(
        "If preference training had turned {} into {}, what would it have rewarded? The two models' log-probabilities say "
        "so, candidate by candidate, here after the question {}, over the {} candidates that both know. These hold {} of "
        "{}'s next-token probability and {} of {}'s.",
        item.a,
        item.b,
        question,
        f"{prompt.n_shared:,}",
        percent(prompt.mass_a),
        item.a,
        percent(prompt.mass_b),
        item.b,
    )
    return [said, implicit_figure(item), *([means] if means else [])]


def _numbers(contents: Contents, figures: list[list[Figure]]) -> Topic:
    parts = [part for item, drawn in zip(contents.effects, figures, strict=True) for part in _numbers_of(item, drawn)]
    missing = Text("No word list was compared here.", "missing")
    return Topic("numbers", "The numbers", parts or [missing], "Numbers")


def _numbers_of(item: Effects, figures: Sequence[Figure]) -> list[Part]:
    """A lexicon's sentence, figures and tables, the tables that most readers need open."""
    counts = ", ".join(f"{category} {n}" for category, n in item.words_by_category.items())
    of_list = f" of {item.n_lexicon_words:,} in the list" if item.n_lexicon_words else ""
    validated = "Validated with people." if item.validated else "No validation stated."
    ranked = f"{item.n_candidates:,} words ranked{of_list}{f': {counts}' if counts else ''}. {validated}"
    why = item.cells_why or "the prompts have no framing, positive or negative"
    missing = [] if item.cells else [Text(f"No figure: {why}.", "missing")]
    tables = lexicon_tables(item)
    return [
        Heading(listed_as(item)),
        finding(item).text,
        *_against(item),
        Text(ranked),
        *figures,
        *missing,
        *tables[:OPEN_TABLES],
        *(Fold(table.caption, [table]) for table in tables[OPEN_TABLES:]),
    ]


def _run(contents: Contents) -> Topic:
    study, parts = contents.study, list[Part]()
    if study and study.command_line:
        parts += ["To repeat it:", Code(study.command_line)]
    if contents.scores:
        parts.append(run_table(contents.scores))
    elif study is None or study.command != "compare":  # whose tables are elsewhere, among the inputs
        parts.append(Text("No score tables lie in this folder.", "missing"))
    if study is None:
        parts.append(Text("study.json is not in this folder, so what was asked is not known.", "missing"))
        return Topic("run", "How it was run", parts)
    if study.inputs:
        inputs = Table("Inputs and their SHA-256", INPUTS, study.inputs)
        parts.append(Fold(inputs.caption, [inputs]))
    parts.append(Text(" · ".join(f"{name} {version}" for name, version in study.versions.items())))
    if study.durations:
        times = " · ".join(f"{step} {seconds:.1f} s" for step, seconds in study.durations.items())
        parts.append(Text(f"Time: {times}"))
    return Topic("run", "How it was run", parts)


def _leading_lines(contents: Contents) -> list[tuple[Line, LineageOf]]:
    """The lines of descent that the page is about: where some were asked for and no families are tested."""
    tested = any(item.headline is not None and item.headline.estimate is not None for item in contents.effects)
    return leading_lines(contents.lineage.lines) if contents.lineage and not tested else []


def _found(contents: Contents) -> Finding:
    if contents.effects:
        return finding(contents.effects[0])
    names = [record.model for record in contents.scores]
    title = f"What {' and '.join(names)} put first" if 0 < len(names) <= 2 else f"What {len(names)} models put first"
    return Finding(title, "No word list was compared here, so there is no finding yet.", "birthmark audit makes one.")


def _warnings(contents: Contents) -> list[str]:
    lists = [item.warnings for group in (contents.effects, contents.implicit) for item in group]
    of_mass = mass_warning(contents.scores, at_least=LEAST_MASS if contents.effects else 0.0)
    of_study = contents.study.warnings if contents.study else []
    said = [*([of_mass] if of_mass else []), *of_study, *(text for warnings in lists for text in warnings)]
    known = {text for record in contents.scores for text in record.warnings if any(text in line for line in said)}
    said += [text for text in warnings_of(contents.scores) if not any(text.startswith(line) for line in known)]
    return list(dict.fromkeys(sentence(text) for text in said))


def _marked(effects: Sequence[Effects]) -> dict[str, list[str]]:
    """The two categories of the first list of two, whose words are marked among the candidates."""
    two = [item for item in effects if len(item.categories) == 2 and item.words]
    return {category: two[0].words.get(category, []) for category in two[0].categories} if two else {}


def _markers(effects: Sequence[Effects]) -> dict[str, tuple[int, str]]:
    """Marked words in lower case → number and name of their category."""
    marked = _marked(effects).items()
    return {word.lower(): (at, name) for at, (name, words) in enumerate(marked, start=1) for word in words}


def overview_table(effects: Sequence[Effects], scores: Sequence[ScoreRecord]) -> Table | None:
    """A row a model and kind of score; null for a single model, and where nothing was compared."""
    two = [item for item in effects if len(item.categories) == 2]
    models = {(item.kind, model.model): model for item in effects for model in item.models}
    if len(models) < FEWEST_MODELS:
        return None
    records = {(record.kind, record.model): record for record in scores}
    lists = list(dict.fromkeys(item.lexicon for item in two))
    values = {(item.kind, m.model, item.lexicon): m for item in two for m in item.models}
    with_null = {name for (_, _, name), model in values.items() if model.null is not None}
    with_mass = any(mean_mass(record) is not None for record in scores)
    columns = [Column("model", "Model"), Column("family", "Family"), Column("base", "Base checkpoint")]
    if len({kind for kind, _ in models}) > 1:
        columns.append(Column("kind", "Ranks of", SCORES.__getitem__))
    for at, name in enumerate(lists):
        columns.append(Column(f"contrast {at}", f"Contrast, {name}", signed))
        if name in with_null:
            columns.append(Column((f"low {at}", f"high {at}"), "Random heads, 95%", interval))
    if with_mass:
        columns.append(
            Column("mass", "Probability on the words", lambda mass: "–" if mass is None else percent(mass, 2))
        )
    rows = []
    for (kind, name), model in models.items():
        record = records.get((kind, name))
        row: dict[str, object] = {
            "model": name,
            "family": model.family,
            "base": model.base_checkpoint,
            "kind": kind,
            "mass": mean_mass(record) if record else model.mass,
        }
        for at, lexicon in enumerate(lists):
            found = values.get((kind, name, lexicon))
            null = found.null if found else None
            row |= {f"contrast {at}": found.mean_rank_contrast if found else None}
            row |= {f"low {at}": null.low if null else None, f"high {at}": null.high if null else None}
        rows.append(row)
    note = f"Contrasts are of mean ranks, in places. {contrast_sign(two[0].categories)}" if two else ""
    return Table("The models: a heading sorts by its column", columns, rows, note, sortable=True)
