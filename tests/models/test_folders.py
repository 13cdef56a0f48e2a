"""What lies in a model's folder: the ways in which people save reward models give their own rewards, and what could be meant and is not read is an error or a remark that names it.

Right values are the dot product of a head with the states of transformers' decoder, or PEFT's own outputs.
"""

import json
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import numpy as np
import peft
import pytest
import torch
from head_folders import HIDDEN, change, draw, layer, load, refused, write_head
from model_folders import IDS, logits
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.inputs.fetch import cache_folder
from birthmark.models.adapters import SUPPORTED
from birthmark.models.embedded import LAYOUT, MANIFEST
from birthmark.models.folder import digest_of_files
from birthmark.models.heads.known import read_head
from birthmark.models.loading import AdapterSwap, load_model
from birthmark.models.resolve import resolve
from birthmark.models.weights import names_a_head, read_weights
from tiny_gguf import write_gguf
from tiny_models import write_tiny_model

pytestmark = pytest.mark.usefixtures("own_cache")
VALUE_HEAD = layer("v_head.summary", HIDDEN, 1)
ROW = draw(1, HIDDEN)


@pytest.fixture(autouse=True)
def peft_asks_by_an_old_name() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def write(path: Path, tensors: dict[str, torch.Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata={"format": "pt"})
    return path


def shard(folder: Path) -> list[str]:
    """Write a folder's one file of weights as two shards with an index; their names."""
    tensors = sorted(load_file(folder / "model.safetensors").items())
    (folder / "model.safetensors").unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    halves = dict(zip(names, (tensors[:5], tensors[5:]), strict=True))
    for name, half in halves.items():
        write(folder / name, dict(half))
    weight_map = {tensor: name for name, half in halves.items() for tensor, _ in half}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return names


def last_state(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.get_decoder()(input_ids=IDS).last_hidden_state[0, -1].float()


def reward(model: Any) -> float:
    return float(read_head(model)(last_state(model)[None].to(model.dtype)))


def state_of(folder: Path) -> torch.Tensor:
    return last_state(AutoModelForCausalLM.from_pretrained(folder).eval())


def random_adapter(base: Any, config: Any, folder: Path, named: Path) -> Path:
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adapted = peft.get_peft_model(base, config)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.2)
    adapted.peft_config["default"].base_model_name_or_path = str(named)
    adapted.save_pretrained(folder)
    return folder


def causal(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()


def classifier(folder: Path, dtype: torch.dtype = torch.float32) -> Any:
    return AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1, dtype=dtype).eval()


@pytest.fixture(scope="module")
def lora(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"])
    return random_adapter(causal(tiny_lm), config, tmp_path_factory.mktemp("lora") / "lora", tiny_lm)


def test_a_folder_of_models_is_refused_with_their_names(tmp_path, copy, tiny_rm):
    place = tmp_path / "trainer"
    for name in ("checkpoint-10", "final"):
        shutil.copytree(tiny_rm, place / name)
    refused(place, "no weights of its own", "checkpoint-10", "final")


# ------------------------------------------------------------------------------------------------ heads beside weights


@pytest.mark.parametrize("shards", [False, True])
def test_a_value_head_in_a_file_beside_the_weights_gives_the_reward(shards, copy, tiny_lm):
    folder = copy(tiny_lm)
    if shards:
        shard(folder)
    before = resolve(folder).digests.weights
    write(folder / "value_head.safetensors", VALUE_HEAD)
    found = resolve(folder)
    right = float(VALUE_HEAD["v_head.summary.weight"][0] @ state_of(tiny_lm) + VALUE_HEAD["v_head.summary.bias"])
    assert found.kind == "reward" and found.digests.weights != before
    assert reward(load_model(found)) == pytest.approx(right, abs=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_value_head_beside_an_adapter_reads_the_adapted_states(dtype, copy, lora, tiny_lm):
    folder = copy(lora)
    write(folder / "value_head.safetensors", VALUE_HEAD)
    found = resolve(folder)
    adapted = peft.PeftModel.from_pretrained(causal(tiny_lm, getattr(torch, dtype)), lora).eval()
    right = VALUE_HEAD["v_head.summary.weight"][0] @ last_state(adapted.get_base_model())
    assert found.kind == "reward"
    assert reward(load_model(found, dtype=dtype)) == pytest.approx(
        float(right + VALUE_HEAD["v_head.summary.bias"]), abs=1e-4
    )


@pytest.mark.parametrize("of", ["lm", "adapter"])
@pytest.mark.parametrize(
    "file",
    [
        *("value_head.bin", "v_head.pt", "regression_layer.pt", "critic.pth", "score.npz", "value_head.PT", "rm.npy"),
        *("v_head", "head.pt.zip", "pytorch_model.reward_head.bin"),
    ],
)
def test_a_head_that_is_a_pickle_is_named_with_the_way_to_convert_it(of, file, copy, tiny_lm, lora):
    folder = copy(tiny_lm if of == "lm" else lora)
    (folder / file).write_bytes(b"not a pickle")
    refused(folder, file, "can run code", "weights_only=True", "save_file")


def test_a_head_in_a_folder_of_its_own_or_under_a_trainers_name_is_not_passed_over(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "value_head").mkdir()
    write(folder / "value_head" / "model.safetensors", VALUE_HEAD)
    refused(folder, "value_head", "model.safetensors", "not read there")
    shutil.rmtree(folder / "value_head")
    write(folder / "scheduler.safetensors", VALUE_HEAD)
    refused(folder, "scheduler.safetensors", "v_head.summary")
    (folder / "scheduler.safetensors").rename(folder / "model.head.safetensors")
    assert resolve(folder).kind == "reward"


def test_the_chat_template_is_the_one_that_transformers_takes(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "default.jinja").write_text("{{ messages[0].content }}")
    for name in (None, "chat_template.jinja"):
        if name is not None:
            (folder / name).write_text("another")
        peer = AutoTokenizer.from_pretrained(folder).chat_template
        assert resolve(folder).chat_template == (peer["default"] if isinstance(peer, dict) else peer)


def test_a_model_that_fills_in_masked_words_is_told_from_a_reward_model(copy, tiny_lm):
    folder = copy(tiny_lm)
    tensors = load_file(folder / "model.safetensors")
    write(folder / "model.safetensors", tensors | {"cls.predictions.bias": draw(1, 4)[0]})
    refused(folder, "BERT", "masked words")


def test_a_revision_is_refused_where_nothing_comes_from_the_hub(tiny_lm):
    with pytest.raises(BirthmarkError, match="--revision is for a model of the hub"):
        resolve(tiny_lm, revision="main")


def test_a_pickle_beside_an_adapter_under_a_models_name_may_be_its_head(copy, lora):
    folder = copy(lora)
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle")
    refused(folder, "pytorch_model.bin", "may hold a reward head")


@pytest.mark.parametrize("of", ["lm", "adapter"])
def test_a_head_that_is_a_pickle_on_the_hub_is_not_passed_over(of, tiny_lm, lora, tmp_path, monkeypatch):
    snapshot = Path(shutil.copytree(tiny_lm if of == "lm" else lora, tmp_path / ("c" * 40)))
    asked: list[str] = []

    def model_info(hub_id: str, **_: object) -> Any:
        asked.append(hub_id)
        names = ["model.safetensors", "training_args.bin", "original/consolidated.pth", "value_head.bin"]
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in names])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))
    monkeypatch.setattr(huggingface_hub, "model_info", model_info)
    for _ in range(2):
        refused("someone/rm", "someone/rm", "value_head.bin", "can run code", "--as logprob")
    assert asked == ["someone/rm"]  # once for a commit
    assert resolve("someone/rm", kind="logprob", quiet=True).kind == "logprob"


