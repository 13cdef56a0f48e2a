"""Which device and precision a model runs in, and what a run is said to take."""

import pytest
import torch

from birthmark.errors import BirthmarkError
from birthmark.models import machine
from birthmark.models.machine import choose_device, choose_dtype, estimate, matmul_rate

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def no_accelerator(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_fastest_device_there_is(monkeypatch, cuda, mps, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device().type == chosen
    assert choose_device("auto").type == chosen


def test_the_cpu_can_always_be_asked_for():
    assert choose_device("cpu") == CPU


@pytest.mark.parametrize("name", ["cuda", "cuda:3", "mps"])
def test_a_device_that_is_not_there_is_refused(no_accelerator, name):
    with pytest.raises(BirthmarkError, match=f"no device '{name}' here: write --device cpu"):
        choose_device(name)


def test_a_device_of_another_name_is_refused():
    with pytest.raises(BirthmarkError, match="'gpu' is not a device"):
        choose_device("gpu")


@pytest.mark.parametrize(
    ("requested", "device", "catalog", "chosen"),
    [
        (None, CPU, "bfloat16", "float32"),
        (None, CPU, None, "float32"),
        (None, CUDA, "float16", "float16"),
        (None, CUDA, None, "bfloat16"),
        ("float16", CPU, "bfloat16", "float16"),
        ("float32", CUDA, "bfloat16", "float32"),
    ],
)
def test_precision_is_float32_on_the_cpu_and_the_catalogs_elsewhere(requested, device, catalog, chosen):
    assert choose_dtype(requested, device, catalog) == chosen


def test_a_precision_of_another_name_is_refused():
    with pytest.raises(BirthmarkError, match="'int4' is not a precision"):
        choose_dtype("int4", CPU)


def test_an_estimate_is_two_operations_a_parameter_and_token_at_half_the_matrix_rate():
    found = estimate(100_000_000, "float32", CPU, tokens=1000, flops_per_second=1e11)
    assert found.seconds == pytest.approx(2 * 1e8 * 1000 / 0.5e11)
    assert found.memory_bytes == 4 * 100_000_000 + 2**30


def test_half_precision_weights_take_half_the_memory():
    weights = [
        estimate(10**9, dtype, CPU, tokens=1, flops_per_second=1.0).memory_bytes - 2**30
        for dtype in ("float32", "bfloat16")
    ]
    assert weights == [4 * 10**9, 2 * 10**9]


def test_the_matrix_rate_is_operations_over_the_median_time(monkeypatch):
    ticks = iter([0.0, 1.0, 1.0, 3.0, 3.0, 6.0, 6.0])
    monkeypatch.setattr(machine, "perf_counter", lambda: next(ticks))
    assert matmul_rate(CPU, size=10, seconds=0) == pytest.approx(2 * 10**3 / 2.0)
