"""8 and 4 bits and device maps: what `from_pretrained` is told, and a clear refusal where they cannot be had."""

import importlib.util
from types import SimpleNamespace

import pytest
import torch

from birthmark.errors import BirthmarkError
from birthmark.models.loading import check_placement, is_spread, placement


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_fewer_bits_without_a_gpu_raise_with_what_to_do(bits):
    with pytest.raises(BirthmarkError, match=f"--quantize {bits} needs an NVIDIA GPU.*cpu.*--dtype bfloat16"):
        check_placement("cpu", bits, None)


def test_fewer_bits_without_bitsandbytes_say_how_to_get_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        BirthmarkError, match=r"bitsandbytes, which is not installed: pip install 'birthmark\[quantized\]'"
    ):
        check_placement("cuda", "8bit", None)


@pytest.mark.parametrize(
    ("quantize", "device_map", "words"),
    [("2bit", None, "'2bit' is not a quantization"), (None, "balanced", "'balanced' is not a device map")],
)
def test_other_names_raise(gpu, quantize, device_map, words):
    with pytest.raises(BirthmarkError, match=words):
        check_placement("cuda", quantize, device_map)


def test_on_the_cpu_nothing_is_told():
    assert placement("cpu", torch.float32) == {"device_map": None}


def test_on_another_device_the_whole_model_goes_there():
    assert placement("cuda:1", torch.bfloat16) == {"device_map": {"": "cuda:1"}}


def test_a_device_map_goes_before_the_device():
    assert placement("cuda", torch.bfloat16, device_map="auto") == {"device_map": "auto"}


@pytest.mark.parametrize("bits", ["8bit", "4bit"])
def test_a_quantized_model_keeps_its_head_and_computes_in_the_dtype(gpu, monkeypatch, bits):
    import transformers

    told = {}
    monkeypatch.setattr(transformers, "BitsAndBytesConfig", lambda **options: told.update(options) or "config")
    arguments = placement("cuda", torch.float16, quantize=bits)
    assert arguments == {"device_map": {"": "cuda"}, "quantization_config": "config"}
    assert "score" in told["llm_int8_skip_modules"] and told[f"load_in_{bits}"] is True
    assert told.get("bnb_4bit_compute_dtype", torch.float16) is torch.float16


@pytest.mark.parametrize(
    ("placed", "spread"),
    [(None, False), ({"": "cpu"}, False), ({"a": 0, "b": 0}, False), ({"a": 0, "b": "cpu"}, True)],
)
def test_a_model_is_spread_where_its_layers_lie_on_several_devices(placed, spread):
    assert is_spread(SimpleNamespace(hf_device_map=placed)) is spread
    assert is_spread(SimpleNamespace()) is False
