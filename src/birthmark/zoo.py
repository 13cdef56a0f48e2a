"""A set of models in one audit, and a reward model beside what it descends from: which models, found one at a time.

A reward model of a set is brought here only when its turn comes and is given back before the next; what cannot be scored
is left out and said at the end, so that a night's work does not hang on one gate. Knows nothing of options or of terminals.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.errors import BirthmarkError, CheckFailed
from birthmark.inputs.catalog import Catalog, ancestry, find_entry
from birthmark.progress import note
from birthmark.runs import AuditResult, asked_frame, asked_of, finish_audit, score_in_study
from birthmark.scoring import ChosenFrame, Measure, choose_frames
from birthmark.study import open_study

if TYPE_CHECKING:
    from birthmark.models.weights import ResolvedModel

Resolve = Callable[[str], "ResolvedModel"]


def run_set(
    names: Sequence[str], catalog: Catalog, resolve: Resolve, measure: Measure, out: Path, *, mixed_frames: bool
) -> AuditResult:
    """Score the models of a set one after another, then compare and map those that are there; resumes.

    Raises `BirthmarkError` at the end, the report drawn of the others, where models could not be scored, and at once
    where none could.
    """
    failed: dict[str, BirthmarkError] = {}

    def leave_out(name: str, error: BirthmarkError) -> None:  # an interruption or a bug ends the run
        failed[name] = error
        note(f"{name}: left out: {error}", quiet=measure.quiet)

    languages = _languages([name for name in names if not _is_reward(catalog, name)], resolve, leave_out)
    chosen = choose_frames(list(languages.values()), asked_frame(measure, out), measure.protocol)
    frames = dict(zip(languages, chosen, strict=True))
    study = open_study(out, "audit", asked_of(measure, " or ".join(sorted(set(chosen))) or None))
    for at, name in enumerate(names, start=1):
        if name in failed:
            continue
        note(f"{name}: {at} of {len(names)}", quiet=measure.quiet)
        frame: ChosenFrame = frames.get(name, "chat")
        try:
            score_in_study(study, languages.pop(name) if name in languages else resolve(name), measure, frame)
        except BirthmarkError as error:
            leave_out(name, error)
    if len(failed) == len(names):
        raise next(iter(failed.values()))
    result = finish_audit(study, measure, mixed_frames=mixed_frames, mapped=True)
    if failed:
        raise _said_at_the_end(failed, len(names), result)
    return result


def _languages(
    names: Sequence[str], resolve: Resolve, leave_out: Callable[[str, BirthmarkError], None]
) -> "dict[str, ResolvedModel]":
    """The language models of a set, found before the first model is scored: they share one frame."""
    found = {}
    for name in names:
        try:
            found[name] = resolve(name)
        except BirthmarkError as error:
            leave_out(name, error)
    return found


def _said_at_the_end(failed: Mapping[str, BirthmarkError], n_models: int, result: AuditResult) -> BirthmarkError:
    """What was left out and why, in one error: a failed check where one is among the reasons."""
    kind = CheckFailed if any(isinstance(error, CheckFailed) for error in failed.values()) else BirthmarkError
    reasons = "; ".join(str(error) for error in failed.values())
    return kind(
        f"{len(failed)} of {n_models} models are not in {result.report} ({', '.join(failed)}): {reasons}; mend this and run "
        "the same command again, the others are kept"
    )


def _is_reward(catalog: Catalog, name: str) -> bool:
    entry = find_entry(catalog, name)
    return entry is not None and entry.kind == "reward"


def bases_of(model: "ResolvedModel", named: Sequence[str], catalog: Catalog) -> list[str]:
    """The models that a reward model descends from, nearest first: those named, else by the catalog.

    Raises `BirthmarkError` for a language model, and where the base checkpoint is not known.
    """
    if model.kind != "reward":
        raise BirthmarkError(f"{model.name} is a language model: --with-base shows a reward model beside its base")
    if named:
        return list(named)
    if model.base_checkpoint is None:
        raise BirthmarkError(
            f"the base checkpoint of {model.name} is not known: say it with --base-checkpoint NAME, or name the models to "
            "score beside it with --base, nearest first"
        )
    return ancestry(catalog, model.base_checkpoint)
