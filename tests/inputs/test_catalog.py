"""The bundled catalog's facts against the published study's own files, and a person's catalog on top of it."""

from pathlib import Path

import pytest
import yaml

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import find_entry, load_catalog, load_set, load_sets
from birthmark.inputs.text import suggest

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
    with pytest.raises(BirthmarkError, match="line 1: not UTF-8"):
        load_catalog(tmp_path / "latin.toml")


def test_the_study_set_is_the_ten_reward_models_smallest_first():
    study = load_set("study")
    assert set(study) == STUDY_RMS and len(study) == 10
    sizes = [CATALOG[name].parameters for name in study]
    assert sizes[0] == min(sizes) and sizes[-1] == max(sizes)


def test_every_member_of_a_bundled_set_can_be_loaded():
    assert all(CATALOG[member].loadable for members in load_sets().values() for member in members)


def test_an_unknown_set_lists_the_known_ones():
    with pytest.raises(BirthmarkError, match="no set of models is called stduy: write one of skywork-v2, study"):
        load_set("stduy")


def test_an_own_catalog_adds_a_set_of_bundled_and_own_models(tmp_path):
    path = write(
        tmp_path, '[models."my-rm"]\nkind = "reward"\nhub = "me/rm"\n\n[sets]\nmine = ["my-rm", "grm-gemma2-2b"]\n'
    )
    assert load_set("mine", path) == ("my-rm", "grm-gemma2-2b")
    assert load_set("study", path) == load_set("study")


def test_an_own_catalog_may_hold_sets_only(tmp_path):
    assert load_set("two", write(tmp_path, '[sets]\ntwo = ["gemma-3-270m", "grm-gemma2-2b"]\n')) == (
        "gemma-3-270m",
        "grm-gemma2-2b",
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[sets]\nmine = ["grm-gemma2-2c"]', ["mine", "grm-gemma2-2c", "did you mean grm-gemma2-2b"]),
        ("[sets]\nmine = []", ["mine", "list of models' names"]),
        ('[sets]\nmine = "grm-gemma2-2b"', ["mine", "list of models' names"]),
        ('sets = ["grm-gemma2-2b"]', ["[sets] is a table"]),
    ],
)
def test_a_malformed_set_is_one_line(tmp_path, text, words):
    with pytest.raises(BirthmarkError) as caught:
        load_sets(write(tmp_path, text))
    assert all(word in str(caught.value) for word in words) and "\n" not in str(caught.value)


def test_a_folder_of_an_own_entry_is_relative_to_the_catalog(tmp_path):
    catalog = load_catalog(write(tmp_path, '[models."grm-gemma2-2b"]\npath = "models/grm"\n'))
    assert catalog["grm-gemma2-2b"].path == str(tmp_path.resolve() / "models/grm")
    assert catalog["grm-gemma2-2b"].head == "linear"


def test_a_parent_is_an_entry_of_the_same_family():
    for name, entry in CATALOG.items():
        parent = find_entry(CATALOG, entry.parent or "")
        if parent is not None:
            assert parent.family == entry.family, name
        else:
            assert entry.parent is None or not entry.loadable, name


def test_the_ancestry_of_each_study_model_ends_at_a_pretrained_model():
    for name in STUDY_RMS:
        base = find_entry(CATALOG, CATALOG[name].base_checkpoint)
        assert base is not None and base.stage == "instruct"
        pretrained = find_entry(CATALOG, base.parent or "")
        assert pretrained is not None and pretrained.stage == "pretrained"


def test_an_entry_that_cannot_be_loaded_says_why_and_the_others_do_not():
    assert all((entry.why is None) == entry.loadable for entry in CATALOG.values())


def test_names_and_hub_ids_are_each_used_once():
    hubs = [entry.hub.casefold() for entry in CATALOG.values() if entry.hub]
    assert len(set(hubs)) == len(hubs)
    assert all(name == name.casefold() for name in CATALOG)


def test_reward_models_are_run_with_the_attention_and_dtype_that_the_catalog_names():
    for name, entry in CATALOG.items():
        if entry.loadable:
            assert entry.dtype and entry.attention and entry.parameters and entry.family, name


def test_all_sizes_of_the_newer_skywork_series_are_there():
    series = {name for name in CATALOG if name.startswith("skywork-reward-v2-")}
    assert len(series) == 8 and series == set(load_set("skywork-v2"))


def test_a_counted_number_of_parameters_of_qwen_3_is_the_architectures():
    """Qwen3 8B: 36 layers of 4,096 with 32 and 8 heads of 128, and norms of queries and keys; the embedding is not tied."""
    hidden, ffn, head, heads, kv, vocabulary = 4096, 12288, 128, 32, 8, 151936
    layer = 2 * hidden * heads * head + 2 * hidden * kv * head + 3 * hidden * ffn + 2 * hidden + 2 * head
    trunk = vocabulary * hidden + 36 * layer + hidden
    assert CATALOG["qwen3-8b"].parameters == trunk + vocabulary * hidden
    assert CATALOG["skywork-reward-v2-qwen3-8b"].parameters == trunk + hidden
