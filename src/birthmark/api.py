"""What the commands call, as functions: `import birthmark as bm`, then `bm.audit(...)`, `bm.score(...)`, …

Each is two or three calls into the rooms. Options mean what they mean on the command line.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

from birthmark.errors import BirthmarkError
from birthmark.implicit_runs import prompts_of_tables, run_implicit, run_implicit_grid
from birthmark.inputs.catalog import load_catalog
from birthmark.inputs.groupings import group_models
from birthmark.inputs.lexicons import Lexicon, load_lexicon
from birthmark.inputs.text import did_you_mean
from birthmark.records import Effects, Implicit, ImplicitGrid, Map, Replication
from birthmark.runs import (
    EMBEDDED,
    IMPLICIT_PROMPT,
    AuditResult,
    compare_tables,
    is_score_table,
    run_audit,
    run_map,
    run_replication,
    score_into,
)
from birthmark.scores import ScoreTable, read_scores
from birthmark.scoring import Measure, MeasureOptions, choose_frames, make_measure, score_model
from birthmark.values.logratios import Duplicates, Joining
from birthmark.values.texts import parse_sorts

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel


class ModelOptions(TypedDict, total=False):
    """What a person says of a model that the catalog does not know, and how its files are read."""

    kind: Literal["reward", "logprob"] | None  # `--as`
    family: str | None
    base_checkpoint: str | None
    revision: str | None
    catalog: str | Path | None
    chat_template: str | Path | None


class Options(MeasureOptions, ModelOptions, total=False):
    """All options that `score`, `audit` and `implicit` share."""


def resolve(name: str | Path, *, quiet: bool = True, **options: Unpack[ModelOptions]) -> "ResolvedModel":
    """Find a model: a catalog name, a hub id, a folder, or an adapter's folder; fetched and converted where needed.

    The result's `.path` is a folder that transformers loads offline. Raises `BirthmarkError` where the model is unknown,
    not there, or could only be run with foreign code or a pickle.
    """
    from birthmark.models.weights import resolve as find

    return find(name, quiet=quiet, **options)


def token_texts(model: str | Path) -> frozenset[str]:
    """The texts of a model's decodable tokens, spaces included."""
    from birthmark.models.encoding import read_vocabulary
    from birthmark.models.weights import load_tokenizer

    tokenizer = load_tokenizer(resolve(model))
    return frozenset(read_vocabulary(tokenizer, len(tokenizer)).texts)


def score(model: str | Path, *, out: str | Path | None = None, **options: Unpack[Options]) -> ScoreTable:
    """Score one model: rewards of an RM, log-probabilities of an LM, higher is better.

    With `out` the table is written to `out/scores/` and an interrupted run resumes. Raises `BirthmarkError` for bad
    input and `CheckFailed` where the prefix engine does not equal the plain one.
    """
    measure = make_measure(**_measure_options(options))
    found = resolve(model, quiet=measure.quiet, **_model_options(options))
    if out is not None:
        return score_into(Path(out), found, measure)
    (frame,) = choose_frames([found], measure.frame, measure.protocol)
    return score_model(found, measure, frame)


def audit(
    *models: str | Path,
    out: str | Path = "birthmark-audit",
    mixed_frames: bool = False,
    **options: Unpack[Options],
) -> AuditResult:
    """Audit models end to end: score tables, effects, implicit reward, figures, page and values card in `out`.

    With no model, the two embedded base models.
    """
    measure = make_measure(**_measure_options(options))
    found = [resolve(model, quiet=measure.quiet, **_model_options(options)) for model in models or EMBEDDED]
    return run_audit(found, measure, Path(out), mixed_frames=mixed_frames)


def plan(*models: str | Path, **options: Unpack[Options]) -> list[dict[str, Any]]:
    """What `score` or `audit` would do with these models, its time and memory (`--dry-run`)."""
    from birthmark.dryrun import plan_runs

    catalog = options.get("catalog")
    return plan_runs(models, make_measure(**_measure_options(options)), Path(catalog) if catalog else None)


def compare(
    tables: Sequence[str | Path | ScoreTable],
    *,
    lexicons: Sequence[str | Path | Lexicon] = ("starter",),
    out: str | Path | None = None,
    mixed_frames: bool = False,
    controls: str | Sequence[str] = (),
    group_by: str | Path | None = None,
    catalog: str | Path | None = None,
    seed: int = 0,
) -> list[Effects]:
    """Compare score tables of any number of models and families: an `Effects` a lexicon and kind of score.

    With `out` the effects files and figures are written there. Each of `controls` (`frequency`, `length`, `tokens`,
    `prompt`, or several joined by commas) adds the effects with that held fixed, in `Effects.controlled`. `group_by`
    compares other groups than base families: a catalog column (`team`, `data`, …) or a CSV file `model,group`.
    """
    loaded = [table if isinstance(table, ScoreTable) else read_scores(table) for table in tables]
    if not loaded:
        raise BirthmarkError("name at least one score table to compare")
    read = [item if isinstance(item, Lexicon) else load_lexicon(item) for item in lexicons]
    known = load_catalog(Path(catalog) if catalog else None)
    return compare_tables(
        loaded,
        read,
        Path(out) if out else None,
        mixed_frames=mixed_frames,
        seed=seed,
        controls=controls,
        groups=group_models([table.model for table in loaded], str(group_by), known) if group_by else None,
    )


