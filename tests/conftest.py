"""Fixtures for all tests."""

import gc
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from birthmark.process import collect_seldom

os.environ.setdefault("OMP_NUM_THREADS", "1")  # workers share the cores

REPOSITORY = Path(__file__).parents[1]
SHARED = REPOSITORY.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published data beside the checkout; tests that need it skip where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the published data (a folder `shared` beside the checkout) is absent")
    return SHARED


def pytest_sessionstart(session: pytest.Session) -> None:
    """A worker imports what most tests need before the first of them; garbage is collected as in the program."""
    collect_seldom()
    if hasattr(session.config, "workerinput"):
        import birthmark.models.scorers
        import birthmark.report.draw
        import birthmark.training.trainer  # noqa: F401


@pytest.fixture(scope="module", autouse=True)
def what_is_there_stays() -> None:
    """Modules, tests and reports stay: collecting garbage, as a scored model and statsmodels' Holm do, passes over them."""
    gc.collect()
    gc.freeze()


LONGEST = (  # files that take longest, begun first: a long one begun last would run alone at the end
    "test_ray.py",  # waits for processes that start, while the other worker works
    "test_real_audit.py",
    "test_slurm.py",
    "test_page_in_browser.py",
    "test_help_examples.py",
    "test_head_oracles.py",
    "test_embedded.py",
    "test_scoring_run.py",
    "test_stores.py",
    "test_zoo.py",
    "test_server.py",
    "test_template_checks.py",
    "test_catalog_set.py",
    "test_peak_memory.py",
    "test_examples.py",
    "test_docs.py",
    "test_run.py",
    "test_wheel.py",
    "test_action.py",
    "test_scorers.py",
    "test_hostile_runs.py",
    "test_schemas.py",
    "test_choose.py",
    "test_implicit.py",
    "test_chat_template.py",
)


def pytest_unconfigure() -> None:
    gc.freeze()  # a process that ends does not look through all this once more


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first; a file's tests share a worker (`--dist loadfile`), so that what they stand on is made once."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI nothing may skip for want of published data that is there, or of a browser; of a GPU, tests marked so may."""
    report = yield
    must_run = os.environ.get("CI") and (SHARED.is_dir() or item.get_closest_marker("browser"))
    must_run = must_run and not item.get_closest_marker("gpu")
    if report.skipped and must_run and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def tiny_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random language model that has a chat template."""
    from tiny_models import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-lm", seed=1)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with another tiny random language model, without a chat template."""
    from tiny_models import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-base", seed=2, chat_template=None)


@pytest.fixture(scope="session")
def tiny_rm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny random reward model."""
    from tiny_models import write_tiny_model

    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny-rm", seed=3, reward=True)


@pytest.fixture(scope="session")
def embedded_tokenizer() -> Callable[[str], Any]:
    """The tokenizer of an embedded model by the model's name, read once."""
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import read_tokenizer

    return cache(lambda name: read_tokenizer(resolve(name, quiet=True)))


@pytest.fixture
def birthmark(capsys: pytest.CaptureFixture[str]) -> Callable[..., "Answer"]:
    """Run the command line in this process: `birthmark("score", …)` returns its exit code and what it printed."""
    from birthmark.cli import main

    def run(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    def is_error(self, *words: str) -> bool:
        """One line `error: …` with these words in it, exit code 2, nothing on standard output."""
        lines = self.err.strip().splitlines()
        return (
            self.code == 2 and len(lines) == 1 and lines[0].startswith("error: ") and all(w in lines[0] for w in words)
        )


@pytest.fixture(scope="session")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language models of two families, with vocabulary, lexicon words, effects and implicit reward."""
    from report_outs import WORDS, lexicon_file, table, write_out

    folder = tmp_path_factory.mktemp("two")
    a = table("gemma-3-270m", "Gemma", "gemma-3-270m", lean=0.5, seed=1)
    b = table("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M", lean=-0.4, seed=2)
    return write_out(folder / "out", [a, b], [lexicon_file(folder / "own.csv", WORDS)], implicit=True)


@pytest.fixture(scope="session")
def side_by_side(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language and five reward models, a neutral prompt, two lexicons, one of six categories; awkward names."""
    from birthmark.records import PromptRecord
    from report_outs import PROMPTS, WORDS, lexicon_file, table, write_out

    folder = tmp_path_factory.mktemp("both")
    asked = PROMPTS | {"neutral": PromptRecord(text="What comes to mind?")}
    a = table("gemma-3-270m", "Gemma", "gemma-3-270m", lean=0.5, seed=1, prompts=asked)
    b = table("smollm2-135m-instruct", "SmolLM", "SmolLM2-135M", lean=-0.4, seed=2, prompts=asked)
    rewards = [
        table(
            f"an-organisation--a-reward-model-with-a-very-long-name-{n}",
            family,
            f"{family} <{n // 2}>",
            kind="reward",
            seed=n,
            prompts=asked,
            tokens=False,
        )
        for n, family in enumerate(["Gemma", "Gemma", "Llama", "Llama", "Qwen & co"])
    ]
    listed = [word for group in WORDS.values() for word in group]
    six = {f"Category {n} <&>": listed[3 * n : 3 * n + 3] for n in range(6)}
    lexicons = [lexicon_file(folder / "own.csv", WORDS), lexicon_file(folder / "six.csv", six)]
    return write_out(folder / "out", [a, b, *rewards], lexicons, implicit=True)


@pytest.fixture(scope="session")
def ten_models(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study's ten reward models, compared by its agency and communion nouns."""
    from birthmark.inputs.lexicons import load_lexicon
    from birthmark.scoring.table import read_scores
    from report_outs import write_out

    data = shared / "paper-data" / "data"
    tables = [read_scores(path) for path in sorted((data / "reward_model_scores" / "dict_big2_nouns").glob("*.csv"))]
    lexicon = load_lexicon(data / "corpora" / "dict_big2_nouns.csv")
    return write_out(tmp_path_factory.mktemp("ten"), tables, [lexicon], command="compare")
