"""`birthmark choose`: which base to build a reward model on, as far as accuracy on held-out pairs and values can say.

OUT has `pairs/` (the split), `audit/` (the bases as language models), `train/` (a run a base, pair count and seed),
`track/`, `held-out/` (rewards of both answers of each held-out pair), `choice.json` and the page. Every stage resumes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from birthmark.commands.audit import audit
from birthmark.commands.models import resolve as find_model
from birthmark.commands.track import HEADS, TrackOptions, study_of, track
from birthmark.commands.train import MOST_PAIRS, Preferences, PresetOption, RecipeFields
from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import one_line
from birthmark.inputs.lexicons import Lexicon
from birthmark.progress import note
from birthmark.records import Choice, NotApplicable, Track, read_record, to_json
from birthmark.records.choice import ChoiceBase, ChoiceLean, Forecast
from birthmark.scoring.declarations import QUESTION, RUN, Argument, Option, select, with_options
from birthmark.scoring.measure import Measure, choose_frames, make_measure, ray_address
from birthmark.scoring.options import (
    MAX_SEED,
    CatalogOptions,
    ChatTemplateOptions,
    EngineOptions,
    FrameOptions,
    MachineOptions,
    MeasureOptions,
    ModelOptions,
    Out,
    QuestionOptions,
    QuietOptions,
    RayOptions,
    ReadingOptions,
    ScoringOptions,
    SeedOptions,
)
from birthmark.scoring.run import score_model
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.study import open_study
from birthmark.values.choosing import (
    Leanings,
    accuracies,
    differences,
    distances,
    language_leans,
    leans,
    nearer_bases,
    what_it_takes,
)
from birthmark.values.forecasts import History, forecasts
from birthmark.values.joined import Joined, join_tables
from birthmark.values.random_heads import FOLDER as HEADS_FOLDER
from birthmark.values.random_heads import read_head_words
from birthmark.values.wording_choice import best_of, lean_sentence, nearest_of, verdict

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.training.contest import Contest
    from birthmark.values.choosing import Trained

HELD_OUT = 200
MOST_SEEDS = 100

Bases = Annotated[
    str | Path,
    Argument(
        "Language models to choose from: catalog names, hub ids or folders.",
        "BASE BASE…",
        command_line=list[str],
        place="name",
    ),
]


def _counts(text: str) -> list[int]:
    """Pair counts between commas: `64,256`."""
    try:
        return [int(part) for part in text[:200].split(",")]
    except ValueError:
        raise BirthmarkError(
            f"--pairs takes whole numbers between commas, such as 64,256; not {one_line(text, 40) or 'nothing'}"
        ) from None


Pairs = Annotated[
    Sequence[int],
    Option(
        "Preference pairs to train on; several counts show the trend.",
        QUESTION,
        metavar="N[,N…]",
        command_line=str,
        convert=_counts,
        least=1,
        most=MOST_PAIRS,
    ),
]
Seeds = Annotated[
    int, Option("Reward models of each base and pair count.", QUESTION, metavar="N", least=1, most=MOST_SEEDS)
]
HeldOut = Annotated[
    int,
    Option(
        "Pairs that no run trains on, the same for all, on which accuracy is measured.",
        QUESTION,
        metavar="N",
        least=2,
        most=MOST_PAIRS,
    ),
]
Target = Annotated[
    str | None,
    Option(
        "Where the lean should be: neutral (0), that of a model, or a contrast in ranks.",
        QUESTION,
        metavar="neutral|MODEL|NUMBER",
        command_line=str,
        convert=str,
        place="name",
    ),
]
Past = Annotated[
    "str | Path | None",
    Option(
        "Score tables of bases and of reward models on them, to forecast a reward model's lean from its base's.",
        QUESTION,
        metavar="FOLDER",
        command_line=Path,
        place="folder",
    ),
]
Heads = Annotated[int, Option("Random heads a base, the null of leans.", RUN, least=0, most=100_000)]


class ChooseOptions(
    QuestionOptions,
    FrameOptions,
    ReadingOptions,
    RayOptions,
    EngineOptions,
    MachineOptions,
    SeedOptions,
    QuietOptions,
    CatalogOptions,
    ChatTemplateOptions,
    RecipeFields,
    total=False,
):
    """All that `choose` shares with other commands: what is asked, how models run, the recipe."""


@with_options
def choose(
    *bases: Bases,
    preferences: Preferences,
    pairs: Pairs,
    seeds: Seeds = 3,
    held_out: HeldOut = HELD_OUT,
    target: Target = None,
    history: Past = None,
    heads: Heads = HEADS,
    preset: PresetOption = "small",
    out: Out = "birthmark-choose",
    **options: Unpack[ChooseOptions],
) -> Choice:
    """Compare candidate bases: audit them, train small equal reward models on each, track them, test them on held-out pairs.

    Parameters
    ----------
    bases
        Two language models or more. One without a chat template trains with the bundled `plain`, which is recorded.
    preferences, held_out
        Pairs as `train` takes them; `held_out` of them, each of a question of its own, are never trained on.
    pairs, seeds
        Pair counts, and how many reward models each base and count has: seeds `seed`, `seed` + 1, …, the same for all.
    target
        `neutral`, a contrast in ranks, or a model, whose contrast it is: who is nearer to it is then said too.
    history
        A folder of score tables of bases and of reward models on them: a forecast for each candidate, from six bases on.
    options
        Fields of the recipe, and what `audit` and `track` take.

    Raises `BirthmarkError` for fewer than two bases, two that are one checkpoint, preferences too small for the splits, a
    target out of reach, and an `out` of another study.
    """
    from birthmark.training.contest import find_candidates, prepare_contest

    measure = make_measure(**select(options, MeasureOptions))
    lexicons = require_leans(measure)
    _require_seeds(options["seed"], seeds)
    quiet, seed = measure.quiet, options["seed"]
    labels = select(options, ModelOptions)
    candidates = find_candidates(bases, **labels, quiet=quiet)
    aim = _aim(target, lexicons, labels, quiet)
    tables = _read_history(history)
    contest = prepare_contest(
        candidates,
        preferences,
        pairs=pairs,
        seeds=range(seed, seed + seeds),
        held_out=held_out,
        seed=seed,
        preset=preset,
        changes=recipe_changes(options),
    )
    study = open_study(Path(out), "choose", {**contest.asked(), **study_of(measure), "seed": seed})
    folder = study.out
    contest.write(folder)
    with study.timed("audit"):
        note(f"auditing {len(candidates)} bases as language models", quiet=quiet)
        audited = audit(*(item.name for item in candidates), out=folder / "audit", **select(options, ScoringOptions))
    with study.timed("train"):
        how = {"device": options["device"], "ray": ray_address(options["ray"]), "catalog": labels["catalog"]}
        runs = contest.train(folder, **how, quiet=quiet)
    with study.timed("track"):
        track(*(run.out for run in runs), out=folder / "track", heads=heads, **_for_track(options))
    with study.timed("held-out pairs"):
        trained, dropped = contest.judge(runs, folder, measure)
    with study.timed("target"):
        targets = _targets(aim, measure, lexicons, folder)
    with study.timed("values"):
        record = _choice(contest, folder, measure, lexicons, audited.tables, trained, dropped, target, targets, tables)
        write_text(folder / "choice.json", to_json(record))
    study.add_input("preferences", contest.source.name, contest.source.sha256 or "", contest.source.path)
    for item in candidates:
        study.add_input("base", item.label, item.model.digests.weights)
    study.finish(record.warnings, quiet=quiet)
    return record


def recipe_changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the recipe that were given."""
    fields = {name: value for name, value in select(options, RecipeFields).items() if value is not None}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def _for_track(options: Mapping[str, Any]) -> dict[str, Any]:
    """What `track` takes of the options; each run has its own chat template beside its checkpoints."""
    return {name: value for name, value in select(options, TrackOptions).items() if name != "chat_template"}


