"""Values over the checkpoints of training runs: every checkpoint scored, and what the scores say of each step.

The base of a run stays in memory; an adapter and its head are put on and taken off. Knows the order of things and the
OUT folder: `scores/`, `trajectory.parquet`, `track.json`, `durability.json`, `random-heads/`, figures and page.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Unpack

import polars as pl

from birthmark.commands.random_heads import keep_random_heads
from birthmark.errors import BirthmarkError
from birthmark.files import slug_of, write_parquet, write_text
from birthmark.inputs.lexicons import Lexicon
from birthmark.models.folder import ADAPTER_CONFIG, read_json
from birthmark.models.resolve import ResolvedModel, resolve
from birthmark.progress import note
from birthmark.records import Durability, GapCurve, RandomHeads, Track, TrackedRun, read_record, to_json
from birthmark.scoring.declarations import MODEL, RUN, Argument, Option, select, with_options
from birthmark.scoring.local import LocalBackend
from birthmark.scoring.measure import Measure, choose_frames, make_measure, refuse_reading_options
from birthmark.scoring.options import (
    CatalogOptions,
    ChatTemplateOptions,
    EngineOptions,
    FrameOptions,
    MachineOptions,
    MeasureOptions,
    Out,
    ProtocolOptions,
    QuestionOptions,
    QuietOptions,
    RayOptions,
    ReadingOptions,
    SeedOptions,
    SystemOptions,
)
from birthmark.scoring.ray_backend import RayBackend
from birthmark.scoring.run import score_model
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.study import open_study
from birthmark.training.checkpoints import Checkpoint, Series, find_series
from birthmark.values.durability import Look, durability
from birthmark.values.joined import join_tables
from birthmark.values.movement import track_points, trajectory_rows, words_moved
from birthmark.values.random_heads import (
    FOLDER,
    read_head_words,
)

HEADS = 1_000
SAMPLE_AGAIN = 8  # candidates rescored the plain way on every further checkpoint of a base

Runs = Annotated[
    str | Path,
    Argument(
        "A run's folder, a trainer's output folder (checkpoint-500, …), or a hub id with --revisions.",
        "RUN…",
        command_line=list[str],
        place="name",
    ),
]


class SeriesOptions(CatalogOptions, ChatTemplateOptions, total=False):
    """How a run's checkpoints are found, what is known of them, and how gaps between bases are judged."""

    revisions: Annotated[
        str | None,
        Option("The tags of a hub id (or folders of a run) that are checkpoints: 'step-*'.", MODEL, metavar="PATTERN"),
    ]
    family: Annotated[str | None, Option("Pretraining lineage of runs that record none.", MODEL, place="label")]
    base_checkpoint: Annotated[str | None, Option("The released model of runs that record none.", MODEL, place="label")]
    heads: Annotated[
        int, Option("Random heads a base, the null of gaps between bases.", RUN, default=HEADS, least=0, most=100_000)
    ]
    fraction: Annotated[
        float,
        Option("A gap has fallen once it stays below this share of its start.", RUN, default=0.5, least=0, most=1),
    ]
    tolerance: Annotated[
        float,
        Option("A gap has settled once it stays within this share of its range.", RUN, default=0.1, least=0, most=1),
    ]


class TrackOptions(
    QuestionOptions,
    SystemOptions,
    FrameOptions,
    ProtocolOptions,
    ReadingOptions,
    RayOptions,
    EngineOptions,
    MachineOptions,
    SeedOptions,
    QuietOptions,
    SeriesOptions,
    total=False,
):
    """All that `track` takes beside the runs."""


@with_options
def track(*runs: Runs, out: Out = "birthmark-track", **options: Unpack[TrackOptions]) -> Track:
    """Values over the checkpoints of training runs, written to `out`: `trajectory.parquet`, `durability.json`, figures.

    A run is a folder that `train` wrote, a trainer's output folder (`checkpoint-500`, …), or a hub id whose tags are
    checkpoints (`revisions="step-*"`). `heads` random heads a base are the null of gaps between bases (0: none);
    `fraction` and `tolerance` say when a gap has fallen and when it has settled. The other options are `bm.score`'s. An
    interrupted track resumes; further runs join under the same prompts and candidates. Raises `BirthmarkError` for a run
    without checkpoints, one that cannot be read, and an `out` of another study.
    """
    measure = make_measure(**select(options, MeasureOptions))
    series = find_series(runs, options["revisions"])
    _refuse_namesakes(series, _earlier(Path(out)), options)
    study = open_study(Path(out), "track", study_of(measure))
    tracker = _Tracker(measure, study.out, options)
    tracked = []
    with closing(tracker):
        for item in series:
            with study.timed(f"score {item.run}"):
                tracked.append(tracker.track(item))
            for role, name, sha256 in tracker.inputs:
                study.add_input(role, name, sha256)
            study.save()
    with study.timed("values"):
        found = _write_values(study.out, measure, _with_earlier(study.out, tracked), options, tracker.warnings)
    study.finish(found.warnings, quiet=measure.quiet)
    return found


