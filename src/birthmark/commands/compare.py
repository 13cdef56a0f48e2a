"""`birthmark compare`: score tables against each other.

Model families (`compare`), a new model held to a budget against a reference (`hold_to_budget`), or reward models against
the language models that came before them (`compare_stages`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Unpack

from birthmark.errors import BirthmarkError, CheckFailed
from birthmark.files import slug_of, write_text
from birthmark.inputs.answers import load_answers
from birthmark.inputs.catalog import load_catalog
from birthmark.inputs.lexicons import INQUIRER_DEFAULT, Lexicon, is_fetched, load_lexicon, load_lexicons
from birthmark.records import AnswerFormats, BudgetCheck, Effects, Stages, to_json
from birthmark.records.base import Row, Shown
from birthmark.scoring.declarations import MODEL, QUESTION, Argument, Option, checked, with_options
from birthmark.scoring.options import CatalogOptions, ControlOptions, Lexicons, MixedFrames, SeedOptions, out_option
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.study import open_study, write_answers, write_effects
from birthmark.values.answers import answer_formats, only_answers
from birthmark.values.budget import check_budget, parse_budget
from birthmark.values.comparison import EffectsOptions, all_effects, check_frames, group_models, name_bases, teams
from birthmark.values.random_heads import read_head_words
from birthmark.values.stages import stages
from birthmark.values.wording import disagreement

Table = str | Path | ScoreTable
Out = Annotated[
    "str | Path | None",
    out_option("birthmark-compare"),
]
Tables = Annotated[
    Sequence[Table],
    Argument("Score tables (.parquet) or published score CSVs.", "TABLE…", command_line=list[Path], place="file"),
]


def by_model(option: str, given: Sequence[str]) -> dict[str, str]:
    """`MODEL=NAME` → {MODEL: NAME}; a model's own name may hold `=`."""
    named = {}
    for text in given:
        model, sign, name = text.rpartition("=")
        if not (model and sign and name):
            raise BirthmarkError(f'{option} takes MODEL=NAME, not "{text}"')
        named[model] = name
    return named


class CompareOptions(ControlOptions, CatalogOptions, SeedOptions, total=False):
    """What `compare` shares with other commands."""


class StagesOptions(CatalogOptions, SeedOptions, total=False):
    """What `compare_stages` shares with other commands."""


class Compared(Shown, list[Effects]):
    """What `compare` finds: a list of `Effects`, one a lexicon and kind of score, that shows itself.

    `formats`: whether these values hold in sentences, where the tables were scored there.
    """

    formats: AnswerFormats | None = None

    def summary(self) -> str:
        return "\n".join(item.summary() for item in self)

    def rows(self) -> list[Row]:
        """A row a lexicon and model."""
        return [row for item in self for row in item.rows()]

    def long_rows(self) -> list[Row]:
        """A row a model, lexicon, category and prompt; `value` is the category's mean rank after that prompt, 1 is best."""
        return [row for item in self for row in item.long_rows()]

    def plot(self) -> Any:
        """The altair chart of the first lexicon's leading figure; raises `BirthmarkError` where it has none."""
        from birthmark.report.lexicon_figures import leading_chart

        return leading_chart(self, None)


@with_options
def compare(
    tables: Tables,
    *,
    lexicons: Lexicons = (),  # type: ignore[valid-type]
    out: Out = None,
    group_by: Annotated[
        "str | Path | None",
        Option(
            "Compare other groups: a catalog column (team, data, …) or a CSV file model,group.",
            None,
            metavar="COLUMN|FILE",
            command_line=str,
            place="name",
        ),
    ] = None,
    families: Annotated[
        "Mapping[str, str] | None",
        Option(
            "Pretraining lineage of a model that tables and catalog do not name, or another than they do. Repeatable.",
            MODEL,
            metavar="MODEL=NAME",
            flag="--family",
            command_line=list[str],
            convert=lambda given: by_model("--family", given),
            place="label",
        ),
    ] = None,
    base_checkpoints: Annotated[
        "Mapping[str, str] | None",
        Option(
            "The released model that it was tuned from. Repeatable.",
            MODEL,
            metavar="MODEL=NAME",
            flag="--base-checkpoint",
            command_line=list[str],
            convert=lambda given: by_model("--base-checkpoint", given),
            place="label",
        ),
    ] = None,
    answers: Annotated[
        "str | Path | None",
        Option(
            "Of tables with sentences: compare the word alone, or the sentences of a set or file. [default: all that is there]",
            QUESTION,
            metavar="words|sentences|FILE",
            command_line=str,
            place="name",
        ),
    ] = None,
    mixed_frames: MixedFrames = False,
    **options: Unpack[CompareOptions],
) -> Compared:
    """Compare score tables of any number of models and families: an `Effects` a lexicon and kind of score.

    With `out` the effects files and figures are written there. Each of `controls` (`frequency`, `length`, `tokens`,
    `prompt`, or several joined by commas) adds the effects with that held fixed, in `Effects.controlled`. `group_by`
    compares other groups than base families: a catalog column (`team`, `data`, …) or a CSV file `model,group`.
    `families` and `base_checkpoints` (model → name) say what tables and catalog do not, or overrule them. `answers` takes of
    tables that were scored in sentences the word alone (`words`), or some of their sentences.
    """
    read = _read(tables)
    if answers is not None:
        read = [only_answers(table, load_answers(answers)) for table in read]
    if not read:
        raise BirthmarkError("name at least one score table to compare")
    known = load_catalog(Path(options["catalog"]) if options["catalog"] else None)
    models = [table.model for table in read]
    named = name_bases(read, known, families, base_checkpoints)
    words = load_lexicons(lexicons or "starter")
    how: EffectsOptions = {
        "seed": options["seed"],
        "mixed_frames": mixed_frames,
        "controls": options["controls"],
        "groups": group_models(models, str(group_by), known) if group_by else None,
        "teams": teams(models, known),
    }
    if out is None:
        found = Compared(all_effects(named, words, **how).values())
        found.formats = answer_formats(named, words, seed=options["seed"])
        return found
    digests = [table.record.sha256 for table in named]
    of_study: dict[str, object] = {"tables": digests, "groups": how["groups"]}
    of_study |= {"answers": str(answers)} if answers is not None else {}
    study = open_study(Path(out), "compare", of_study)
    for table in named:
        study.add_input("score table", table.record.slug, table.record.sha256)
    for lexicon in words:
        study.add_input("lexicon", lexicon.name, lexicon.sha256)
    with study.timed("effects"):
        results = write_effects(named, words, study.out, **how)
    formats = write_answers(named, words, study.out, seed=options["seed"])
    study.finish(sorted({*disagreement(results), *(text for item in results for text in item.warnings)}))
    found = Compared(results)
    found.formats = formats
    return found


