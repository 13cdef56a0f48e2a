"""Names to folders, and everything that a folder can have wrong. What the hub answers, simulated where its client speaks to the network, and the one line that a person gets."""

import errno
import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import httpx
import httpx2
import huggingface_hub
import pytest
import torch
from huggingface_hub import constants, errors
from huggingface_hub.utils import filter_repo_objects, set_client_factory
from huggingface_hub.utils._http import default_client_factory
from model_folders import change, logits, refused
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import load_catalog
from birthmark.models import resolve as resolve_module
from birthmark.models.loading import load_model
from birthmark.models.resolve import ResolvedModel, fetch_snapshot, read_template, resolve
from birthmark.models.tokenizer import load_tokenizer
from tiny_gguf import write_gguf

# --- weights

pytestmark = pytest.mark.usefixtures("own_cache")

# --------------------------------------------------------------------------------------------------- local folders


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tiny.gguf"])
def test_a_file_of_a_model_is_answered_with_its_folder(name, tiny_lm, copy):
    folder = copy(tiny_lm)
    (folder / name).touch()
    refused(folder / name, "is a file", str(folder), "alone" if name.endswith("gguf") else "a model is named")


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


@pytest.mark.parametrize("remembered", [0, 2**20])
def test_a_changed_weight_changes_the_digest_even_under_the_same_size_and_time(copy, tiny_lm, remembered, monkeypatch):
    monkeypatch.setattr("birthmark.models.folder.REMEMBERED_BYTES", remembered)
    folder = copy(tiny_lm)
    before, file = resolve(folder).digests, folder / "model.safetensors"
    stat, content = file.stat(), bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = resolve(folder).digests
    assert after.weights != before.weights and after.tokenizer == before.tokenizer


def test_large_files_are_hashed_once(tiny_lm, monkeypatch):
    from birthmark.models import folder as digests

    monkeypatch.setattr(digests, "REMEMBERED_BYTES", 0)
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


def test_a_broken_tokenizer_is_an_error_in_one_line(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(BirthmarkError, match="tokenizer") as caught:
        load_tokenizer(resolve(folder))
    assert "\n" not in str(caught.value)


# ----------------------------------------------------------------------------------------------------- bad folders


def test_an_unknown_name_gets_the_nearest_names():
    refused("gemma-3-27om", "gemma-3-27om", "did you mean gemma-3-270m")


def test_a_name_like_no_other_says_where_the_known_ones_are():
    refused("./nowhere", "./nowhere", "models list")


def test_a_folder_without_weights_raises(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "model.safetensors").unlink()
    refused(folder, str(folder), "no weights")


@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.pt", "weights.pth"])
def test_a_checkpoint_of_pickles_alone_raises_with_the_way_to_convert_it(copy, tiny_lm, file):
    folder = copy(tiny_lm)
    (folder / "model.safetensors").unlink()
    (folder / file).write_bytes(b"\x80\x04.")
    refused(folder, file, "save_pretrained", "safetensors")


def test_a_pickle_beside_safetensors_is_ignored(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "pytorch_model.bin").write_bytes(b"not a pickle")
    load_model(resolve(folder))


def test_a_folder_without_tokenizer_raises(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "tokenizer.json").unlink()
    refused(folder, "no tokenizer")


def test_a_folder_without_config_raises(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "config.json").unlink()
    refused(folder, "config.json is missing")


def test_a_config_that_is_not_json_raises(copy, tiny_lm):
    folder = copy(tiny_lm)
    (folder / "config.json").write_text("{")
    refused(folder, "config.json cannot be read as JSON")


def test_a_missing_shard_raises_by_name(copy, tiny_lm):
    folder = copy(tiny_lm)
    weight_map = {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    refused(folder, "model-00002-of-00002.safetensors")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model_type": "internlm2", "architectures": ["InternLM2ForRewardModel"]}, ["'internlm2'", "never runs code"]),
        ({"architectures": ["LlamaForRewardModelWithGating"]}, ["LlamaForRewardModelWithGating", "never runs code"]),
    ],
)
def test_a_model_that_needs_code_of_its_own_raises(copy, tiny_rm, keys, words):
    folder = copy(tiny_rm)
    change(folder / "config.json", auto_map={"AutoModel": "modeling.Model"}, **keys)
    refused(folder, *words)


def test_an_auto_map_beside_a_class_that_transformers_has_is_ignored_and_its_code_not_run(copy, tiny_rm):
    folder = copy(tiny_rm)
    change(folder / "config.json", auto_map={"AutoModelForSequenceClassification": "modeling.Model"})
    (folder / "modeling.py").write_text("raise SystemExit('foreign code was run')")
    expected = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    assert torch.equal(logits(load_model(resolve(folder))), logits(expected))


def test_a_tokenizer_that_is_code_of_its_own_raises_without_asking(copy, tiny_rm):
    folder = copy(tiny_rm)
    change(
        folder / "tokenizer_config.json", tokenizer_class="OwnTokenizer", auto_map={"AutoTokenizer": ["own.Own", None]}
    )
    refused(folder, "OwnTokenizer", "never runs code")


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
    assert list(kept) == [*files[:5], "README.md"]  # the model card names the base


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
def test_a_hub_model_without_safetensors_raises(snapshots, tmp_path, monkeypatch, files, words):
    (tmp_path / "snapshots" / ("c" * 40) / "model.safetensors").unlink()
    listed = SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in files])
    monkeypatch.setattr(huggingface_hub, "model_info", lambda *_, **__: listed)
    refused("someone/their-rm", "someone/their-rm", *words)


