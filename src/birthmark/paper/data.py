"""Locate the published study's files: in a local clone, or fetched from the authors' repository.

Fetching takes the pinned commit and checks every file's SHA-256 (`checksums.txt`, in `sha256sum` format). Files keep the
layout of that repository.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.inputs.fetch import Note, cache_folder, fetch_file
from birthmark.inputs.lexicons import Lexicon, load_lexicon
from birthmark.scoring.table import ScoreTable, read_scores

REPOSITORY = "brchristian/reward_models_inherit_value_biases_from_pretraining"
COMMIT = "5d8d2e9d879bf0060c791b11300f0efda42c9bcf"
PREDECESSOR = "brchristian/reward_model_optimal_pessimal_tokens"
PREDECESSOR_COMMIT = "e82618bb58d96508eb2ad14908c6e8b204bb1ef1"

TOP_TOKENS = "table_a7_shared_vocab_greatest.csv"
TOP_TOKENS_SHA256 = "4aacb162c0ae52d2a2d43847489b23ae48502e6f7c741d103dc6ea6ca681ffb4"

Corpus = Literal["dict_big2_nouns", "dict_MFD_20"]
SCORES = Path("data/reward_model_scores")
TRAINING = Path("data/reward_model_training")
CORPORA = Path("data/corpora")
LOGPROBS = Path("data/logprobs")
LEXICON_FILES: Mapping[Corpus, str] = MappingProxyType(
    {"dict_big2_nouns": "dict_big2_nouns.csv", "dict_MFD_20": "moral-foundations-dictionary-20.dicx"}
)
LEXICON_NAMES: Mapping[Corpus, str] = MappingProxyType({"dict_big2_nouns": "big-two-nouns", "dict_MFD_20": "mfd2"})


@cache
def published_checksums() -> Mapping[str, str]:
    """Path in the authors' repository → SHA-256, for the files that a replication reads."""
    lines = files("birthmark.paper").joinpath("checksums.txt").read_text(encoding="utf-8").splitlines()
    return MappingProxyType({path: digest for digest, _, path in (line.partition("  ") for line in lines)})


@dataclass(frozen=True)
class StudyData:
    """The study's files under `root`. A missing file is None if the other claims can be judged without it.

    `fetched`: whether the files were fetched into the cache from the pinned commit.
    """

    root: Path
    top_tokens: Path | None
    fetched: bool = False

    def path(self, relative: Path | str) -> Path | None:
        """A file by its path in the repository, or None if it is missing."""
        path = self.root / relative
        return path if path.is_file() else None

    def score_files(self, corpus: Corpus) -> list[Path]:
        """The reward models' score files for one lexicon, sorted by name. Raises `BirthmarkError` if there are none."""
        folder = self.root / SCORES / corpus
        found = sorted(folder.glob("*.csv"))
        if not found:
            raise BirthmarkError(f"{folder} has no score CSV: put the study's files there")
        return found

    @cached_property
    def big_two_tables(self) -> list[ScoreTable]:
        return [read_scores(path) for path in self.score_files("dict_big2_nouns")]

    @cached_property
    def mfd2_tables(self) -> list[ScoreTable]:
        return [read_scores(path) for path in self.score_files("dict_MFD_20")]

    def tables(self, corpus: Corpus) -> list[ScoreTable]:
        """The score tables of one lexicon, read once."""
        return self.big_two_tables if corpus == "dict_big2_nouns" else self.mfd2_tables

    def lexicon_file(self, corpus: Corpus) -> Path:
        """The lexicon file of a folder of scores. Raises `BirthmarkError` if it is missing."""
        path = self.path(CORPORA / LEXICON_FILES[corpus])
        if path is None:
            raise BirthmarkError(
                f"{self.root / CORPORA / LEXICON_FILES[corpus]} is missing: put the study's file there"
            )
        return path

    def lexicon(self, corpus: Corpus) -> Lexicon:
        """The lexicon of a folder of scores, under its catalog name."""
        lexicon = load_lexicon(self.lexicon_file(corpus))
        return Lexicon(
            LEXICON_NAMES[corpus], lexicon.entries, True, lexicon.citation, lexicon.licence, source=lexicon.source
        )

    @cached_property
    def digests(self) -> dict[str, str]:
        """Path in the repository → SHA-256, for all present files that a replication reads."""
        present = {path for path in published_checksums() if self.path(path)}
        for folder in (*(SCORES / corpus for corpus in LEXICON_FILES), TRAINING, LOGPROBS):
            present |= {str(folder / path.name) for path in (self.root / folder).glob("*.*") if path.is_file()}
        found = {path: sha256_of(self.root / path) for path in sorted(present)}
        return found if self.top_tokens is None else found | {TOP_TOKENS: sha256_of(self.top_tokens)}

    @cached_property
    def not_as_published(self) -> list[str]:
        """The present files whose bytes differ from the pinned commit."""
        published = published_checksums()
        return [path for path, digest in self.digests.items() if path in published and digest != published[path]]


def study_data(data: Path | None, note: Note | None = None) -> StudyData:
    """The study's files in `data`, a clone of the authors' repository (or its `data` folder). If None, they are fetched.

    One claim needs the predecessor study's table of top tokens, which is searched for in `data`, next to it and in the cache.

    Raises `BirthmarkError` if `data` is not a folder with the study's files, or a file cannot be fetched or has the wrong
    checksum.
    """
    if data is None:
        return StudyData(_fetch_study(note), _fetch_top_tokens(note), fetched=True)
    if not data.is_dir():
        raise BirthmarkError(f"{data} is not a folder: give a clone of github.com/{REPOSITORY}, or omit --data")
    if data.resolve().name == SCORES.parts[0] and (data / SCORES.name).is_dir():
        data = data.resolve().parent
    if not (data / SCORES).is_dir():
        raise BirthmarkError(f"{data} has no folder {SCORES}: give a clone of github.com/{REPOSITORY}, or omit --data")
    return StudyData(data, _find_top_tokens(data))


def _fetch_study(note: Note | None) -> Path:
    """Fetch every published file into the cache, in the repository's layout."""
    root = cache_folder() / f"study-{COMMIT[:8]}"
    for path, digest in published_checksums().items():
        target = root / path
        if target.is_file() and sha256_of(target) == digest:
            continue
        url = f"https://raw.githubusercontent.com/{REPOSITORY}/{COMMIT}/{path}"
        fetched = fetch_file(url, digest, path.replace("/", "--"), note)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(fetched, target)
    return root


def _fetch_top_tokens(note: Note | None) -> Path:
    url = f"https://raw.githubusercontent.com/{PREDECESSOR}/{PREDECESSOR_COMMIT}/tables/output/{TOP_TOKENS}"
    return fetch_file(url, TOP_TOKENS_SHA256, TOP_TOKENS, note)


def _find_top_tokens(data: Path) -> Path | None:
    """The predecessor's table in `data`, in a clone of its repository next to it, or in the cache."""
    around = data.absolute()
    places = [
        around,
        around / "tables" / "output",
        around.parent / "predecessor-data",
        around.parent / PREDECESSOR.rpartition("/")[2] / "tables" / "output",
        cache_folder() / "downloads",
    ]
    return next((place / TOP_TOKENS for place in places if (place / TOP_TOKENS).is_file()), None)