def study_of(measure: Measure) -> dict[str, object]:
    """What must agree for further runs to join an OUT."""
    return {key: value for key, value in measure.of_study(None).items() if key != "frame"}


class _Tracker:
    """Scores series after series; what an earlier call left in `out` is taken."""

    def __init__(self, measure: Measure, out: Path, options: TrackOptions) -> None:
        from birthmark.models.loading import AdapterSwap

        self.measure = measure
        self.out = out
        self.options = options
        self.swapping = AdapterSwap()
        self.backend = (
            LocalBackend(load=self.swapping.model) if measure.ray is None else RayBackend(measure.ray, swapping=True)
        )
        self.inputs: list[tuple[str, str, str]] = []
        self.warnings: list[str] = []
        self._weights_of: dict[str, str] = {}
        self._proven: set[str] = set()

    def close(self) -> None:
        """Give a cluster's room back."""
        if isinstance(self.backend, RayBackend):
            self.backend.close()

    def track(self, series: Series) -> TrackedRun:
        """Score the checkpoints of a series, and random heads on its base."""
        found = [(item, _resolve(series, item, self.options)) for item in series.checkpoints]
        first = found[0][1]
        base = self._base_name(series, first)
        kinds = {model.kind for _, model in found}
        if len(kinds) > 1:
            raise BirthmarkError(f"{series.path} holds reward models and language models: track them apart")
        refuse_reading_options([model for _, model in found], self.measure)
        frames = choose_frames([model for _, model in found], self.measure.frame, self.measure.protocol)
        words: list[str] = []
        for (item, model), frame in zip(found, frames, strict=True):
            note(f"{series.run}, step {item.step:,}", quiet=self.measure.quiet)
            table = score_model(model, self._measure_of(base), frame, self.out, self.backend)
            words = words or self._require_words(table)
            self.inputs.append(("checkpoint", f"{series.run} step {item.step}", table.record.sha256))
        if not series.facts.finished:
            self.warnings.append(f"{series.run} is not finished: its last checkpoint here is not that of the run")
        run = TrackedRun(
            run=series.run,
            path=series.path,
            kind=first.kind,
            base=base,
            family=first.family or base,
            source=series.facts.source,
            pairs=series.facts.pairs,
            loss=series.facts.loss,
            seed=series.facts.seed,
            batch=series.facts.recipe.batch,
            steps=[item.step for item, _ in found],
            tables=[model.slug for _, model in found],
        )
        if first.kind == "reward" and self.options["heads"]:
            self._random_heads(run, series, found[0], words)
        return run

    def _measure_of(self, base: str) -> Measure:
        """The first checkpoint of a base is proven by a full sample, those that differ in weights alone by a small one."""
        measure = replace(self.measure, sample=SAMPLE_AGAIN if base in self._proven else None)
        self._proven.add(base)
        return measure

    def _require_words(self, table: ScoreTable) -> list[str]:
        """The candidates, each once; raises `BirthmarkError` where a lexicon has none of its words among them."""
        found = sorted(set(table.frame["candidate"]))
        for lexicon in self.measure.lexicons:
            if not lexicon.match(found):
                raise BirthmarkError(
                    f"no word of the lexicon {lexicon.name} is among the candidates: take --candidates lexicon"
                )
        return found

    def _base_name(self, series: Series, model: ResolvedModel) -> str:
        """The base checkpoint where somebody named it, else the folder or hub id that a run was trained on.

        Raises `BirthmarkError` where two bases are called alike.
        """
        if model.adapter is None:
            return model.base_checkpoint or series.run
        named = series.facts.base or str(read_json(model.adapter / ADAPTER_CONFIG)["base_model_name_or_path"])
        name = model.base_checkpoint or Path(named).name
        if self._weights_of.setdefault(name, model.digests.weights) != model.digests.weights:
            raise BirthmarkError(f"two different bases are called {name}: name their base_checkpoint in each run.json")
        return name

    def _random_heads(
        self, run: TrackedRun, series: Series, first: tuple[Checkpoint, ResolvedModel], candidates: Sequence[str]
    ) -> None:
        """Score random heads on the base of a series, once a base: on the first checkpoint's body where it is whole."""
        checkpoint, model = first
        framings = {prompt.framing for prompt in self.measure.prompts.prompts.values()}
        if not {"positive", "negative"} <= framings:
            return
        if model.adapter is None and checkpoint.step > 0:
            self.warnings.append(
                f"random heads of {run.base} stand on the body of {series.run} at step {checkpoint.step:,}, which was trained"
            )
        keep_random_heads(
            self.out,
            model,
            self.measure,
            self.measure.lexicons,
            candidates,
            self.swapping,
            base=run.base,
            family=run.family,
            heads=self.options["heads"],
        )


# ------------------------------------------------------------------------------------------------------- values


def _earlier(out: Path) -> list[TrackedRun]:
    """The runs that `out` holds from earlier calls."""
    path = out / "track.json"
    return read_record(path, Track).runs if path.is_file() else []