@checked
def hold_to_budget(
    tables: Tables,
    budget: Annotated[
        str,
        Option(
            'Only say whether NEW has moved from REFERENCE by more than "contrast<=10"; exit code 3 where it has.',
            None,
            metavar="EXPRESSION",
        ),
    ],
    *,
    lexicons: Lexicons = (),  # type: ignore[valid-type]
) -> list[BudgetCheck]:
    """Hold the values of a new model to a reference's: `tables` are NEW and REFERENCE, `budget` is `contrast<=10` or the like.

    A check a lexicon, with the move's interval over words and its null; nothing is written. Without `lexicons` it is a
    validated one, where one is on this machine and the tables have its words, else `starter`. Raises `BirthmarkError` for another number of tables, a budget that cannot be
    read, and tables that cannot be compared.
    """
    allowed = parse_budget(budget)
    if len(tables) != 2:
        raise BirthmarkError(
            f"a budget holds one model to one reference, NEW REFERENCE; {len(tables)} tables are named"
        )
    new, reference = _read(tables)
    words = load_lexicons(lexicons) if lexicons else (_default_lexicon((new, reference)),)
    return [check_budget(new, reference, item, allowed) for item in words]


VALIDATED = ("big-two-nouns", "general-inquirer")  # of two categories each, the study's first


def _default_lexicon(tables: Sequence[ScoreTable]) -> Lexicon:
    """A validated lexicon that is on this machine and half of whose words are in all tables, else `starter`."""
    for name in VALIDATED:
        if is_fetched(name):
            lexicon = load_lexicon(name)
            lexicon = lexicon.only(INQUIRER_DEFAULT) if name == "general-inquirer" else lexicon
            if all(2 * len(lexicon.match(table.frame["candidate"])) >= len(lexicon.words) for table in tables):
                return lexicon
    return load_lexicon("starter")


def require_within(checks: Sequence[BudgetCheck]) -> None:
    """Raise `CheckFailed` where a budget is exceeded."""
    exceeded = [check.sentence for check in checks if not check.within]
    if exceeded:
        raise CheckFailed("; ".join(exceeded))


@with_options
def compare_stages(
    tables: Tables,
    *,
    lexicons: Lexicons = (),  # type: ignore[valid-type]
    null: Annotated[
        "str | Path | None",
        Option(
            "With --stages: the OUT of a track, whose random heads are the null.",
            None,
            metavar="DIR",
            command_line=Path,
            place="folder",
        ),
    ] = None,
    out: Out = None,
    mixed_frames: MixedFrames = False,
    **options: Unpack[StagesOptions],
) -> list[Stages]:
    """How much of reward models' values each earlier stage holds: see `values.stages`; a record a lexicon.

    `null` is the OUT of a track, whose random heads are the null; with `out`, `stages/<lexicon>.json`, a figure and a page
    are written there. Raises `BirthmarkError` as `values.stages` does, and for language models in different frames unless
    `mixed_frames`.
    """
    read = _read(tables)
    known = load_catalog(Path(options["catalog"]) if options["catalog"] else None)
    words = load_lexicons(lexicons or "starter")
    heads = {item.name: read_head_words(Path(null), item.name) if null else [] for item in words}
    if null and not any(heads.values()):
        raise BirthmarkError(f"{null} holds no random heads of {words[0].name}: name the --out of a track with --heads")
    warnings = check_frames([table for table in read if table.record.kind == "logprob"], mixed_frames)
    found = [stages(read, item, heads[item.name], catalog=known, seed=options["seed"]) for item in words]
    for item in found:
        item.warnings.extend(warnings)
    if out is None:
        return found
    study = open_study(Path(out), "compare", {"stages": [table.record.sha256 for table in read]}, page="stages")
    for table in read:
        study.add_input("score table", table.record.slug, table.record.sha256)
    for item in found:
        write_text(study.out / "stages" / f"{slug_of(item.lexicon)}.json", to_json(item))
    study.finish(sorted({text for item in found for text in item.warnings}))
    return found


def _read(tables: Sequence[Table]) -> list[ScoreTable]:
    return [table if isinstance(table, ScoreTable) else read_scores(table) for table in tables]
