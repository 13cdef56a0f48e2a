"""Plant words in base models, and measure how well the implicit reward from the original to the planted model finds them.

A run is a base, a category and a seed. It writes a file, so that an interrupted calibration resumes. Only held-out questions
are scored. `values/planted.py` ranks the metrics.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from birthmark.errors import BirthmarkError
from birthmark.files import write_text
from birthmark.inputs.prompts import CATEGORIES, PlantedCategory, held_out_questions, training_questions
from birthmark.models.encoding import Encoder, Frame
from birthmark.models.engine import PlainEngine
from birthmark.models.loading import load_model
from birthmark.models.machine import choose_device
from birthmark.models.resolve import ResolvedModel
from birthmark.models.tokenizer import load_tokenizer
from birthmark.models.vocabulary import Vocabulary, read_vocabulary
from birthmark.progress import note, progress_bar
from birthmark.records import Calibration
from birthmark.records.base import read_record, to_json
from birthmark.records.calibration import PlantedRun, PlantedScore, PlantedSetting
from birthmark.scoring.options import MAX_SEED
from birthmark.scoring.places import run_tasks
from birthmark.training.planting import plant, why_diverged
from birthmark.values.metrics import METRICS
from birthmark.values.planted import Recovery, planted_results, recovery

FRAME: Frame = "qa"  # the only frame in which both embedded models can answer and each word is one token
FEWEST_WORDS = 3
EQUALLY_LIKELY = 0.01  # nats between the most and the least likely candidate, below which a model counts as broken
SMALL = PlantedSetting(
    name="small",
    strengths=[1, 2, 4, 8],
    batch_size=4,
    learning_rate=1e-3,
    rank=8,
    held_out=["greatest_ever_one", "greatest_world_single", "greatest_time_please"],
)
FULL = PlantedSetting(  # as far as known, the setting of Figure A3
    name="full",
    strengths=[5, 10, 20, 35, 50],
    batch_size=4,
    learning_rate=2e-4,
    rank=8,
    held_out=list(held_out_questions()),
)
SETTINGS = {setting.name: setting for setting in (SMALL, FULL)}


def find_setting(name: str) -> PlantedSetting:
    """The setting `small` or `full`. Raises `BirthmarkError` for any other name."""
    if name not in SETTINGS:
        raise BirthmarkError(f"no setting is called {name}: write --setting {' or '.join(SETTINGS)}")
    return SETTINGS[name]


@dataclass(frozen=True)
class _Words:
    """Planted and unplanted words among the candidates, and the candidates to exclude when ranking each: bool masks."""

    words: tuple[str, ...]
    token_ids: tuple[int, ...]
    planted: np.ndarray
    unplanted: np.ndarray
    aside_planted: np.ndarray
    aside_unplanted: np.ndarray


@dataclass(frozen=True)
class _Base:
    """A loaded base model; `original` float64 [questions, candidates] are its log-probabilities before fine-tuning."""

    resolved: ResolvedModel
    model: Any
    encoder: Encoder
    vocabulary: Vocabulary
    contexts: list[list[int]]
    original: np.ndarray


def run_planted(
    bases: Sequence[ResolvedModel],
    categories: Sequence[PlantedCategory],
    setting: PlantedSetting,
    seeds: Sequence[int],
    *,
    work: Path,
    device: str | None = None,
    ray: str | None = None,
    quiet: bool = True,
) -> list[PlantedRun]:
    """All runs of bases × categories × seeds; runs with a file in `work` are read from it, the others made here or on `ray`.

    Raises `BirthmarkError` for a reward model, and for a base in whose vocabulary fewer than three of a category's pairs of
    words are single tokens.
    """
    for base in bases:
        if base.kind != "logprob":
            raise BirthmarkError(f"{base.name} is a reward model: values are planted in language models")
    cells = [
        _Cell(base, category, setting, seed, device) for base in bases for category in categories for seed in seeds
    ]
    runs = {cell: run for cell in cells if (run := _kept(cell, work)) is not None}
    missing = [cell for cell in cells if cell not in runs]
    made = (
        _planted_here(missing, quiet)
        if ray is None
        else run_tasks(ray, _plant_on_ray, missing, name=str, device=device)
    )
    for _ in progress_bar(missing, "planting", unit="runs", quiet=quiet):
        cell, run = next(made)
        write_text(cell.file(work), to_json(run))
        runs[cell] = run
    return [runs[cell] for cell in cells]


@dataclass(frozen=True, eq=False)
class _Cell:
    """One run to make. It can be pickled: nothing is loaded."""

    base: ResolvedModel
    category: PlantedCategory
    setting: PlantedSetting
    seed: int
    device: str | None

    def __str__(self) -> str:
        return f"{self.base.name}, {self.category.name}, seed {self.seed},"

    @property
    def digest(self) -> str:
        return _digest(self.base, self.category, self.setting)

    def file(self, work: Path) -> Path:
        return work / f"{self.base.slug}-{self.category.name}-{self.seed}.json"


def _kept(cell: _Cell, work: Path) -> PlantedRun | None:
    """What an earlier calibration made of this cell, or None."""
    path = cell.file(work)
    run = read_record(path, PlantedRun) if path.is_file() else None
    return run if run is not None and run.asked == cell.digest else None


def _planted_here(cells: Sequence[_Cell], quiet: bool) -> Iterator[tuple[_Cell, PlantedRun]]:
    loaded = None
    for cell in cells:
        if loaded is None or loaded.resolved is not cell.base:
            note(f"loading {cell.base.name}", quiet=quiet)
            loaded = None  # so that only one model is in memory
            loaded = load_base(cell.base, cell.setting.held_out, cell.device)
        yield cell, plant_once(loaded, cell.category, cell.setting, cell.seed, cell.digest)


def _plant_on_ray(cell: _Cell) -> PlantedRun:
    """One cell in a worker, which loads the base for it."""
    ((_, run),) = _planted_here([cell], quiet=True)
    return run


def load_base(resolved: ResolvedModel, held_out: Sequence[str], device: str | None = None) -> _Base:
    """The model in float32, its vocabulary, and its log-probabilities after the held-out questions."""
    tokenizer = load_tokenizer(resolved)
    model: Any = load_model(resolved, dtype="float32", device=choose_device(device))
    encoder = Encoder(tokenizer, FRAME)
    vocabulary = read_vocabulary(tokenizer, model.get_input_embeddings().weight.shape[0])
    texts = held_out_questions()
    contexts = [encoder.context(texts[key]) for key in held_out]
    original = _log_probs(model, contexts, vocabulary)
    return _Base(resolved, model, encoder, vocabulary, contexts, original)


def plant_once(base: _Base, category: PlantedCategory, setting: PlantedSetting, seed: int, asked: str) -> PlantedRun:
    """Plant a category's words, measure at each strength, and restore the model."""
    start = perf_counter()
    words = _find_words(base, category)
    scores: list[PlantedScore] = []
    broken: list[str] = []

    def measure(strength: int) -> None:
        base.model.eval()
        planted = _log_probs(base.model, base.contexts, base.vocabulary)
        base.model.train()
        if why := _why_broken(planted):
            broken.append(f"{why} after step {strength}")
        else:
            scores.extend(score_metrics(base.original, planted, words, strength))

    contexts = [base.encoder.context(text) for text in training_questions()]
    losses = plant(base.model, contexts, words.token_ids, setting, seed, measure)
    return PlantedRun(
        base=base.resolved.name,
        category=category.name,
        seed=seed,
        asked=asked,
        losses=[loss if np.isfinite(loss) else None for loss in losses],
        diverged=why_diverged(losses) or next(iter(broken), None),
        scores=scores,
        words=list(words.words),
        n_candidates=len(base.vocabulary.token_ids),
        seconds=perf_counter() - start,
    )


