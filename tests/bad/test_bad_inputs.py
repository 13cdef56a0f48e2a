"""Malformed files, a folder a reader: each gets one line that says what is wrong with it, and what to do."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import load_candidates
from birthmark.inputs.catalog import load_catalog
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.scoring.table import read_scores

HERE = Path(__file__).parent
READERS: dict[str, Callable[[Path], object]] = {
    "catalogs": load_catalog,
    "candidates": lambda path: load_candidates(str(path), [], "reward"),
    "lexicons": load_lexicon,
    "prompts": load_prompts,
    "published": read_scores,
    "score-tables": read_scores,
}
CASES = [
    (folder, file, message)
    for folder in READERS
    for file, message in tomllib.loads((HERE / folder / "messages.toml").read_text(encoding="utf-8")).items()
]


@pytest.mark.parametrize(("folder", "file", "message"), CASES, ids=[f"{folder}/{file}" for folder, file, _ in CASES])
def test_a_malformed_file_gets_its_message(folder: str, file: str, message: str) -> None:
    path = HERE / folder / file
    with pytest.raises(BirthmarkError) as caught:
        READERS[folder](path)
    said = str(caught.value)
    assert str(path.with_suffix("")) in said  # a score table is two files of one name
    assert message in said
    assert "\n" not in said


@pytest.mark.parametrize("folder", READERS)
def test_every_malformed_file_has_its_message(folder: str) -> None:
    files = {path.name for path in (HERE / folder).iterdir()} - {"messages.toml"}
    files -= {str(Path(name).with_suffix(".json")) for name in files if name.endswith(".parquet")}
    assert files == {file for of, file, _ in CASES if of == folder}
