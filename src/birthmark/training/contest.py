"""Equal reward models on several bases: the bases told apart, one split of the pairs, one grid, held-out rewards."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import yaml

from birthmark.errors import BirthmarkError
from birthmark.files import read_parquet, slug_of, write_parquet, write_text
from birthmark.foreign import one_line
from birthmark.models.resolve import ResolvedModel, resolve
from birthmark.progress import note
from birthmark.records import Recipe
from birthmark.records.choice import Template
from birthmark.training.data import Pair, digest_of_pairs
from birthmark.training.grid import run_grid
from birthmark.training.heldout import PairRewards, Split, hold_out, pair_rewards
from birthmark.training.recipe import Preset, make_recipe
from birthmark.training.run import TrainingRun
from birthmark.training.sources import Source, open_source, read_pairs, scan
from birthmark.values.choosing import Trained

if TYPE_CHECKING:
    from birthmark.scoring.measure import Measure


@dataclass(frozen=True)
class Candidate:
    """A base that may be chosen: `name` is what finds it again, `label` what it is called."""

    name: str
    label: str
    model: ResolvedModel
    template: Template


def find_candidates(
    bases: Sequence[str | Path], *, catalog: str | Path | None, chat_template: str | Path | None, quiet: bool
) -> list[Candidate]:
    """The bases, in order; one without a chat template trains with the bundled `plain`.

    Raises `BirthmarkError` for fewer than two, for what is no language model, and for two that are one checkpoint or are
    called alike.
    """
    if len(bases) < 2:
        raise BirthmarkError("a choice is between two bases or more: name another one")
    found: list[Candidate] = []
    for base in bases:
        model = resolve(base, catalog=catalog, chat_template=chat_template, quiet=quiet)
        if model.kind != "logprob" or model.adapter is not None:
            what = "a reward model" if model.kind != "logprob" else "an adapter"
            raise BirthmarkError(f"{model.name} is {what}: choose between language models to train reward models on")
        template: Template = "given" if chat_template is not None else "own" if model.chat_template else "plain"
        name = str(Path(base).resolve()) if model.entry is None and Path(base).is_dir() else str(base)
        found.append(Candidate(name, model.base_checkpoint or Path(model.name).name, model, template))
    for at, one in enumerate(found):
        for other in found[:at]:
            if one.model.digests.weights == other.model.digests.weights:
                raise BirthmarkError(
                    f"{other.model.name} and {one.model.name} are one checkpoint (the same weights): name each base once"
                )
            if slug_of(one.label).casefold() == slug_of(other.label).casefold():
                raise BirthmarkError(f"two different bases are called {one.label}: rename one of the folders")
    return found


@dataclass(frozen=True)
class Contest:
    """What every candidate is trained on and judged by."""

    candidates: list[Candidate]
    source: Source
    split: Split
    pairs: list[int]
    seeds: list[int]
    preset: Preset
    changes: Mapping[str, Any]
    recipe: Recipe

    @property
    def stem(self) -> str:
        return slug_of(self.source.name.replace("/", "--"))

    def asked(self) -> dict[str, object]:
        """What must agree for further bases, pair counts and seeds to join an OUT."""
        return {
            "preferences": self.source.name,
            "training_pairs": digest_of_pairs(self.split.training),
            "held_out_pairs": digest_of_pairs(self.split.held_out),
            "recipe": self.recipe.model_dump(),
        }

    def write(self, folder: Path) -> Path:
        """Write `pairs/` and `grid.yaml` into a folder; returns the grid, which `birthmark train --grid` takes too."""
        pairs = folder.resolve() / "pairs"
        for name, part in (("train", self.split.training), ("held-out", self.split.held_out)):
            lines = "".join(json.dumps(_row(pair), ensure_ascii=False) + "\n" for pair in part)
            write_text(pairs / f"{self.stem}-{name}.jsonl", lines)
        grid = {
            "bases": [
                {"model": item.name} | ({"chat_template": "plain"} if item.template == "plain" else {})
                for item in self.candidates
            ],
            "sources": [str(pairs / f"{self.stem}-train.jsonl")],
            "pairs": self.pairs,
            "losses": [self.recipe.loss],
            "seeds": self.seeds,
            "preset": self.preset,
            "recipe": {name: value for name, value in self.changes.items() if name != "loss"},
        }
        write_text(folder / "grid.yaml", yaml.safe_dump(grid, sort_keys=False, allow_unicode=True))
        return folder / "grid.yaml"

    def train(self, folder: Path, **how: Any) -> list[TrainingRun]:
        """Every run of the grid, in `folder/train/`; see `run_grid`."""
        return run_grid(folder / "grid.yaml", folder / "train", report_to=("none",), **how)

    def judge(self, runs: Sequence[TrainingRun], folder: Path, measure: "Measure") -> tuple[list[Trained], int]:
        """Whether each run's last checkpoint prefers the chosen answer of each held-out pair, and how many pairs dropped.

        A pair that one base's tokenizer cannot tell apart is left out for all. Rewards are kept in `folder/held-out/`.
        """
        from birthmark.models.loading import AdapterSwap

        swap = AdapterSwap()
        rewards = [self._rewards(run, folder, measure, swap) for run in runs]
        usable = np.isfinite(np.stack([item.margins for item in rewards])).all(axis=0)  # [pairs]
        if usable.sum() < 2:
            raise BirthmarkError(
                f"{int(usable.sum())} of {len(usable)} held-out pairs are usable by all bases: hold out more, or raise --max-tokens"
            )
        of_cell: dict[tuple[str, int], list[tuple[TrainingRun, PairRewards]]] = {}
        for run, found in zip(runs, rewards, strict=True):
            of_cell.setdefault((self._label(run), run.record.pairs), []).append((run, found))
        trained = [
            Trained(
                label,
                pairs,
                of_run[0][0].record.counts.trained,
                tuple(run.record.seed for run, _ in of_run),
                tuple(run.out.name for run, _ in of_run),
                np.stack([found.correct()[usable] for _, found in of_run]),
            )
            for (label, pairs), of_run in of_cell.items()
        ]
        return trained, int((~usable).sum())

    def _label(self, run: TrainingRun) -> str:
        weights = run.record.digests.weights
        return next(item.label for item in self.candidates if item.model.digests.weights == weights)

    def _rewards(self, run: TrainingRun, folder: Path, measure: "Measure", swap: Any) -> PairRewards:
        from birthmark.scoring.local import choose_machine

        model = resolve(max(run.checkpoints.items())[1], quiet=True)
        device, dtype = choose_machine(measure.device, measure.dtype, model.entry)
        key = [
            *(model.digests.weights, model.digests.adapter, model.digests.template, model.digests.tokenizer, dtype),
            *(digest_of_pairs(self.split.held_out), self.recipe.max_tokens, self.recipe.cut),
        ]
        digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
        path = folder / "held-out" / f"{run.out.name}-{digest[:16]}.parquet"
        if path.is_file():
            frame = read_parquet(path)
            return PairRewards(frame["chosen"].to_numpy(), frame["rejected"].to_numpy(), [])
        note(f"{run.out.name}: {len(self.split.held_out):,} held-out pairs", quiet=measure.quiet)
        found = pair_rewards(
            model,
            self.split.held_out,
            device=device,
            dtype=dtype,
            max_tokens=self.recipe.max_tokens,
            cut=self.recipe.cut,
            load=swap.model,
            quiet=measure.quiet,
        )
        rows = [pair.row for pair in self.split.held_out]
        write_parquet(pl.DataFrame({"row": rows, "chosen": found.chosen, "rejected": found.rejected}), path)
        return found


def prepare_contest(
    candidates: list[Candidate],
    preferences: str | Path,
    *,
    pairs: Sequence[int],
    seeds: Sequence[int],
    held_out: int,
    seed: int,
    preset: Preset,
    changes: Mapping[str, Any],
) -> Contest:
    """Split the preferences and make the recipe. Raises `BirthmarkError` where they are too few for the splits."""
    counts = _pair_counts(pairs)
    source = open_source(preferences)
    found = scan(source)
    every = read_pairs(source, found.usable)
    short = f"{source.name} is too small for --held-out {held_out:,} and --pairs {counts[-1]:,}"
    needs = f"{held_out + counts[-1]:,} usable pairs of as many questions are needed"
    if len(every) < held_out + counts[-1]:
        raise BirthmarkError(f"{short}: {needs}, and it has {len(every):,}; ask for fewer, or give more pairs")
    split = hold_out(every, held_out, seed=seed)
    if len(split.training) < counts[-1]:
        raise BirthmarkError(
            f"{short}: {needs}, and of its {len(every):,} pairs {len(split.training):,} share no question with those held "
            "out; ask for fewer, or give more pairs"
        )
    return Contest(
        candidates, source, split, counts, list(seeds), preset, dict(changes), make_recipe(preset, **changes)
    )


def _pair_counts(pairs: Sequence[int]) -> list[int]:
    """The counts, smallest first. Raises `BirthmarkError` for none, one twice, or one that is not a whole number above 0."""
    counts: list[Any] = [pairs] if isinstance(pairs, int) else list(pairs)
    if not counts:
        raise BirthmarkError("--pairs names no count: write whole numbers between commas, such as 64,256")
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BirthmarkError(f"--pairs takes whole numbers above 0, such as 64,256; not {one_line(count, 40)}")
    if twice := [count for count in counts if counts.count(count) > 1]:
        raise BirthmarkError(f"--pairs has {twice[0]:,} twice: name each count once")
    return sorted(counts)


def _row(pair: Pair) -> dict[str, object]:
    sides: Iterable[tuple[str, Any]] = (("chosen", pair.chosen), ("rejected", pair.rejected))
    return {"row": pair.row, **{name: [turn._asdict() for turn in turns] for name, turns in sides}}