def test_a_hub_that_was_never_asked_and_cannot_be_is_a_warning(tiny_lm, tmp_path, monkeypatch):
    snapshot = Path(shutil.copytree(tiny_lm, tmp_path / ("d" * 40)))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(snapshot))

    def model_info(hub_id: str, **_: object) -> Any:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub, "model_info", model_info)
    (said,) = resolve("someone/lm", quiet=True).remarks
    assert "someone/lm" in said and "could not be asked" in said
    listed = SimpleNamespace(siblings=[SimpleNamespace(rfilename="model.safetensors")])
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: listed)
    assert resolve("someone/lm", quiet=True).remarks == ()
    monkeypatch.setattr(huggingface_hub, "model_info", model_info)
    assert resolve("someone/lm", quiet=True).remarks == ()  # the list is kept


def test_what_trainers_leave_is_no_part_of_a_model(copy, tiny_lm):
    folder = copy(tiny_lm)
    names = ("optimizer.pt", "optimizer.bin", "training_args.bin", "rng_state.pth", "rng_state_0.pth", "scheduler.pt",
             "scaler.pt", "random_states_0.pkl")  # fmt: skip
    for name in names:
        (folder / name).write_bytes(b"not a pickle")
    found = resolve(folder)
    assert found.remarks == () and found.digests == resolve(tiny_lm).digests


