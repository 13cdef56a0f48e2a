"""Names to folders, folders to models with every weight proven, and everything that a folder can have wrong."""

import contextlib
import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import huggingface_hub
import pytest
import torch
from huggingface_hub import errors
from huggingface_hub.utils import filter_repo_objects
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    PreTrainedModel,
)

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import load_catalog
from birthmark.models import hub
from birthmark.models.weights import ResolvedModel, load_model, load_tokenizer, read_template, resolve
from tiny_gguf import write_gguf
from tiny_models import write_tiny_model

IDS = torch.arange(5, 45)[None]


@pytest.fixture(autouse=True)
def cache(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own for every test but those of real models, which are made once."""
    if not request.node.get_closest_marker("real_model"):
        monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[Path], Path]:
    """A copy of a model's folder that a test may harm."""

    def copied(source: Path, name: str = "model") -> Path:
        return Path(shutil.copytree(source, tmp_path / name))

    return copied


def change(path: Path, **keys: object) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({k: v for k, v in (document | keys).items() if v is not None}), encoding="utf-8")


def refused(name: str | Path, *words: str, **options: object) -> None:
    with pytest.raises(BirthmarkError) as caught:
        resolve(name, quiet=True, **options)
    message = str(caught.value)
    assert all(word in message for word in words) and "\n" not in message, message


# --------------------------------------------------------------------------------------------------- local folders


def test_a_folder_with_a_causal_lm_is_a_logprob_model(tiny_lm):
    found = resolve(tiny_lm)
    assert (found.kind, found.path, found.adapter, found.entry, found.revision) == (
        "logprob",
        tiny_lm,
        None,
        None,
        None,
    )


def test_a_folder_with_a_sequence_classifier_is_a_reward_model(tiny_rm):
    assert resolve(tiny_rm).kind == "reward"


def test_kind_family_base_checkpoint_are_what_a_person_says(tiny_rm):
    found = resolve(tiny_rm, kind="logprob", family="Llama", base_checkpoint="Llama-3.2-3B-Instruct")
    assert (found.kind, found.family, found.base_checkpoint) == ("logprob", "Llama", "Llama-3.2-3B-Instruct")


def test_a_folders_name_is_its_absolute_path_and_finds_it_again(tiny_lm, monkeypatch):
    monkeypatch.chdir(tiny_lm.parent)
    found = resolve("./" + tiny_lm.name)
    assert found.name == str(tiny_lm) and resolve(found.name) == found


def test_a_folders_slug_is_its_name_and_eight_hex_of_its_weights_digest(tiny_lm):
    found = resolve(tiny_lm)
    assert found.slug == f"tiny-lm-{found.digests.weights[:8]}"


def test_the_path_is_loaded_offline_by_transformers_alone(tiny_rm):
    path = resolve(tiny_rm).path
    assert AutoTokenizer.from_pretrained(path).chat_template
    AutoModelForSequenceClassification.from_pretrained(path)


def test_family_and_base_come_from_the_catalog_where_the_config_names_the_origin(copy, tiny_rm):
    folder = copy(tiny_rm)
    change(folder / "config.json", _name_or_path="meta-llama/Llama-3.2-3B-Instruct")
    found = resolve(folder)
    assert (found.family, found.base_checkpoint) == ("Llama", "Llama-3.2-3B-Instruct")


