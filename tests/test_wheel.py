"""The wheel alone, beside nothing but what it declares: an undeclared dependency or a file left out ships otherwise."""

import os
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

REPOSITORY = Path(__file__).parents[1]


def run(*arguments: str | Path, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, env=environment, text=True, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def declared(package: str) -> list[Distribution]:
    """The installed packages that a package declares, and those that they declare in turn."""
    found: dict[str, Distribution] = {}
    waiting, seen = [(package, "")], set()
    while waiting:
        name, extra = waiting.pop()
        known = distribution(name)
        found[name] = known
        for requirement in map(Requirement, known.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                asked = {(requirement.name, one) for one in ("", *requirement.extras)} - seen
                seen |= asked
                waiting += sorted(asked)
    return [known for name, known in found.items() if name != package]


def link(known: Distribution, site: Path) -> None:
    """Make an installed package importable from another environment, without copying it."""
    for name in {path.parts[0] for path in known.files or () if ".." not in path.parts}:
        if not (site / name).is_symlink():
            (site / name).symlink_to(Path(str(known.locate_file(name))))


def test_the_wheel_installs_alone_and_audits(tmp_path, tiny_lm, tiny_rm):
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, REPOSITORY, cwd=tmp_path)
    (wheel,) = tmp_path.glob("birthmark-*.whl")
    clean = tmp_path / "clean"
    venv.create(clean, with_pip=False)
    scripts, site = (
        Path(sysconfig.get_path(name, "venv", vars={"base": str(clean), "platbase": str(clean)}))
        for name in ("scripts", "purelib")
    )
    for known in declared("birthmark"):
        link(known, site)
    pip = (sys.executable, "-m", "pip", "--python", scripts / "python")
    run(*pip, "install", "--quiet", "--no-compile", "--no-deps", "--no-index", wheel, cwd=tmp_path)
    run(*pip, "check", cwd=tmp_path)
    assert not (site / "pytest").exists()  # what only tests need is not there
    assert "Measure" in run(scripts / "birthmark", "--help", cwd=tmp_path)
    options = ("--family", "Tiny", "--prompt", "best_ever_one", "--prompt", "worst_ever_one", "--out", "out")
    run(scripts / "birthmark", "audit", tiny_lm, tiny_rm, *options, cwd=tmp_path)
    assert (tmp_path / "out" / "report.html").is_file()
