"""`birthmark choose`: which base to build a reward model on, as far as accuracy on held-out pairs and values can say.

OUT has `pairs/` (the split), `audit/` (the bases as language models), `train/` (a run a base, pair count and seed),
`track/`, `held-out/` (rewards of both answers of each held-out pair), `choice.json` and the page. Every stage resumes.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from birthmark.commands.audit import audit
from birthmark.commands.choose_record import choice_of
from birthmark.commands.models import resolve as find_model
from birthmark.commands.track import HEADS, TrackOptions, study_of, track
from birthmark.commands.train import MOST_PAIRS, Preferences, PresetOption, RecipeFields
from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.foreign import one_line
from birthmark.inputs.lexicons import Lexicon
from birthmark.progress import note
from birthmark.records import Choice, to_json
from birthmark.scoring.answers import REWARDS
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
from birthmark.values.joined import join_tables
from birthmark.values.random_heads import FOLDER as HEADS_FOLDER

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.training.contest import Contest

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
    measure = make_measure(**select(options, MeasureOptions))
    lexicons = require_leans(measure)
    quiet, seed = measure.quiet, options["seed"]
    labels = select(options, ModelOptions)
    aim = _aim(target, lexicons, labels, quiet)
    tables = _read_history(history)
    contest = contest_of(bases, preferences, pairs, seeds, held_out, preset, options)
    study = open_study(Path(out), "choose", {**contest.asked(), **study_of(measure), "seed": seed})
    folder = study.out
    contest.write(folder)
    with study.timed("audit"):
        note(f"auditing {len(contest.candidates)} bases as language models", quiet=quiet)
        audited = audit(
            *(item.name for item in contest.candidates), out=folder / "audit", **select(options, ScoringOptions)
        )
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
        record = choice_of(
            contest, folder, measure, lexicons, audited.tables, trained, dropped, target, targets, tables
        )
        write_text(folder / "choice.json", to_json(record))
    study.add_input("preferences", contest.source.name, contest.source.sha256 or "", contest.source.path)
    for item in contest.candidates:
        study.add_input("base", item.label, item.model.digests.weights)
    study.finish(record.warnings, quiet=quiet)
    return record


def contest_of(
    bases: Sequence[str | Path],
    preferences: str | Path,
    pairs: Sequence[int],
    seeds: int,
    held_out: int,
    preset: Any,
    options: Mapping[str, Any],
) -> "Contest":
    """The trainings that `choose` is made of, checked but not begun."""
    from birthmark.training.contest import find_candidates, prepare_contest

    seed = options["seed"]
    if seed + seeds - 1 > MAX_SEED:
        raise BirthmarkError(f"--seed {seed} and --seeds {seeds} go past the largest seed, {MAX_SEED}: start lower")
    changes = {name: value for name, value in select(options, RecipeFields).items() if value is not None}
    return prepare_contest(
        find_candidates(bases, **select(options, ModelOptions), quiet=options["quiet"]),
        preferences,
        pairs=pairs,
        seeds=range(seed, seed + seeds),
        held_out=held_out,
        seed=seed,
        preset=preset,
        changes={name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()},
    )


def _for_track(options: Mapping[str, Any]) -> dict[str, Any]:
    """What `track` takes of the options; each run has its own chat template beside its checkpoints."""
    return {name: value for name, value in select(options, TrackOptions).items() if name != "chat_template"}


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
    tables = [
        read_scores(path) for path in paths if path.parent.name not in (HEADS_FOLDER, REWARDS, "implicit", "words")
    ]
    if not tables:
        raise BirthmarkError(f"{folder} has no score tables (*.parquet with *.json beside it): name a folder that has")
    return list({table.record.slug: table for table in tables}.values())
