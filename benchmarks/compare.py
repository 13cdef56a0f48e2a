"""How long `birthmark compare` takes on ten simulated models of a whole vocabulary, and how much memory.

    python benchmarks/compare.py [--models 10] [--candidates 262144] [--words 2040] [--folder DIR]

Writes score tables of random rewards to a folder (a temporary one by default), then times `bm.compare` on the files, all
reading and checking included. The target on 2 cores is 5 minutes and 8 GB.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
from measured import peak_bytes

import birthmark as bm
from birthmark.inputs.prompts import load_prompts, prompt_set_record
from birthmark.records import ScoreRecord
from birthmark.scoring.table import ScoreTable, write_scores


def simulated(at: int, n_candidates: int) -> ScoreTable:
    """One reward model's scores of every candidate after the 54 prompts; two models share each base checkpoint."""
    rng = np.random.default_rng(at)
    prompts = load_prompts("christian2026").prompts
    scores = rng.normal(size=(n_candidates, 1)) + 0.5 * rng.normal(size=(n_candidates, len(prompts)))
    name = f"simulated-{at}"
    record = ScoreRecord(
        model=name,
        slug=name,
        revision=None,
        family="A" if at % 4 < 2 else "B",
        base_checkpoint=f"base-{at // 2}",
        kind="reward",
        dtype="float32",
        device="none",
        engine=None,
        attention=None,
        frame="chat",
        protocol="birthmark",
        digests=None,
        prompt_set=prompt_set_record("christian2026", prompts),
        candidates_sha256="",
        n_tokens=n_candidates,
        n_words=0,
        template_date=None,
        versions={},
        sha256="",
        context_ids=None,
        mass=None,
        mass_why="rewards are no probabilities",
        seconds=None,
        load_seconds=None,
        verify_seconds=None,
        verify_max_abs_diff=None,
        verify_why="simulated",
        candidates_per_second=None,
    )
    columns = {key: scores[:, column].astype(np.float32) for column, key in enumerate(prompts)}
    texts = [f"candidate{row}" for row in range(n_candidates)]
    ids = pl.Series("token_id", range(n_candidates), dtype=pl.Int64)
    return ScoreTable(pl.DataFrame({"candidate": texts, "token_id": ids, **columns}), record)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--candidates", type=int, default=262_144)
    parser.add_argument("--words", type=int, default=2_040)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.folder or Path(temporary)
        paths = [write_scores(simulated(at, asked.candidates), folder / "scores") for at in range(asked.models)]
        lexicon = folder / "simulated.csv"
        stride = max(1, asked.candidates // asked.words)
        rows = [f"candidate{at * stride},{'Agency' if at % 2 else 'Communion'}" for at in range(asked.words)]
        lexicon.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
        start = time.perf_counter()
        (found,) = bm.compare(paths, lexicons=[lexicon])
        seconds = time.perf_counter() - start
    gigabytes = peak_bytes() / 1e9
    print(
        f"compare: {asked.models} models × {asked.candidates:,} candidates × 54 prompts, {found.n_candidates:,} words"
    )
    print(f"{seconds:.1f} s, at most {gigabytes:.1f} GB")
    return 0 if seconds <= 300 and gigabytes <= 8 else 1


if __name__ == "__main__":
    sys.exit(main())
