"""Names and paths at the door, locks, and a disk that is full."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from birthmark.errors import NO_SPACE, BirthmarkError
from birthmark.files import (
    check_name,
    check_path,
    is_slug,
    lock_folder,
    read_csv,
    read_parquet,
    require_unlike,
    slug_of,
    write_parquet,
    write_text,
)

ODD = [
    "a[0].b",
    "o*",
    "what?",
    "{x}",
    "../../victim",
    "a/b",
    "a\\b",
    "CON",
    "con.txt",
    "x.",
    " x",
    "",
    "ü",
    "a..b",
    "\x1b[31m",
]


@pytest.mark.parametrize(
    "name", ["smollm2-135m-instruct", "Qwen--Qwen2.5-0.5B-Instruct", "a.b", "_x", "run-step-000016-deadbeef"]
)
def test_a_name_that_can_be_a_files_is_its_own_slug(name: str) -> None:
    assert slug_of(name) == name


@given(st.lists(st.text(max_size=300) | st.sampled_from(ODD), min_size=2, max_size=2, unique=True))
def test_unlike_names_have_unlike_slugs_that_are_files_names_everywhere(names: list[str]) -> None:
    first, second = (slug_of(name) for name in names)
    assert is_slug(first) and is_slug(second) and len(first) <= 112
    if names[0].casefold() != names[1].casefold():
        assert first.casefold() != second.casefold()
    assert Path("out", first).parent == Path("out") and not set('/\\:*?"<>|[]{}') & set(first)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "a\\b", "..", ".", "", "  ", "CON", "lpt1.txt", "x.", " x", "a\nb", "\x1b", "x" * 201]
)
def test_a_name_that_cannot_be_a_files_is_refused(name: str) -> None:
    with pytest.raises(BirthmarkError, match="the model") as caught:
        check_name(name, "the model", of_file=True)
    assert str(caught.value).isprintable()


def test_names_that_differ_in_capitals_alone_are_refused() -> None:
    require_unlike(["a", "b", "a"], "the models")
    for one, other in (("Model", "model"), ("\u00e9", "E\u0301")):
        with pytest.raises(BirthmarkError, match="differ in capitals alone"):
            require_unlike([one, other], "the models")


@pytest.fixture
def places(tmp_path: Path) -> Path:
    """A folder with a thing of each kind that a path can lead to."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "to-file").symlink_to(tmp_path / "file")
    return tmp_path


@pytest.mark.parametrize(
    ("place", "fit", "unfit"),
    [
        ("file", ["file", "to-file"], ["folder", "none", "pipe", "broken", "circle", "file/x"]),
        ("folder", ["folder", "."], ["file", "none", "pipe", "broken", "circle"]),
        ("out", ["folder", "none", "none/deep", "o[1]"], ["file", "pipe", "broken", "circle", "file/x"]),
        ("name", ["file", "folder", "none", "OWNER/NAME"], ["pipe", "broken"]),
    ],
)
def test_a_path_is_what_it_is_given_for(place: str, fit: list[str], unfit: list[str], places: Path) -> None:
    for name in fit:
        check_path(places / name, place, "with --x")  # type: ignore[arg-type]
    for name in [*unfit, "a" * 256, "b/" * 2050, "nul\0", "esc\x1b", "line\n", "\udcff"]:
        with pytest.raises(BirthmarkError, match="with --x") as caught:
            check_path(places / name, place, "with --x")  # type: ignore[arg-type]
        assert str(caught.value).isprintable()
    assert sorted(os.listdir(places)) == ["broken", "circle", "file", "folder", "pipe", "to-file"]


@pytest.mark.parametrize("folder", ["o[1]", "o*", "o?", "{o}", "~", "a=1", "s3:", "%41"])
def test_a_table_is_read_from_the_folder_that_is_named(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Patterns, home folders, hive partitions and addresses are names like any other."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("o1", 1), (folder, 2)):
        write_parquet(pl.DataFrame({"x": [value]}), Path(name) / "t.parquet")
        write_text(Path(name) / "t.csv", f"x\n{value}\n")
    assert read_parquet(Path(folder) / "t.parquet").to_dict(as_series=False) == {"x": [2]}
    assert read_csv(Path(folder) / "t.csv").to_dict(as_series=False) == {"x": ["2"]}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + b"\xff" * 60 + b"PAR1", b"x" * 1000])
def test_what_is_no_parquet_is_said_so_in_one_line(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(BirthmarkError, match="cannot be read as Parquet"):
        read_parquet(tmp_path / "t.parquet")
    assert capfd.readouterr().err == ""


HOLD = "import sys; from pathlib import Path; from birthmark.files import lock_folder; lock = lock_folder(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"


def test_one_process_at_a_time_writes_to_a_folder(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(BirthmarkError, match="another process is writing"):
        lock_folder(tmp_path)
    other.kill()  # the lock goes with the process
    other.communicate()
    first, second = lock_folder(tmp_path), lock_folder(tmp_path)  # a process may lock again
    first.release()
    second.release()


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file of this process may grow beyond 1,000 bytes: writing more raises as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file_and_no_other(tmp_path: Path, full_disk: None) -> None:
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(OSError) as caught:
        write_text(tmp_path / "a.txt", "new" * 1_000)
    assert caught.value.errno in NO_SPACE
    with pytest.raises(OSError) as caught:
        write_parquet(pl.DataFrame({"x": [str(hash(n)) for n in range(3_000)]}), tmp_path / "a.parquet")
    assert caught.value.errno in NO_SPACE
    assert os.listdir(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("rows", "columns", "limit"), [(20_000, 3, "MAX_CELLS"), (4, 500, "MAX_CELLS"), (20_000, 3, "MAX_TABLE")]
)
def test_a_table_beyond_measure_is_refused_before_it_is_read(
    rows: int, columns: int, limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = pl.DataFrame({f"x{n}": [0.5] * rows for n in range(columns)})
    write_parquet(frame, tmp_path / "t.parquet")
    assert read_parquet(tmp_path / "t.parquet").shape == (rows, columns)
    monkeypatch.setattr(f"birthmark.files.{limit}", 1_000)
    with pytest.raises(BirthmarkError, match=f"{rows:,} rows, {columns:,} columns.*is it the right file"):
        read_parquet(tmp_path / "t.parquet")


def test_a_table_with_numbers_that_polars_has_no_type_for_is_one_line(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "table.parquet"
    pq.write_table(pa.table({"p": pa.array([1], type=pa.decimal256(50, 2))}), path)
    with pytest.raises(BirthmarkError, match="decimal256: write it as float64"):
        read_parquet(path)
