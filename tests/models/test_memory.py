"""What a model is said to take in memory, against bytes counted by hand and on disk."""

import pytest

from birthmark.models.memory import count_parameters, memory_by_precision, memory_needed, weight_bytes

GIB = 2**30


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("bfloat16", 2), ("float16", 2)])
def test_weights_take_the_bytes_of_their_precision(dtype, size):
    assert weight_bytes(10**9, dtype) == size * 10**9
    assert memory_needed(10**9, dtype) == size * 10**9 + GIB


def test_fewer_bits_take_less_but_more_than_their_bits_since_embeddings_stay():
    eight, four, half = (weight_bytes(10**9, "bfloat16", bits) for bits in ("8bit", "4bit", None))
    assert 10**9 < eight < half and 10**9 / 2 < four < eight


def test_every_precision_that_one_may_choose_is_listed_once():
    assert list(memory_by_precision(10**9, ["bfloat16", "float32", "bfloat16"])) == [
        "bfloat16",
        "float32",
        "8bit",
        "4bit",
    ]


def test_parameters_are_counted_from_the_headers(tiny_rm):
    from safetensors.torch import load_file

    tensors = load_file(tiny_rm / "model.safetensors")
    assert count_parameters(tiny_rm) == sum(tensor.numel() for tensor in tensors.values())


def test_a_folder_without_weights_or_with_a_damaged_file_has_no_known_number(tmp_path):
    assert count_parameters(tmp_path) is None
    for damaged in (b"", b"\x01", b"\xff" * 64, b"\x02\0\0\0\0\0\0\0[]"):
        (tmp_path / "model.safetensors").write_bytes(damaged)
        assert count_parameters(tmp_path) is None