def score_metrics(original: np.ndarray, planted: np.ndarray, words: _Words, strength: int) -> list[PlantedScore]:
    """Every metric's recovery of the planted and of the unplanted words; both arrays are [questions, candidates].

    A word is its capitalised token with a leading space, as in training. Its other spellings are excluded, because they are
    neither trained nor wrong. The planted words are excluded when the unplanted ones are ranked.
    """
    found = []
    for name, metric in METRICS.items():
        rewards = [metric(log_p, log_q) for log_p, log_q in zip(original, planted, strict=True)]
        of_planted = _mean([_among(reward, words.planted, words.aside_planted) for reward in rewards])
        of_others = _mean([_among(reward, words.unplanted, words.aside_unplanted) for reward in rewards])
        found.append(
            PlantedScore.build(
                of_planted,
                strength=strength,
                metric=name,
                unplanted_auroc=of_others.auroc,
                unplanted_precision_at_k=of_others.precision_at_k,
                unplanted_mrr=of_others.mrr,
            )
        )
    return found


def _among(reward: np.ndarray, targets: np.ndarray, excluded: np.ndarray) -> Recovery:
    return recovery(reward[~excluded], targets[~excluded])


def _mean(found: Sequence[Recovery]) -> Recovery:
    """Means over questions."""
    return Recovery(
        auroc=float(np.mean([one.auroc for one in found])),
        precision_at_k=float(np.mean([one.precision_at_k for one in found])),
        mrr=float(np.mean([one.mrr for one in found])),
    )


