"""Reward heads of other packages: the example is installed and used, and a package with a broken head is named."""

import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from head_folders import HIDDEN, draw, load, refused, write_head
from safetensors.torch import load_file, save_file

from birthmark.errors import BirthmarkError
from birthmark.models.heads import known
from birthmark.models.heads.known import known_heads, read_head

pytestmark = pytest.mark.usefixtures("own_cache")

REPOSITORY = Path(__file__).parents[2]
ENSEMBLE = {f"ensemble.{number}.weight": draw(1, HIDDEN) + number for number in range(3)}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's package, installed by pip into a folder of its own, from a copy: building leaves nothing behind."""
    source = shutil.copytree(REPOSITORY / "examples" / "custom_head", tmp_path_factory.mktemp("source") / "custom_head")
    target = tmp_path_factory.mktemp("installed")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", "--target", str(target), str(source)],
        check=True, capture_output=True,
    )  # fmt: skip
    return target


@pytest.fixture
def ensemble(installed: Path, tiny_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with the example's head, and the example's package where Python finds it."""
    monkeypatch.syspath_prepend(str(installed))
    return write_head(tiny_lm, tmp_path / "rm", ENSEMBLE, {"architectures": ["Own"], "ensemble_caution": 0.5})


def test_an_installed_package_adds_its_head(ensemble):
    assert known_heads()["ensemble"].__module__ == "ensemble_head"
    model = load(ensemble, kind="reward")
    states = draw(4, HIDDEN)
    votes = states @ torch.cat(list(ENSEMBLE.values())).T
    assert torch.allclose(read_head(model)(states), votes.mean(dim=1) - 0.5 * votes.std(dim=1), atol=1e-5)


def test_an_added_heads_weights_are_proven_too(ensemble):
    tensors = load_file(ensemble / "model.safetensors")
    del tensors["ensemble.1.weight"]
    save_file(tensors, ensemble / "model.safetensors", metadata={"format": "pt"})
    refused(ensemble, "ensemble.1.weight", "left random", kind="reward")


def test_an_added_head_scores_on_the_command_line(ensemble, birthmark):
    answer = birthmark(
        "score", ensemble, "--as", "reward", "--prompt", "What is best?", "--candidates", "love,freedom", "--quiet"
    )
    assert answer.code == 0 and "love" in answer.out, answer.err


def test_without_the_package_the_tensors_are_nobodys(tiny_lm, tmp_path):
    folder = write_head(tiny_lm, tmp_path / "rm", ENSEMBLE, {"architectures": ["Own"], "ensemble_caution": 0.5})
    refused(folder, "Own", "birthmark_head", kind="reward")


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (EntryPoint("linear", "json:JSONDecoder", "birthmark.heads"), "taken"),
        (EntryPoint("broken", "no_such_module:Head", "birthmark.heads"), "cannot be imported"),
        (EntryPoint("alien", "json:JSONDecoder", "birthmark.heads"), "not a subclass"),
    ],
)
def test_a_package_with_a_broken_head_is_named(point, words, monkeypatch):
    monkeypatch.setattr(known, "entry_points", lambda group: [point])
    with pytest.raises(BirthmarkError, match=f"{point.name}.*{words}"):
        known_heads()
