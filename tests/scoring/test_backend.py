"""Backends of other packages: the example is installed and used, and a package with a broken backend is named."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest

from birthmark.errors import BirthmarkError, CheckFailed
from birthmark.models.resolve import resolve
from birthmark.scoring import backends
from birthmark.scoring.backends import find_backend, known_backends
from birthmark.scoring.measure import make_measure
from birthmark.scoring.run import score_model
from birthmark.scoring.table import read_scores

REPOSITORY = Path(__file__).parents[2]
WORDS = [f"{'a' * (number % 7 + 1)}{number}" for number in range(250)]  # three units of work a prompt
ASKED = ("--backend", "length", "--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--quiet")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's package, installed by pip into a folder of its own, from a copy: building leaves nothing behind."""
    example = REPOSITORY / "examples" / "custom_backend"
    source = shutil.copytree(example, tmp_path_factory.mktemp("source") / "custom_backend")
    target = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--target", str(target), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    return target


@pytest.fixture
def words(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The candidates; the example's package is where Python finds it."""
    monkeypatch.syspath_prepend(str(installed))
    path = tmp_path / "words.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    return path


def test_an_installed_package_scores_on_the_command_line(words, tiny_rm, birthmark, tmp_path):
    answer = birthmark("score", tiny_rm, *ASKED, "--candidates", words, "--verify", "--out", tmp_path / "out")
    assert answer.code == 0, answer.err
    (path,) = (tmp_path / "out" / "scores").glob("*.parquet")
    table = read_scores(path)
    for key in table.prompt_keys:
        asked = len(table.prompts[key].text.split())
        assert table.frame[key].to_list() == [-abs(len(word) - asked) for word in WORDS]
    record = table.record
    assert (record.backend, record.engine, record.verify_max_abs_diff, record.verify_bound) == (
        "length",
        None,
        0.0,
        0.0,
    )
    assert record.precision is not None and record.precision.max_abs_diff == 0
    assert set(record.versions) == {"birthmark", "birthmark-length-backend"}
    assert not list((tmp_path / "out" / ".work").glob("*"))


def test_a_run_that_was_stopped_does_no_unit_of_work_twice(words, tiny_rm, tmp_path, monkeypatch):
    import length_backend

    original, done = length_backend.LengthSession.score, []

    def stops_after(count):
        def score(self, texts, units):
            for unit, scores in original(self, texts, units):
                if len(done) == count:
                    raise KeyboardInterrupt
                done.append(unit)
                yield unit, scores

        return score

    def run(out):
        measure = make_measure(backend="length", prompt=["best_ever_one", "worst_ever_one"], candidates=str(words))
        return score_model(resolve(tiny_rm), measure, "chat", out)

    whole = run(tmp_path / "whole")
    monkeypatch.setattr(length_backend.LengthSession, "score", stops_after(4))
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "out")
    assert len(list((tmp_path / "out" / ".work").glob("*/*.npz"))) == 4
    monkeypatch.setattr(length_backend.LengthSession, "score", stops_after(None))
    resumed = run(tmp_path / "out")
    assert len(done) == len(set(done)) == 6
    assert resumed.frame.equals(whole.frame) and resumed.record.sha256 == whole.record.sha256


def test_scores_that_the_self_check_does_not_find_are_not_written(words, tiny_rm, tmp_path, monkeypatch):
    import length_backend

    wrong = lambda text, words: np.zeros(len(words), dtype=np.float32)
    monkeypatch.setattr(length_backend, "one_by_one", wrong)
    measure = make_measure(backend="length", prompt="best_ever_one", candidates=str(words))
    with pytest.raises(CheckFailed, match="self-check"):
        score_model(resolve(tiny_rm), measure, "chat", tmp_path / "out")
    assert not (tmp_path / "out" / "scores").exists()


def test_an_option_that_a_backend_cannot_honour_is_refused(words, tiny_rm, birthmark):
    answer = birthmark("score", tiny_rm, *ASKED, "--candidates", words, "--dtype", "bfloat16")
    assert answer.is_error("--dtype", "--backend length")


@pytest.mark.parametrize("asked", [("--read", "end"), ("--bos", "two")], ids=lambda words: words[0][2:])
def test_what_a_backend_says_nothing_of_is_refused_by_the_run(asked, words, tiny_rm, birthmark, monkeypatch):
    import length_backend

    monkeypatch.setattr(length_backend, "refuse_options", lambda *_: None)  # one that does not ask
    answer = birthmark("score", tiny_rm, *ASKED, "--candidates", words, *asked)
    assert answer.is_error(asked[0], "--backend length")


def test_a_backend_of_that_name_that_gives_too_few_scores_is_an_error(words, tiny_rm, monkeypatch):
    import length_backend

    units = length_backend.LengthSession.units
    monkeypatch.setattr(length_backend.LengthSession, "units", lambda self, texts: units(self, texts)[1:])
    measure = make_measure(backend="length", prompt="best_ever_one", candidates=str(words))
    with pytest.raises(BirthmarkError, match="150 scores of 250"):
        score_model(resolve(tiny_rm), measure, "chat")


def test_an_unknown_backend_is_one_line_with_a_suggestion(tiny_lm, birthmark):
    assert birthmark("score", tiny_lm, "--backend", "lokal").is_error("lokal", "did you mean local?")


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (EntryPoint("local", "json:JSONDecoder", "birthmark.backends"), "taken"),
        (EntryPoint("broken", "no_such_module:Backend", "birthmark.backends"), "cannot be imported"),
        (EntryPoint("alien", "json:JSONDecoder", "birthmark.backends"), "is not a"),
    ],
)
def test_a_package_with_a_broken_backend_is_named(point, words, monkeypatch):
    monkeypatch.setattr(backends, "entry_points", lambda group: [point])
    with pytest.raises(BirthmarkError, match=f"{point.name}.*{words}"):
        known_backends()
    assert find_backend("local").name == "local"  # which nobody else's mistake stops


def test_a_local_table_says_so(tiny_rm, birthmark, tmp_path):
    asked = ("--prompt", "best_ever_one", "--candidates", "love", "--quiet")
    assert birthmark("score", tiny_rm, *asked, "--out", tmp_path).code == 0
    (path,) = (tmp_path / "scores").glob("*.json")
    assert json.loads(path.read_text(encoding="utf-8"))["backend"] == "local"
