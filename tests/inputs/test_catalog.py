"""The bundled catalog's facts against the published study's own files, and a person's catalog on top of it."""

from pathlib import Path

import pytest
import yaml

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import find_entry, load_catalog, suggest

CATALOG = load_catalog()
STUDY_RMS = {
    "skywork-reward-gemma-2-27b", "skywork-reward-gemma-2-27b-v0.2", "qrm-gemma-2-27b", "grm-gemma2-2b",
    "skywork-reward-llama-3.1-8b-v0.2", "qrm-llama3.1-8b", "urm-llama-3.1-8b", "grm-llama3-8b", "armorm-llama3-8b",
    "grm-llama3.2-3b",
}  # fmt: skip


def test_the_ten_reward_models_of_the_study_are_there():
    assert {name for name, entry in CATALOG.items() if entry.kind == "reward"} >= STUDY_RMS


def test_the_studys_reward_models_come_from_five_base_checkpoints_two_gemma_three_llama():
    bases = {(CATALOG[name].family, CATALOG[name].base_checkpoint) for name in STUDY_RMS}
    assert sorted(family for family, _ in bases) == ["Gemma", "Gemma", "Llama", "Llama", "Llama"]


@pytest.mark.parametrize("name", sorted(STUDY_RMS))
def test_a_reward_models_base_checkpoint_is_an_entry_of_its_family(name):
    base = find_entry(CATALOG, CATALOG[name].base_checkpoint)
    assert base is not None and base.kind == "logprob" and base.family == CATALOG[name].family


def test_every_language_model_of_the_study_is_there_with_its_dtype_family_and_stage(shared: Path):
    stages = {"pretrained": "pretrained", "instruction-tuned": "instruct"}
    for model in yaml.safe_load((shared / "paper-data/config/models.yaml").read_text()):
        entry = find_entry(CATALOG, model["name"])
        assert entry is not None, model["name"]
        assert entry.family.lower() == model["family"] and entry.dtype == model["dtype"]
        assert entry.stage == stages[model["type"]]


@pytest.mark.parametrize(
    ("name", "revision"),
    [
        ("qrm-gemma-2-27b", "eef8d852e886240e308a57b61d69f0e58489f0ed"),
        ("qrm-llama3.1-8b", "74280eebb9580bfecff5d0b2edb81f7d6186a204"),
        ("armorm-llama3-8b", "39aadadd6d1b66ab358f0b4ce8899624c35c7434"),
    ],
)
def test_revisions_are_those_that_the_authors_pinned(name, revision):
    assert CATALOG[name].revision == revision


def test_no_other_revision_is_guessed():
    assert sum(entry.revision is not None for entry in CATALOG.values()) == 3


def test_urm_and_grm_run_in_float16_and_the_other_reward_models_in_bfloat16():
    for name in STUDY_RMS:
        assert CATALOG[name].dtype == ("float16" if name.startswith(("urm", "grm")) else "bfloat16")


def test_gemma_2_is_run_with_the_attention_that_caps_its_logits():
    of_gemma_2 = [entry for entry in CATALOG.values() if "gemma-2-" in (entry.base_checkpoint or "")]
    assert len(of_gemma_2) >= 8 and all(entry.attention == "eager" for entry in of_gemma_2)


def test_every_entry_says_where_its_facts_are_from():
    assert all(entry.sources for entry in CATALOG.values())


def test_a_counted_number_of_parameters_is_the_architectures():
    """Llama 3 8B from its published shapes: embeddings, 32 layers, final norm; the head is 4,096 weights."""
    hidden, ffn, kv, vocabulary = 4096, 14336, 1024, 128256
    layer = 2 * hidden * hidden + 2 * kv * hidden + 3 * hidden * ffn + 2 * hidden
    trunk = vocabulary * hidden + 32 * layer + hidden
    assert CATALOG["meta-llama-3-8b-instruct"].parameters == trunk + vocabulary * hidden
    assert CATALOG["skywork-reward-llama-3.1-8b-v0.2"].parameters == trunk + hidden


def test_an_entry_is_found_by_name_base_checkpoint_and_hub_id_whatever_the_capitals():
    wanted = CATALOG["llama-3.1-8b-instruct"]
    for name in ("llama-3.1-8b-instruct", "Llama-3.1-8B-Instruct", "meta-llama/llama-3.1-8b-INSTRUCT"):
        assert find_entry(CATALOG, name) is wanted
    assert find_entry(CATALOG, "meta-llama/Llama-9") is None


def test_an_embedded_model_does_not_stand_in_for_the_hubs_full_weights():
    assert find_entry(CATALOG, "HuggingFaceTB/SmolLM2-135M-Instruct") is None


def test_a_mistyped_name_gets_the_nearest_names():
    assert suggest("gemma-3-27Om", CATALOG).startswith("did you mean gemma-3-270m")
    assert "skywork-reward-llama-3.1-8b-v0.2" in suggest("Skywork/Skywork-Reward-Llama-3.1-8B", CATALOG)
    assert suggest("zzz", CATALOG) == ""


def write(folder: Path, text: str) -> Path:
    path = folder / "my.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_an_own_catalog_adds_a_model_and_keeps_the_bundled_ones(tmp_path):
    catalog = load_catalog(write(tmp_path, '[models."my-rm"]\nhub = "me/rm"\nkind = "reward"\nfamily = "Llama"\n'))
    assert catalog["my-rm"].hub == "me/rm" and set(CATALOG) < set(catalog)


def test_an_own_entry_changes_only_the_keys_that_it_gives(tmp_path):
    catalog = load_catalog(write(tmp_path, '[models."grm-gemma2-2b"]\nrevision = "abc"\n'))
    assert catalog["grm-gemma2-2b"].revision == "abc" and catalog["grm-gemma2-2b"].family == "Gemma"
    assert CATALOG["grm-gemma2-2b"].revision is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[models", ["cannot be read as TOML"]),
        ("", ["no models"]),
        ('models = "x"', ["no models"]),
        ('[models."a"]\nhub = "b/c"', ["a", "kind", "required"]),
        ('[models."a"]\nkind = "reward"\ncolour = "red"', ["a", "colour", "unknown key"]),
        ('[models."a"]\nkind = "rewards"', ["kind", "'reward' or 'logprob'"]),
        ('[models."a"]\nkind = "reward"\nparameters = "8B"', ["parameters", "integer"]),
        ('[models."a"]\nkind = "reward"\ngated = "yes"', ["gated", "boolean"]),
        ('[model."a"]\nkind = "reward"', ["'model'", "unknown key"]),
    ],
)
def test_a_malformed_catalog_is_one_line_that_says_where(tmp_path, text, words):
    path = write(tmp_path, text)
    with pytest.raises(BirthmarkError) as caught:
        load_catalog(path)
    message = str(caught.value)
    assert str(path) in message and all(word in message for word in words) and "\n" not in message


def test_a_missing_catalog_and_one_that_is_not_utf8_are_said_so(tmp_path):
    with pytest.raises(BirthmarkError, match="does not exist"):
        load_catalog(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'[models."caf\xe9"]\nkind = "reward"\n')
    with pytest.raises(BirthmarkError, match="cannot be read as TOML"):
        load_catalog(tmp_path / "latin.toml")
