"""The steps that are kept, and the folders' names."""

from pathlib import Path

import pytest

from birthmark.models.folder import checkpoint_folders, checkpoint_name
from birthmark.training.recipe import checkpoint_steps, total_steps


@pytest.mark.parametrize(
    ("total", "every", "expected"),
    [
        (1, 500, [0, 1]),
        (16, 500, [0, 1, 2, 4, 8, 16]),
        (16, 6, [0, 1, 2, 4, 6, 8, 12, 16]),
        (10, 3, [0, 1, 2, 3, 4, 6, 8, 9, 10]),
    ],
)
def test_the_first_the_powers_of_two_every_kth_and_the_last_are_kept(total: int, every: int, expected: list) -> None:
    assert checkpoint_steps(total, every) == expected


@pytest.mark.parametrize(
    ("pairs", "epochs", "batch", "steps"),
    [(24, 2, 8, 6), (25, 1, 8, 4), (25, 2, 8, 7), (3, 1, 8, 1), (100, 0.5, 10, 5)],
)
def test_batches_run_on_from_one_epoch_into_the_next(pairs: int, epochs: float, batch: int, steps: int) -> None:
    assert total_steps(pairs, epochs, batch) == steps


def test_folders_are_found_in_the_order_of_steps_and_others_passed_over(tmp_path: Path) -> None:
    for name in (checkpoint_name(10), checkpoint_name(2), checkpoint_name(1_000_000), "step-x", ".step-000003"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "checkpoints" / checkpoint_name(7)).touch()
    assert [step for step, _ in checkpoint_folders(tmp_path)] == [2, 10, 1_000_000]
