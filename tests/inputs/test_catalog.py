"""The bundled catalog's facts against the published study's own files, and a person's catalog on top of it."""

from pathlib import Path

import pytest
import yaml

from birthmark.commands.models import list_models, list_sets
from birthmark.commands.plan import plan_audit
from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import find_entry, load_catalog, load_set, load_sets
from birthmark.inputs.text import suggest
from birthmark.stats.unit_tests import family_test

CATALOG = load_catalog()
STUDY_RMS = {
    "skywork-reward-gemma-2-27b", "skywork-reward-gemma-2-27b-v0.2", "qrm-gemma-2-27b", "grm-gemma2-2b",
    "skywork-reward-llama-3.1-8b-v0.2", "qrm-llama3.1-8b", "urm-llama-3.1-8b", "grm-llama3-8b", "armorm-llama3-8b",
    "grm-llama3.2-3b",
}  # fmt: skip


LOADED = (
    "llama-3.3-nemotron-70b-reward", "llama-3.3-nemotron-70b-reward-multilingual", "llama-3.1-nemotron-70b-reward-hf",
    "llama-3-offsetbias-rm-8b", "qwen2.5-math-rm-72b", "llama-3-8b-rm-mixture", "eurus-rm-7b",
)  # fmt: skip
WANTED = (
    *LOADED, "llama-3.1-nemotron-70b-reward", "decision-tree-reward-gemma-2-27b", "decision-tree-reward-llama-3.1-8b",
    "worldpm-72b", "llama-sarm-4b", "ultrarm-13b", "beaver-7b-v1.0-reward",
    "beaver-7b-v2.0-reward", "beaver-7b-v3.0-reward", "reward-model-deberta-v3-large-v2",
    "llama-3.1-tulu-3-8b-sft-rm-rb2", "llama-3.1-tulu-3-8b-dpo-rm-rb2", "llama-3.1-tulu-3-8b-rl-rm-rb2",
    "llama-3.1-tulu-3-70b-sft-rm-rb2",
)  # fmt: skip


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
    with pytest.raises(
        BirthmarkError, match="no set of models is called stduy: write one of same-recipe, skywork-v2, study"
    ):
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


def test_what_is_to_be_confirmed_is_said_in_the_sources_alone():
    for name, entry in CATALOG.items():
        assert "[to confirm]" not in entry.model_dump_json(exclude={"sources"}), name


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


def test_one_recipe_on_two_families_can_reach_a_small_p_and_the_studys_ten_cannot():
    """Units are base checkpoints: 3 of 7 can be Llama's in 35 ways, 2 of 5 Gemma's in 10."""
    smallest = {}
    for name in ("same-recipe", "study"):
        units = sorted({(CATALOG[member].family, CATALOG[member].base_checkpoint) for member in load_set(name)})
        families = [family for family, _ in units]
        apart = [10 * (family == families[0]) + 0.1 * place for place, family in enumerate(families)]
        smallest[name] = family_test(apart, families).p_exact
    assert smallest == pytest.approx({"same-recipe": 1 / 35, "study": 1 / 10})


def test_the_models_of_one_recipe_share_team_data_and_head_and_no_base_checkpoint():
    entries = [CATALOG[name] for name in load_set("same-recipe")]
    assert {(entry.team, entry.data, entry.head, entry.template) for entry in entries} == {
        ("Skywork", "26 million pairs out of Skywork-SynPref-40M", "linear", "no system prompt (its card)")
    }
    assert len({entry.base_checkpoint for entry in entries}) == len(entries) == 7


@pytest.mark.parametrize("name", ["same-recipe", "study"])
def test_a_set_is_listed_and_an_audit_of_it_planned_by_its_name(name):
    assert [entry.name for entry in list_models(catalog_set=name)] == list(load_set(name))
    assert list_sets()[name] == list(load_set(name))
    rows = plan_audit(catalog_set=name, candidates=["love"], prompt=["best_ever_one"], device="cpu")
    assert [row["model"] for row in rows] == list(load_set(name)) and all(row["memory_bytes"] for row in rows)


