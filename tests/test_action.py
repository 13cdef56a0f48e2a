"""`action.yml`, the GitHub Action: its steps' shell runs here with stand-ins for what GitHub sets, and a stand-in for `gh`."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import birthmark as bm

ACTION = Path(__file__).parents[1] / "action.yml"
GH = """#!/bin/bash
echo "$*" >> "$GH_SAID"
if [ "$1" = api ] && [ "$3" = --paginate ] && [ -e earlier ]; then cat earlier; fi
"""


@pytest.fixture(scope="module")
def action() -> dict[str, Any]:
    return yaml.safe_load(ACTION.read_text(encoding="utf-8"))


def step(action: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for item in action["runs"]["steps"] if item["name"] == name)


def run(action: dict[str, Any], name: str, folder: Path, **values: str) -> subprocess.CompletedProcess[str]:
    """A step's shell as GitHub runs it (`bash -e -o pipefail`), each of its `env` taken from `values`."""
    found = step(action, name)
    assert set(found["env"]) <= set(values), name
    environment = {
        **os.environ,
        "PATH": f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "GH_SAID": str(folder / "said"),
        **{key: values[key] for key in found["env"]},
    }
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", found["run"]],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_release_is_scored_held_to_the_one_before_and_its_card_is_posted(
    action: dict[str, Any], tiny_rm: Path, tmp_path: Path
) -> None:
    lexicon = tmp_path / "own words.csv"
    lexicon.write_text("word,category\nlove,Communion\ncare,Communion\npower,Agency\nskill,Agency\n", encoding="utf-8")
    asked = ["best_ever_one", "worst_ever_one"]
    bm.score(tiny_rm, out=tmp_path / "reference", lexicons=lexicon, prompt=asked)
    (reference,) = (tmp_path / "reference" / "scores").glob("*.parquet")
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    given = {
        "MODEL": str(tiny_rm),
        "LEXICON": str(lexicon),
        "OPTIONS": "--prompt best_ever_one --prompt worst_ever_one",
        "OUT": "gate folder",
        "REFERENCE": str(reference),
        "BUDGET": "contrast<=0",
        "GH_TOKEN": "none",
        "PULL_REQUEST": "7",
        "REPOSITORY": "owner/name",
    }
    scored = run(action, "Score", tmp_path, **given)
    assert scored.returncode == 0, scored.stderr
    outputs = dict(line.split("=", 1) for line in (tmp_path / "output").read_text().splitlines())
    given |= {"TABLE": outputs["table"], "CARD": outputs["card"]}

    gate = run(action, "Hold to the budget", tmp_path, **given)
    assert gate.returncode == 0, gate.stdout + gate.stderr
    assert (tmp_path / "output").read_text().endswith("passed=true\n")
    summary = (tmp_path / "summary").read_text(encoding="utf-8")
    assert "within the budget" in summary and "it moved by 0.0 ranks" in summary and "## Values" in summary

    comment = run(action, "Comment", tmp_path, **given)
    assert comment.returncode == 0, comment.stderr
    assert re.fullmatch(r"<!-- birthmark [0-9a-f]{12} -->", (tmp_path / "summary").read_text().splitlines()[0])
    asked_of = "api repos/owner/name/issues/7/comments --paginate --jq .[] | select(.body | startswith(env.MARK)) | .id"
    said = [asked_of, "pr comment 7 --repo owner/name --body-file gate folder/summary.md"]
    assert (tmp_path / "said").read_text().splitlines() == said
    (tmp_path / "earlier").write_text("41\n42\n")
    assert run(action, "Comment", tmp_path, **given).returncode == 0
    replaced = "api --method PATCH repos/owner/name/issues/comments/42 --field body=@gate folder/summary.md --silent"
    assert (tmp_path / "said").read_text().splitlines() == [*said, asked_of, replaced]

    past = run(action, "Hold to the budget", tmp_path, **given | {"BUDGET": "contrast<0"})
    assert past.returncode == 0, past.stdout + past.stderr
    assert (tmp_path / "output").read_text().endswith("passed=false\n")
    assert "past the budget" in (tmp_path / "summary").read_text(encoding="utf-8")
    assert run(action, "Verdict", tmp_path, PASSED="true").returncode == 0
    assert run(action, "Verdict", tmp_path, PASSED="false").returncode == 3


def test_no_input_is_written_into_a_script(action: dict[str, Any]) -> None:
    """Text of others reaches the shell through the environment only."""
    for item in action["runs"]["steps"]:
        assert "${{" not in item["run"], item["name"]
        assert item["shell"] == "bash"


def test_every_expression_names_an_input_a_step_or_githubs_own(action: dict[str, Any]) -> None:
    ids = {item["id"] for item in action["runs"]["steps"] if "id" in item}
    for kind, name in re.findall(r"\b(inputs|steps)\.([\w-]+)", ACTION.read_text(encoding="utf-8")):
        assert name in (action["inputs"] if kind == "inputs" else ids)
