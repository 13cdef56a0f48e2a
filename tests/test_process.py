"""The garbage collector of birthmark's own processes, and of others."""

import gc
import subprocess
import sys

from birthmark.cli import main
from birthmark.process import COLLECT_EVERY, own_process

THE_PROGRAM = "import gc, sys; from birthmark.cli import main; sys.argv[1:] = ['--version']; main(); print(gc.get_threshold()[0], gc.get_freeze_count() > 0)"


def test_a_callers_collector_is_left_alone(capsys):
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    gc.set_threshold(COLLECT_EVERY + 1)  # the tests' own is the program's
    try:
        assert main(["--version"]) == 0
        assert gc.get_threshold()[0] == COLLECT_EVERY + 1 and gc.get_freeze_count() <= frozen
    finally:
        gc.set_threshold(*before)


def test_the_program_collects_seldom_and_not_on_the_way_out():
    done = subprocess.run([sys.executable, "-c", THE_PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == f"{COLLECT_EVERY} True"


def test_garbage_is_collected_while_the_program_runs():
    class Cycle:
        alive = 0

        def __init__(self) -> None:
            self.itself = self
            Cycle.alive += 1

        def __del__(self) -> None:
            Cycle.alive -= 1

    before = gc.get_threshold()
    frozen = gc.get_freeze_count()
    try:
        with own_process():
            for _ in range(3 * COLLECT_EVERY):
                Cycle()
            left = Cycle.alive
    finally:
        gc.set_threshold(*before)
        if not frozen:
            gc.unfreeze()
    assert left < 2 * COLLECT_EVERY
