"""A tokenizer is read once for models that have the same one, and whoever changes it reads its own."""

import json

import pytest

from birthmark.models.resolve import resolve
from birthmark.models.tokenizer import _read_once, load_tokenizer, read_tokenizer


@pytest.fixture(autouse=True)
def nothing_kept():
    _read_once.cache_clear()


def test_models_with_the_same_files_share_what_was_read_but_not_the_template(tiny_lm, copy):
    plain, own = resolve(tiny_lm, chat_template="plain"), resolve(copy(tiny_lm))
    first, second = load_tokenizer(plain), load_tokenizer(own)
    assert first._tokenizer is second._tokenizer
    assert (first.chat_template, second.chat_template) == (plain.chat_template, own.chat_template)
    assert first.chat_template != second.chat_template
    text = "What matters most? Love, Würde, 自由."
    assert first.encode(text) == second.encode(text) == read_tokenizer(own).encode(text)
    assert read_tokenizer(plain)._tokenizer is not first._tokenizer


def test_other_files_are_read_anew(tiny_lm, copy):
    before = load_tokenizer(resolve(tiny_lm))
    folder = copy(tiny_lm)
    path = folder / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    words = data["model"]["vocab"]
    a, b = (word for word, number in words.items() if number in (300, 301))
    words[a], words[b] = words[b], words[a]
    path.write_text(json.dumps(data), encoding="utf-8")
    after = load_tokenizer(resolve(folder))
    assert before.convert_tokens_to_ids(a) == after.convert_tokens_to_ids(b) != after.convert_tokens_to_ids(a)


def test_another_kind_of_model_in_the_config_is_read_anew(tiny_lm, copy):
    """The class of a tokenizer may be the config's."""
    folder = copy(tiny_lm)
    path = folder / "config.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert load_tokenizer(resolve(tiny_lm))._tokenizer is not load_tokenizer(resolve(folder))._tokenizer


def test_the_last_two_are_kept(tiny_lm, copy):
    folders = [copy(tiny_lm, f"model-{number}") for number in range(3)]
    for number, folder in enumerate(folders):
        (folder / "config.json").write_text((folder / "config.json").read_text() + "\n" * number)
    first, second, third = (load_tokenizer(resolve(folder))._tokenizer for folder in folders)
    assert load_tokenizer(resolve(folders[1]))._tokenizer is second
    assert load_tokenizer(resolve(folders[2]))._tokenizer is third
    assert load_tokenizer(resolve(folders[0]))._tokenizer is not first