def _require_seeds(first: int, seeds: int) -> None:
    if first + seeds - 1 > MAX_SEED:
        raise BirthmarkError(f"--seed {first} and --seeds {seeds} go past the largest seed, {MAX_SEED}: start lower")


def require_leans(measure: Measure) -> list[Lexicon]:
    """The lexicons that have a lean. Raises `BirthmarkError` where none has, or the prompts lack a framing."""
    framings = {prompt.framing for prompt in measure.prompts.prompts.values()}
    if not {"positive", "negative"} <= framings:
        raise BirthmarkError("a lean needs prompts of both framings: add one that asks for the best, or for the worst")
    found = [lexicon for lexicon in measure.lexicons if len(lexicon.categories) == 2]
    if not found:
        raise BirthmarkError("a lean is between two categories: choose a lexicon of two with --lexicon")
    return found


# ------------------------------------------------------------------------------------------------------------ target


def _aim(
    target: str | None, lexicons: Sequence[Lexicon], labels: Mapping[str, Any], quiet: bool
) -> "float | ResolvedModel | None":
    """What `--target` means: a contrast, or a model. Raises `BirthmarkError` for neither, and for one out of reach."""
    if target is None:
        return None
    try:
        value = 0.0 if target == "neutral" else float(target)
    except ValueError:
        try:
            return find_model(target, **labels, quiet=quiet)
        except BirthmarkError as error:
            raise BirthmarkError(f"--target is neutral, a number of ranks or a model: {error}") from None
    reach = min(len(lexicon.words) for lexicon in lexicons)
    if not -reach <= value <= reach:  # also what is no number
        raise BirthmarkError(
            f"--target {one_line(target, 40)} is out of reach: with {reach} words a contrast lies between {-reach} and {reach} ranks"
        )
    return value


