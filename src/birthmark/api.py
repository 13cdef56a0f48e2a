"""What the commands call, as functions: `import birthmark as bm`, then `bm.audit(...)`, `bm.score(...)`, …

Each is two or three calls into the rooms. Options mean what they mean on the command line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

from birthmark.errors import BirthmarkError
from birthmark.implicit_runs import prompts_of_tables, run_implicit, run_implicit_grid
from birthmark.inputs.catalog import ancestry, find_entry, load_catalog, load_set, load_sets, suggest
from birthmark.inputs.groupings import group_models, name_bases, teams
from birthmark.inputs.lexicons import Lexicon, load_lexicons
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
    from collections.abc import Callable

    from birthmark.models.weights import ResolvedModel
    from birthmark.records import Calibration, Plan, TrainingPlan, TrainingRecord
    from birthmark.records.planted import PlantedPlan
    from birthmark.training.run import Asked, TrainingRun


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


def model_facts(name: str, *, catalog: str | Path | None = None) -> dict[str, Any]:
    """All that the catalog knows of one model, the sets that it is in, and bytes of memory by precision.

    Raises `BirthmarkError` for a name that is not in the catalog, with the nearest ones.
    """
    from birthmark.models.memory import memory_by_precision

    path = Path(catalog) if catalog else None
    known = load_catalog(path)
    entry = find_entry(known, name)
    if entry is None:
        raise BirthmarkError(
            f"no model named {name} in the catalog: {suggest(name, known) or 'see birthmark models list'}"
        )
    dtypes = [*([entry.dtype] if entry.dtype else []), "float32"]
    return {
        **entry.model_dump(mode="json"),
        "memory_bytes": memory_by_precision(entry.parameters, dtypes) if entry.parameters else None,
        "sets": [title for title, members in load_sets(path).items() if entry.name in members],
    }


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
    catalog_set: str | None = None,
    with_base: bool = False,
    base: Sequence[str | Path] = (),
    **options: Unpack[Options],
) -> AuditResult:
    """Audit models end to end: score tables, effects, implicit reward, figures, page and values card in `out`.

    With no model, the two embedded base models; with `catalog_set` the models of a set of the catalog, one after the
    other, with their map. `with_base` scores each reward model's base checkpoint and what that was trained on from too
    (from the catalog, or those that `base` names, nearest first), and shows how the values pass from one to the next.
    """
    measure = make_measure(**_measure_options(options))
    catalog = _catalog(options)
    if catalog_set is not None:
        from birthmark.zoo import run_set

        if models or with_base or base:
            raise BirthmarkError("name models or a set of them, not both; --with-base goes with models")
        return run_set(
            load_set(catalog_set, catalog),
            load_catalog(catalog),
            lambda name: resolve(name, quiet=measure.quiet, **_model_options(options)),
            measure,
            Path(out),
            mixed_frames=mixed_frames,
        )
    found = [resolve(model, quiet=measure.quiet, **_model_options(options)) for model in models or EMBEDDED]
    lines = _lines(found, [str(name) for name in base], options, measure.quiet) if with_base or base else []
    every = {model.slug: model for line in lines for model in line} | {model.slug: model for model in found}
    return run_audit(list(every.values()), measure, Path(out), mixed_frames=mixed_frames, lines=lines)


def _lines(
    found: "Sequence[ResolvedModel]", named: Sequence[str], options: Options, quiet: bool
) -> "list[list[ResolvedModel]]":
    """Each model with what it descends from, the oldest first; what is not known of a base's family is the model's."""
    from birthmark.zoo import bases_of

    catalog = _catalog(options)
    lines = []
    for model in found:
        names = bases_of(model, named, load_catalog(catalog))
        bases = [resolve(name, quiet=quiet, catalog=catalog) for name in reversed(names)]
        known = [
            replace(base, family=base.family or model.family, base_checkpoint=base.base_checkpoint or base.slug)
            for base in bases
        ]
        lines.append([*known, model])
    return lines


def plan(
    *models: str | Path,
    catalog_set: str | None = None,
    with_base: bool = False,
    base: Sequence[str | Path] = (),
    **options: Unpack[Options],
) -> list[dict[str, Any]]:
    """What `score` or `audit` would do with these models, its time and memory (`--dry-run`)."""
    from birthmark.dryrun import plan_runs

    catalog = _catalog(options)
    names = [str(model) for model in models] or list(load_set(catalog_set, catalog) if catalog_set else EMBEDDED)
    names += [str(name) for name in base]
    if with_base and not base:
        known = load_catalog(catalog)
        for name in list(names):
            entry = find_entry(known, name)
            checkpoint = options.get("base_checkpoint") or (entry.base_checkpoint if entry else None)
            names += [older for older in ancestry(known, checkpoint) if older not in names] if checkpoint else []
    return plan_runs(names, make_measure(**_measure_options(options)), catalog)


def _catalog(options: Options) -> Path | None:
    named = options.get("catalog")
    return Path(named) if named else None


def compare(
    tables: Sequence[str | Path | ScoreTable],
    *,
    lexicons: str | Path | Lexicon | Sequence[str | Path | Lexicon] = ("starter",),
    out: str | Path | None = None,
    mixed_frames: bool = False,
    controls: str | Sequence[str] = (),
    group_by: str | Path | None = None,
    families: Mapping[str, str] | None = None,
    base_checkpoints: Mapping[str, str] | None = None,
    catalog: str | Path | None = None,
    seed: int = 0,
) -> list[Effects]:
    """Compare score tables of any number of models and families: an `Effects` a lexicon and kind of score.

    With `out` the effects files and figures are written there. Each of `controls` (`frequency`, `length`, `tokens`,
    `prompt`, or several joined by commas) adds the effects with that held fixed, in `Effects.controlled`. `group_by`
    compares other groups than base families: a catalog column (`team`, `data`, …) or a CSV file `model,group`.
    `families` and `base_checkpoints` (model → name) say what tables and catalog do not, or overrule them.
    """
    loaded = [table if isinstance(table, ScoreTable) else read_scores(table) for table in tables]
    if not loaded:
        raise BirthmarkError("name at least one score table to compare")
    known = load_catalog(Path(catalog) if catalog else None)
    models = [table.model for table in loaded]
    return compare_tables(
        name_bases(loaded, known, families, base_checkpoints),
        load_lexicons(lexicons),
        Path(out) if out else None,
        mixed_frames=mixed_frames,
        seed=seed,
        controls=controls,
        groups=group_models(models, str(group_by), known) if group_by else None,
        teams=teams(models, known),
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
    for missing in (file for file in files if not file.is_file()):
        raise BirthmarkError(f"{missing} is not a file: name a CSV of people's ranking, or --human fetch")
    given = list(tables) or [file for file in files if is_elo_file(file)]
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
        measure = replace(measure, prompts=prompts_of_tables(list(tables.values()), asked, bool(options.get("prompt"))))
    else:
        measure = make_measure(**_measure_options({**options, "prompt": [] if asked == ["all"] else asked}))
    sides = [
        tables[at] if at in tables else resolve(str(name), quiet=measure.quiet, **_model_options(options))
        for at, name in enumerate(names)
    ]
    return sides, measure


def replicate(
    data: str | Path | None = None,
    *,
    planted: str | Path | None = None,
    out: str | Path = "birthmark-replicate",
    seed: int = 0,
    quiet: bool = True,
) -> Replication:
    """Replicate the published study from a clone of its repository, or from fetched files: figures, slips, verdicts.

    `planted`: a folder that `calibrate("planted")` wrote, or its `calibration.json`: it decides the claim that MWLR finds
    planted words best, for which no file is published.
    """
    found, words = (Path(given) if given is not None else None for given in (data, planted))
    return run_replication(found, Path(out), planted=words, seed=seed, quiet=quiet)


class TrainOptions(ModelOptions, total=False):
    """What `train` takes beside the fields of the recipe."""

    pairs: int | None
    every: int | None
    preset: Literal["study", "small"]
    seed: int
    device: str | None
    report_to: Sequence[str]


def train(
    base: str | Path,
    preferences: str | Path,
    *,
    out: str | Path = "birthmark-train",
    callbacks: Sequence[Any] = (),
    show: "Callable[[TrainingRecord], None] | None" = None,
    quiet: bool = True,
    **asked: Any,
) -> "TrainingRun":
    """Train a reward model from a base language model on preference pairs; the same call resumes an interrupted run.

    Parameters
    ----------
    base
        A language model: a catalog name, a hub id or a folder; `chat_template="plain"` for one without a template.
    preferences
        A file (.jsonl, .jsonl.gz, .json, .parquet) or a hub id: TRL's preference formats, raw HH dialogues, and more.
    asked
        `pairs` (a seeded sample) or `every` (each n-th pair), `preset` (`study` or `small`), `seed`, `device`,
        `report_to`, what `bm.resolve` takes, and any field of the recipe (`loss`, `learning_rate`, `epochs`, …).
    callbacks
        Transformers callbacks that look on, such as `bm.ValuesCallback()`.
    show
        Called with the run's record before the first step.

    `out/checkpoints/step-…` are adapters with their heads, which `bm.score` takes. Raises `BirthmarkError` for what is
    wrong with base, pairs or recipe, where `out` holds another run, and where the loss is no longer a number.
    """
    from birthmark.training.run import run_training

    return run_training(
        _training(base, preferences, quiet, asked), Path(out), quiet=quiet, show=show, callbacks=callbacks
    )


def plan_training(
    base: str | Path, preferences: str | Path, *, out: str | Path | None = None, quiet: bool = True, **asked: Any
) -> "TrainingPlan":
    """What `train` would do (`--dry-run`): the record before the first step, seconds and memory, what `out` has of it."""
    from birthmark.training.plan import plan_run

    return plan_run(_training(base, preferences, quiet, asked), Path(out) if out is not None else None, quiet=quiet)


def plan_grid(
    grid: str | Path,
    *,
    out: str | Path = "birthmark-train",
    device: str | None = None,
    catalog: str | Path | None = None,
    quiet: bool = True,
) -> "list[TrainingPlan]":
    """What `train_grid` would do, run by run, and which of them `out` holds already."""
    from birthmark.training import grid as grids
    from birthmark.training.plan import plan_runs

    runs = grids.plan_grid(Path(grid), device=device, catalog=Path(catalog) if catalog else None, quiet=quiet)
    return plan_runs(runs, Path(out), quiet=quiet)


def train_grid(
    grid: str | Path,
    *,
    out: str | Path = "birthmark-train",
    device: str | None = None,
    catalog: str | Path | None = None,
    report_to: Sequence[str] = (),
    show: "Callable[[TrainingRecord], None] | None" = None,
    quiet: bool = True,
) -> "list[TrainingRun]":
    """Train every run of a grid (a YAML of bases, sources, pairs, losses, seeds), each into a folder of its own in `out`.

    Finished runs are skipped, a cut-off one goes on. Raises `BirthmarkError` as `train` does; a run that fails on the
    way is named when the others are finished.
    """
    from birthmark.training.grid import run_grid

    return run_grid(
        Path(grid),
        Path(out),
        device=device,
        catalog=Path(catalog) if catalog else None,
        report_to=tuple(report_to),
        show=show,
        quiet=quiet,
    )


def _training(base: str | Path, preferences: str | Path, quiet: bool, asked: dict[str, Any]) -> "Asked":
    from birthmark.training.recipe import make_recipe
    from birthmark.training.run import Asked

    known = TrainOptions.__annotations__
    given = {key: value for key, value in asked.items() if key in known}
    recipe = make_recipe(
        given.get("preset", "study"), **{key: value for key, value in asked.items() if key not in known}
    )
    template = given.get("chat_template")
    return Asked(
        base=resolve(base, quiet=quiet, **_model_options(given)),  # type: ignore[arg-type]
        preferences=preferences,
        recipe=recipe,
        preset=given.get("preset", "study"),
        pairs=given.get("pairs"),
        every=given.get("every"),
        seed=given.get("seed", 0),
        chat_template=str(template) if template is not None else None,
        device=given.get("device"),
        report_to=tuple(given.get("report_to") or ()),
    )


@overload
def calibrate(kind: Literal["plan"], **options: Any) -> "Plan": ...


@overload
def calibrate(kind: Literal["planted", "tests"], **options: Any) -> "Calibration": ...


def calibrate(kind: Literal["planted", "tests", "plan"], **options: Any) -> "Calibration | Plan":
    """What the instrument can see: `planted` (which metric finds words taught on purpose), `tests` (how often tests and
    intervals err), `plan` (the power of a study to come).

    `planted` takes `bases` and `categories` (names), `setting` (`small` or `full`), `seeds`, `seed`, `out`, `device`,
    `catalog`; `tests` takes `data`, `out`, `studies`, `few`, `seed`; without `out` nothing is written. `plan` takes `bases`
    (two numbers), `rms_per_base`, `sd_base`, `sd_rm`, `shift`, `alpha`. Raises `BirthmarkError` for anything else.
    """
    from birthmark import calibrations, plantings

    runs = {
        "planted": plantings.run_calibrate_planted,
        "tests": calibrations.run_calibrate_tests,
        "plan": calibrations.run_plan,
    }
    if kind not in runs:
        raise BirthmarkError(f"there is no calibration called {kind}: {did_you_mean(kind, runs)}")
    for name in ("data", "out"):
        if options.get(name) is not None:
            options[name] = Path(options[name])
    return runs[kind](**options)  # type: ignore[operator, no-any-return]


def plan_planting(**options: Any) -> "list[PlantedPlan]":
    """What `calibrate("planted", …)` with these options would do (`--dry-run`): runs, steps, time and memory of each base."""
    from birthmark.plantings import plan_planting as plan

    if options.get("out") is not None:
        options["out"] = Path(options["out"])
    return plan(**options)


def _measure_options(options: Options) -> MeasureOptions:
    """Those of them that say what is asked; an option that is none is refused, lest a default quietly take its place."""
    for name in set(options) - set(Options.__annotations__):
        raise BirthmarkError(f"there is no option {name}: {did_you_mean(name, Options.__annotations__)}")
    return {key: value for key, value in options.items() if key in MeasureOptions.__annotations__}  # type: ignore[return-value]


def _model_options(options: Options) -> ModelOptions:
    return {key: value for key, value in options.items() if key in ModelOptions.__annotations__}  # type: ignore[return-value]
