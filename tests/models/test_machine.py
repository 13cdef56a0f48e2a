"""Which device and precision a model runs in, and what a run is said to take."""

from types import SimpleNamespace

import psutil
import pytest
import torch

from birthmark.errors import BirthmarkError
from birthmark.models import machine
from birthmark.models.machine import choose_device, choose_dtype, estimate, matmul_rate, require_memory

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
def test_a_device_that_is_not_there_raises(no_accelerator, name):
    with pytest.raises(BirthmarkError, match=f"device '{name}' is not available here: write --device cpu"):
        choose_device(name)


def test_a_device_of_another_name_raises():
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


def test_a_precision_of_another_name_raises():
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


CONTAINER = {"memory.max": "1000000", "memory.current": "400000", "memory.stat": "anon 1\ninactive_file 100000\n"}


@pytest.fixture
def container(monkeypatch, tmp_path):
    """Set the machine's available memory and free swap, and the files of its control group (none: no container)."""

    def put(available, swap, **files):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=2_000_000, available=available))
        monkeypatch.setattr(psutil, "swap_memory", lambda: SimpleNamespace(free=swap))
        monkeypatch.setattr(machine, "CONTROL_GROUP", tmp_path)
        for name, text in files.items():
            (tmp_path / name).write_text(text)

    return put


def test_free_memory_is_what_programs_may_still_take_swap_included(container):
    container(300_000, 100_000)
    assert machine.free_memory(CPU) == 400_000
    assert machine.main_memory() == 2_000_000


def test_a_container_leaves_its_limit_less_what_it_uses_and_does_not_merely_cache(container):
    container(9_999_000, 0, **CONTAINER)
    assert machine.free_memory(CPU) == 1_000_000 - 400_000 + 100_000
    assert machine.main_memory() == 1_000_000


def test_a_container_without_a_limit_is_the_machine(container):
    container(300_000, 0, **CONTAINER | {"memory.max": "max\n"})
    assert machine.free_memory(CPU) == 300_000
    assert machine.main_memory() == 2_000_000


def free(monkeypatch, amount):
    monkeypatch.setattr(machine, "free_memory", lambda device, spread=False: amount)


def test_a_model_that_fits_or_of_unknown_size_is_let_through(monkeypatch):
    free(monkeypatch, 4 * 10**9)
    require_memory("m", 10**9, "float32", CPU)
    free(monkeypatch, 1)
    require_memory("m", None, "float32", CPU)


def test_a_model_that_does_not_fit_gets_the_estimate_and_the_precision_that_fits(monkeypatch):
    free(monkeypatch, 25 * 2**30)
    with pytest.raises(BirthmarkError) as caught:
        require_memory("m", 10 * 2**30, "float32", CPU)
    assert str(caught.value) == (
        "m needs about 41.0 GB in float32 and cpu has 25.0 GB free: try --dtype bfloat16 (21.0 GB)"
    )


def test_where_nothing_would_fit_that_is_said(monkeypatch):
    free(monkeypatch, 2**30)
    with pytest.raises(BirthmarkError, match="use a larger machine, or a smaller model"):
        require_memory("m", 10 * 2**30, "float32", CPU)


def test_on_a_gpu_fewer_bits_several_devices_and_the_cpu_are_offered_where_they_would_do(monkeypatch):
    monkeypatch.setattr(machine, "_free_main_memory", lambda: 100 * 2**30)
    monkeypatch.setattr(machine, "free_memory", lambda device, spread=False: 120 * 2**30 if spread else 24 * 2**30)
    with pytest.raises(BirthmarkError) as caught:
        require_memory("big", 27 * 2**30, "bfloat16", CUDA)
    message = str(caught.value)
    assert "55.0 GB in bfloat16 and cuda has 24.0 GB free" in message
    assert "--quantize 4bit (19.9 GB)" in message and "8bit" not in message
    assert "--device-map auto" in message and "--device cpu (slow)" in message


def test_a_spread_model_may_take_what_all_gpus_and_the_machine_have(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (10, 99))
    monkeypatch.setattr(machine, "_free_main_memory", lambda: 7)
    assert machine.free_memory(CUDA, spread=True) == 27
    assert machine.free_memory(CUDA) == 10 and machine.free_memory(CPU) == 7


def test_memory_is_given_back_on_the_gpu_where_there_is_one(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    machine.release_memory()
    assert emptied == [True]


def test_bfloat16_units_are_those_that_the_cpu_lists(monkeypatch, tmp_path):
    listed = tmp_path / "cpuinfo"
    monkeypatch.setattr(machine, "CPU_INFO", listed)
    assert machine.bfloat16_units() == []
    listed.write_text("processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu amx_bf16_other avx512_bf16 amx_bf16\n")
    assert machine.bfloat16_units() == ["amx_bf16", "avx512_bf16"]
    assert machine.describe()["processor"] == "A CPU"