def test_trust_remote_code_appears_nowhere_in_the_package():
    package = Path(resolve_module.__file__).parents[1]
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


# --- hub

COMMIT = "a" * 40
INFO = {"id": "you/rm", "sha": COMMIT, "siblings": [{"rfilename": "config.json"}, {"rfilename": "model.safetensors"}]}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """`hub(answer)`: every request is answered by `answer(request)`; the cache is empty."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    def serve(answer):
        set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(answer), follow_redirects=True))

    yield serve
    set_client_factory(default_client_factory)


def refusal(code, status):
    return lambda request: httpx2.Response(status, headers={"X-Error-Code": code}, request=request)


TREE = [{"type": "file", "path": file["rfilename"], "size": 2, "oid": "b" * 40} for file in INFO["siblings"]]


def gated(request):
    if "/tree/" in request.url.path:
        return httpx2.Response(200, json=TREE, request=request)
    if "/api/models/" in request.url.path:
        return httpx2.Response(200, json=INFO, request=request)
    return httpx2.Response(401, headers={"X-Error-Code": "GatedRepo"}, request=request)


def unreachable(request):
    raise httpx2.ConnectError("no route", request=request)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (gated, ["you/rm is gated", "https://huggingface.co/you/rm", "hf auth login", "HF_TOKEN"]),
        (refusal("GatedRepo", 403), ["you/rm is gated", "accept its terms"]),
        (refusal("RevisionNotFound", 404), ["no revision v9", "/commits/main"]),
        (refusal("RepoNotFound", 404), ["not on the hub, or is private"]),
        (refusal("RepoNotFound", 401), ["not on the hub, or is private"]),
        (unreachable, ["not on this machine", "cannot be reached"]),
        (refusal("", 503), ["you/rm", "cannot be"]),
    ],
    ids=["gated files", "gated", "revision gone", "no repository", "private", "no network", "hub down"],
)
def test_what_the_hub_answers_is_one_line_that_says_what_to_do(hub, answer, words):
    hub(answer)
    with pytest.raises(BirthmarkError) as caught:
        fetch_snapshot("you/rm", "v9", quiet=True)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_a_gated_model_of_the_catalog_raises_on_the_command_line_with_what_to_do(hub, birthmark):
    hub(gated)
    answer = birthmark("score", "llama-3.2-1b-instruct", "--prompt", "best_ever_one", "--quiet")
    assert answer.is_error("meta-llama/Llama-3.2-1B-Instruct is gated", "hf auth login")


COMMIT = "0" * 40


def cached(root, *files):
    """A model in the hub's cache under `root`, with these files only."""
    snapshot = root / "models--you--rm" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (root / "models--you--rm/refs").mkdir()
    (root / "models--you--rm/refs/main").write_text(COMMIT, encoding="utf-8")
    for file in files:
        (snapshot / file).write_text("{}", encoding="utf-8")
    return snapshot


def failing(error):
    def answer(request):
        raise error

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        unreachable,
        failing(httpx2.ReadTimeout("timed out")),
        failing(httpx2.ProxyError("proxy says no")),
        failing(httpx2.UnsupportedProtocol("Request URL is missing an 'http://' or 'https://' protocol.")),
        refusal("", 500),
        lambda request: httpx2.Response(200, text="<html>log in to the network</html>", request=request),
    ],
    ids=["no network", "timeout", "proxy", "bad endpoint", "server error", "a page instead"],
)
def test_a_model_without_weights_in_the_cache_says_what_is_missing(hub, answer, tmp_path):
    cached(tmp_path / "cache", "config.json", "tokenizer.json")
    hub(answer)
    with pytest.raises(BirthmarkError) as caught:
        fetch_snapshot("you/rm", quiet=True)
    message = str(caught.value)
    assert "you/rm" in message
    assert "\n" not in message


def test_without_a_network_the_missing_weights_are_named(hub, tmp_path):
    cached(tmp_path / "cache", "config.json", "tokenizer.json")
    hub(unreachable)
    with pytest.raises(
        BirthmarkError, match=r"without its weights \(\*.safetensors; there is config.json, tokenizer.json\)"
    ):
        fetch_snapshot("you/rm", quiet=True)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx2.ConnectTimeout("timed out"), ["you/rm", "cannot be"]),
        (OSError(errno.ENOSPC, "No space left on device"), ["does not fit on the disk", "HF_HOME"]),
        (
            PermissionError(errno.EACCES, "Permission denied", "/cache/x"),
            ["cannot be kept in the hub's cache", "/cache/x"],
        ),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), ["cannot be read from the hub's cache"]),
        (httpx2.DecodingError("broken\ngzip"), ["cannot be fetched from the hub (broken gzip)", "HF_ENDPOINT"]),
        (RuntimeError(""), ["cannot be fetched from the hub (RuntimeError)"]),
    ],
    ids=["timeout", "disk full", "permission", "damaged cache", "damaged answer", "nothing said"],
)
def test_whatever_fails_between_here_and_the_hub_is_one_line(monkeypatch, error, words):
    def download(*_, **__):
        raise error

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    with pytest.raises(BirthmarkError) as caught:
        fetch_snapshot("you/rm", quiet=True)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert "\n" not in message
