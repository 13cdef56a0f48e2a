"""Is a table's precision good enough? A sample of it is scored again in float32 by the plain engine (`--verify`).

Knows a finished table and how its model is run; what the difference means is the business of `models.precision`.
"""

from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.progress import note
from birthmark.records import Kind, NotApplicable, PrecisionCheck, ScoreRecord
from birthmark.scoring.table import ScoreTable

if TYPE_CHECKING:
    from birthmark.models.resolve import ResolvedModel
    from birthmark.scoring.measure import ChosenFrame, Measure

PROMPTS = 3
SAMPLE: dict[Kind, int] = {"reward": 256, "logprob": 64}  # a word of an LM is up to four sequences


def with_precision(table: ScoreTable, model: "ResolvedModel", measure: "Measure", frame: "ChosenFrame") -> ScoreTable:
    """The table, its record saying how its scores differ from float32's; where that cannot be told, why."""
    found = ScoreRecord.with_reasons(precision=_measure(table, model, measure, frame))
    return ScoreTable(table.frame, table.record.model_copy(update=found))


def _measure(
    table: ScoreTable, model: "ResolvedModel", measure: "Measure", frame: "ChosenFrame"
) -> PrecisionCheck | NotApplicable:
    from birthmark.models.machine import choose_device, release_memory, require_memory
    from birthmark.models.memory import count_parameters
    from birthmark.models.verification import compare_precision

    device = choose_device(measure.device)
    rows = _rows(table, measure.seed)
    if len(rows) < 3:
        return NotApplicable("fewer than three candidates were scored")
    try:
        require_memory(model.name, count_parameters(model.path), "float32", device, device_map=measure.device_map)
    except BirthmarkError as error:
        return NotApplicable(f"float32 does not fit here: {error}")
    note(f"{model.slug}: rescoring {len(rows)} candidates in float32", quiet=measure.quiet)
    start = perf_counter()
    keys = sorted(np.random.default_rng(measure.seed).permutation(len(table.prompt_keys))[:PROMPTS])
    columns = [table.prompt_keys[index] for index in keys]
    try:
        reference = _in_float32(table, model, measure, frame, rows, columns)
    finally:
        release_memory()
    return compare_precision(
        table.frame[rows.tolist()].select(columns).to_numpy().T,
        reference,
        len(table.words) or len(table.tokens),
        dtype=table.record.dtype,
        quantized=table.record.quantized,
        seconds=perf_counter() - start,
    )


def _rows(table: ScoreTable, seed: int) -> np.ndarray:
    """A seeded sample of row numbers: of words, which are what is ranked, or of tokens where there are no words."""
    words = table.frame["token_id"].is_null().to_numpy()
    pool = np.flatnonzero(words if words.any() else ~words)
    size = min(SAMPLE[table.record.kind], len(pool))
    return np.sort(np.random.default_rng(seed).choice(pool, size, replace=False))


def _in_float32(
    table: ScoreTable,
    model: "ResolvedModel",
    measure: "Measure",
    frame: "ChosenFrame",
    rows: np.ndarray,
    columns: list[str],
) -> np.ndarray:
    """Scores [prompts, rows] of the sampled candidates by the plain engine in float32."""
    from birthmark.models.engine import PlainEngine
    from birthmark.models.loading import load_model
    from birthmark.models.machine import choose_device
    from birthmark.models.resolve import load_tokenizer
    from birthmark.models.scorers import make_scorer

    network = load_model(model, dtype="float32", device=choose_device(measure.device), device_map=measure.device_map)
    candidates = measure.candidates_for(model.kind)
    scorer = make_scorer(
        network,
        load_tokenizer(model),
        kind=model.kind,
        words=candidates.words,
        vocabulary=candidates.vocabulary,
        frame=frame,
        protocol=measure.protocol,
        engine="plain",
        template_date=measure.template_date,
        system=measure.prompts.system,
    )
    texts = [table.prompts[column].text for column in columns]
    return np.stack([scorer.score_rows(text, rows, PlainEngine(network)) for text in texts])