def test_a_folder_with_a_gguf_is_converted_and_keeps_its_own_name(tiny_lm, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    write_gguf(folder / "mine.gguf", tiny_lm)
    found = resolve(folder, quiet=True)
    assert found.name == str(folder) and found.slug.startswith("mine-") and found.path != folder
    assert torch.equal(logits(load_model(found)), logits(AutoModelForCausalLM.from_pretrained(tiny_lm)))


# --------------------------------------------------------------------------------------------------------- digests


def test_digests_are_the_same_for_a_copy_and_change_with_each_part(copy, tiny_lm):
    original, folder = resolve(tiny_lm).digests, copy(tiny_lm)
    assert resolve(folder).digests == original
    for part, file in (("template", "chat_template.jinja"), ("tokenizer", "tokenizer.json")):
        (folder / file).write_text((folder / file).read_text(encoding="utf-8") + "\n", encoding="utf-8")
        assert getattr(resolve(folder).digests, part) != getattr(original, part)


def test_a_changed_weight_changes_the_digest_even_under_the_same_size_and_time(copy, tiny_lm):
    folder = copy(tiny_lm)
    before, file = resolve(folder).digests, folder / "model.safetensors"
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = resolve(folder).digests
    assert after.weights != before.weights and after.tokenizer == before.tokenizer


def test_large_files_are_hashed_once(tiny_lm, monkeypatch):
    from birthmark.models import digests

    first = resolve(tiny_lm).digests
    monkeypatch.setattr(digests, "sha256_of", lambda path: pytest.fail(f"{path} was hashed again"))
    assert resolve(tiny_lm).digests == first


# ------------------------------------------------------------------------------------------------------- templates


def test_a_template_that_a_person_gives_is_in_effect_and_digested(tiny_base, tmp_path):
    own = tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    bare, found = resolve(tiny_base), resolve(tiny_base, chat_template=own)
    assert bare.chat_template is None and bare.digests.template is None
    assert found.digests.template and found.digests.weights == bare.digests.weights
    assert load_tokenizer(found).apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hi"


def test_a_template_that_is_not_there_is_an_error(tiny_base):
    refused(tiny_base, "no-such.jinja", "`plain`", chat_template="no-such.jinja")


TALK = [{"role": "user", "content": "Best thing?"}, {"role": "assistant", "content": " Love "}]


def test_the_plain_template_keeps_messages_as_they_are_and_ends_the_answer(tiny_base):
    tokenizer = load_tokenizer(resolve(tiny_base, chat_template="plain"))
    text = tokenizer.apply_chat_template(TALK, tokenize=False)
    assert text == "User: Best thing?\n\nAssistant:  Love <eos>"


def test_the_plain_templates_opened_turn_is_a_prefix_of_the_answered_one(tiny_base):
    tokenizer = load_tokenizer(resolve(tiny_base, chat_template="plain"))
    opened = tokenizer.apply_chat_template(TALK[:1], tokenize=False, add_generation_prompt=True)
    assert opened == "User: Best thing?\n\nAssistant:"
    assert tokenizer.apply_chat_template(TALK, tokenize=False).startswith(opened)


def test_the_plain_template_takes_a_system_message_and_several_turns(tiny_base):
    tokenizer = load_tokenizer(resolve(tiny_base, chat_template="plain"))
    text = tokenizer.apply_chat_template([{"role": "system", "content": "Be brief."}, *TALK, *TALK[:1]], tokenize=False)
    assert text == "Be brief.\n\nUser: Best thing?\n\nAssistant:  Love <eos>\n\nUser: Best thing?"


def test_the_plain_template_writes_no_bos_and_no_date():
    text = read_template("plain").split("-#}")[1]
    assert "bos" not in text and "strftime" not in text and "date" not in text


# --------------------------------------------------------------------------------------------------------- loading


def logits(model: torch.nn.Module, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        return model(ids).logits


def test_a_model_loads_in_eval_mode_and_the_asked_precision(tiny_lm):
    model = load_model(resolve(tiny_lm), dtype="bfloat16", attention="eager")
    assert not model.training and model.dtype == torch.bfloat16 and model.config._attn_implementation == "eager"


def test_a_loaded_model_computes_what_transformers_does(tiny_rm):
    expected = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    assert torch.equal(logits(load_model(resolve(tiny_rm))), logits(expected))


def test_a_language_model_asked_for_as_a_reward_model_names_the_weight_that_would_be_random(tiny_lm):
    folder_without_labels = resolve(tiny_lm, kind="reward")
    with pytest.raises(BirthmarkError, match=r"score\.weight.*left random"):
        load_model(folder_without_labels)


@pytest.mark.parametrize("lost", ["score.weight", "model.layers.1.mlp.up_proj.weight", "model.norm.weight"])
def test_a_missing_weight_is_an_error_that_names_it(copy, tiny_rm, lost):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors")
    del tensors[lost]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match=lost):
        load_model(resolve(folder))


def test_a_weight_without_a_place_is_an_error_that_names_it(copy, tiny_rm):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors") | {"gating.weight": torch.ones(2, 2)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match=r"gating\.weight"):
        load_model(resolve(folder))


def test_a_weight_of_another_shape_is_an_error(copy, tiny_rm):
    folder = copy(tiny_rm)
    tensors = load_file(folder / "model.safetensors") | {"score.weight": torch.ones(1, 7)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError):
        load_model(resolve(folder))


def test_a_truncated_weights_file_is_an_error_in_one_line(copy, tiny_rm):
    folder = copy(tiny_rm)
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(BirthmarkError, match="cannot be loaded") as caught:
        load_model(resolve(folder))
    assert "\n" not in str(caught.value)


def test_a_head_with_several_outputs_is_refused(tmp_path):
    folder = write_tiny_model(tmp_path / "five", reward=True, outputs=5)
    with pytest.raises(BirthmarkError, match="5 outputs"):
        load_model(resolve(folder))


def test_gemma_2_gets_the_attention_that_caps_its_logits_without_being_asked(tiny_lm, tmp_path):
    config = Gemma2Config(
        vocab_size=700, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, head_dim=8,
    )  # fmt: skip
    Gemma2ForCausalLM(config).save_pretrained(tmp_path / "gemma2")
    AutoTokenizer.from_pretrained(tiny_lm).save_pretrained(tmp_path / "gemma2")
    assert load_model(resolve(tmp_path / "gemma2")).config._attn_implementation == "eager"
    assert load_model(resolve(tiny_lm)).config._attn_implementation == "sdpa"


def test_a_head_that_the_catalog_names_and_the_files_do_not_show_is_refused(tiny_rm, monkeypatch):
    monkeypatch.setattr("birthmark.models.weights.fetch_snapshot", lambda *_, **__: tiny_rm)
    with pytest.raises(BirthmarkError, match="armorm"):
        load_model(resolve("armorm-llama3-8b", quiet=True))


def test_a_broken_tokenizer_is_an_error_in_one_line(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(BirthmarkError, match="tokenizer") as caught:
        load_tokenizer(resolve(folder))
    assert "\n" not in str(caught.value)


# -------------------------------------------------------------------------------------------------------- adapters


@pytest.fixture(scope="module")
def reward_adapter(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """LoRA on the tiny language model with a reward head trained in full, all of it random."""
    torch.manual_seed(7)
    base = AutoModelForSequenceClassification.from_pretrained(tiny_lm, num_labels=1)
    lora = LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["q_proj", "v_proj"])
    return save_random_adapter(base, lora, tmp_path_factory.mktemp("adapters") / "tiny-adapter")


@contextlib.contextmanager
def peft_asks_by_an_old_name() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
        yield


def save_random_adapter(base: PreTrainedModel, lora: LoraConfig, folder: Path) -> Path:
    with peft_asks_by_an_old_name():
        adapted = get_peft_model(base, lora)
    for name, parameter in adapted.named_parameters():
        if "lora_" in name or "modules_to_save" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.save_pretrained(folder)
    return folder


def by_peft(adapter: Path, base: Path, dtype: torch.dtype = torch.float32) -> PeftModel:
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=dtype)
    with peft_asks_by_an_old_name():
        return PeftModel.from_pretrained(model, adapter).eval()


def test_an_adapter_stands_on_its_base(reward_adapter, tiny_lm):
    found = resolve(reward_adapter)
    assert (found.path, found.adapter, found.kind) == (tiny_lm, reward_adapter, "reward")
    base = resolve(tiny_lm)
    assert found.digests.weights == base.digests.weights and found.digests.adapter is not None
    assert found.slug == f"tiny-adapter-{found.digests.adapter[:8]}" and found.chat_template == base.chat_template


def test_an_adapted_model_computes_what_peft_does(reward_adapter, tiny_lm):
    ours = logits(load_model(resolve(reward_adapter)))
    assert ours.shape == (1, 1)
    torch.testing.assert_close(ours, logits(by_peft(reward_adapter, tiny_lm)), atol=1e-4, rtol=1e-4)


def test_in_half_precision_an_adapter_is_not_rounded_away(reward_adapter, tiny_lm):
    ours = load_model(resolve(reward_adapter), dtype="bfloat16")
    assert torch.equal(logits(ours), logits(by_peft(reward_adapter, tiny_lm, torch.bfloat16)))
    assert isinstance(ours.score, torch.nn.Linear)


def test_an_adapter_of_a_language_model_is_a_logprob_model(tiny_lm, tmp_path):
    base = AutoModelForCausalLM.from_pretrained(tiny_lm)
    lora = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"])
    found = resolve(save_random_adapter(base, lora, tmp_path / "lm-adapter"))
    assert found.kind == "logprob"
    assert not torch.equal(logits(load_model(found)), logits(AutoModelForCausalLM.from_pretrained(tiny_lm)))


def test_an_adapter_with_another_tensor_missing_or_left_over_is_refused(copy, reward_adapter):
    folder = copy(reward_adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    lost = next(name for name in tensors if "lora_B" in name)
    for changed in (
        {name: tensor for name, tensor in tensors.items() if name != lost},
        tensors | {"base_model.model.model.layers.9.self_attn.q_proj.lora_A.weight": torch.ones(4, 32)},
    ):
        save_file(changed, folder / "adapter_model.safetensors", metadata={"format": "pt"})
        with pytest.raises(BirthmarkError, match="lora_"):
            load_model(resolve(folder))


def test_an_adapter_without_its_reward_head_names_the_weight_that_would_be_random(copy, reward_adapter):
    folder = copy(reward_adapter)
    tensors = load_file(folder / "adapter_model.safetensors")
    without = {name: tensor for name, tensor in tensors.items() if "score" not in name}
    save_file(without, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match="outputs|score"):
        load_model(resolve(folder))


def test_an_adapters_pickle_is_refused(copy, reward_adapter):
    folder = copy(reward_adapter)
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    refused(folder, "adapter_model.bin", "can run code")


def test_an_adapter_whose_base_is_unknown_or_unnamed_is_refused(copy, reward_adapter):
    folder = copy(reward_adapter)
    change(folder / "adapter_config.json", base_model_name_or_path="gemma-3-27om")
    refused(folder, "base of the adapter", "did you mean gemma-3-270m")
    change(folder / "adapter_config.json", base_model_name_or_path=None)
    refused(folder, "does not name the base")


# ----------------------------------------------------------------------------------------------------- bad folders


def test_an_unknown_name_gets_the_nearest_names():
    refused("gemma-3-27om", "gemma-3-27om", "did you mean gemma-3-270m")


def test_a_name_like_no_other_says_where_the_known_ones_are():
    refused("./nowhere", "./nowhere", "models list")


def test_a_folder_without_weights_is_refused(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "model.safetensors").unlink()
    refused(folder, str(folder), "no weights")


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "weights.pth"])
def test_a_checkpoint_of_pickles_alone_is_refused_with_the_way_to_convert_it(copy, tiny_lm, file):
    folder = copy(tiny_lm)
    (folder / "model.safetensors").unlink()
    (folder / file).write_bytes(b"\x80\x04.")
    refused(folder, file, "save_pretrained", "safetensors")


