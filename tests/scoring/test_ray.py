"""Scoring on a real local Ray: the local run's bytes, whatever is killed on the way; and what is said where there is no room."""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.models.resolve import resolve
from birthmark.scoring import cluster as clusters
from birthmark.scoring import local as local_backend
from birthmark.scoring import places, ray_backend
from birthmark.scoring.cluster import Request, connect
from birthmark.scoring.measure import make_measure
from birthmark.scoring.places import Places, run_tasks
from birthmark.scoring.ray_backend import RayBackend, RaySession, _Actor, gpus_for
from birthmark.scoring.resume import Kept
from preference_files import pair_rows, write_rows
from tiny_runs import write_small_lexicon

ray = pytest.importorskip("ray", reason="Ray is not installed: make extras")

PROMPTS = ["best_ever_one", "greatest_ever_one", "good_ever_one", "worst_ever_one", "bad_ever_one", "terrible_ever_one"]
WORDS = "love,freedom,power,family,honour,hope"
NAMED = r"tiny-rm, \w+_ever_one, candidates 1 to 6, failed 3 times.*is kept"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray of two CPUs, started once; nothing of it is left behind."""
    folder = tempfile.mkdtemp(prefix="bm")  # short: the paths of its sockets have 107 bytes
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_health_check_period_ms", "1000")  # a lost machine is found lost in 5 s, not in 15
        patch.setenv("RAY_worker_niceness", "0")  # its workers do not wait for the other tests
        patch.delenv("RAY_ADDRESS", raising=False)
        connect("local")
    before = psutil.Process().children(recursive=True)
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()
    _, alive = psutil.wait_procs(before, timeout=20)
    shutil.rmtree(folder, ignore_errors=True)
    assert not alive, f"Ray left {alive}"


def workers() -> list[psutil.Process]:
    """The actors' processes."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[:1] and process.cmdline()[0].startswith("ray::_Actor"):
                found.append(process)
        except psutil.Error:
            continue
    return sorted(found, key=lambda process: process.pid)


def hold(cpus: int) -> Any:
    """An actor that takes CPUs of the first machine, until it is killed."""
    holder = ray.remote(num_cpus=cpus)(type("Holder", (), {"ready": lambda self: True})).remote()
    ray.get(holder.ready.remote())
    return holder


@pytest.fixture
def alone(address: str) -> Iterator[str]:
    """The Ray with room for one worker, which takes seconds to start."""
    holder = hold(1)
    yield address
    ray.kill(holder)


def wait_until(there: Callable[[], bool], *, pause: float = 0.1) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert time.monotonic() < deadline
        time.sleep(pause)


def score(model: Path, out: Path, **options: Any) -> Any:
    return bm.score(model, prompt=PROMPTS, candidates=WORDS, out=out, **options)


def bytes_of(out: Path) -> bytes:
    (path,) = (out / "scores").glob("*.parquet")
    return path.read_bytes()


