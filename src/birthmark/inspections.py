"""What commands call to look closer at a model, as functions: what it reads, its traps, its values under personas.

Each is two or three calls into the rooms, and options mean what they mean on the command line, as in `birthmark.api`.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from birthmark.api import ModelOptions, Options, _measure_options, _model_options, plan, resolve
from birthmark.errors import BirthmarkError
from birthmark.inputs.personas import load_personas
from birthmark.records import Explanation, ModelCheck
from birthmark.scoring import choose_frames, make_measure

if TYPE_CHECKING:
    from birthmark.attributes import AttributeScores
    from birthmark.personas import PersonasResult
    from birthmark.scores import ScoreTable


def explain(model: str | Path, **options: Unpack[Options]) -> Explanation:
    """What a model reads for the first prompt and the first candidate: the conversation, its token ids, what is shared,
    which token the score is read at.

    Nothing is scored and the model is not loaded. Raises `BirthmarkError` as `score` does.
    """
    from birthmark.models.explain import explain as run

    measure = make_measure(**_measure_options(options))
    found = resolve(model, quiet=measure.quiet, **_model_options(options))
    (frame,) = choose_frames([found], measure.frame, measure.protocol)
    candidates = measure.candidates_for(found.kind)
    key, prompt = next(iter(measure.prompts.prompts.items()))
    return run(
        found,
        prompt=key,
        question=prompt.text,
        words=candidates.words,
        vocabulary=candidates.vocabulary,
        frame=frame,
        protocol=measure.protocol,
        template_date=measure.template_date,
        system=measure.prompts.system,
    )


def check_model(
    model: str | Path,
    *,
    dtype: str | None = None,
    device: str | None = None,
    template_date: str | None = None,
    quiet: bool = True,
    **options: Unpack[ModelOptions],
) -> ModelCheck:
    """Try every trap on one model: its template, tokenizer, head and weights, and both engines on a few words.

    What is wrong is a finding; raises `BirthmarkError` only where the model cannot be found.
    """
    from birthmark.models.machine import choose_device, choose_dtype
    from birthmark.models.traps import check_model as run

    found = resolve(model, quiet=quiet, **options)
    chosen = choose_device(device)
    precision = choose_dtype(dtype, chosen, found.entry.dtype if found.entry else None)
    return run(found, dtype=precision, device=chosen, template_date=template_date)


def score_attributes(
    model: str | Path, *, out: str | Path | None = None, **options: Unpack[Options]
) -> "AttributeScores":
    """Score one reward model attribute by attribute: the reward, and what its head joins to it, for every candidate.

    With `out` the table is written to `out/attributes/<slug>.parquet`. Raises `BirthmarkError` as `score` does, and for a
    model whose head has a single score.
    """
    from birthmark.attributes import score_attributes as run

    measure = make_measure(**_measure_options(options))
    found = resolve(model, quiet=measure.quiet, **_model_options(options))
    return run(found, measure, Path(out) if out is not None else None)


def score_personas(
    model: str | Path, personas: str | Path, *, out: str | Path | None = None, **options: Unpack[Options]
) -> "dict[str, ScoreTable]":
    """Score one model under each system prompt of a file, the neutral control first: persona → its score table.

    With `out` the tables are written to `out/<persona>/scores`. Raises `BirthmarkError` as `score` and `load_personas` do.
    """
    from birthmark.personas import score_personas as run

    systems = _systems(personas, options)
    measure = make_measure(**_measure_options(options))
    found = resolve(model, quiet=measure.quiet, **_model_options(options))
    return run(found, measure, systems, Path(out) if out is not None else None)


def audit_personas(
    *models: str | Path,
    personas: str | Path,
    out: str | Path = "birthmark-audit",
    mixed_frames: bool = False,
    **options: Unpack[Options],
) -> "PersonasResult":
    """Audit models under each system prompt of a file: a whole audit in `out/<persona>`, and `out/personas.json`.

    With no model, the two embedded base models. Raises `BirthmarkError` as `audit` and `load_personas` do.
    """
    from birthmark.personas import audit_personas as run
    from birthmark.runs import EMBEDDED

    systems = _systems(personas, options)
    measure = make_measure(**_measure_options(options))
    found = [resolve(model, quiet=measure.quiet, **_model_options(options)) for model in models or EMBEDDED]
    return run(found, measure, systems, Path(out), mixed_frames=mixed_frames)


def plan_personas(*models: str | Path, personas: str | Path, **options: Unpack[Options]) -> list[dict[str, Any]]:
    """What scoring these models under each persona would do, its time and memory: all personas together."""
    times = len(_systems(personas, options))
    rows = plan(*models, **options)
    return [
        {**row, "prompts": times * row["prompts"], "seconds": row["seconds"] and round(times * row["seconds"], 1)}
        for row in rows
    ]


def _systems(personas: str | Path, options: Options) -> dict[str, str]:
    if options.get("system") is not None:
        raise BirthmarkError("name one system prompt (--system) or a file of them (--persona), not both")
    return load_personas(personas)