def test_a_pickle_beside_safetensors_is_ignored(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle")
    load_model(resolve(folder))


def test_a_folder_without_tokenizer_is_refused(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "tokenizer.json").unlink()
    refused(folder, "no tokenizer")


def test_a_folder_without_config_is_refused(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "config.json").unlink()
    refused(folder, "config.json is missing")


def test_a_config_that_is_not_json_is_refused(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "config.json").write_text("{")
    refused(folder, "config.json cannot be read as JSON")


def test_a_missing_shard_is_refused_by_name(copy, tiny_lm):
    folder = copy(tiny_lm)
    weight_map = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    refused(folder, "model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model_type": "internlm2", "architectures": ["InternLM2ForRewardModel"]}, ["'internlm2'", "nobody's code"]),
        ({"architectures": ["LlamaForRewardModelWithGating"]}, ["LlamaForRewardModelWithGating", "nobody's code"]),
    ],
)
def test_a_model_that_needs_code_of_its_own_is_refused(copy, tiny_rm, keys, words):
    folder = copy(tiny_rm)
    change(folder / "config.json", auto_map={"AutoModel": "modeling.Model"}, **keys)
    refused(folder, *words)


def test_an_auto_map_beside_a_class_that_transformers_has_is_ignored_and_its_code_not_run(copy, tiny_rm):
    folder = copy(tiny_rm)
    change(folder / "config.json", auto_map={"AutoModelForSequenceClassification": "modeling.Model"})
    (folder / "modeling.py").write_text("raise SystemExit('foreign code was run')")
    expected = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    assert torch.equal(logits(load_model(resolve(folder))), logits(expected))


