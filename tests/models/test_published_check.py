"""`birthmark models check NAME --published`: own scores beside published ones that plain transformers made."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

WORDS = ("love", "freedom", "power", "care", "peace", "skill")
KEYS = ("best_ever_one", "worst_ever_one")
Run = Callable[..., Any]


@pytest.fixture(scope="module")
def scores(tiny_rm: Path) -> dict[str, dict[str, float]]:
    """word → prompt → what the model's own class gives, as the study scored: the rendered string tokenized again."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from birthmark.inputs.prompts import load_prompts

    tokenizer = AutoTokenizer.from_pretrained(tiny_rm)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    prompts = load_prompts("christian2026").prompts

    def reward(key: str, word: str) -> float:
        turns = [{"role": "user", "content": prompts[key].text}, {"role": "assistant", "content": word}]
        text = tokenizer.apply_chat_template(turns, tokenize=False)
        with torch.no_grad():
            return float(model(**tokenizer(text, return_tensors="pt")).logits[0, 0])

    return {word: {key: reward(key, word) for key in KEYS} for word in WORDS}


@pytest.fixture
def clone(scores: dict[str, dict[str, float]], tmp_path: Path) -> Callable[..., Path]:
    """A folder with the scores of the hub model owner/tiny, changed by `edit(word, prompt, score)`."""

    def make(edit: Callable[[str, str, float], float] = lambda word, key, score: score) -> Path:
        folder = tmp_path / "clone" / "data" / "reward_model_scores" / "dict_big2_nouns"
        folder.mkdir(parents=True)
        with (folder / "big2_rewards_owner_tiny.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["response", *KEYS])
            rows.writerows([word, *(edit(word, key, scores[word][key]) for key in KEYS)] for word in WORDS)
        return tmp_path / "clone"

    return make


@pytest.fixture
def catalog(tiny_rm: Path, tmp_path: Path) -> Path:
    file = tmp_path / "catalog.toml"
    file.write_text(
        f'[models."tiny"]\nhub = "owner/tiny"\npath = "{tiny_rm}"\nkind = "reward"\ndtype = "float32"\n',
        encoding="utf-8",
    )
    return file


def check(birthmark: Run, catalog: Path, place: Path, *more: str) -> Any:
    return birthmark("models", "check", "tiny", "--published", place, "--catalog", catalog, *more)


def test_own_scores_are_those_of_plain_transformers(birthmark: Run, catalog: Path, clone: Callable[..., Path]) -> None:
    ran = check(birthmark, catalog, clone(), "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    (file,) = found["files"]
    assert found["reproduced"] and found["protocol"] == "christian2026"
    assert file["spearman"] == pytest.approx(1)
    assert file["max_abs_diff"] < 1e-4
    assert (file["n_words"], file["n_prompts"], file["n_differing"]) == (len(WORDS), len(KEYS), 0)


def test_a_word_that_differs_is_named_and_scores_of_another_order_fail(
    birthmark: Run, catalog: Path, clone: Callable[..., Path]
) -> None:
    ran = check(birthmark, catalog, clone(lambda word, key, score: -score + (1.0 if word == "care" else 0.0)))
    assert ran.code == 3
    assert "care" in ran.out
    assert "do not rank words as the published ones do" in ran.err


def test_a_file_may_be_named_itself(birthmark: Run, catalog: Path, clone: Callable[..., Path]) -> None:
    (file,) = clone().rglob("*.csv")
    assert check(birthmark, catalog, file, "--quiet").code == 0


def test_a_folder_without_the_models_scores_is_one_line(birthmark: Run, catalog: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert check(birthmark, catalog, tmp_path / "empty").is_error(
        "no score file of owner/tiny", "_rewards_owner_tiny.csv"
    )


def test_a_language_model_has_no_published_rewards(birthmark: Run, tiny_lm: Path, tmp_path: Path) -> None:
    ran = birthmark("models", "check", tiny_lm, "--published", tmp_path)
    assert ran.is_error("is a language model", "name a reward model")
