"""Builds small OUT folders as an audit leaves them, from random scores."""

import json
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl

from birthmark.files import write_text
from birthmark.inputs.lexicons import Lexicon, load_lexicon
from birthmark.inputs.prompts import prompt_set_record
from birthmark.records import (
    Digests,
    Framing,
    InputRecord,
    LeftOut,
    Mass,
    PromptRecord,
    ScoreRecord,
    StudyRecord,
    to_json,
)
from birthmark.scoring.table import ScoreTable, write_scores
from birthmark.values.effects import effects
from birthmark.values.implicit import implicit_rewards

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


LEFT_OUT = 0.2  # the probability of the tokens that are no candidates


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
        of_tokens = scores[: len(texts) - len(listed)] if tokens else scores
        scores -= np.log(np.exp(of_tokens).sum(axis=0) / (1 - LEFT_OUT))
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
            "mass": {key: Mass(lexicon=0.003, left_out=LEFT_OUT) for key in prompts} if of_language else None,
            "mass_why": None if of_language else "rewards are no probabilities",
            "seconds": 12.5,
            "load_seconds": 2.0,
            "verify_seconds": 1.5,
            "verify_max_abs_diff": 2.1e-5,
            "verify_bound": 1e-4,
            "candidates_per_second": 21000.0,
        }
    )


def lexicon_file(path: Path, words: Mapping[str, Sequence[str]]) -> Lexicon:
    """A lexicon written to `path` as a CSV and read from there."""
    rows = [f'"{word}","{category}"' for category, group in words.items() for word in group]
    path.write_text("\n".join(["word,category", *rows]) + "\n", encoding="utf-8")
    return load_lexicon(path)


def write_out(
    out: Path,
    tables: Sequence[ScoreTable],
    lexicons: Sequence[Lexicon] = (),
    *,
    implicit: bool = False,
    command: str = "audit",
) -> Path:
    """Write an OUT folder: the tables, the effects of each lexicon and kind, the implicit reward of the first two."""
    for item in tables:
        write_scores(item, out / "scores")
    kinds = sorted({item.record.kind for item in tables})
    for lexicon in lexicons:
        for kind in kinds:
            record = effects([item for item in tables if item.record.kind == kind], lexicon, seed=0)
            stem = lexicon.name if len(kinds) == 1 else f"{lexicon.name}.{kind}"
            write_text(out / "effects" / f"{stem}.json", to_json(record))
    if implicit:
        frame, record_implicit = implicit_rewards(*tables[:2], ["greatest_ever_one"], lexicons=lexicons)
        path = out / "implicit" / f"{record_implicit.a}..{record_implicit.b}.json"
        write_text(path, to_json(record_implicit))
        frame.write_parquet(path.with_suffix(".parquet"))
    study = StudyRecord(
        command=command,
        command_line=f"birthmark {command} --out here",
        asked={"prompts": "christian2026", "lexicons": [lexicon.name for lexicon in lexicons], "frame": "qa"},
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


class Scripts(HTMLParser):
    """The `id` of each script element of a page, which is none of the one that runs on it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "script":
            self.ids.append(dict(attrs).get("id"))


def runs_only_its_own(page: str) -> bool:
    """Whether all scripts of a page are figures' data, the drawing library, or the page's one script, its last."""
    *given, last = Scripts(page).ids
    return last is None and all(name and (name == "vega" or name.endswith("-spec")) for name in given)