def test_a_tokenizer_that_is_code_of_its_own_is_refused_without_asking(copy, tiny_rm):
    folder = copy(tiny_rm)
    change(
        folder / "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map={"AutoTokenizer": ["own.Own", None]}
    )
    refused(folder, "OwnTokenizer", "nobody's code")


def test_a_config_that_names_no_class_asks_for_the_kind(copy, tiny_lm):
    folder = copy(tiny_lm)
    change(folder / "config.json", architectures=None)
    refused(folder, "--as")
    assert resolve(folder, kind="logprob").kind == "logprob"


# --------------------------------------------------------------------------------------------- the hub and catalog


@pytest.fixture
def snapshots(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tiny_rm: Path) -> list[dict[str, object]]:
    """A hub that has the tiny reward model under every name, at a commit; and what was asked of it."""
    asked: list[dict[str, object]] = []
    snapshot = shutil.copytree(tiny_rm, tmp_path / "snapshots" / ("c" * 40))

    def download(hub_id: str, **options: object) -> str:
        asked.append({"hub_id": hub_id, **options})
        return str(snapshot)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return asked


def test_a_hub_id_is_fetched_and_its_commit_kept(snapshots):
    found = resolve("someone/their-rm", quiet=True)
    assert (found.name, found.slug, found.revision) == ("someone/their-rm", "someone--their-rm", "c" * 40)
    assert snapshots[0]["hub_id"] == "someone/their-rm" and snapshots[0]["revision"] is None