@pytest.mark.parametrize("name", WANTED)
def test_a_reward_model_in_use_is_there_with_its_sources_and_loads_or_says_why_not(name):
    entry = CATALOG[name]
    assert entry.kind == "reward" and entry.hub and entry.sources and entry.family
    assert entry.loadable == (name in LOADED) and entry.revision is None


def test_what_the_benchmarks_own_papers_say_stands_in_the_catalog():
    """RewardBench 2: arXiv 2506.01937, Tables 3 and 5; the leaderboard of January 2025: RLHFlow's decision_tree page."""
    second = {
        "qrm-gemma-2-27b": 76.7, "qrm-llama3.1-8b-v2": 70.7, "llama-3.1-70b-instruct-rm-rb2": 76.1,
        "llama-3.1-8b-instruct-rm-rb2": 72.8, "llama-3.1-tulu-3-70b-sft-rm-rb2": 72.2, "llama-3.1-tulu-3-8b-rl-rm-rb2": 68.7,
        "llama-3.1-tulu-3-8b-dpo-rm-rb2": 68.7, "llama-3.1-tulu-3-8b-sft-rm-rb2": 68.2, "llama-3.1-8b-base-rm-rb2": 64.9,
    }  # fmt: skip
    assert {name: CATALOG[name].benchmarks["RewardBench 2"] for name in second} == second
    assert CATALOG["qrm-llama3.1-8b"].benchmarks == {"RewardBench": 93.1}
    places = {
        "decision-tree-reward-gemma-2-27b": "first", "decision-tree-reward-llama-3.1-8b": "third", "qrm-gemma-2-27b": "fourth",
    }  # fmt: skip
    assert all(CATALOG[name].rank == f"{place} on RewardBench, January 2025" for name, place in places.items())


def test_nemotrons_reward_is_the_first_logit_of_the_converted_models():
    nemotron = {name: entry for name, entry in CATALOG.items() if entry.team == "NVIDIA"}
    assert {name for name, entry in nemotron.items() if entry.head == "first-logit"} == {
        "llama-3.1-nemotron-70b-reward-hf", "llama-3.3-nemotron-70b-reward", "llama-3.3-nemotron-70b-reward-multilingual",
    }  # fmt: skip
    assert "llama-3.1-nemotron-70b-reward-hf" in (nemotron["llama-3.1-nemotron-70b-reward"].why or "")


def test_a_counted_number_of_parameters_of_a_two_layer_head_on_qwen_2_5_is_the_architectures():
    """Qwen2.5 72B: 80 layers of 8,192 with 8 of 64 heads' keys and values, biases on queries, keys and values."""
    hidden, ffn, kv, vocabulary = 8192, 29568, 1024, 152064
    layer = 2 * hidden * hidden + 2 * kv * hidden + hidden + 2 * kv + 3 * hidden * ffn + 2 * hidden
    trunk = vocabulary * hidden + 80 * layer + hidden
    assert CATALOG["qwen2.5-72b"].parameters == trunk + vocabulary * hidden
    assert CATALOG["qwen2.5-math-rm-72b"].parameters == trunk + hidden * hidden + hidden + hidden + 1


def test_a_counted_number_of_parameters_of_qwen_3_is_the_architectures():
    """Qwen3 8B: 36 layers of 4,096 with 32 and 8 heads of 128, and norms of queries and keys; the embedding is not tied."""
    hidden, ffn, head, heads, kv, vocabulary = 4096, 12288, 128, 32, 8, 151936
    layer = 2 * hidden * heads * head + 2 * hidden * kv * head + 3 * hidden * ffn + 2 * hidden + 2 * head
    trunk = vocabulary * hidden + 36 * layer + hidden
    assert CATALOG["qwen3-8b"].parameters == trunk + vocabulary * hidden
    assert CATALOG["skywork-reward-v2-qwen3-8b"].parameters == trunk + hidden
