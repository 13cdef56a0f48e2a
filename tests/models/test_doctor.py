"""`birthmark doctor`: what it finds, and that each thing missing gets a line that says what to do."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from huggingface_hub import constants

from birthmark.inputs.catalog import load_catalog
from birthmark.models import doctor
from birthmark.models.doctor import answers_at, examine, fitting_models, hints, look_at_cache
from birthmark.models.memory import memory_needed

GIB = 2**30


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache"


@pytest.fixture
def found(empty_cache):
    return examine(network=False)


def test_it_needs_no_network(empty_cache, monkeypatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(doctor, "ask_network", refuse)
    assert examine(network=False).network == {"hub": None, "package index": None}
    assert examine().network == {"hub": None, "package index": None}  # HF_HUB_OFFLINE is set


def test_the_machine_is_described(found) -> None:
    assert found.torch == torch.__version__
    assert found.memory_bytes > GIB
    assert found.flops_per_second["float32"] > 1e6


def test_memory_is_weights_in_their_precision_and_a_gibibyte() -> None:
    assert memory_needed(10**9, "float32") == 4 * 10**9 + GIB
    assert memory_needed(10**9, "bfloat16") == 2 * 10**9 + GIB


def test_models_fit_up_to_the_memory_there_is(empty_cache) -> None:
    catalog = load_catalog()
    cpu, eight_b = torch.device("cpu"), "llama-3.1-8b-instruct"
    parameters = catalog[eight_b].parameters
    for memory, fits, note in (
        (memory_needed(parameters, "float32"), True, None),
        (memory_needed(parameters, "float32") - 1, False, "fits with --dtype bfloat16"),
        (memory_needed(parameters, "bfloat16") - 1, False, None),
        (None, None, None),
    ):
        rows = {row.name: row for row in fitting_models(catalog, cpu, memory)}
        assert (rows[eight_b].fits, rows[eight_b].note) == (fits, note)
        assert list(rows) == list(catalog)


def test_an_empty_cache_has_no_model(found) -> None:
    assert not any(model.fetched for model in found.models)


def test_the_cache_is_measured(tmp_path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "weights").write_bytes(b"12345")
    cache = look_at_cache(tmp_path)
    assert cache.bytes == 5 and cache.free_bytes > 0


def test_a_server_that_answers_with_an_error_answers() -> None:
    class Forbids(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Forbids)
    threading.Thread(target=server.handle_request, daemon=True).start()
    assert answers_at(f"http://someone:secret@127.0.0.1:{server.server_port}/simple/")
    server.server_close()
    assert not answers_at(f"http://127.0.0.1:{server.server_port}/simple/")


@pytest.mark.parametrize("address", ["", "nonsense", "http://[", "file-not-http://x"])
def test_an_address_that_is_none_does_not_answer(address) -> None:
    assert not answers_at(address)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"network": {"hub": None, "package index": False}}, ("package index", "downloads")),
        ({"network": {"hub": False, "package index": None}}, ("hub", "cache")),
        ({"extras": {"wordfreq": None, "bitsandbytes": "1"}}, ("birthmark[frequency]", "--control")),
        ({"extras": {"wordfreq": "3", "bitsandbytes": None}}, ("birthmark[quantized]",)),
        ({"device": "cpu", "gpus": []}, ("GPU", "--dry-run")),
        ({"flops_per_second": {"float32": 2e9, "bfloat16": 1e9}}, ("bfloat16 is slower",)),
        ({"flops_per_second": {"float32": 2e9, "bfloat16": None}}, ("no bfloat16", "float16")),
    ],
)
def test_what_is_missing_gets_one_line_that_says_what_to_do(found, change, words) -> None:
    said = [line for line in hints(found.model_copy(update=change)) if all(word in line for word in words)]
    assert len(said) == 1 and "\n" not in said[0]


def test_a_full_disk_gets_a_line(found) -> None:
    full = found.model_copy(update={"cache": found.cache.model_copy(update={"free_bytes": GIB})})
    assert any("BIRTHMARK_CACHE" in line for line in hints(full))


def test_a_machine_that_lacks_nothing_gets_no_line(found) -> None:
    best = found.model_copy(
        update={
            "device": "cuda",
            "gpus": ["GPU"],
            "flops_per_second": {"float32": 1e12, "bfloat16": 9e12},
            "network": {"hub": True, "package index": True},
            "extras": dict.fromkeys(found.extras, "1"),
            "cache": found.cache.model_copy(update={"free_bytes": 99 * GIB}),
        }
    )
    assert hints(best) == []


def test_the_command_prints_machine_models_and_hints(birthmark, empty_cache) -> None:
    answer = birthmark("doctor", "--offline")
    assert answer.code == 0
    assert "torch" in answer.out and "smollm2-135m-instruct" in answer.out and "fits" in answer.out


def test_the_command_takes_a_catalog_of_ones_own(birthmark, empty_cache, tmp_path) -> None:
    mine = tmp_path / "catalog.toml"
    mine.write_text('[models."mine"]\nkind = "reward"\nparameters = 1000\n')
    models = json.loads(birthmark("doctor", "--offline", "--catalog", mine, "--json").out)["models"]
    assert [row["fits"] for row in models if row["name"] == "mine"] == [True]