def _resolve(series: Series, item: Checkpoint, options: TrackOptions) -> ResolvedModel:
    """A checkpoint, under a name that says its run, its step and its weights."""
    model = resolve(
        item.name,
        revision=item.revision,
        catalog=options["catalog"],
        chat_template=options["chat_template"],
        family=series.facts.family or options["family"],
        base_checkpoint=series.facts.base_checkpoint or options["base_checkpoint"],
        quiet=options["quiet"],
        says_origin=False,
    )
    weights = model.digests.adapter or model.digests.weights
    return replace(model, slug=f"{slug_of(series.run)}-step-{item.step:06d}-{weights[:8]}")


def _refuse_namesakes(series: Sequence[Series], earlier: Sequence[TrackedRun], options: TrackOptions) -> None:
    """Raise `BirthmarkError` where `out` has another run of a name: one would take the other's place.

    A folder that was moved is the same run: its checkpoints have the weights that were tracked.
    """
    known = {run.run: run for run in earlier}
    for item in series:
        before = known.get(item.run)
        if before is None or before.path == item.path:
            continue
        tables = dict(zip(before.steps, before.tables, strict=True))
        shared = [checkpoint for checkpoint in item.checkpoints if checkpoint.step in tables]
        if not shared or any(_resolve(item, one, options).slug != tables[one.step] for one in shared):
            raise BirthmarkError(
                f"another run called {item.run} was tracked here, {before.path}: rename a folder, or name another with --out"
            )


def _with_earlier(out: Path, tracked: list[TrackedRun]) -> list[TrackedRun]:
    """The runs of this call and those that `out` held before, by name."""
    runs = {run.run: run for run in (*_earlier(out), *tracked)}
    return [runs[name] for name in sorted(runs)]


def _looks(runs: Sequence[TrackedRun]) -> Iterator[tuple[Look, str]]:
    """Each checkpoint and its table's slug."""
    for run in runs:
        for step, slug in zip(run.steps, run.tables, strict=True):
            look = Look(
                run=run.run,
                base=run.base,
                family=run.family,
                step=step,
                source=run.source,
                pairs=run.pairs,
                loss=run.loss,
                seed=run.seed,
                batch=run.batch,
            )
            yield look, slug


def _read_words(out: Path, slug: str, look: Look, lexicons: Sequence[Lexicon]) -> ScoreTable:
    """A checkpoint's rows of lexicon words, under its slug's name: all tags of a hub id are one model's."""
    table = read_scores(out / "scores" / f"{slug}.parquet")
    wanted = {word for lexicon in lexicons for word in lexicon.match(table.frame["candidate"].unique().to_list())}
    record = table.record.model_copy(update={"model": slug, "family": look.family, "base_checkpoint": look.base})
    return ScoreTable(table.frame.filter(pl.col("candidate").is_in(list(wanted))), record)


def _write_values(
    out: Path, measure: Measure, runs: list[TrackedRun], options: TrackOptions, warnings: list[str]
) -> Track:
    described = list(_looks(runs))
    looks = [look for look, _ in described]
    tables = [_read_words(out, slug, look, measure.lexicons) for look, slug in described]
    rows = trajectory_rows(tables, looks, measure.lexicons)
    write_parquet(rows, out / "trajectory.parquet", statistics=False)
    points, moved, found = [], [], []
    for lexicon in measure.lexicons:
        joined = join_tables(tables, lexicon)
        points += track_points(joined, looks, lexicon.name)
        moved += words_moved(joined, looks, lexicon.name)
        contrasts = {item.base: item.contrasts(lexicon, joined.words) for item in read_head_words(out, lexicon.name)}
        heads = {base: values for base, values in contrasts.items() if values is not None}
        found.append(
            durability(
                joined,
                looks,
                lexicon.name,
                heads,
                fraction=options["fraction"],
                tolerance=options["tolerance"],
                seed=measure.seed,
            )
        )
        warnings = [*warnings, *joined.warnings]
    lasting = Durability(
        curves=[curve for item in found for curve in item.curves],
        curves_why=next((item.curves_why for item in found if item.curves_why), None),
        quantities=[quantity for item in found for quantity in item.quantities],
        warnings=sorted(set(warnings)),
    )
    write_text(out / "durability.json", to_json(lasting))
    track = Track(
        runs=runs,
        lexicons=[lexicon.name for lexicon in measure.lexicons],
        points=points,
        moved=moved,
        heads=[read_record(path, RandomHeads) for path in sorted((out / FOLDER).glob("*.json"))],
        sentences=[curve.sentence for curve in _leading(lasting.curves)],
        warnings=lasting.warnings,
    )
    write_text(out / "track.json", to_json(track))
    return track


def _leading(curves: Sequence[GapCurve]) -> list[GapCurve]:
    """Of each lexicon, source and loss the curve with the most pairs."""
    best: dict[tuple[str, str, str, str | None, str | None], GapCurve] = {}
    for curve in curves:
        key = (curve.lexicon, curve.base_a, curve.base_b, curve.source, curve.loss)
        if key not in best or (curve.pairs or 0) > (best[key].pairs or 0):
            best[key] = curve
    return list(best.values())