def test_a_heads_tensors_in_a_further_file_beside_an_index_are_those_in_one_file(tiny_lm, tmp_path):
    head = {
        **layer("regression_layer.network.0", HIDDEN, 24), **layer("regression_layer.network.2", 24, 220),
        **layer("gating_layer.network.0", HIDDEN, 24), **layer("gating_layer.network.3", 24, 22),
    }  # fmt: skip
    config = {"architectures": ["LDLRewardModel27B"], "num_objectives": 220, "softmax": False}
    one = write_head(tiny_lm, tmp_path / "one", head, config)
    two = write_head(tiny_lm, tmp_path / "two", {}, config)
    shard(two)
    write(two / "ldl_head.safetensors", head)
    assert reward(load(two)) == pytest.approx(reward(load(one)), abs=1e-6)


@pytest.mark.parametrize("name", ["v_head_mlp1.weight", "critic_head.weight", "reward.out.weight", "classifier.weight"])
@pytest.mark.parametrize("beside", [False, True])
def test_a_tensor_whose_name_says_head_is_never_passed_over(name, beside, copy, tiny_lm):
    folder = copy(tiny_lm)
    more = {name: torch.ones(1, HIDDEN)}
    if beside:
        write(folder / "more.safetensors", more)
        refused(folder, "more.safetensors")
    else:
        write(folder / "model.safetensors", load_file(folder / "model.safetensors") | more)
        refused(folder, name, "birthmark_head")


def test_a_decoders_own_names_do_not_say_head():
    names = ["model.layers.3.mlp.gate.e_score_correction_bias", "lm_head.weight", "transformer.h.0.attn.bias"]
    assert not any(map(names_a_head, names))


# ------------------------------------------------------------------------------------------------- one linear layer


@pytest.mark.parametrize(
    ("stem", "config"),
    [
        ("value_head", {"architectures": ["RewardModel"], "value_head_prefix": "value_head"}),
        ("score", {"architectures": ["RewardModel"]}),
        ("score", {"architectures": ["RewardModel"], "birthmark_head": "linear"}),
        ("score", {"architectures": ["LlamaForSequenceClassification"], "id2label": None}),
        ("regression_head", {"architectures": ["EurusRewardModel"]}),
        ("score_head", {"architectures": ["LlamaForScore"], "score_type": "reward", "do_normalize": False}),
        ("v_head", {}),
        ("v_head", {"architectures": ["OwnModel"], "birthmark_head": "one-layer"}),
    ],
)
def test_one_linear_layer_under_the_names_that_people_give_it(stem, config, tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "rm", {f"{stem}.weight": ROW}, config, language_head=stem == "v_head")
    assert resolve(folder).kind == "reward"
    assert reward(load(folder)) == pytest.approx(float(ROW[0] @ state_of(tiny_lm)), abs=1e-4)


