"""Score tables and lexicons small enough to know the answers of."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from birthmark.inputs.lexicons import Lexicon, load_lexicon
from birthmark.inputs.prompts import prompt_set_record
from birthmark.records import Framing, Kind, PromptRecord, ScoreRecord
from birthmark.scoring.table import ScoreTable

ADJECTIVES: Mapping[str, Framing] = {"best": "positive", "great": "positive", "worst": "negative", "bad": "negative"}

NOT_KNOWN = (
    *("revision", "engine", "attention", "digests", "template_date", "context_ids", "mass"),
    *("seconds", "load_seconds", "verify_seconds", "verify_max_abs_diff", "candidates_per_second"),
)

MakeTable = Callable[..., ScoreTable]
MakeLexicon = Callable[[Mapping[str, str]], Lexicon]


def prompt_records(keys: Sequence[str]) -> dict[str, PromptRecord]:
    """Prompts whose adjective is what stands before the first `_` of their key; an unknown adjective has no framing."""
    return {
        key: PromptRecord(
            text=f"What is the {key}?",
            framing=ADJECTIVES.get(key.split("_")[0]),
            factors={"adjective": key.split("_")[0]},
        )
        for key in keys
    }


@pytest.fixture
def make_table() -> MakeTable:
    def make(
        model: str,
        candidates: Sequence[str],
        scores: np.ndarray,
        *,
        prompts: Sequence[str] = ("best_1", "worst_1"),
        token_ids: Sequence[int | None] | None = None,
        family: str | None = "A",
        base: str | None = None,
        kind: Kind = "reward",
        frame: str = "chat",
    ) -> ScoreTable:
        """`scores` [candidates, prompts]."""
        columns = dict(zip(prompts, np.asarray(scores, dtype=np.float32).T, strict=True))
        ids = pl.Series("token_id", token_ids or [None] * len(candidates), dtype=pl.Int64)
        record = ScoreRecord.model_validate(
            {
                **dict.fromkeys(NOT_KNOWN),
                "model": model,
                "slug": model.replace("/", "--"),
                "family": family,
                "base_checkpoint": base or model,
                "kind": kind,
                "dtype": "float32",
                "device": "cpu",
                "frame": frame,
                "protocol": "birthmark",
                "prompt_set": prompt_set_record("test", prompt_records(prompts)),
                "candidates_sha256": "",
                "n_tokens": 0,
                "n_words": len(candidates),
                "versions": {},
                "sha256": "",
            }
        )
        return ScoreTable(pl.DataFrame({"candidate": list(candidates), "token_id": ids, **columns}), record)

    return make


@pytest.fixture
def make_lexicon(tmp_path: Path) -> MakeLexicon:
    def make(categories: Mapping[str, str]) -> Lexicon:
        """`categories`: word → category, or categories joined by `+`."""
        path = tmp_path / "small.csv"
        rows = [f"{word},{name}" for word, names in categories.items() for name in names.split("+")]
        path.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
        return load_lexicon(path)

    return make


@pytest.fixture
def big_two(shared: Path) -> tuple[list[ScoreTable], Lexicon]:
    """The ten published reward models on the Big Two nouns, and their lexicon."""
    from birthmark.scoring.table import read_scores

    data = shared / "paper-data" / "data"
    files = sorted((data / "reward_model_scores" / "dict_big2_nouns").glob("*.csv"))
    return [read_scores(path) for path in files], load_lexicon(data / "corpora" / "dict_big2_nouns.csv")
