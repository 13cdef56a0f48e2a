"""Whatever bytes a model's small files hold: they are read, or refused in one line; nothing hangs or fills memory.

`BIRTHMARK_FUZZ=100000` tries so many files in all; `--hypothesis-seed` chooses others.
"""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from birthmark.errors import BirthmarkError
from birthmark.models import config_checks as checks
from birthmark.models import embedded
from birthmark.models.adapters import kind_of_adapter
from birthmark.models.folder import kind_of, template_of
from birthmark.models.weights import tensor_shapes, weight_files
from tiny_gguf import write_gguf
from tiny_models import write_tiny_model

CASES = int(os.environ.get("BIRTHMARK_FUZZ", "700"))
NUMBERS = st.sampled_from([0, 1, -1, 2, 10**9, 2**31, 10**30, 0.5, float("nan"), float("inf"), -0.0])
SCALARS = (
    NUMBERS
    | st.none()
    | st.booleans()
    | st.text(max_size=6)
    | st.sampled_from(["llama", "evil", "\ud800", "a\0b", "../x"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def document(rules: dict[str, Any], **fixed: Any) -> st.SearchStrategy[bytes]:
    """JSON objects of the fields that have a rule, with any values; now and then damaged."""
    keys = st.sampled_from(sorted(rules)) | st.text(max_size=5)
    text = st.dictionaries(keys, VALUES, max_size=6).map(lambda found: json.dumps(found | fixed).encode())
    piece = st.sampled_from(
        [b"{", b"}", b"[", b"]", b",", b":", b'"a"', b"1e9999", b"NaN", b"\xff", b"\xef\xbb\xbf", b"\n", b"\\u0"]
    )
    return st.one_of(text, text, text, st.lists(piece, max_size=12).map(b"".join), st.binary(max_size=40))


def header() -> st.SearchStrategy[bytes]:
    tensor = st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "I8", "F4", "evil"]) | VALUES,
            "shape": st.lists(st.integers(-1, 4) | NUMBERS, max_size=3) | VALUES,
            "data_offsets": st.lists(st.integers(-1, 64) | NUMBERS, max_size=3) | VALUES,
        }
    )
    table = st.dictionaries(
        st.sampled_from(["a", "score.weight", "__metadata__", "x\n", ""]), tensor | VALUES, max_size=3
    )
    whole = table.map(lambda found: json.dumps(found).encode())
    lengths = st.sampled_from([None, 0, 1, 2**31, 2**63, 2**64 - 1])
    return st.tuples(whole | st.binary(max_size=40), lengths, st.binary(max_size=64)).map(
        lambda parts: struct.pack("<Q", len(parts[0]) if parts[1] is None else parts[1]) + parts[0] + parts[2]
    )


def read_config(path: Path) -> None:
    config = checks.read_json(path)
    kind_of(config)
    checks.check_sizes(path, config, {"model.embed_tokens.weight": (600, 32), "model.layers.1.mlp.weight": (64, 32)})


def read_adapter(path: Path) -> None:
    config = checks.read_json(path)
    kind_of_adapter(config)
    checks.check_ranks(path, config, {"base_model.model.q_proj.lora_A.weight": (4, 32)})


def read_beside(path: Path) -> None:
    checks.check_folder(path.parent)
    template_of(path.parent)


def read_gguf(path: Path) -> None:
    with embedded._parsed_once(path):
        pass


Reader = Callable[[Path], object]
READERS: dict[str, tuple[str, Reader, st.SearchStrategy[bytes]]] = {
    "config": ("config.json", read_config, document(checks.CONFIG | checks.ROPE, model_type="llama")),
    "index": ("model.safetensors.index.json", lambda path: weight_files(path.parent), document(checks.INDEX)),
    "adapter": ("adapter_config.json", read_adapter, document(checks.ADAPTER, peft_type="LORA")),
    "tokenizer_config": ("tokenizer_config.json", read_beside, document(checks.TOKENIZER)),
    "special_tokens_map": ("special_tokens_map.json", read_beside, document(checks.SPECIAL_TOKENS)),
    "safetensors": ("model.safetensors", lambda path: tensor_shapes([path]), header()),
}


def settled(of: int) -> Any:
    return settings(
        deadline=10_000, max_examples=max(1, of // 7), derandomize="BIRTHMARK_FUZZ" not in os.environ,
        database=None, suppress_health_check=list(HealthCheck),
    )  # fmt: skip


def read(reader: Reader, path: Path) -> None:
    try:
        reader(path)
    except BirthmarkError as error:
        assert "\n" not in str(error)
        assert str(path.parent) in str(error)


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settled(CASES)
def test_any_bytes_are_read_or_refused_in_one_line(
    reader: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, function, layout = READERS[reader]
    folder = tmp_path_factory.getbasetemp() / reader
    folder.mkdir(exist_ok=True)
    if reader == "index":
        (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    (folder / name).write_bytes(data.draw(layout))
    read(function, folder / name)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("gguf")
    write_gguf(folder / "model.gguf", write_tiny_model(folder / "lm"))
    return folder / "model.gguf", (folder / "model.gguf").read_bytes()


@given(
    changes=st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
    end=st.integers(0, 2),
)
@settled(CASES)
def test_any_header_of_a_gguf_is_read_or_refused_in_one_line(
    gguf: Any, changes: list[tuple[int, bytes]], end: int
) -> None:
    path, whole = gguf
    data = bytearray(whole if end else whole[: changes[0][0]])
    for at, value in changes:
        data[at : at + len(value)] = value
    path.write_bytes(bytes(data))
    read(read_gguf, path)
