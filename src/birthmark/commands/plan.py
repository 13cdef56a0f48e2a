"""`--dry-run` of what scores: what would be done, about how long and how much memory it takes; nothing is loaded or written."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from birthmark.commands.among import planned_lexicon
from birthmark.commands.audit import EMBEDDED, IMPLICIT_PROMPT, default_models
from birthmark.errors import BirthmarkError
from birthmark.inputs.answers import asked, template_of
from birthmark.inputs.catalog import Catalog, Entry, ancestry, find_entry, load_catalog, load_set
from birthmark.inputs.prompts import load_personas
from birthmark.inputs.text import suggest
from birthmark.records import Kind
from birthmark.scoring.declarations import select
from birthmark.scoring.measure import LOCAL, Measure, make_measure
from birthmark.scoring.options import MeasureOptions
from birthmark.scoring.table import ScoreTable, is_score_table

CONTEXT_TOKENS = 40  # of a prompt in its frame: 24 to 46 on the embedded models
ANSWER_TOKENS = 3.2  # of a one-word answer and what ends its turn
CHARACTERS_A_TOKEN = 4

Rows = list[dict[str, Any]]


def plan_score(model: str | Path, **options: Any) -> Rows:
    """What `score` would do with a model, its time and memory."""
    return plan_audit(model, **options)


def plan_audit(
    *models: str | Path,
    catalog_set: str | None = None,
    with_base: bool = False,
    base: Sequence[str | Path] = (),
    among: str | Path | Sequence[str | Path] = (),
    data: str | Path | None = None,
    **options: Any,
) -> Rows:
    """What `audit` would do with these models, those of a set, or these and what they descend from."""
    catalog = _path(options.get("catalog"))
    if not options.get("lexicons") and (lexicon := planned_lexicon(among, data)):
        options["lexicons"] = lexicon
    measure = make_measure(**select(options, MeasureOptions))
    models = tuple(model for model in models if not (among and is_score_table(model)))
    kind: Kind | None = "reward" if among else options.get("kind")
    names = [str(model) for model in models] or (
        list(load_set(catalog_set, catalog)) if catalog_set else default_models(measure, kind)
    )
    names += [str(name) for name in base]
    if with_base and not base:
        known = load_catalog(catalog)
        for name in list(names):
            entry = find_entry(known, name)
            checkpoint = options.get("base_checkpoint") or (entry.base_checkpoint if entry else None)
            names += [older for older in ancestry(known, checkpoint) if older not in names] if checkpoint else []
    return plan_runs(names, measure, catalog)


def plan_personas(*models: str | Path, personas: str | Path, **options: Any) -> Rows:
    """What scoring these models under each persona would do, its time and memory: all personas together."""
    times = len(load_personas(personas))
    rows = plan_audit(*(models or EMBEDDED), **options)
    return [
        {**row, "prompts": times * row["prompts"], "seconds": row["seconds"] and round(times * row["seconds"], 1)}
        for row in rows
    ]


def plan_implicit(a: str | Path | ScoreTable, b: str | Path | ScoreTable, **options: Any) -> Rows:
    """What scoring the two models would take; finished tables take nothing."""
    return _plan_sides([a, b], [IMPLICIT_PROMPT], options)


def plan_implicit_grid(
    first: Sequence[str | Path | ScoreTable], second: Sequence[str | Path | ScoreTable], **options: Any
) -> Rows:
    """What scoring the models of both sides would take; finished tables take nothing."""
    return _plan_sides([*first, *second], ["all"], options)


def _plan_sides(names: Sequence[str | Path | ScoreTable], default: list[str], options: dict[str, Any]) -> Rows:
    asked = options.get("prompt") or default
    measure = make_measure(**{**select(options, MeasureOptions), "prompt": () if asked == ["all"] else asked})
    models = [name for name in names if not (isinstance(name, ScoreTable) or is_score_table(name))]
    return plan_runs([str(model) for model in models], measure, _path(options.get("catalog")))


def _path(catalog: str | Path | None) -> Path | None:
    return Path(catalog) if catalog else None


def plan_runs(models: Sequence[str | Path], measure: Measure, catalog: Path | None) -> list[dict[str, Any]]:
    """A row a model: what would be scored on which device, about how long, about how much memory.

    Seconds are 2 × parameters × tokens ÷ half the machine's measured matrix-product rate, with about 40 tokens a prompt
    and 3.2 a word: good to a factor of two. Null where the number of parameters is not known.
    """
    from birthmark.models.loading import check_placement
    from birthmark.models.machine import estimate, free_memory
    from birthmark.scoring.local import choose_machine

    if measure.backend != LOCAL or measure.server is not None:
        elsewhere = "--server" if measure.server is not None else f"--backend {measure.backend}"
        raise BirthmarkError(f"--dry-run plans what runs here and not {elsewhere}: leave out one of them")
    device, _ = choose_machine(measure.device, measure.dtype)
    check_placement(device, measure.quantize, measure.device_map)
    free = free_memory(device, spread=measure.device_map is not None)
    rows = []
    for model in models:
        known, kind, parameters = facts_of(model, load_catalog(catalog))
        _, dtype = choose_machine(measure.device, measure.dtype, known)
        words = len(measure.candidates_for(kind or "logprob").words)
        tokens = planned_tokens(measure, words, whole=kind == "reward")
        quantize = measure.quantize
        cost = estimate(parameters, dtype, device, tokens=tokens, quantize=quantize) if parameters else None
        rows.append(
            {
                "model": str(model),
                "kind": kind,
                "prompts": len(measure.prompts.prompts),
                "words": words,
                "vocabulary": measure.candidates_for(kind or "logprob").vocabulary,
                "device": device,
                "dtype": dtype,
                "parameters": parameters,
                "seconds": round(cost.seconds, 4) if cost else None,
                "memory_bytes": cost.memory_bytes if cost else None,
                "free_bytes": free,
                "fits": cost.memory_bytes <= free if cost else None,
            }
        )
    return rows


def planned_tokens(measure: Measure, words: int, *, whole: bool) -> int:
    """About how many tokens are run: each prompt once, each word after it, and of a sentence (`whole`) what follows the word."""
    total = 0.0
    for prompt in measure.prompts.prompts.values():
        sentence = template_of(asked(prompt))
        before, after = (len(sentence.before), len(sentence.after)) if sentence else (0, 0)
        total += CONTEXT_TOKENS + before / CHARACTERS_A_TOKEN
        total += words * (ANSWER_TOKENS + (after / CHARACTERS_A_TOKEN if whole else 0))
    return round(total)


def facts_of(
    model: str | Path, catalog: Catalog, *, as_base: bool = False
) -> tuple[Entry | None, Kind | None, int | None]:
    """A model's entry, its kind and its number of parameters, each null where it is not known; nothing is fetched.

    An adapter counts with its base, whose entry is taken where it has none. Raises `BirthmarkError` for what is neither in
    the catalog, nor a folder, nor a hub id.
    """
    from birthmark.models.hub import cached_folder
    from birthmark.models.kinds import base_of_adapter, kind_in
    from birthmark.models.memory import count_parameters
    from birthmark.models.resolve import last_checkpoint

    known, folder = find_entry(catalog, str(model)), Path(model)
    if known is not None and folder.is_dir() and str(model) not in catalog:
        known = None  # a folder takes precedence over a hub id
    if known is not None and not known.path:
        return known, known.kind, known.parameters
    folder = Path(known.path) if known and known.path else folder
    if known is None and not folder.is_dir():
        if "/" not in str(model):
            raise BirthmarkError(f"no model named {model}: {suggest(str(model), catalog) or 'name a folder'}")
        found = cached_folder(str(model))
        if found is None:
            return None, None, None
        folder = found
    folder = last_checkpoint(folder) or folder
    kind, parameters = known.kind if known else kind_in(folder), count_parameters(folder)
    base = base_of_adapter(folder)
    if base is None:
        return known, kind, parameters
    if as_base:  # an adapter on an adapter, which is not read
        return known, kind, None
    entry, of_base, beneath = facts_of(base, catalog, as_base=True)
    both = None if beneath is None else beneath + (parameters or 0)
    return known or entry, kind or of_base, both