@pytest.mark.parametrize("wrapper", ["rwtransformer", "rwtranrsformer", "transformer"])
def test_a_decoder_within_a_reward_models_own_class_is_found(wrapper, tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "rm", {"v_head.weight": ROW}, {})
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("model.", f"{wrapper}.", 1): tensor for name, tensor in tensors.items()}
    write(folder / "model.safetensors", renamed)
    assert reward(load(folder)) == pytest.approx(float(ROW[0] @ state_of(tiny_lm)), abs=1e-4)


def test_a_config_that_normalises_rewards_is_followed(tiny_lm, tmp_path):
    config = {"architectures": ["RewardModel"], "normalize_reward": True, "mean": 0.5, "std": 2.0}
    folder = write_head(tiny_lm, tmp_path / "rm", {"value_head.weight": ROW}, config)
    assert reward(load(folder)) == pytest.approx((float(ROW[0] @ state_of(tiny_lm)) - 0.5) / 2, abs=1e-4)
    change(folder, std=0)
    refused(folder, "std")


@pytest.mark.parametrize(
    ("stem", "config", "words"),
    [
        (
            "v_head",
            {"architectures": ["AtheneForSequenceClassification"]},
            ["Athene", "appends after the conversation"],
        ),
        ("v_head", {"architectures": ["OwnModel"]}, ["OwnModel", '"birthmark_head": "one-layer"']),
        ("score_head", {"architectures": ["LlamaForScore"], "score_type": "cost"}, ["a cost"]),
        ("score_head", {"architectures": ["LlamaForScore"], "do_normalize": True}, ["do_normalize", "same ranks"]),
    ],
)
def test_a_layer_that_is_read_otherwise_is_refused(stem, config, words, tiny_lm, tmp_path):
    refused(write_head(tiny_lm, tmp_path / "rm", {f"{stem}.weight": ROW}, config), *words)


@pytest.mark.parametrize("tied", [False, True])
def test_the_first_logit_is_that_of_the_language_model(tied, copy, tiny_lm):
    folder = copy(tiny_lm)
    change(folder, birthmark_head="first-logit", tie_word_embeddings=tied)
    if tied:
        tensors = load_file(folder / "model.safetensors")
        tensors.pop("lm_head.weight")
        write(folder / "model.safetensors", tensors)
    right = float(logits(causal(folder))[0, -1, 0])
    assert resolve(folder).kind == "reward"
    assert reward(load(folder)) == pytest.approx(right, abs=1e-4)


# ----------------------------------------------------------------------------------------------- which files are read


def test_of_an_index_and_one_file_transformers_reads_the_file_and_so_do_we(copy, tiny_lm, tmp_path):
    folder = copy(tiny_lm)
    shards = shard(folder)
    other = write_tiny_model(tmp_path / "other", seed=9)
    shutil.copy(other / "model.safetensors", folder)
    found = resolve(folder)
    assert shards[0] in found.remarks[0] and found.digests.weights == resolve(other).digests.weights
    assert torch.equal(logits(load_model(found)), logits(causal(other)))
    for name in shards:
        (folder / name).unlink()
    assert "no file that it names" in resolve(folder).remarks[0]


def test_files_that_only_a_config_names_are_not_read_unseen(copy, tiny_lm, tmp_path):
    folder = copy(tiny_lm)
    other = write_tiny_model(tmp_path / "other", seed=9)
    shutil.copy(other / "model.safetensors", folder / "chosen.safetensors")
    change(folder, transformers_weights="chosen.safetensors")
    refused(folder, "chosen.safetensors", "model.safetensors")
    (folder / "model.safetensors").unlink()
    assert torch.equal(logits(load(folder)), logits(causal(other)))