def map_tables(
    tables: Sequence[str | Path | ScoreTable] = (),
    *,
    human: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
) -> Map:
    """How models relate: rank correlations, a map, what predicts likeness; with `human` their agreement with people.

    `human` is a CSV of people's ranking, or `fetch` for the predecessor study's; where that file holds models' scores too
    and no table is named, those models are mapped. With `out`, `map.json`, figures and a page are written.
    """
    from birthmark.inputs.humans import fetch_elo_files, is_elo_file, read_elo_scores, read_human_ranking

    files = fetch_elo_files() if human == "fetch" else [Path(human)] if human is not None else []
    given = list(tables) or [file for file in files if file.is_file() and is_elo_file(file)]
    elo = [
        Path(item)
        for item in given
        if not isinstance(item, ScoreTable) and Path(item).is_file() and is_elo_file(Path(item))
    ]
    others = [item for item in given if isinstance(item, ScoreTable) or Path(item) not in elo]
    loaded = [item if isinstance(item, ScoreTable) else read_scores(item) for item in others]
    if not (loaded or elo):
        raise BirthmarkError("name score tables to map, or --human fetch for the published models and people's ranking")
    loaded += read_elo_scores(elo) if elo else []
    ranking = read_human_ranking(files[0]) if files else None
    return run_map(loaded, ranking, Path(out) if out is not None else None, seed=seed)


def implicit(
    a: str | Path | ScoreTable,
    b: str | Path | ScoreTable,
    *,
    out: str | Path = "birthmark-implicit",
    duplicates: Duplicates = "max",
    fold: bool = False,
    set_aside: str | Sequence[str] = (),
    mixed_frames: bool = False,
    **options: Unpack[Options],
) -> Implicit:
    """The implicit reward that would turn `a` into `b`: positive where `b` prefers a candidate.

    `a` and `b` are language models, or score tables of them. Takes the whole vocabulary after the prompt
    `greatest_ever_one` by default; `prompt=["all"]` takes every prompt. `fold` joins texts over case and leading space;
    `set_aside` (`markdown`, `punctuation`, `whitespace`) leaves candidates out, counted.
    """
    sides, measure = _language_sides([a, b], [IMPLICIT_PROMPT], options)
    joining = Joining(duplicates, fold, parse_sorts(set_aside))
    return run_implicit(sides[0], sides[1], measure, Path(out), joining=joining, mixed_frames=mixed_frames)


def implicit_grid(
    first: Sequence[str | Path | ScoreTable],
    second: Sequence[str | Path | ScoreTable],
    *,
    words: str | Sequence[str] | None = None,
    out: str | Path = "birthmark-implicit",
    duplicates: Duplicates = "max",
    fold: bool = False,
    set_aside: str | Sequence[str] = (),
    mixed_frames: bool = False,
    **options: Unpack[Options],
) -> ImplicitGrid:
    """The implicit rewards that would turn every model of `first` into every one of `second`, and what they share.

    `words` are two (`"love,freedom"`) to be followed through all pairs. Takes every prompt by default; the pairs and the
    words are after `greatest_ever_one`. Further options are those of `implicit`.
    """
    named = words.split(",") if isinstance(words, str) else words
    sides, measure = _language_sides([*first, *second], ["all"], options)
    return run_implicit_grid(
        sides[: len(first)],
        sides[len(first) :],
        measure,
        Path(out),
        joining=Joining(duplicates, fold, parse_sorts(set_aside)),
        words=None if named is None else [word.strip() for word in named],
        mixed_frames=mixed_frames,
    )


def _language_sides(
    names: Sequence[str | Path | ScoreTable], default: Sequence[str], options: Options
) -> "tuple[list[ResolvedModel | ScoreTable], Measure]":
    """The models or tables, and what is asked of them; of tables alone, the prompts are those that they have."""
    tables = {
        at: name if isinstance(name, ScoreTable) else read_scores(name)
        for at, name in enumerate(names)
        if isinstance(name, ScoreTable) or is_score_table(name)
    }
    asked = list(options.get("prompt") or default)
    if len(tables) == len(names):
        measure = make_measure(**_measure_options({**options, "prompt": []}))
        measure = replace(measure, prompts=prompts_of_tables(list(tables.values()), asked, default != asked))
    else:
        measure = make_measure(**_measure_options({**options, "prompt": [] if asked == ["all"] else asked}))
    sides = [
        tables[at] if at in tables else resolve(str(name), quiet=measure.quiet, **_model_options(options))
        for at, name in enumerate(names)
    ]
    return sides, measure


def replicate(
    data: str | Path | None = None, *, out: str | Path = "birthmark-replicate", seed: int = 0, quiet: bool = True
) -> Replication:
    """Replicate the published study from a clone of its repository, or from fetched files: figures, slips, verdicts."""
    return run_replication(Path(data) if data is not None else None, Path(out), seed=seed, quiet=quiet)


def calibrate(kind: Literal["tests", "plan"], **options: Any) -> "Calibration | Plan":
    """What the instrument can see: `tests` (how often tests and intervals err), `plan` (the power of a study to come).

    `tests` takes `data`, `out`, `studies`, `few`, `seed`; without `out` nothing is written. `plan` takes `bases` (two
    numbers), `rms_per_base`, `sd_base`, `sd_rm`, `shift`, `alpha`. Raises `BirthmarkError` for anything else.
    """
    from birthmark import calibrations

    runs = {"tests": calibrations.run_calibrate_tests, "plan": calibrations.run_plan}
    if kind not in runs:
        raise BirthmarkError(f"there is no calibration called {kind}: {did_you_mean(kind, runs)}")
    for name in ("data", "out"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    return runs[kind](**options)  # type: ignore[operator, no-any-return]


def _measure_options(options: Options) -> MeasureOptions:
    return {key: value for key, value in options.items() if key in MeasureOptions.__annotations__}  # type: ignore[return-value]


def _model_options(options: Options) -> ModelOptions:
    return {key: value for key, value in options.items() if key in ModelOptions.__annotations__}  # type: ignore[return-value]
