"""Fetching: by the real pip from a folder of wheels, by HTTP from this machine, and what is left when it fails."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs import fetch
from birthmark.inputs.fetch import cache_folder, fetch_file, fetch_wheel, hold, workspace
from tiny_gguf import write_wheel

PACKAGE = "birthmark-test-data"
OTHER = "0" * 64


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def files_in(cache: Path) -> set[str]:
    return {str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"}


def test_the_cache_is_where_the_environment_says(cache):
    assert cache_folder() == cache and cache.is_dir()


def test_the_cache_is_the_platforms_where_the_environment_says_nothing(monkeypatch, tmp_path):
    monkeypatch.delenv("BIRTHMARK_CACHE")
    monkeypatch.setattr(fetch.platformdirs, "user_cache_path", lambda name: tmp_path / "platform" / name)
    assert cache_folder() == tmp_path / "platform" / "birthmark"


def test_a_cache_that_is_a_file_is_an_error_that_names_the_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "file"))
    with pytest.raises(BirthmarkError, match="BIRTHMARK_CACHE"):
        cache_folder()


def test_pip_brings_a_wheel_which_is_kept_whole(cache, index):
    wheel, sha256 = write_wheel(index, PACKAGE, {"data/file": b"content"})
    fetched = fetch_wheel(PACKAGE, "1.0.0", sha256)
    assert fetched.read_bytes() == wheel.read_bytes()
    assert files_in(cache) == {f"downloads/{wheel.name}"}


def test_a_wheel_that_is_there_is_not_fetched_again(index, monkeypatch):
    _, sha256 = write_wheel(index, PACKAGE, {"data/file": b"content"})
    first = fetch_wheel(PACKAGE, "1.0.0", sha256)
    monkeypatch.setattr(fetch.subprocess, "run", lambda *_, **__: pytest.fail("pip was called again"))
    assert fetch_wheel(PACKAGE, "1.0.0", sha256) == first


def test_another_wheel_than_the_pinned_one_raises_with_both_digests_and_not_kept(cache, index):
    _, sha256 = write_wheel(index, PACKAGE, {"data/file": b"content"})
    with pytest.raises(BirthmarkError) as caught:
        fetch_wheel(PACKAGE, "1.0.0", OTHER)
    assert sha256 in str(caught.value) and OTHER in str(caught.value)
    assert files_in(cache) == set()


def test_a_package_that_cannot_be_had_names_the_file_to_bring_and_its_place(cache, index):
    with pytest.raises(BirthmarkError) as caught:
        fetch_wheel(PACKAGE, "1.0.0", OTHER)
    message = str(caught.value)
    assert "birthmark_test_data-1.0.0" in message and str(cache / "downloads") in message and OTHER in message
    assert "\n" not in message and files_in(cache) == set()


def test_without_pip_the_error_says_what_to_bring_and_a_file_brought_is_used(cache, index, monkeypatch, tmp_path):
    without_pip = tmp_path / "python"
    without_pip.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    without_pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(without_pip))
    wheel, sha256 = write_wheel(index, PACKAGE, {"data/file": b"content"})
    with pytest.raises(BirthmarkError, match="has no pip"):
        fetch_wheel(PACKAGE, "1.0.0", sha256)
    (cache / "downloads" / wheel.name).write_bytes(wheel.read_bytes())
    assert fetch_wheel(PACKAGE, "1.0.0", sha256) == cache / "downloads" / wheel.name


def test_a_wrong_file_that_a_person_brought_raises_and_left_to_them(cache, index):
    wheel, sha256 = write_wheel(index, PACKAGE, {"data/file": b"content"})
    brought = cache / "downloads" / wheel.name
    brought.parent.mkdir(parents=True)
    brought.write_bytes(b"something else")
    with pytest.raises(BirthmarkError, match=sha256):
        fetch_wheel(PACKAGE, "1.0.0", sha256)
    assert brought.read_bytes() == b"something else"


def test_what_a_killed_fetch_left_is_swept_away_by_the_next(cache, index):
    wheel, sha256 = write_wheel(index, PACKAGE, {"data/file": b"content"})
    left = cache / "downloads" / ".unfinished-birthmark_test_data-1.0.0-abc"
    left.mkdir(parents=True)
    (left / wheel.name).write_bytes(wheel.read_bytes()[:10])
    fetch_wheel(PACKAGE, "1.0.0", sha256)
    assert files_in(cache) == {f"downloads/{wheel.name}"}


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server on this machine that gives out one file."""
    served = tmp_path / "served"
    served.mkdir()
    (served / "lexicon.csv").write_bytes(b"word,category\nlove,Communion\n")

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(served))  # type: ignore[arg-type]

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/lexicon.csv"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_is_fetched_by_address_once(cache, address):
    sha256 = hashlib.sha256(b"word,category\nlove,Communion\n").hexdigest()
    path = fetch_file(address, sha256, "lexicon.csv")
    assert path == cache / "downloads" / "lexicon.csv" and files_in(cache) == {"downloads/lexicon.csv"}
    assert fetch_file("http://127.0.0.1:1/gone", sha256, "lexicon.csv") == path


def test_another_file_at_the_address_raises_and_not_kept(cache, address):
    with pytest.raises(BirthmarkError, match=OTHER):
        fetch_file(address, OTHER, "lexicon.csv")
    assert files_in(cache) == set()


def test_an_address_that_cannot_be_reached_names_the_file_to_bring(cache):
    with pytest.raises(BirthmarkError) as caught:
        fetch_file("http://127.0.0.1:1/lexicon.csv", OTHER, "lexicon.csv")
    assert "lexicon.csv" in str(caught.value) and str(cache / "downloads") in str(caught.value)
    assert files_in(cache) == set()


def test_a_lock_is_free_again_after_its_holder_was_killed(cache):
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from birthmark.inputs.fetch import hold\nwith hold('x'): print(1, flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdin is not None
    holder.stdout.readline()
    notes: list[str] = []
    killer = threading.Timer(0.6, holder.kill)
    killer.start()
    with hold("x", notes.append):
        assert holder.wait() < 0
    holder.stdin.close()
    holder.stdout.close()
    assert len(notes) == 1 and "waiting" in notes[0]


def test_a_lock_can_be_taken_again_once_released():
    for _ in range(2):
        with hold("x"):
            pass


def test_a_full_disk_is_an_error_that_says_so():
    with pytest.raises(BirthmarkError, match="free some disk space"), hold("x"):
        raise OSError(28, "No space left on device")


def test_a_workspace_is_gone_afterwards_even_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), workspace(tmp_path, "x") as folder:
        (folder / "half").write_text("made")
        _ = 1 / 0
    assert list(tmp_path.iterdir()) == [] or all(path.name == "cache" for path in tmp_path.iterdir())