def test_copies_in_other_formats_are_named_and_another_set_of_weights_is_refused(copy, tiny_lm):
    folder = copy(tiny_lm)
    for name in ("model.fp16.safetensors", "consolidated.safetensors", "other.safetensors"):
        shutil.copy(folder / "model.safetensors", folder / name)
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle")
    refused(folder, "other.safetensors", "model.safetensors")
    (folder / "other.safetensors").unlink()
    (remark,) = resolve(folder).remarks
    assert all(name in remark for name in ("model.fp16.safetensors", "consolidated.safetensors", "pytorch_model.bin"))


def test_a_copy_with_a_head_that_the_weights_lack_is_refused(copy, tiny_lm):
    folder = copy(tiny_lm)
    more = load_file(folder / "model.safetensors") | {"v_head.summary.weight": ROW}
    write(folder / "model.fp16.safetensors", more)
    refused(folder, "model.fp16.safetensors", "v_head.summary.weight")


def test_weights_under_another_name_are_read_where_they_are_the_only_ones(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "model.safetensors").rename(folder / "model.fp16.safetensors")
    assert torch.equal(logits(load(folder)), logits(causal(tiny_lm)))


def test_an_adapter_beside_full_weights_is_never_applied_unseen(copy, lora, tiny_lm):
    folder = copy(tiny_lm)
    shutil.copy(lora / "adapter_config.json", folder)
    found = resolve(folder)
    assert "adapter_config.json" in found.remarks[0]
    assert torch.equal(logits(load_model(found)), logits(causal(tiny_lm)))
    shutil.copy(lora / "adapter_model.safetensors", folder)
    refused(folder, "adapter_model.safetensors", "model.safetensors", str(tiny_lm), "merged")


def test_a_config_beside_an_adapter_changes_nothing(copy, lora, tiny_lm):
    folder = copy(lora)
    shutil.copy(tiny_lm / "config.json", folder)
    assert torch.equal(logits(load(folder)), logits(load(lora)))


def test_a_remark_stands_in_the_table(copy, tiny_lm):
    folder = copy(tiny_lm)
    shutil.copy(folder / "model.safetensors", folder / "model.fp16.safetensors")
    table = bm.score(folder, prompt=["Best?"], candidates=["love"], quiet=True, dtype="float32")
    assert any("model.fp16.safetensors" in text for text in table.record.warnings)


# ---------------------------------------------------------------------------------------------------------- adapters


_CONFIGS: dict[str, Callable[[], Any]] = {
    "ADALORA": lambda: peft.AdaLoraConfig(total_step=10),
    "BOFT": lambda: peft.BOFTConfig(boft_block_size=4),
    "FOURIERFT": lambda: peft.FourierFTConfig(n_frequency=50),
    "HRA": peft.HRAConfig,
    "IA3": lambda: peft.IA3Config(feedforward_modules=[]),
    "LN_TUNING": lambda: peft.LNTuningConfig(target_modules=["input_layernorm", "norm"]),
    "LOHA": peft.LoHaConfig,
    "LOKR": peft.LoKrConfig,
    "LORA": lambda: peft.LoraConfig(use_dora=True, use_rslora=True, r=4),
    "MISS": lambda: peft.MissConfig(r=4),
    "OFT": lambda: peft.OFTConfig(oft_block_size=8, r=0),
    "RANDLORA": lambda: peft.RandLoraConfig(r=4),
    "TRAINABLE_TOKENS": lambda: peft.TrainableTokensConfig(token_indices=[5, 9], target_modules=["embed_tokens"]),
    "VBLORA": lambda: peft.VBLoRAConfig(vector_length=16, num_vectors=8),
    "VERA": peft.VeraConfig,
}