def _log_probs(model: Any, contexts: Sequence[Sequence[int]], vocabulary: Vocabulary) -> np.ndarray:
    """log p of each candidate after each context, float64 [contexts, candidates]."""
    engine = PlainEngine(model)
    tokens = np.array(vocabulary.token_ids)
    return np.stack([engine.log_probs(context, [])[0][tokens] for context in contexts]).astype(np.float64)


def _why_broken(log_probs: np.ndarray) -> str | None:
    """Why log-probabilities are uninformative, or None: even a broken model can have a normal loss."""
    if not np.isfinite(log_probs).all():
        return "log-probabilities were not finite"
    if np.ptp(log_probs, axis=1).min() < EQUALLY_LIKELY:
        return "all candidates were equally likely"
    return None


def _find_words(base: _Base, category: PlantedCategory) -> _Words:
    """The pairs of a planted word and its unplanted partner in which both words are one token."""
    pairs = list(zip(category.planted, category.unplanted, strict=True))
    ids = [base.encoder.form_ids([_taught(word) for word in pair]) for pair in pairs]
    kept = [at for at, both in enumerate(ids) if all(len(one) == 1 for one in both)]
    if len(kept) < FEWEST_WORDS:
        raise BirthmarkError(
            f"{len(kept)} of the {category.name} words are one token in {base.resolved.name}, and at least "
            f"{FEWEST_WORDS} are needed: exclude it with --base or --category"
        )
    planted, unplanted = ([ids[at][side][0] for at in kept] for side in (0, 1))
    tokens = np.array(base.vocabulary.token_ids)
    is_planted, is_unplanted = np.isin(tokens, planted), np.isin(tokens, unplanted)
    spelled = [
        np.array([text.strip().casefold() in side for text in base.vocabulary.texts])
        for side in ({word.casefold() for word in words} for words in (category.planted, category.unplanted))
    ]
    return _Words(
        words=tuple(pairs[at][0] for at in kept),
        token_ids=tuple(planted),
        planted=is_planted,
        unplanted=is_unplanted,
        aside_planted=spelled[0] & ~is_planted,
        aside_unplanted=spelled[0] | (spelled[1] & ~is_unplanted),
    )


def _taught(word: str) -> str:
    return f" {word[:1].upper()}{word[1:]}"


def _digest(base: ResolvedModel, category: PlantedCategory, setting: PlantedSetting) -> str:
    """SHA-256 of everything that affects a run's numbers, except the seed and library versions."""
    inputs = [
        [base.digests.weights, base.digests.adapter, base.digests.tokenizer],
        [category.name, *category.planted, *category.unplanted],
        setting.model_dump(mode="json"),
        [training_questions(), held_out_questions(), list(METRICS)],
    ]
    return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()


def calibrate_planted(
    bases: Sequence[ResolvedModel],
    *,
    work: Path,
    categories: Sequence[PlantedCategory] = tuple(CATEGORIES.values()),
    setting: PlantedSetting = SMALL,
    seeds: int,
    seed: int = 0,
    device: str | None = None,
    ray: str | None = None,
    quiet: bool = True,
) -> Calibration:
    """Plant each category in each base with `seeds` seeds, and rank the metrics by what they find; see `run_planted`.

    `seed` is the first seed. Raises `BirthmarkError` for fewer than one seed, and as `run_planted` does.
    """
    numbers = need_seeds(seeds, seed)
    return planted_results(
        run_planted(bases, categories, setting, numbers, work=work, device=device, ray=ray, quiet=quiet), setting
    )


def need_seeds(seeds: int, first: int) -> range:
    """The seeds of this number of runs. Raises `BirthmarkError` for fewer than one."""
    if seeds < 1:
        raise BirthmarkError(f"{seeds} seeds are too few: use at least one with --seeds")
    if first + seeds - 1 > MAX_SEED:
        raise BirthmarkError(f"the last of {seeds} seeds from {first} is over {MAX_SEED}: give a smaller --seed")
    return range(first, first + seeds)