def record_of(out: Path) -> dict[str, Any]:
    (path,) = (out / "scores").glob("*.json")
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def local(tiny_rm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a local run writes."""
    out = tmp_path_factory.mktemp("local")
    score(tiny_rm, out)
    return out


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prompts whose scores the driver kept, as often as it did."""
    original, texts = Kept.write, list[str]()

    def write(self: Kept, text: str, *rest: Any) -> None:
        original(self, text, *rest)
        texts.append(text)

    monkeypatch.setattr(Kept, "write", write)
    return texts


def after(monkeypatch: pytest.MonkeyPatch, written: list[str], act: Callable[[int], None]) -> None:
    """Call `act` with how many prompts are finished, each time another is."""
    original = Kept.write

    def write(self: Kept, *arguments: Any) -> None:
        original(self, *arguments)
        act(len(written))

    monkeypatch.setattr(Kept, "write", write)


# ------------------------------------------------------------------------------------------------------------ results


def test_a_reward_model_has_the_local_runs_bytes(address, local, tiny_rm, tmp_path, written):
    table = score(tiny_rm, tmp_path, ray=True, verify=True)
    assert bytes_of(tmp_path) == bytes_of(local)
    found, wanted = record_of(tmp_path), record_of(local)
    assert (found["backend"], wanted["backend"]) == ("ray", "local")
    for name in ("key", "sha256", "engine", "dtype", "device", "verify_max_abs_diff", "context_ids", "threads"):
        assert found[name] == wanted[name], name
    assert table.record.precision is not None and table.record.precision.max_abs_diff < 1e-4
    assert len(written) == len(set(written)) == len(PROMPTS)
    assert not list((tmp_path / ".work").glob("*"))


class InSmallBlocks(_Actor):
    """An actor whose units have four answers."""

    def __init__(self) -> None:
        local_backend.ROWS_AT_ONCE = 4
        super().__init__()


def test_a_prompts_answers_are_shared_among_actors_block_by_block(address, tiny_rm, tmp_path, monkeypatch):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a test
    original, blocks = Kept.write, []

    def write(self: Kept, text: str, rows: range, *rest: Any) -> None:
        blocks.append(rows)
        original(self, text, rows, *rest)

    monkeypatch.setattr(Kept, "write", write)
    monkeypatch.setattr(local_backend, "ROWS_AT_ONCE", 4)
    monkeypatch.setattr(ray_backend, "_Actor", InSmallBlocks)
    asked = {"prompt": PROMPTS[:1], "candidates": [f"word{number}" for number in range(10)]}
    bm.score(tiny_rm, out=tmp_path / "local", **asked)
    bm.score(tiny_rm, out=tmp_path / "ray", ray=True, **asked)
    assert bytes_of(tmp_path / "local") == bytes_of(tmp_path / "ray")
    both = [range(4), range(4, 8), range(8, 10)]
    assert blocks[:3] == both and sorted(blocks[3:], key=lambda rows: rows.start) == both
    assert record_of(tmp_path / "local")["context_ids"] == record_of(tmp_path / "ray")["context_ids"]


def test_an_audit_on_the_command_line_has_the_local_tables(alone, tiny_lm, tiny_base, birthmark, tmp_path):
    asked = ("--prompt", PROMPTS[0], "--candidates", "lexicon", "--frame", "qa", "--quiet")
    assert birthmark("audit", tiny_lm, tiny_base, *asked, "--out", tmp_path / "local").code == 0
    answer = birthmark("audit", "--ray", tiny_lm, tiny_base, *asked, "--out", tmp_path / "ray")
    assert answer.code == 0, answer.err
    ours, theirs = (sorted((tmp_path / side / "scores").glob("*.parquet")) for side in ("ray", "local"))
    assert [path.name for path in ours] == [path.name for path in theirs] and len(ours) == 2
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]
    answer = birthmark("implicit", tiny_lm, tiny_base, "--ray", *asked, "--out", tmp_path / "implicit")
    assert answer.code == 0, answer.err


def test_a_model_that_waits_for_a_place_keeps_no_other_from_loading():
    """As a lock did that all sessions shared: the model that had the place waited for the one that waited for it."""
    waits, given = threading.Event(), threading.Event()

    class Waiting:
        places = (None,)

        def run(self, *_: Any) -> Iterator[Any]:
            waits.set()
            assert given.wait(20), "the other model was not described"
            yield 0, ("facts", "candidates")

    class Given(Waiting):
        def run(self, *_: Any) -> Iterator[Any]:
            assert waits.wait(20)
            yield 0, ("facts", "candidates")
            given.set()

    first, second = (RaySession(kind(), SimpleNamespace(model=None), None) for kind in (Waiting, Given))  # type: ignore[arg-type]
    with ThreadPoolExecutor(2) as pool:
        described = [pool.submit(lambda session: session.facts, session) for session in (first, second)]
        waits.wait(20)
        assert described[1].result(timeout=10) == "facts"
        given.set()
        assert described[0].result(timeout=30) == "facts"