@pytest.mark.parametrize("kind", SUPPORTED)
def test_every_kind_of_adapter_that_is_read_gives_pefts_outputs(kind, tiny_lm, tmp_path):
    config = _CONFIGS[kind]()
    config.task_type = "CAUSAL_LM"
    config.target_modules = config.target_modules or {"q_proj", "o_proj"}
    folder = random_adapter(causal(tiny_lm), config, tmp_path / "adapter", tiny_lm)
    for dtype in (torch.float32, torch.bfloat16):
        right = logits(peft.PeftModel.from_pretrained(causal(tiny_lm, dtype), folder).eval())
        ours = logits(load_model(resolve(folder), dtype=dtype))
        torch.testing.assert_close(ours, right, atol=2e-4, rtol=2e-4)
        assert not torch.allclose(right, logits(causal(tiny_lm, dtype)))


@pytest.mark.parametrize("kind", ["PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "CPT", "XLORA", "EVIL"])
def test_other_kinds_are_refused_by_name(kind, copy, lora):
    folder = copy(lora)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"peft_type": kind}))
    refused(folder, "adapter_config.json", str(kind))


@pytest.mark.parametrize(
    "more", [{"modules_to_save": ["embed_tokens"]}, {"modules_to_save": ["score"]}, {"trainable_token_indices": [5, 9]}]
)
@pytest.mark.parametrize("task", ["SEQ_CLS", None])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embeddings_tokens_and_heads_in_an_adapter(more, task, dtype, tiny_rm, tmp_path):
    config = peft.LoraConfig(task_type=task, r=4, target_modules=["q_proj"], **more)
    folder = random_adapter(classifier(tiny_rm), config, tmp_path / "adapter", tiny_rm)
    found = resolve(folder)
    assert found.kind == "reward"  # without a task by the class that `auto_mapping` names
    right = logits(peft.PeftModel.from_pretrained(classifier(tiny_rm, getattr(torch, dtype)), folder).eval())
    torch.testing.assert_close(logits(load_model(found, dtype=dtype)), right, atol=1e-4, rtol=1e-3)


def test_an_adapter_whose_base_is_an_adapter_itself_or_a_circle_is_one_line(copy, lora):
    first, second = copy(lora, "first"), copy(lora, "second")
    for folder, base in ((first, second), (second, first)):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(base)}))
    refused(first, "base of the adapter", str(second), "merge")
    path = second / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(second)}))
    refused(second, "its own base")


def test_an_adapter_of_a_language_model_on_a_base_with_a_head_asks_which_is_meant(tiny_lm, lora, copy, tmp_path):
    base = write_head(tiny_lm, tmp_path / "rm", VALUE_HEAD, {}, language_head=True)
    folder = copy(lora)
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(base)}))
    refused(folder, "--as reward")
    right = VALUE_HEAD["v_head.summary.weight"][0] @ last_state(
        peft.PeftModel.from_pretrained(causal(tiny_lm), lora).eval().get_base_model()
    )
    assert reward(load(folder, kind="reward")) == pytest.approx(
        float(right + VALUE_HEAD["v_head.summary.bias"]), abs=1e-4
    )


@pytest.mark.parametrize("config", [peft.IA3Config(feedforward_modules=[]), peft.LoraConfig(r=2, bias="all")])
def test_a_series_of_other_adapters_leaves_nothing_on_the_base(config, tiny_rm, tmp_path):
    config.task_type, config.target_modules = "SEQ_CLS", {"q_proj"}
    found = [resolve(random_adapter(classifier(tiny_rm), config, tmp_path / name, tiny_rm)) for name in ("a", "b")]
    swap = AdapterSwap()
    for each in (*found, found[0]):
        with swap.model(each, dtype="float32", device="cpu") as model:
            assert torch.equal(logits(model), logits(load_model(each)))


