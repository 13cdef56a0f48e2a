"""Builds small OUT folders as an audit leaves them, from random scores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.records import (
    AdjectiveEffect,
    CandidateReward,
    Cell,
    Digests,
    Effects,
    Framing,
    Implicit,
    ImplicitPrompt,
    InputRecord,
    LeftOut,
    Mass,
    ModelCell,
    ModelContrast,
    ModelsFixed,
    PromptRecord,
    ScoreRecord,
    StudyRecord,
    to_json,
)
from birthmark.scores import ScoreTable, prompt_set_record, write_scores, write_text
from birthmark.values.ranks import category_medians, rank

FRAMINGS: dict[str, Framing] = {
    "best": "positive",
    "greatest": "positive",
    "good": "positive",
    "worst": "negative",
    "terrible": "negative",
    "bad": "negative",
}
PROMPTS = {
    f"{adjective}_{scope}_{style}": PromptRecord(
        text=f"What, {style}, is the {adjective} thing {scope}?", framing=framing, factors={"adjective": adjective}
    )
    for adjective, framing in FRAMINGS.items()
    for scope in ("ever", "world", "time")
    for style in ("one", "single", "please")
}
WORDS = {
    "Agency": ["ability", "ambition", "courage", "freedom", "goal", "mastery", "power", "skill", "strength", "victory"],
    "Communion": ["affection", "care", "family", "friend", "kindness", "love", "loyalty", "peace", "trust", "warmth"],
}
NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</script><b>",
    "'quoted'",
    "a&amp;b",
    "{{ 7 * 7 }}",
    "\n",
    "\n\n",
    "\t",
    " ",
    " " * 24,
    "\u200b",
    "\u202etcelfer",
    "مرحبا",
    " שלום",
    "👩‍👩‍👧",
    "❤️",
    "\u00a0love",
    "__proto__",
    "constructor",
    "x" * 90,
    "\\",
    "\x07",
]
PLAIN = [
    f"{a}{b}" for a in ("moon", "sun", "rain", "stone", "river", "light") for b in ("", "s", "beam", "fall", "path")
]


def vocabulary() -> list[str]:
    """Token texts: lexicon words in their four forms, plain words, and every text that could break a page."""
    words = [word for group in WORDS.values() for word in group] + PLAIN
    forms = [space + text for word in words for space in ("", " ") for text in (word, word.capitalize())]
    return [*forms, *NASTY]


def table(
    slug: str,
    family: str,
    base: str,
    *,
    kind: str = "logprob",
    lean: float = 0.0,
    seed: int = 0,
    prompts: Mapping[str, PromptRecord] = PROMPTS,
    words: Mapping[str, Sequence[str]] = WORDS,
    tokens: bool = True,
) -> ScoreTable:
    """A table whose words of the second category score `lean` higher after positive prompts and lower after negative."""
    rng = np.random.default_rng(seed)
    listed = [word for group in words.values() for word in group]
    texts = [*vocabulary(), *listed] if tokens else listed
    first = {word for word in next(iter(words.values()))}
    sign = np.array([-1.0 if text.strip().lower() in first else 1.0 for text in texts])
    framed = np.array([{"positive": 1.0, "negative": -1.0, None: 0.0}[p.framing] for p in prompts.values()])
    scores = rng.normal(size=(len(texts), 1)) + 0.3 * rng.normal(size=(len(texts), len(prompts)))
    scores += lean * np.outer(sign, framed)
    if kind == "logprob":
        scores -= np.log(np.exp(scores).sum(axis=0))
    ids = [*range(len(texts) - len(listed)), *[None] * len(listed)]
    frame = pl.DataFrame({"candidate": texts, "token_id": ids}, schema={"candidate": pl.String, "token_id": pl.Int64})
    for column, key in enumerate(prompts):
        frame = frame.with_columns(pl.Series(key, scores[:, column].astype(np.float32)))
    return ScoreTable(frame, _score_record(slug, family, base, kind, prompts, frame))


def _score_record(
    slug: str, family: str, base: str, kind: str, prompts: Mapping[str, PromptRecord], frame: pl.DataFrame
) -> ScoreRecord:
    of_language = kind == "logprob"
    return ScoreRecord.model_validate(
        {
            "model": slug,
            "slug": slug,
            "revision": "0123456789abcdef0123456789abcdef01234567",
            "family": family,
            "base_checkpoint": base,
            "kind": kind,
            "dtype": "float32",
            "device": "cpu",
            "engine": "prefix",
            "attention": "sdpa",
            "frame": "qa" if of_language else "chat",
            "protocol": "birthmark",
            "digests": Digests(weights="a" * 64, tokenizer="b" * 64),
            "prompt_set": prompt_set_record("christian2026", prompts),
            "candidates_sha256": "c" * 64,
            "n_tokens": frame["token_id"].is_not_null().sum(),
            "n_words": frame["token_id"].is_null().sum(),
            "left_out": LeftOut(special=17, undecodable=314, unused=0, unfaithful=9) if of_language else None,
            "template_date": None,
            "versions": {"torch": "2.13.0", "transformers": "5.24.0"},
            "sha256": "",
            "context_ids": {key: [1, 2, 3] for key in prompts},
            "mass": {key: Mass(lexicon=0.003, left_out=0.2) for key in prompts} if of_language else None,
            "mass_why": None if of_language else "rewards are no probabilities",
            "seconds": 12.5,
            "load_seconds": 2.0,
            "verify_seconds": 1.5,
            "verify_max_abs_diff": 2.1e-5,
            "verify_bound": 1e-4,
            "candidates_per_second": 21000.0,
        }
    )


def handmade_effects(
    tables: Sequence[ScoreTable], lexicon: str, words: Mapping[str, Sequence[str]], kind: str = "logprob"
) -> Effects:
    """An effects file with medians that are right and intervals that are made up."""
    listed = [word for group in words.values() for word in group]
    member = np.array([[word in group for word in listed] for group in words.values()])
    cells: list[ModelCell] = []
    for item in tables:
        rows = item.words.filter(pl.col("candidate").is_in(listed)).unique("candidate").sort("candidate")
        order = [rows["candidate"].to_list().index(word) for word in listed]
        medians = category_medians(rank(rows.select(item.prompt_keys).to_numpy()[order]), member)
        for row, category in enumerate(words):
            for framing in ("positive", "negative"):
                of_framing = [item.prompts[key].framing == framing for key in item.prompt_keys]
                if any(of_framing):
                    cells.append(_model_cell(item, category, framing, medians[row][of_framing]))  # type: ignore[arg-type]
    families = sorted({str(item.record.family) for item in tables})
    two = len(words) == 2
    contrasts = [_contrast(item, cells, list(words)) if two else None for item in tables]
    pair = len(tables) == 2 and two
    return Effects(
        lexicon=lexicon,
        kind=kind,  # type: ignore[arg-type]
        n_candidates=len(listed),
        words_by_category={category: len(group) for category, group in words.items()},
        words={category: list(group) for category, group in words.items()},
        categories=sorted(words),
        families=families,
        cells=[
            _family_cell(cells, family, category, framing)
            for family in families
            for category in words
            for framing in ("positive", "negative")
            if any((cell.family, cell.category, cell.framing) == (family, category, framing) for cell in cells)
        ],
        model_cells=cells,
        mixed_model=None,
        mixed_model_why="one model a family",
        mixed_model_ml=None,
        panels=[],
        models=[
            ModelContrast(
                model=item.record.slug,
                family=str(item.record.family),
                base_checkpoint=str(item.record.base_checkpoint),
                contrast=value,
                mean_rank_contrast=value,
                kind=item.record.kind,
                frame=item.record.frame,
                mass=0.003 if item.record.mass else None,
            )
            for item, value in zip(tables, contrasts, strict=True)
        ],
        headline=None,
        headline_why="with one base checkpoint a family nothing can be concluded about families",
        model_level=None,
        clustering=None,
        crossed=None,
        models_fixed=_models_fixed(contrasts) if pair else None,
        models_fixed_why=None if pair else "more than two models",
        p_permutation_f=None,
        per_category=[],
        sentence=None,
    )


def _model_cell(item: ScoreTable, category: str, framing: Framing, medians: np.ndarray) -> ModelCell:
    mean = float(medians.mean())
    return ModelCell(
        model=item.record.slug,
        family=str(item.record.family),
        category=category,
        framing=framing,
        mean_median_rank=mean,
        prompt_low=float(medians.min()),
        prompt_high=float(medians.max()),
        n_prompts=len(medians),
        ci_low=mean - 2.0,
        ci_high=mean + 2.5,
    )


def _family_cell(cells: Sequence[ModelCell], family: str, category: str, framing: Framing) -> Cell:
    values = [
        cell.mean_median_rank
        for cell in cells
        if (cell.family, cell.category, cell.framing) == (family, category, framing)
    ]
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Cell(
        family=family,
        category=category,
        framing=framing,
        mean_median_rank=float(np.mean(values)),
        sd=sd,
        n_models=len(values),
        n_prompts=27,
    )


def _contrast(item: ScoreTable, cells: Sequence[ModelCell], categories: Sequence[str]) -> float | None:
    of = {(c.category, c.framing): c.mean_median_rank for c in cells if c.model == item.record.slug}
    if len(of) < 4:
        return None
    first, second = sorted(categories)
    return (of[first, "positive"] - of[second, "positive"]) - (of[first, "negative"] - of[second, "negative"])


def _models_fixed(contrasts: Sequence[float | None]) -> ModelsFixed | None:
    a, b = contrasts
    if a is None or b is None:
        return None
    return ModelsFixed(
        estimate=b - a,
        ci_low=b - a - 3.0,
        ci_high=b - a + 3.0,
        p_words=0.0021,
        by_adjective=[
            AdjectiveEffect(
                adjective=name, framing=framing, estimate=(b - a) / 2 * (1 if framing == "positive" else -1)
            )
            for name, framing in FRAMINGS.items()
        ],
    )


def handmade_implicit(a: ScoreTable, b: ScoreTable, n: int = 25) -> tuple[pl.DataFrame, Implicit]:
    """The implicit reward of two tables after `greatest_ever_one`, over their tokens row by row."""
    prompt = "greatest_ever_one"
    p, q = a.tokens[prompt].to_numpy().astype(float), b.tokens[prompt].to_numpy().astype(float)
    frame = pl.DataFrame(
        {
            "prompt": prompt,
            "candidate": a.tokens["candidate"],
            "logprob_a": p,
            "logprob_b": q,
            "log_ratio": q - p,
            "mwlr": (np.exp(p) + np.exp(q)) / 2 * (q - p),
        }
    )
    rows = frame.sort("mwlr", descending=True).drop("prompt")
    top = [CandidateReward.model_validate(row) for row in rows.head(n).to_dicts()]
    bottom = [CandidateReward.model_validate(row) for row in rows.tail(n).reverse().to_dicts()]
    record = Implicit(
        a=a.record.slug,
        b=b.record.slug,
        frame_a="qa",
        frame_b="qa",
        metrics=["mwlr", "log_ratio"],
        duplicates="max",
        prompts=[
            ImplicitPrompt(
                prompt=prompt,
                n_shared=rows.height,
                mass_a=0.62,
                mass_b=0.55,
                top=top,
                bottom=bottom,
                category_means={
                    "starter": {
                        "Agency": {"mwlr": 1e-5, "log_ratio": 0.4},
                        "Communion": {"mwlr": -2e-5, "log_ratio": -0.3},
                    }
                },
            )
        ],
        n_only_a=120,
        n_only_b=4100,
    )
    return frame, record


def write_out(
    out: Path,
    tables: Sequence[ScoreTable],
    effects: Mapping[str, Effects],
    implicit: tuple[pl.DataFrame, Implicit] | None = None,
    command: str = "audit",
) -> Path:
    """Write an OUT folder; `effects` by file stem."""
    for item in tables:
        write_scores(item, out / "scores")
    for stem, record in effects.items():
        write_text(out / "effects" / f"{stem}.json", to_json(record))
    if implicit is not None:
        frame, record_implicit = implicit
        path = out / "implicit" / f"{record_implicit.a}..{record_implicit.b}.json"
        write_text(path, to_json(record_implicit))
        frame.write_parquet(path.with_suffix(".parquet"))
    study = StudyRecord(
        command=command,
        command_line=f"birthmark {command} --out here",
        asked={"prompts": "christian2026", "lexicons": list(effects), "frame": "qa"},
        inputs=[InputRecord(role="model", name=item.record.slug, sha256="a" * 64) for item in tables],
        versions={"python": "3.11.2", "birthmark": "0.1.0", "torch": "2.13.0"},
        durations={"score": 61.2, "effects": 1.5},
        warnings=[],
    )
    write_text(out / "study.json", to_json(study))
    return out


def embedded_json(page: str, element: str) -> object:
    """What a page's `<script type="application/json" id=…>` holds."""
    start = page.index(f'id="{element}">') + len(f'id="{element}">')
    return json.loads(page[start : page.index("</script>", start)])