# ------------------------------------------------------------------------------------------------------------- faults


def test_killed_workers_change_no_byte(address, local, tiny_rm, tmp_path, monkeypatch, written):
    seed = 0
    points = random.Random(seed).sample(range(1, len(PROMPTS)), 2)
    killed = []

    def kill(finished: int) -> None:
        if finished in points and (there := workers()):
            victim = random.Random(seed + finished).choice(there)
            victim.send_signal(signal.SIGKILL)
            killed.append(victim.pid)

    after(monkeypatch, written, kill)
    score(tiny_rm, tmp_path, ray=True)
    assert killed and bytes_of(tmp_path) == bytes_of(local)
    assert len(written) == len(set(written)) == len(PROMPTS)


def test_ray_takes_up_what_a_local_run_left(alone, local, tiny_rm, tmp_path, monkeypatch, written):
    def stop(finished: int) -> None:
        if finished == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        after(patch, written, stop)
        score(tiny_rm, tmp_path)
    score(tiny_rm, tmp_path, ray=True)
    assert bytes_of(tmp_path) == bytes_of(local)
    assert len(written) == len(set(written)) == len(PROMPTS)


def test_a_local_run_takes_up_what_ray_left(alone, local, tiny_rm, tmp_path, monkeypatch, written):
    def stop(finished: int) -> None:
        if finished == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        after(patch, written, stop)
        score(tiny_rm, tmp_path, ray=True)
    wait_until(lambda: not workers())  # Ray ends them a moment later
    score(tiny_rm, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(local)
    assert len(written) == len(set(written)) == len(PROMPTS)


def test_a_lost_machine_changes_no_byte(address, local, tiny_rm, tmp_path, monkeypatch, written):
    """One CPU of the first machine is taken until the second is lost, so that work runs on both."""
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={address}", "--num-cpus=1", "--block"]
    machine = subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    holder = hold(1)
    lost = list[int]()

    def lose(finished: int) -> None:
        if finished == 2:
            for process in [*psutil.Process(machine.pid).children(recursive=True), machine]:
                with suppress(psutil.Error):
                    process.kill()
            lost.append(finished)
            ray.kill(holder)

    try:
        wait_until(lambda: len(clusters.nodes()) == 2)
        after(monkeypatch, written, lose)
        score(tiny_rm, tmp_path, ray=True)
    finally:
        machine.kill()
        machine.wait()
    assert lost and bytes_of(tmp_path) == bytes_of(local)
    assert len(written) == len(set(written)) == len(PROMPTS)
    wait_until(lambda: len(clusters.nodes()) == 1)


def test_a_killed_driver_is_taken_up_where_it_stopped(alone, local, tiny_rm, tmp_path, written):
    asked = [part for prompt in PROMPTS for part in ("--prompt", prompt)]
    line = [sys.executable, "-m", "birthmark", "score", str(tiny_rm), "--ray", alone, "--candidates", WORDS, *asked]
    driver = subprocess.Popen([*line, "--out", str(tmp_path)], stdout=subprocess.DEVNULL)
    try:
        wait_until(
            lambda: len(list((tmp_path / ".work").glob("*/*.npz"))) >= 2 or driver.poll() is not None, pause=0.002
        )
    finally:
        driver.kill()
        driver.wait()
    kept = len(list((tmp_path / ".work").glob("*/*.npz")))
    finished = bool(list((tmp_path / "scores").glob("*.parquet")))  # before it was killed, which takes a moment
    assert kept >= 2 or finished
    score(tiny_rm, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(local)
    assert len(written) == (0 if finished else len(PROMPTS) - kept)


class Dies(_Actor):
    """An actor that is lost over one prompt, whoever takes it up."""

    def score(self, sent: Any, texts: Any, unit: Any) -> Any:
        if unit.prompts.start == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().score(sent, texts, unit)


def test_a_unit_that_fails_three_times_is_named_and_the_rest_kept(
    alone, local, tiny_rm, tmp_path, monkeypatch, written
):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a test
    with monkeypatch.context() as patch, pytest.raises(BirthmarkError, match=NAMED):
        patch.setattr(ray_backend, "_Actor", Dies)
        score(tiny_rm, tmp_path, ray=True)
    kept = len(list((tmp_path / ".work").glob("*/*.npz")))
    assert kept == len(written) == len(PROMPTS) - 1
    score(tiny_rm, tmp_path)
    assert bytes_of(tmp_path) == bytes_of(local)
    assert len(written) == len(set(written)) == len(PROMPTS)


def dies_on_two(number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * number


def test_a_task_that_kills_its_worker_is_named_when_the_others_are_done(address):
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a worker cannot import a test
    found = []
    with pytest.raises(BirthmarkError, match=r"cell 2 failed 3 times"):
        for item, result in run_tasks("local", dies_on_two, [1, 2, 3, 4], name=lambda item: f"cell {item}"):
            found.append((item, result))
    assert sorted(found) == [(1, 10), (3, 30), (4, 40)]


def test_work_is_tried_three_times_however_long_its_model_loads(monkeypatch):
    seconds = iter(range(0, 10_000, 100))
    monkeypatch.setattr(places, "monotonic", lambda: next(seconds))
    request, lost = Request(1), ray.exceptions.ActorDiedError()
    place, attempts, item = places.Place(request, None, lambda place: None), places._Attempts(), object()
    left = []
    for _ in range(places.ATTEMPTS):
        left.append(attempts.are_left(item, place, lost))
        attempts.seen_alive(place)
    assert left == [True, True, False]


def test_actors_that_are_lost_on_and_on_are_given_up_after_a_minute(monkeypatch):
    monkeypatch.setattr(places, "monotonic", iter([0, 59, 61]).__next__)
    lost, attempts, item = ray.exceptions.ActorDiedError(), places._Attempts(), object()
    gone = [places.Place(Request(1), None, lambda place: None) for _ in range(3)]
    assert [attempts.are_left(item, place, lost) for place in gone] == [True, True, False]


class Named:
    def pid(self) -> int:
        return os.getpid()


def test_work_that_one_place_does_leaves_the_others_theirs(address):
    """What is asked of one actor between (how to cut the work) once gave the second actor's place back."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    make = lambda place: ray.remote(Named).options(**place.options).remote()
    ask = lambda actor, _: actor.pid.remote()
    with Places(Request(1), 2, make) as both:
        wait_until(lambda: all(place.is_there() for place in both.places))
        assert len(list(both.run([None], ask, str))) == 1
        assert len({pid for _, pid in both.run(range(4), ask, str, give_back=True)}) == 2
        assert len(both.places) == 1  # for what comes last; the other's room is free


# ------------------------------------------------------------------------------------------------------------ no room


def test_where_others_have_all_room_it_says_so_and_ends(address, tiny_rm, birthmark, tmp_path, monkeypatch):
    monkeypatch.setattr(places, "SCHEDULING_SECONDS", 1.0)
    holder = hold(2)
    asked = ("score", tiny_rm, "--ray", "--prompt", PROMPTS[0], "--candidates", WORDS)
    answer = birthmark(*asked, "--out", tmp_path)
    ray.kill(holder)
    assert answer.is_error("gave no place in 1 s", "asked for 1 CPU", "it has", "2 CPUs", "wait until others are done")


def test_more_than_any_machine_has_is_said(address, tiny_rm, birthmark, monkeypatch):
    monkeypatch.setattr(places, "SCHEDULING_SECONDS", 1.0)
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    answer = birthmark("score", tiny_rm, "--ray", "--prompt", PROMPTS[0], "--candidates", WORDS)
    assert answer.is_error("asked for 64 CPUs", "its largest machine has", "use a larger cluster")


@pytest.mark.parametrize(
    ("memory_gb", "gpu_gb", "spread", "wanted"),
    [(1.3, 80, False, 0.25), (30, 80, False, 0.5), (50, 80, False, 1), (130, 80, False, 1), (130, 80, True, 2)],
)
def test_small_models_share_a_gpu(memory_gb, gpu_gb, spread, wanted):
    assert gpus_for(int(memory_gb * 2**30), int(gpu_gb * 2**30), spread=spread) == wanted


def test_places_are_counted_machine_by_machine():
    request = Request(2, gpus=0.5, memory=2**30)
    assert request.fits({"CPU": 8, "GPU": 1, "memory": 8 * 2**30}) == 2
    assert request.fits({"CPU": 8, "memory": 8 * 2**30}) == 0
    assert str(request) == "2 CPUs, 0.5 GPUs, 1.0 GB of memory"


# ------------------------------------------------------------------------------------------------------- no such cluster


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where something listens that is no Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_where_nothing_listens_it_ends_at_once(tiny_rm, birthmark):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    clusters.require_ray()  # imported, which takes seconds on a busy machine
    begun = time.monotonic()
    for place in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}"):
        assert birthmark("score", tiny_rm, "--ray", place).is_error("no Ray cluster answers", str(port))
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("place", ["http://127.0.0.1:8265", "ray://", "host:99999"])
def test_what_is_no_address_is_refused(place, tiny_rm, birthmark):
    assert birthmark("score", tiny_rm, f"--ray={place}").is_error("no address of a cluster")


CONNECT = """
import sys
from birthmark.errors import BirthmarkError
from birthmark.scoring.cluster import connect
try:
    connect(sys.argv[1])
    print("connected")
except BirthmarkError as error:
    print(error)
"""


def test_another_version_is_one_line(address):
    from ray.experimental.internal_kv import _internal_kv_get, _internal_kv_put

    true = _internal_kv_get("CLUSTER_METADATA", namespace="cluster")
    other = {**json.loads(true), "ray_version": "2.9.3"}
    _internal_kv_put("CLUSTER_METADATA", json.dumps(other), overwrite=True, namespace="cluster")
    try:
        line = [sys.executable, "-c", CONNECT, address]
        found = subprocess.run(line, check=False, capture_output=True, text=True, timeout=170)
    finally:
        _internal_kv_put("CLUSTER_METADATA", true, overwrite=True, namespace="cluster")
    (version,) = found.stdout.strip().splitlines()
    assert "another version" in version and "2.9.3" in version and found.stderr == ""


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_another_server_is_one_line_in_seconds(scheme, deaf, tiny_rm, birthmark, monkeypatch):
    monkeypatch.setattr(clusters, "GRPC_SECONDS", 1)
    begun = time.monotonic()
    answer = birthmark("score", tiny_rm, "--ray", f"{scheme}127.0.0.1:{deaf}")
    assert answer.is_error(f"127.0.0.1:{deaf} is no Ray cluster", "check the port")
    assert time.monotonic() - begun < 15


def test_without_ray_it_says_how_to_install_it(tiny_rm, birthmark, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert birthmark("score", tiny_rm, "--ray").is_error("pip install 'birthmark[ray]'")


def test_ray_and_another_backend_exclude_each_other(tiny_rm, birthmark):
    assert birthmark("score", tiny_rm, "--ray", "--backend", "other").is_error("--ray", "--backend other")


def test_finished_tables_have_nothing_to_run_on_ray(local, birthmark, tmp_path):
    (table,) = (local / "scores").glob("*.parquet")
    answer = birthmark("implicit", table, table, "--ray", "--out", tmp_path)
    assert answer.is_error("--ray")


def test_the_resume_key_is_the_local_runs(address, tiny_rm):
    from birthmark.scoring.backend import Job
    from birthmark.scoring.backends import find_backend
    from birthmark.scoring.resume import resume_key

    job = Job(resolve(tiny_rm), make_measure(prompt=PROMPTS[0], candidates=WORDS), "chat")
    assert resume_key(job, RayBackend("local")) == resume_key(job, find_backend("local"))


# ------------------------------------------------------------------------------------------- checkpoints, cells and runs


def test_checkpoints_have_the_local_tables(alone, tiny_lm, tmp_path):
    from tiny_runs import write_run

    run = write_run(tmp_path / "run", tiny_lm, steps=(0, 1))
    asked = {"prompt": [PROMPTS[0]], "candidates": "lexicon", "heads": 4}
    for side in ("local", "ray"):
        bm.track(run, out=tmp_path / side, ray=side == "ray", **asked)
    ours, theirs = (sorted((tmp_path / side / "scores").glob("*.parquet")) for side in ("ray", "local"))
    assert len(ours) == 2 and [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]
    wait_until(lambda: not workers())


def test_planted_cells_are_the_local_ones(alone, tmp_path):
    from planting_model import write_planting_model

    base = write_planting_model(tmp_path / "plantable")
    asked = {"bases": [base], "categories": ["colours"], "seeds": 2}
    found = bm.calibrate("planted", ray=True, out=tmp_path / "out", **asked)
    assert found.planted == bm.calibrate("planted", **asked).planted
    kept = list((tmp_path / "out" / ".work" / "planted").glob("*.json"))
    assert len(kept) == 2 and bm.calibrate("planted", ray=True, out=tmp_path / "out", **asked).planted == found.planted


def test_a_grids_runs_are_the_local_ones(alone, tiny_lm, tmp_path):
    from birthmark.commands.train import train_grid

    rows = [{"prompt": f"What matters {n}?", "chosen": f"love {n}", "rejected": f"power {n}"} for n in range(8)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    grid = {"bases": [str(tiny_lm)], "sources": ["pairs.jsonl"], "pairs": [4, 8], "preset": "small"}
    grid |= {"chat_template": "plain", "recipe": {"lora_rank": 2, "checkpoint_every": 100}}
    (tmp_path / "grid.yaml").write_text(json.dumps(grid))
    for side in ("local", "ray"):
        train_grid(tmp_path / "grid.yaml", out=tmp_path / side, ray=side == "ray")
    ours, theirs = (sorted((tmp_path / side).glob("*/checkpoints/*/*.safetensors")) for side in ("ray", "local"))
    assert ours and [path.relative_to(tmp_path / "ray") for path in ours] == [
        path.relative_to(tmp_path / "local") for path in theirs
    ]
    assert [path.read_bytes() for path in ours] == [path.read_bytes() for path in theirs]


def test_a_choice_is_the_local_one(alone, tiny_lm, tiny_base, tmp_path):
    pairs = write_rows(tmp_path / "pairs.jsonl", pair_rows(20))
    asked = {
        "preferences": pairs, "pairs": [4], "seeds": 2, "held_out": 8, "prompt": ("best_ever_one", "worst_ever_one"),
        "lexicons": [write_small_lexicon(tmp_path)], "heads": 50, "lora_rank": 2, "checkpoint_every": 100, "quiet": True,
    }  # fmt: skip
    local, ours = (bm.choose(tiny_lm, tiny_base, **asked, ray=ray, out=tmp_path / str(ray)) for ray in (False, True))
    for part in ("accuracies", "leans", "differences"):
        assert getattr(ours, part) == getattr(local, part) and getattr(ours, part)
    for kind in ("audit/scores/*.parquet", "track/**/scores/*.parquet", "held-out/*.parquet"):
        ours_of, theirs = (sorted((tmp_path / str(ray)).glob(kind)) for ray in (True, False))
        assert [path.read_bytes() for path in ours_of] == [path.read_bytes() for path in theirs]


def test_a_machine_that_does_not_see_the_folder_is_an_error(tmp_path):
    from birthmark.training.grid import GridRun, _Task, _train_task

    task = _Task(GridRun("run", None), tmp_path, tmp_path / "elsewhere")  # type: ignore[arg-type]
    with pytest.raises(BirthmarkError, match="does not see"):
        _train_task(task)
