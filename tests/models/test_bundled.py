"""The two reward models that come with birthmark: what they are, where they lie, and that nobody else's catalog names one."""

import json
from importlib import resources
from pathlib import Path

import pytest

import birthmark as bm
from birthmark.commands.audit import BUNDLED, EMBEDDED, default_models
from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.inputs.catalog import load_catalog
from birthmark.models import resolve as resolving
from birthmark.scoring.declarations import options_in
from birthmark.scoring.measure import make_measure
from birthmark.scoring.options import MeasureOptions

FOLDER = Path(str(resources.files("birthmark.models"))) / "bundled"
MEGABYTES_3 = 3 * 2**20


@pytest.mark.parametrize("name", BUNDLED)
def test_an_adapter_is_small_and_says_how_it_was_made(name):
    weights = FOLDER / name / "adapter_model.safetensors"
    assert weights.stat().st_size <= MEGABYTES_3
    assert load_catalog()[name].bundled == sha256_of(weights)
    run = json.loads((FOLDER / name / "run.json").read_text(encoding="utf-8"))
    assert run["base"] == BUNDLED[name] and run["counts"]["trained"] >= 2000
    assert run["source_path"] is None  # of a machine, and nobody else's


def test_both_were_trained_on_the_same_pairs_by_the_same_recipe():
    runs = [json.loads((FOLDER / name / "run.json").read_text(encoding="utf-8")) for name in BUNDLED]
    for fact in ("data_digest", "recipe", "seed", "source_sha256"):
        assert runs[0][fact] == runs[1][fact], fact


def test_altered_weights_are_refused(tmp_path, monkeypatch):
    name = "birthmark-smollm2"
    (tmp_path / "bundled" / name).mkdir(parents=True)
    (tmp_path / "bundled" / name / "adapter_model.safetensors").write_bytes(b"other")
    monkeypatch.setattr(resolving.resources, "files", lambda package: tmp_path)
    with pytest.raises(BirthmarkError, match="not what birthmark came with"):
        bm.resolve(name)


def test_a_persons_catalog_cannot_name_one(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(f'[models."mine"]\nkind = "reward"\nbundled = "{"0" * 64}"\n', encoding="utf-8")
    with pytest.raises(BirthmarkError, match="only the bundled catalog"):
        load_catalog(own)


def test_what_an_audit_without_a_model_takes():
    measure = make_measure(**{name: of.default for name, of in options_in(MeasureOptions).items()})
    assert default_models(measure, None) == [*EMBEDDED, *BUNDLED]
    assert default_models(measure, "logprob") == [*EMBEDDED]
    assert default_models(measure, "reward") == [*BUNDLED]


def test_a_base_without_a_reward_model_is_refused(birthmark):
    answer = birthmark("audit", "--base", "gemma-3-270m")
    assert answer.code == 2 and "name the reward model too" in answer.err


@pytest.mark.real_model
@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT asks transformers by an old name
def test_it_scores_like_its_adapter_in_plain_transformers():
    import torch
    from peft import PeftModel
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = bm.resolve("birthmark-smollm2")
    question, words = "What matters most?", ["love", "freedom"]
    table = bm.score("birthmark-smollm2", prompt=[question], candidates=words).to_polars(wide=True)
    base = AutoModelForSequenceClassification.from_pretrained(found.path, num_labels=1, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, found.adapter).eval()
    tokenizer = AutoTokenizer.from_pretrained(found.path)
    tokenizer.chat_template = found.chat_template
    for word, score in zip(words, table["prompt_1"], strict=True):
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": word}]
        ids = tokenizer.apply_chat_template(messages, return_dict=True, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = model.base_model.model.model(ids).last_hidden_state[:, -1]
            reward = model.base_model.model.score(states)
        assert float(reward) == pytest.approx(score, abs=1e-4)