def test_a_catalog_name_is_fetched_at_its_pinned_revision_with_the_catalogs_facts(snapshots):
    found = resolve("qrm-llama3.1-8b", quiet=True)
    assert snapshots[0]["hub_id"] == "nicolinho/QRM-Llama3.1-8B"
    assert snapshots[0]["revision"] == "74280eebb9580bfecff5d0b2edb81f7d6186a204"
    assert (found.slug, found.family, found.base_checkpoint) == ("qrm-llama3.1-8b", "Llama", "Llama-3.1-8B-Instruct")


def test_a_hub_id_of_the_catalog_is_the_catalogs_model(snapshots):
    assert resolve("nicolinho/QRM-Llama3.1-8B", quiet=True).name == "qrm-llama3.1-8b"


def test_a_persons_revision_goes_before_the_catalogs(snapshots):
    resolve("qrm-llama3.1-8b", revision="v2", quiet=True)
    assert snapshots[0]["revision"] == "v2"


def test_an_own_catalog_names_own_models(snapshots, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[models."mine"]\nhub = "me/mine"\nkind = "reward"\nfamily = "Qwen"\n')
    found = resolve("mine", catalog=own, quiet=True)
    assert (found.name, found.family, snapshots[0]["hub_id"]) == ("mine", "Qwen", "me/mine")


def test_a_catalog_entry_that_cannot_be_loaded_says_why(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[models."mine"]\nhub = "me/mine"\nkind = "reward"\nloadable = false\nwhy = "only a pickle"\n')
    refused("mine", "only a pickle", catalog=own)


def test_only_data_is_asked_of_the_hub(snapshots):
    resolve("someone/their-rm", quiet=True)
    files = [
        "model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "tokenizer.model",
        "pytorch_model.bin", "modeling_custom.py", "model.pt", "original/consolidated.00.pth", "original/params.json",
        "consolidated.safetensors", "README.md", "model.gguf", "training_args.bin",
    ]  # fmt: skip
    options = snapshots[0]
    kept = filter_repo_objects(
        files, allow_patterns=options["allow_patterns"], ignore_patterns=options["ignore_patterns"]
    )
    assert list(kept) == files[:5]


RESPONSE = httpx.Response(403, request=httpx.Request("GET", "https://huggingface.co"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (errors.GatedRepoError("gated", response=RESPONSE), ["gated", "hf auth login", "HF_TOKEN"]),
        (errors.RepositoryNotFoundError("404", response=RESPONSE), ["not on the hub", "hf auth login"]),
        (errors.RevisionNotFoundError("404", response=RESPONSE), ["no revision v9"]),
        (errors.LocalEntryNotFoundError("offline"), ["cannot be reached"]),
        (errors.OfflineModeIsEnabled("offline"), ["cannot be"]),
        (errors.HfHubHTTPError("500\nserver", response=RESPONSE), ["cannot be fetched", "500"]),
    ],
)
def test_what_the_hub_refuses_is_one_line_that_says_what_to_do(monkeypatch, error, words):
    def download(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    refused("someone/their-rm", "someone/their-rm", *words, revision="v9")


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["config.json", "pytorch_model.bin"], ["pytorch_model.bin", "can run code", "save_pretrained"]),
        (["README.md", "model-Q4.gguf"], ["model-Q4.gguf", "folder"]),
        (["README.md", "training_args.bin"], ["no weights in safetensors"]),
    ],
)
def test_a_hub_model_without_safetensors_is_refused(snapshots, tmp_path, monkeypatch, files, words):
    (tmp_path / "snapshots" / ("c" * 40) / "model.safetensors").unlink()
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *_, **__: files)
    refused("someone/their-rm", "someone/their-rm", *words)


def test_trust_remote_code_appears_nowhere_in_the_package():
    package = Path(hub.__file__).parents[1]
    assert not [path for path in package.rglob("*.py") if "trust_remote_code" in path.read_text(encoding="utf-8")]


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("name", "family", "base"),
    [
        ("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M-Instruct"),
        ("gemma-3-270m", "Gemma", "gemma-3-270m"),
    ],
)
def test_an_embedded_model_is_resolved_by_name(name, family, base):
    found: ResolvedModel = resolve(name, quiet=True)
    assert (found.name, found.slug, found.kind, found.family, found.base_checkpoint) == (
        name, name, "logprob", family, base,
    )  # fmt: skip
    assert bool(found.chat_template) == (load_catalog()[name].stage == "instruct")
    assert set(found.path.iterdir()) >= {found.path / "config.json", found.path / "model.safetensors"}
