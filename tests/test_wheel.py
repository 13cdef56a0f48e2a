"""The wheel alone, in a clean environment: an undeclared dependency or a file left out ships otherwise."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


def run(*arguments: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, env=environment, text=True, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.network
def test_the_wheel_installs_alone_and_audits(tmp_path, tiny_lm, tiny_rm):
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, REPOSITORY, cwd=tmp_path)
    (wheel,) = tmp_path.glob("birthmark-*.whl")
    venv.create(tmp_path / "clean", with_pip=True)
    python = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin") / "python"
    lock = REPOSITORY / "requirements.lock"
    run(python, "-m", "pip", "install", "--quiet", "--no-compile", "-c", lock, wheel, cwd=tmp_path)
    run(python, "-m", "pip", "check", cwd=tmp_path)
    birthmark = python.with_name("birthmark")
    assert "Measure" in run(birthmark, "--help", cwd=tmp_path)
    options = ("--family", "Tiny", "--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--out", "out")
    run(birthmark, "audit", tiny_lm, tiny_rm, *options, cwd=tmp_path)
    assert (tmp_path / "out" / "report.html").is_file()