# --------------------------------------------------------------------------------------------------- what is no decoder


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (
            {"model_type": "bert", "architectures": ["BertForSequenceClassification"]},
            ["Bert", "encoder", "decoders only"],
        ),
        ({"model_type": "modernbert", "architectures": ["ModernBertForSequenceClassification"]}, ["encoder"]),
        ({"model_type": "deberta-v2", "architectures": ["DebertaV2ForSequenceClassification"]}, ["encoder"]),
        ({"model_type": "t5", "architectures": ["T5ForSequenceClassification"]}, ["encoder with a decoder"]),
        ({"model_type": "qwen2_5_vl", "architectures": ["Qwen2_5_VLForConditionalGeneration"]}, ["more than text"]),
        ({"model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"]}, ["more than text"]),
    ],
)
def test_what_is_no_decoder_of_text_says_what_it_is(config, words, copy, tiny_lm):
    folder = copy(tiny_lm)
    change(folder, **config)
    refused(folder, str(folder), *words)


def test_mistrals_own_format_is_named(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "model.safetensors").rename(folder / "consolidated.safetensors")
    refused(folder, "consolidated.safetensors", "transformers' format")
    (folder / "consolidated.safetensors").rename(folder / "model.safetensors")
    (folder / "tokenizer.json").unlink()
    (folder / "tekken.json").write_text("{}")
    refused(folder, "tekken.json", "tokenizer.json")


@pytest.mark.parametrize("name", ["cls.output.weight", "cls.weight", "score.weight"])
def test_a_gguf_with_a_head_is_refused_by_name(name, tiny_lm, tmp_path):
    (tmp_path / "rm").mkdir()
    write_gguf(tmp_path / "rm" / "rm.gguf", tiny_lm, {name: np.ones((1, HIDDEN), dtype=np.float32)})
    refused(tmp_path / "rm", name, "safetensors")


def test_an_earlier_conversion_of_a_gguf_with_a_head_is_not_used(tiny_lm, tmp_path):
    write_gguf(tmp_path / "rm.gguf", tiny_lm, {"cls.output.weight": np.ones((1, HIDDEN), dtype=np.float32)})
    digest = digest_of_files([tmp_path / "rm.gguf"])
    shutil.copytree(tiny_lm, earlier := cache_folder() / "models" / f"gguf-{digest[:16]}")
    manifest = {"layout": LAYOUT, "source": digest, "files": {}}
    (earlier / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
    refused(tmp_path, "cls.output.weight")


def test_a_gguf_in_parts_says_how_to_join_them(tmp_path):
    for number in (1, 2):
        (tmp_path / f"model-0000{number}-of-00002.gguf").write_bytes(b"GGUF")
    refused(tmp_path, "model-00001-of-00002.gguf", "llama-gguf-split --merge")


def test_a_template_beside_a_gguf_is_in_effect_and_a_changed_one_too(tiny_lm, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", tiny_lm)
    for text in ("one {{ messages[0]['content'] }}", "two {{ messages[0]['content'] }}"):
        (tmp_path / "chat_template.jinja").write_text(text)
        assert resolve(tmp_path, quiet=True).chat_template == text


# --------------------------------------------------------------------------------------------- changed between resumes


def _weights(folder: Path, base: Path) -> None:
    tensors = load_file(base / "model.safetensors")
    write(base / "model.safetensors", {name: tensor * 1.1 for name, tensor in tensors.items()})


def _template(folder: Path, base: Path) -> None:
    path = base / "chat_template.jinja"
    path.write_text(path.read_text().replace("<turn>", "<turn>said: "))


def _config(folder: Path, base: Path) -> None:
    change(base, rms_norm_eps=0.3)


def _adapter(folder: Path, base: Path) -> None:
    tensors = load_file(folder / "adapter_model.safetensors")
    write(folder / "adapter_model.safetensors", {name: tensor * 2 for name, tensor in tensors.items()})


def _adapter_config(folder: Path, base: Path) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"lora_alpha": 64}))


def _head(folder: Path, base: Path) -> None:
    write(folder / "value_head.safetensors", {name: tensor * 2 for name, tensor in VALUE_HEAD.items()})


