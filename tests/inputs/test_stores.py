"""An OUT in a store, against a real S3 server and fsspec's own stores: the same bytes, resumed elsewhere, nothing half-made."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import textwrap
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.inputs.stores import LOCK_OBJECT, Store, opened
from birthmark.models.scorers import RewardScorer

LEXICON = "starter"
QUIET = {"prompt": ["best_ever_one"], "lexicons": ["starter"], "verify": False, "quiet": True}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    pytest.importorskip("s3fs", reason="needs birthmark[s3]")
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The address of a new bucket on the server."""
    import s3fs

    for name, value in {"AWS_ENDPOINT_URL": server, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()  # what an instance was made with is not read again
    name = f"bucket-{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    s3fs.S3FileSystem().mkdir(name)
    return f"s3://{name}"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Become another machine: `machine("b")` has a cache of its own."""

    def become(name: str) -> None:
        monkeypatch.setenv("BIRTHMARK_CACHE", str(tmp_path / "cache" / name))

    become("a")
    return become


@pytest.fixture(params=["s3", "memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty store."""
    if request.param == "s3":
        return str(request.getfixturevalue("bucket"))
    return f"memory://{tmp_path.name}" if request.param == "memory" else f"file://{tmp_path}/store"


def files_of(url: str) -> dict[str, bytes]:
    """What a store has, by name."""
    import fsspec

    fs, root = fsspec.url_to_fs(url, use_listings_cache=False)
    return {path[len(root) + 1 :]: fs.cat_file(path) for path in fs.find(root)}


def test_a_store_has_the_files_and_bytes_of_a_local_run(
    store: str, machine: Callable[[str], None], tiny_rm: Path, tmp_path: Path
) -> None:
    out = f"{store}/study"
    table = bm.score(tiny_rm, out=out, **QUIET)
    local = bm.score(tiny_rm, out=tmp_path / "local", **QUIET)
    name = f"scores/{local.record.slug}.parquet"
    assert files_of(out)[name] == (tmp_path / "local" / name).read_bytes()
    assert bm.read_scores(f"{out}/{name}").frame.equals(table.frame)
    bm.compare([f"{out}/{name}"], lexicons=["starter"], out=f"{store}/compared")
    bm.compare([tmp_path / "local" / name], lexicons=["starter"], out=tmp_path / "compared")
    there = files_of(f"{store}/compared")
    here = {
        path.relative_to(tmp_path / "compared").as_posix(): path.read_bytes()
        for path in (tmp_path / "compared").rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }
    assert sorted(there) == sorted(here)
    assert "report.html" in there
    for name in (name for name in here if name.startswith("effects/")):
        assert there[name] == here[name]


def test_another_machine_goes_on_from_what_is_finished(
    bucket: str, machine: Callable[[str], None], tiny_rm: Path
) -> None:
    bm.score(tiny_rm, out=bucket, **QUIET)
    before = files_of(bucket)
    machine("b")
    bm.score(tiny_rm, out=bucket, **QUIET)
    after = files_of(bucket)
    assert {name: data for name, data in after.items() if name.startswith("scores/")} == {
        name: data for name, data in before.items() if name.startswith("scores/")
    }
    machine("c")
    with pytest.raises(BirthmarkError, match=rf"^{bucket} holds another study, with prompts"):
        bm.score(tiny_rm, out=bucket, **{**QUIET, "prompt": ["worst_ever_one"]})


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import birthmark as bm
    from birthmark.inputs.stores import Store
    from birthmark.process import collect_seldom

    collect_seldom()
    suffix, moment, model, out = sys.argv[1:]
    put = Store.put

    def killed(store, path):
        if path.suffix == suffix and path.parent.name == "scores":
            if moment == "during":  # half of it, as the store's client would have sent it
                aside = store._at("scores/.unfinished-0123")
                store.fs.pipe_file(aside, path.read_bytes()[:100])
            if moment == "after":
                put(store, path)
            os.kill(os.getpid(), signal.SIGKILL)
        put(store, path)

    Store.put = killed
    bm.score(Path(model), out=out, prompt=["best_ever_one"], lexicons=["starter"], verify=False, quiet=True)
"""


@pytest.mark.parametrize(
    ("suffix", "moment", "elsewhere"),
    [(".parquet", "during", False), (".parquet", "after", True), (".json", "after", True)],
)
def test_after_a_kill_the_next_run_ends_with_the_same_bytes(
    suffix: str,
    moment: str,
    elsewhere: bool,
    bucket: str,
    machine: Callable[[str], None],
    tiny_rm: Path,
    tmp_path: Path,
) -> None:
    local = bm.score(tiny_rm, out=tmp_path / "local", **QUIET)
    name = f"scores/{local.record.slug}.parquet"
    killed = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), suffix, moment, tiny_rm, bucket], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    left = files_of(bucket)
    assert LOCK_OBJECT in left
    assert (name in left) == (moment == "after")
    machine("b" if elsewhere else "a")
    bm.score(tiny_rm, out=bucket, **QUIET)
    found = files_of(bucket)
    assert found[name] == (tmp_path / "local" / name).read_bytes()
    assert not [name for name in found if name.rpartition("/")[2].startswith(".")]
    assert bm.read_scores(f"{bucket}/{name}").frame.equals(local.frame)


def test_two_machines_at_once(store: str, machine: Callable[[str], None]) -> None:
    with opened(store) as first:
        (first / "a.json").write_text("{}")
        machine("b")
        with (
            pytest.raises(BirthmarkError, match=rf"is written to by .*process {os.getpid()}.*delete {store}/"),
            opened(store),
        ):
            raise AssertionError
    with opened(store) as second:
        assert (second / "a.json").read_text() == "{}"
        (second / "a.json").unlink()
    assert files_of(store) == {}


def test_a_machine_that_was_not_heard_of_again_is_named(bucket: str, machine: Callable[[str], None]) -> None:
    import s3fs

    s3fs.S3FileSystem().pipe_file(f"{bucket}/{LOCK_OBJECT}", b'{"host": "node-7", "pid": 12, "since": "then"}')
    with pytest.raises(BirthmarkError, match=rf"node-7, process 12, since then: .*delete {bucket}/{LOCK_OBJECT}$"):
        bm.score("x", out=bucket, **QUIET)


def rights(server: str, requests: str) -> None:
    """So many requests are granted from now on."""
    address, headers = f"{server}/moto-api/reset-auth", {"Content-Type": "text/plain"}
    request = urllib.request.Request(address, requests.encode(), headers, method="POST")
    urllib.request.urlopen(request).close()


def test_what_could_not_be_put_is_put_by_the_next_run(
    bucket: str, machine: Callable[[str], None], server: str, tiny_rm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(bucket) as folder:
        (folder / "kept.json").write_text("{}")
        rights(server, "0")
        try:
            with pytest.raises(BirthmarkError, match="no rights there"):
                Store(bucket, folder).put(folder / "kept.json")
        finally:
            rights(server, "inf")
    assert files_of(bucket) == {"kept.json": b"{}"}


@pytest.mark.parametrize("requests", [0, 6, 9])
def test_a_run_whose_rights_end_half_way_is_finished_by_the_next_without_scoring_again(
    requests: int,
    bucket: str,
    machine: Callable[[str], None],
    server: str,
    tiny_rm: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scored = []
    own = RewardScorer.score_together
    monkeypatch.setattr(
        RewardScorer, "score_together", lambda self, texts, rows: scored.extend(texts) or own(self, texts, rows)
    )
    rights(server, str(requests))
    try:
        with pytest.raises(BirthmarkError, match=f"^{bucket} cannot be (read|written to): no rights there"):
            bm.score(tiny_rm, out=bucket, **QUIET)
    finally:
        rights(server, "inf")
    assert len(scored) == (requests > 0)
    bm.score(tiny_rm, out=bucket, **QUIET)
    assert len(scored) == 1
    local = bm.score(tiny_rm, out=tmp_path / "local", **QUIET)
    name = f"scores/{local.record.slug}.parquet"
    assert files_of(bucket)[name] == (tmp_path / "local" / name).read_bytes()


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("s3://nobody-made-this/out", "there is no such bucket"),
        ("s4://bucket/out", "s4://, which is unknown"),
        ("https://example.org/out", "where nothing can be written"),
        ("s3://key:secret@bucket/out", "has credentials in it"),
        ("s3://bucket/out?versionId=1", "has a query"),
        ("s3://", "names no bucket"),
        ("s3:/nobody-made-this/out", "s3://nobody-made-this/out cannot be written to"),
    ],
)
def test_a_bad_address_is_one_line(
    address: str, says: str, bucket: str, machine: Callable[[str], None], birthmark: Callable, tiny_rm: Path
) -> None:
    answer = birthmark("score", tiny_rm, "--out", address)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert says in answer.err
    assert "secret" not in answer.err
    assert not Path("s3:").exists()


@pytest.mark.parametrize("case", ["no server", "no credentials"])
def test_no_answer_is_one_line_and_soon(
    case: str,
    bucket: str,
    machine: Callable[[str], None],
    birthmark: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tiny_rm: Path,
) -> None:
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    if case == "no server":
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    else:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    answer = birthmark("score", tiny_rm, "--out", f"{bucket}/x")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert {"no server": "AWS_ENDPOINT_URL", "no credentials": "AWS_ACCESS_KEY_ID"}[case] in answer.err


def test_the_command_line_names_the_address(
    bucket: str, machine: Callable[[str], None], birthmark: Callable, tiny_rm: Path
) -> None:
    out = f"{bucket}/study"
    answer = birthmark("score", tiny_rm, "--out", out, "--prompt", "best_ever_one", "--lexicon", LEXICON, "--json")
    assert answer.code == 0, answer.err
    table = re.search(r'"path": "(s3://[^"]+\.parquet)"', answer.out)
    assert table is not None
    assert birthmark("scores", "check", table[1]).code == 0
    compared = birthmark("compare", table[1], "--lexicon", LEXICON, "--out", f"{bucket}/compared")
    assert f"{bucket}/compared/report.html" in re.sub(r"\s", "", compared.out)
    report = birthmark("report", f"{bucket}/compared")
    assert (report.code, report.err) == (0, "")
    assert f"{bucket}/compared/report.html" in report.out
