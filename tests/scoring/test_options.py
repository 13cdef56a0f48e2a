"""Each option that moves a score makes a new table, each that does not gives the same bytes: none may be forgotten in the key."""

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from birthmark.inputs.answers import Asked, asked
from birthmark.models.resolve import resolve
from birthmark.models.scorers import LogProbScorer
from birthmark.scoring import backends, resume
from birthmark.scoring import measure as measures
from birthmark.scoring.backend import Job
from birthmark.scoring.backends import find_backend
from birthmark.scoring.declarations import Option, options_in, select
from birthmark.scoring.local import LocalBackend
from birthmark.scoring.measure import choose_frames, make_measure
from birthmark.scoring.options import MeasureOptions, ModelOptions, ScoringOptions
from birthmark.scoring.resume import option_values, resume_key
from birthmark.scoring.run import score_model
from birthmark.scoring.table import ScoreTable

OPTIONS = options_in(ScoringOptions)
MOVES = [name for name, option in OPTIONS.items() if option.moves_score]
STAYS = [name for name, option in OPTIONS.items() if not option.moves_score]
CHANGED: dict[str, Any] = {  # None: made in a test of its own below
    "prompts": "more.yaml",
    "prompt": "worst_ever_one",
    "lexicons": "more.csv",
    "candidates": "love,hope",
    "answers": "late.yaml",
    "system": "You are a pirate.",
    "controls": "prompt",
    "frame": "qa",
    "template_date": "2025-01-01",
    "protocol": "christian2026",
    "backend": "other",
    "server": None,
    "read": "end",
    "bos": "two",
    "engine": "plain",
    "dtype": "float16",
    "device": "cpu:0",
    "chat_template": "plain",
    "device_map": None,
    "quantize": None,
    "revision": None,
    "kind": None,
    "verify": True,
    "ray": None,  # tests/scoring/test_ray.py
    "seed": 5,
    "quiet": False,
    "catalog": "catalog.toml",
    "family": "Tiny",
    "base_checkpoint": "tiny-1",
}
FILES = {
    "words.csv": "word,category\nlove,A\nfreedom,B\npower,B\n",
    "more.csv": "word,category\nlove,A\nfreedom,B\nfamily,A\n",
    "more.yaml": "best_ever_one: {text: 'What is good?', framing: positive}\n",
    "late.yaml": 'late: "I say {word}."\n',
    "catalog.toml": '[models."mine"]\npath = "nowhere"\nkind = "logprob"\n',
}


class OtherBackend(LocalBackend):
    """What the local backend is, under a name of its own."""

    name = "other"
    scores_as = "other"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the options name, and a second backend."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    points = [EntryPoint("other", f"{__name__}:OtherBackend", "birthmark.backends")]
    for module in (backends, measures):
        monkeypatch.setattr(module, "entry_points", lambda group: points)
    return tmp_path


@pytest.fixture
def job_of(tiny_lm: Path, world: Path) -> Callable[..., Job]:
    """What a command makes of the options."""

    def made(**options: Any) -> Job:
        asked = {"prompt": "best_ever_one", "lexicons": "words.csv", "candidates": "lexicon", **options}
        measure = make_measure(**select(asked, MeasureOptions))
        model = resolve(tiny_lm, **select(asked, ModelOptions))
        (frame,) = choose_frames([model], measure.frame, measure.protocol)
        return Job(model, measure, frame)

    return made


def score(job: Job, out: Path) -> ScoreTable:
    return score_model(job.model, job.measure, job.frame, out)


def key_of(job: Job) -> str:
    return resume_key(job, find_backend(job.measure.backend))


def test_every_option_has_another_value_here():
    assert set(CHANGED) == set(OPTIONS)


@pytest.mark.parametrize("name", [name for name in MOVES if CHANGED[name] is not None])
def test_nothing_is_reused_where_an_option_that_moves_scores_differs(name, job_of, world, monkeypatch):
    first = score(job_of(), world / "out")
    scored: list[Asked] = []
    original = LogProbScorer.score_together
    monkeypatch.setattr(
        LogProbScorer, "score_together", lambda self, texts: scored.extend(texts) or original(self, texts)
    )
    job = job_of(**{name: CHANGED[name]})
    second = score(job, world / "out")
    assert second.record.key != first.record.key
    assert scored == [asked(prompt) for prompt in job.prompts.prompts.values()]


@pytest.mark.parametrize(("name", "value"), [("quantize", "8bit"), ("device_map", "auto"), ("kind", "reward")])
def test_the_key_moves_with_an_option_that_cannot_be_run_here(name, value, job_of):
    assert key_of(job_of(**{name: value})) != key_of(job_of())


def test_the_key_moves_with_the_weights_that_a_revision_names(job_of):
    job = job_of()
    other = replace(job.model, digests=job.model.digests.model_copy(update={"weights": "0" * 64}))
    assert key_of(replace(job, model=other)) != key_of(job)


@pytest.mark.parametrize("name", [name for name in STAYS if CHANGED[name] is not None])
def test_a_fresh_run_gives_the_same_bytes_where_an_option_that_moves_no_score_differs(name, job_of, world):
    first, second = score(job_of(), world / "a"), score(job_of(**{name: CHANGED[name]}), world / "b")
    assert second.record.key == first.record.key
    (a,), (b,) = ((world / out / "scores").glob("*.parquet") for out in "ab")
    assert a.read_bytes() == b.read_bytes()


def test_an_option_that_moves_scores_and_has_no_value_in_the_key_raises(job_of, monkeypatch):
    job, backend = job_of(), find_backend("local")
    declared = {**OPTIONS, "temperature": Option("Of nothing.", moves_score=True)}
    monkeypatch.setattr(resume, "options_in", lambda options: declared)
    with pytest.raises(LookupError, match="temperature"):
        option_values(job, backend, backend.settings(job))


def test_a_backend_that_scores_as_the_local_one_takes_up_its_work(job_of, world, monkeypatch):
    first = score(job_of(), world / "out")
    monkeypatch.setattr(OtherBackend, "scores_as", "local")
    monkeypatch.setattr(LogProbScorer, "score_together", lambda self, texts: pytest.fail("scored again"))
    assert score(job_of(backend="other"), world / "out").record.key == first.record.key


def test_a_table_that_is_reused_carries_the_labels_given_now(job_of, world, monkeypatch):
    score(job_of(family="Old", base_checkpoint="old-1"), world / "out")
    (path,) = (world / "out" / "scores").glob("*.parquet")
    before = path.read_bytes()
    monkeypatch.setattr(LogProbScorer, "score_together", lambda self, texts: pytest.fail("scored again"))
    for given in ({"family": "New", "base_checkpoint": "new-1"}, {}):
        record = score(job_of(**given), world / "out").record
        assert (record.family, record.base_checkpoint) == ("New", "new-1")
        assert '"family": "New"' in path.with_suffix(".json").read_text(encoding="utf-8")
    assert path.read_bytes() == before
