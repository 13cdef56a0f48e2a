"""Random heads on a reward model's base, scored once a base and kept in an OUT folder: the null of its leaning."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import Lexicon
from birthmark.models.resolve import ResolvedModel
from birthmark.models.tokenizer import load_tokenizer
from birthmark.progress import note
from birthmark.records import RandomHeads
from birthmark.scoring.local import choose_machine
from birthmark.scoring.measure import LOCAL, Measure
from birthmark.scoring.table import ScoreTable
from birthmark.values.random_heads import (
    HeadWords,
    Nulls,
    has_head_words,
    head_path,
    read_heads,
    write_head_words,
)

if TYPE_CHECKING:
    from birthmark.models.loading import AdapterSwap


def keep_random_heads(
    out: Path,
    model: ResolvedModel,
    measure: Measure,
    lexicons: Sequence[Lexicon],
    candidates: Sequence[str],
    swapping: "AdapterSwap",
    *,
    base: str,
    family: str,
    heads: int,
) -> list[Path]:
    """Write `random-heads/<base>.<lexicon>.parquet` for the lexicons that have a word among the candidates.

    An adapter's heads stand on its base without it, a whole model's on its own body. What is there already of the same
    weights, prompts and words is kept.
    """
    from birthmark.training.reward_model_init import heads_key, random_head_words

    every = {lexicon.name: tuple(lexicon.match(candidates)) for lexicon in lexicons}
    words: Mapping[str, Sequence[str]] = {name: of_list for name, of_list in every.items() if of_list}
    key = heads_key(model, measure, words, heads)
    paths = {name: head_path(out, base, name) for name in words}
    if all(has_head_words(path, key) for path in paths.values()):
        return list(paths.values())
    note(f"{base}: {heads:,} random heads", quiet=measure.quiet)
    device, dtype = choose_machine(measure.device, measure.dtype, model.entry)
    body = (
        swapping.model(model, dtype=dtype, device=device)
        if model.adapter is None
        else nullcontext(swapping.base(model, dtype=dtype, device=device))
    )
    with body as network:
        values = random_head_words(
            network, load_tokenizer(model), measure, words, base=base, heads=heads, seed=measure.seed
        )
    for name, path in paths.items():
        record = RandomHeads(
            base=base,
            family=family,
            lexicon=name,
            n_heads=heads,
            seed=measure.seed,
            prompts=list(measure.prompts.prompts),
            key=key,
        )
        write_head_words(path, record, HeadWords(base, family, tuple(words[name]), values[name]))
    return list(paths.values())


def nulls_of(
    out: Path, models: Sequence[ResolvedModel], tables: Mapping[str, ScoreTable], measure: Measure, heads: int
) -> Nulls:
    """What random heads give in place of each reward model's own, by model; or why there is nothing."""
    from birthmark.models.loading import AdapterSwap

    found: Nulls = {}
    swapping = AdapterSwap()
    for model in models:
        table = tables.get(model.slug)
        if model.kind != "reward" or table is None:
            continue
        why = _why_none(measure, heads)
        if why is not None:
            found[model.name] = why
            continue
        base = _base_name(model)
        words = sorted(set(table.frame["candidate"]))
        try:
            paths = keep_random_heads(
                out,
                model,
                measure,
                (*measure.lexicons, *measure.beside),
                words,
                swapping,
                base=base,
                family=model.family or base,
                heads=heads,
            )
        except BirthmarkError as error:  # a head whose body is read in another way has no null
            found[model.name] = f"random heads cannot be put on it: {error}"
            continue
        found[model.name] = [(read_heads(path), model.adapter is not None) for path in paths]
    return found


def _why_none(measure: Measure, heads: int) -> str | None:
    framings = {prompt.framing for prompt in measure.prompts.prompts.values()}
    if not heads:
        return "no random heads were asked for (--heads)"
    if measure.backend != LOCAL or measure.server is not None or measure.ray is not None:
        return "random heads need the model's states, which are on another machine"
    if not {"positive", "negative"} <= framings:
        return "random heads are compared by their contrast, which needs prompts of both framings"
    return None


def _base_name(model: ResolvedModel) -> str:
    """An adapter's base by its weights, since adapters of one base share its heads; a whole model by its own name."""
    named = model.base_checkpoint or model.path.name if model.adapter is not None else model.slug
    return f"{named}-{model.digests.weights[:8]}" if model.adapter is not None else named
