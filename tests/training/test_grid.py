"""A grid's runs: what they vary in, that finished ones are skipped, and the example."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import birthmark.training.grid as grids
from birthmark.commands.train import train_grid
from birthmark.errors import BirthmarkError
from birthmark.training.grid import plan_grid, read_grid
from preference_files import pair_rows, write_rows
from tiny_models import CHAT_TEMPLATE, write_tiny_model

RECIPE = {"lora_rank": 2, "checkpoint_every": 100}


def write_grid(folder: Path, bases: list[Any], **changes: Any) -> Path:
    write_rows(folder / "pairs.jsonl", pair_rows())
    content = {
        "bases": bases, "sources": ["pairs.jsonl"], "pairs": [8, 16], "preset": "small", "chat_template": "plain",
        "recipe": RECIPE, **changes,
    }  # fmt: skip
    (folder / "grid.yaml").write_text(
        yaml.safe_dump({name: value for name, value in content.items() if value is not None})
    )
    return folder / "grid.yaml"


@pytest.fixture
def grid_file(tiny_lm: Path, tiny_base: Path, tmp_path: Path) -> Path:
    return write_grid(tmp_path, [str(tiny_lm), {"model": str(tiny_base), "family": "Tiny"}])


def test_a_grid_is_every_combination_bases_side_by_side(grid_file: Path) -> None:
    grid = yaml.safe_load(grid_file.read_text())
    grid_file.write_text(yaml.safe_dump({**grid, "losses": ["bt", "grm-sft"], "seeds": [0, 1]}))
    runs = plan_grid(grid_file)
    assert len(runs) == len({run.name for run in runs}) == 2 * 2 * 2 * 2
    assert [(run.request.seed, run.request.pairs, run.request.recipe.loss) for run in runs[:4]] == [
        (0, 8, "bt"), (0, 8, "bt"), (0, 8, "grm-sft"), (0, 8, "grm-sft"),
    ]  # fmt: skip
    assert runs[0].name.endswith("_pairs_8_bt_seed0") and runs[0].name.startswith("tiny-lm-")
    assert {run.request.base.family for run in runs} == {None, "Tiny"}


def test_runs_are_trained_once_and_then_skipped(
    grid_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = train_grid(grid_file, out=tmp_path / "runs")
    assert [run.record.pairs for run in runs] == [8, 8, 16, 16]
    assert all(run.record.finished and run.out.parent == tmp_path / "runs" for run in runs)
    assert runs[0].record.trained_digest == runs[1].record.trained_digest
    monkeypatch.setattr("birthmark.training.run._train", lambda *_, **__: pytest.fail("trained again"))
    assert [run.record for run in train_grid(grid_file, out=tmp_path / "runs")] == [run.record for run in runs]


def test_a_pair_that_one_base_cannot_use_is_left_out_for_all(tiny_lm: Path, tmp_path: Path) -> None:
    refusing = "{% if messages[0]['content'] == 'What matters in case 3?' %}{{ raise_exception('3') }}{% endif %}"
    other = write_tiny_model(tmp_path / "other", seed=4, chat_template=refusing + CHAT_TEMPLATE)
    file = write_grid(tmp_path, [str(tiny_lm), str(other)], pairs=None, chat_template=None)
    runs = plan_grid(file)
    records = [grids.prepare(run.request).record for run in runs]
    assert [record.counts.trained for record in records] == [23, 23]
    assert records[0].trained_digest == records[1].trained_digest
    assert records[0].counts.dropped == {"dropped for another base of the grid": 1}
    assert records[1].counts.dropped == {"refused by the chat template": 1}


def test_a_run_that_fails_does_not_stop_the_others(
    grid_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def run(asked: Any, out: Path, **_: Any) -> Any:
        trained.append(out.name)
        if len(trained) == 2:
            raise BirthmarkError("the loss is nan at step 1")
        return out

    monkeypatch.setattr(grids, "run_training", run)
    with pytest.raises(BirthmarkError, match="1 of 4 runs failed.*tiny-base.*nan at step 1"):
        train_grid(grid_file, out=tmp_path / "runs")
    assert len(trained) == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": "x"}, "base"),
        ({"losses": ["dpo"]}, "losses"),
        ({"sources": []}, "sources"),
        ({"every": 2}, "not both"),
        ({"recipe": {"rate": 1}}, "rate"),
        ({"pairs": [500]}, "500"),
        ({"pairs": [8, 8]}, "twice"),
        ({"chat_template": None}, "--chat-template"),
    ],
)
def test_a_grid_that_cannot_be_raises_before_the_first_run(changes: dict, words: str, grid_file: Path) -> None:
    grid = {**yaml.safe_load(grid_file.read_text()), **changes}
    grid_file.write_text(yaml.safe_dump({name: value for name, value in grid.items() if value is not None}))
    with pytest.raises(BirthmarkError, match=words):
        plan_grid(grid_file)


@pytest.mark.parametrize("content", ["- a\n", "a: [", "!!python/object:os.system {}", "[a, " * 5000])
def test_a_file_that_is_no_grid_is_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(content)
    with pytest.raises(BirthmarkError, match="grid.yaml") as error:
        read_grid(tmp_path / "grid.yaml")
    assert "\n" not in str(error.value)


def test_the_example_is_a_grid() -> None:
    grid = read_grid(Path(__file__).parents[2] / "examples" / "grid.yaml")
    assert len(grid.bases) >= 2 and len(grid.sources) >= 2 and grid.pairs and len(grid.seeds) >= 2