def _targets(
    aim: "float | ResolvedModel | None", measure: Measure, lexicons: Sequence[Lexicon], folder: Path
) -> dict[str, float]:
    """Lexicon → the contrast aimed at; a model's is scored here, in `folder/target/`."""
    if aim is None:
        return {}
    if isinstance(aim, float):
        return {lexicon.name: aim for lexicon in lexicons}
    frame = choose_frames([aim], measure.frame, measure.protocol)[0]
    table = score_model(aim, measure, frame, folder / "target")
    found = {lexicon.name: join_tables([table], lexicon).mean_rank_contrasts for lexicon in lexicons}
    return {name: float(values[0]) for name, values in found.items() if values is not None}


# ----------------------------------------------------------------------------------------------------------- history


def _read_history(folder: str | Path | None) -> list[ScoreTable] | None:
    """The score tables below a folder, each once. Raises `BirthmarkError` where there are none."""
    if folder is None:
        return None
    paths = [path for path in sorted(Path(folder).rglob("*.parquet")) if path.with_suffix(".json").is_file()]
    tables = [read_scores(path) for path in paths if path.parent.name not in (HEADS_FOLDER, "implicit", "words")]
    if not tables:
        raise BirthmarkError(f"{folder} has no score tables (*.parquet with *.json beside it): name a folder that has")
    return list({table.record.slug: table for table in tables}.values())


# ----------------------------------------------------------------------------------------------------------- choice