def test_a_model_that_is_changed_in_place_is_scored_again(copy, tiny_lm, lora, tmp_path):
    base, folder = copy(tiny_lm, "base"), copy(lora, "adapter")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": str(base)}))
    write(folder / "value_head.safetensors", VALUE_HEAD)

    def scored() -> Any:
        asked: dict[str, Any] = {"prompt": ["Best?"], "candidates": ["love", "power"], "dtype": "float32"}
        return bm.score(folder, out=tmp_path / "out", quiet=True, **asked).frame

    before = scored()
    for harm in (_weights, _template, _config, _adapter, _adapter_config, _head):
        harm(folder, base)
        after = scored()
        assert not after.equals(before), harm.__name__
        before = after


def test_the_reading_lists_each_file_once(copy, tiny_lm):
    folder = copy(tiny_lm)
    shards = shard(folder)
    write(folder / "value_head.safetensors", VALUE_HEAD)
    files = read_weights(folder)
    assert [path.name for path in files.all] == [*shards, "value_head.safetensors"] and not files.is_adapter


@pytest.mark.parametrize(
    "name",
    ["value_head.bin", "v_head.pt", "value_head.npz", "value_head/x.bin", "pytorch_model.bin", "adapter_config.json"],
)
def test_what_lies_beside_a_gguf_and_could_be_meant_is_named(name, tiny_lm, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", tiny_lm)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"{}")
    with pytest.raises(BirthmarkError, match=f"{name.partition('/')[0]}.* (lies beside|may hold)"):
        resolve(tmp_path)


def test_a_classifiers_config_beside_a_gguf_is_not_passed_over(tiny_lm, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", tiny_lm)
    (tmp_path / "config.json").write_text(
        '{"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}'
    )
    with pytest.raises(BirthmarkError, match="names a classifier"):
        resolve(tmp_path)


def test_a_gguf_that_is_a_link_to_nothing_is_one_line(tmp_path):
    (tmp_path / "tiny.gguf").symlink_to(tmp_path / "nowhere")
    with pytest.raises(BirthmarkError, match="is a link to a file that is not there"):
        resolve(tmp_path)


@pytest.mark.parametrize(
    "name", ["blk.0.attn_v.bias", "rope_freqs.weight", "head.weight", "rank.output.weight", "blk.9.attn_norm.weight"]
)
def test_a_tensor_of_a_gguf_that_has_no_place_in_the_model_is_named(name, tiny_lm, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", tiny_lm, {name: np.ones(HIDDEN, dtype=np.float32)})
    with pytest.raises(BirthmarkError, match=f"has the weight {re.escape(name)}.* (no place|head)"):
        resolve(tmp_path)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("llama.pooling_type", 4, "no language model"),
        ("llama.rope.scaling.type", "linear", "scales its positions"),
        ("general.type", "adapter", "is no model"),
        ("split.count", "3", "is a part of a GGUF"),
        ("split.count", 2, "is a part of a GGUF"),
    ],
)
def test_what_a_ggufs_metadata_says_against_it_is_heard(field, value, said, tiny_lm, tmp_path):
    write_gguf(tmp_path / "tiny.gguf", tiny_lm, fields={field: value})
    with pytest.raises(BirthmarkError, match=said):
        resolve(tmp_path)


def test_a_tensor_in_two_listed_shards_is_refused(tiny_lm, tmp_path):
    AutoModelForCausalLM.from_pretrained(tiny_lm).save_pretrained(tmp_path, max_shard_size="40KB")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(tiny_lm / name, tmp_path)
    first, *_, last = sorted(tmp_path.glob("*.safetensors"))
    tensors = load_file(last) | {name: 2 * tensor for name, tensor in load_file(first).items()}
    save_file(tensors, last, metadata={"format": "pt"})
    with pytest.raises(BirthmarkError, match="both in .* and in"):
        resolve(tmp_path)