def _choice(
    contest: "Contest",
    folder: Path,
    measure: Measure,
    lexicons: Sequence[Lexicon],
    audited: Sequence[ScoreTable],
    trained: "Sequence[Trained]",
    dropped: int,
    target: str | None,
    targets: Mapping[str, float],
    tables: Sequence[ScoreTable] | None,
) -> Choice:
    of_model = {table.record.digests.weights: table for table in audited if table.record.digests is not None}
    languages = [(item.label, of_model[item.model.digests.weights]) for item in contest.candidates]
    joined, leanings = _leanings(contest, folder, lexicons, trained, measure.seed)
    most = contest.pairs[-1]
    accuracy = accuracies(trained)
    found = [lean for leaning in leanings for lean in leans(leaning, measure.seed)]
    apart = differences(trained, leanings, measure.seed)
    labels = [item.label for item in contest.candidates]
    last = [row for row in apart if row.pairs == most]
    best, best_why = best_of(
        [row for row in last if row.measured == "accuracy"], [item for item in accuracy if item.pairs == most]
    )
    near = nearer_bases(leanings, labels, most, targets, measure.seed)
    first = [row for row in near if row.lexicon == leanings[0].lexicon]
    nearest, nearest_why = nearest_of(first, labels) if targets else (None, "no target was given")
    after = [item for item in found if item.pairs == most]
    ahead = _forecast(tables, languages, lexicons, after)
    ends = {lexicon.name: sorted(lexicon.categories) for lexicon in lexicons}
    return Choice.build(
        bases=[
            ChoiceBase(
                base=item.label,
                name=item.model.name,
                family=item.model.family or item.label,
                weights=item.model.digests.weights,
                chat_template=item.template,
                frame=str(table.record.frame),
            )
            for item, (_, table) in zip(contest.candidates, languages, strict=True)
        ],
        preferences=contest.source.name,
        pairs=contest.pairs,
        seeds=contest.seeds,
        held_out=trained[0].correct.shape[1],
        held_out_dropped=dropped,
        questions=len(contest.split.training),
        lexicons=[lexicon.name for lexicon in lexicons],
        language=[row for lexicon in lexicons for row in language_leans(languages, lexicon, measure.seed)],
        accuracies=accuracy,
        leans=found,
        differences=apart,
        needed=what_it_takes(apart, trained, leanings),
        target=target,
        distances=distances(found, most, targets),
        nearer=near,
        best=best,
        best_why=best_why,
        nearest=nearest,
        nearest_why=nearest_why,
        forecasts=ahead,
        sentences=[
            verdict(best, best_why, nearest, nearest_why, target),
            *(row.sentence for row in last),
            *(lean_sentence(item, ends[item.lexicon]) for item in after),
        ],
        warnings=_warnings(contest, dropped, joined),
    )


def _leanings(
    contest: "Contest", folder: Path, lexicons: Sequence[Lexicon], trained: "Sequence[Trained]", seed: int
) -> tuple[list[Joined], list[Leanings]]:
    """The reward models' last checkpoints joined under each lexicon, from the track in `folder`."""
    tracked = {run.run: run for run in read_record(folder / "track" / "track.json", Track).runs}
    tables: list[ScoreTable] = []
    rows: dict[tuple[str, int], list[int]] = {}
    for item in trained:
        rows[item.cell] = list(range(len(tables), len(tables) + len(item.runs)))
        for run in item.runs:
            slug = tracked[run].tables[-1]
            table = read_scores(folder / "track" / "scores" / f"{slug}.parquet")
            labels = {"model": slug, "family": tracked[run].family, "base_checkpoint": item.base}
            tables.append(ScoreTable(table.frame, table.record.model_copy(update=labels)))
    of_lexicon, found = [], []
    for lexicon in lexicons:
        joined = join_tables(tables, lexicon)
        heads = {
            item.base: item.contrasts(lexicon, joined.words) for item in read_head_words(folder / "track", lexicon.name)
        }
        known = {base: values for base, values in heads.items() if values is not None}
        of_lexicon.append(joined)
        found.append(Leanings.of(joined, lexicon.name, rows, contest.seeds, known))
    return of_lexicon, found


def _forecast(
    tables: Sequence[ScoreTable] | None,
    languages: Sequence[tuple[str, ScoreTable]],
    lexicons: Sequence[Lexicon],
    after: Sequence[ChoiceLean],
) -> list[Forecast] | NotApplicable:
    if tables is None:
        return NotApplicable("no history of other bases was given (--history FOLDER)")
    history = History.of(tables, str(languages[0][1].record.frame))
    found: list[Forecast] = []
    for lexicon in lexicons:
        of_lexicon = forecasts(history, languages, lexicon, after)
        if isinstance(of_lexicon, NotApplicable):
            return of_lexicon
        found += of_lexicon
    return found


def _warnings(contest: "Contest", dropped: int, joined: Sequence[Joined]) -> list[str]:
    said = [
        f"{item.label} has no chat template of its own: its reward models are trained and read with the bundled `plain`"
        for item in contest.candidates
        if item.template == "plain"
    ]
    if dropped:
        said.append(
            f"{dropped} held-out pairs are left out for all bases: one of them cannot tell the two answers apart"
        )
    if len(contest.seeds) < 2:
        said.append("one seed: nothing can be told apart, since the spread over seeds is not known")
    return [*said, *sorted({text for item in joined for text in item.warnings})]
