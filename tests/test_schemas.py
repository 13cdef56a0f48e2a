"""Every JSON file that birthmark writes, and all that commands print with `--json`, against the schemas that it prints."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from birthmark.cli import main
from birthmark.commands.schema import OUTPUTS, json_schema
from birthmark.records import SCHEMAS
from tiny_runs import write_small_lexicon

PROMPTS = ("--prompt", "best_ever_one", "--prompt", "worst_ever_one")
FOLDERS = {"scores": "score", "effects": "effects", "implicit": "implicit", "random-heads": "random-heads"}
FILES = {"study.json": "study", "replication.json": "replication", "map.json": "map", "grid.json": "grid"}


def schema_of(path: Path) -> str:
    return FILES.get(path.name) or FOLDERS[path.parent.name]


def check(value: object, name: str) -> None:
    jsonschema.validate(value, json_schema(name), cls=jsonschema.Draft202012Validator)


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_lexicon(tmp_path_factory.mktemp("words"))


@pytest.fixture(scope="session")
def audited(
    tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path, tiny_base: Path, tiny_rm: Path, words: Path
) -> Path:
    """The OUT of an audit with rewards, log-probabilities, an implicit reward and every control."""
    out = tmp_path_factory.mktemp("audits") / "out"
    options = ["--frame", "qa", "--lexicon", str(words), *PROMPTS, "--control", "length,tokens", "--control", "prompt"]
    for model, family in ((tiny_lm, "A"), (tiny_base, "B"), (tiny_rm, "B")):
        named = ["--family", family, "--base-checkpoint", model.name]
        assert main(["audit", str(model), *named, *options, "--out", str(out), "--quiet"]) == 0
    return out


def test_every_json_file_of_an_audit_is_of_its_schema(audited: Path) -> None:
    files = sorted(audited.rglob("*.json"))
    assert {path.parent.name for path in files} >= {*FOLDERS, audited.name}
    for path in files:
        check(json.loads(path.read_text()), schema_of(path))


def test_the_controls_stand_beside_the_effects_without(audited: Path) -> None:
    effects = json.loads((audited / "effects" / "small.logprob.json").read_text())
    assert [item["control"] for item in effects["controlled"]] == ["length,tokens", "prompt"]
    assert effects["confounds"][0]["length"] == pytest.approx((5 + 5 + 7) / 3)
    assert all(0 <= share <= 1 for share in effects["controlled"][0]["r_squared"].values())
    assert not any("neutral" in warning for warning in effects["warnings"])


def test_the_neutral_prompt_is_a_column_without_framing(audited: Path) -> None:
    for path in (audited / "scores").glob("*.json"):
        prompts = json.loads(path.read_text())["prompt_set"]["prompts"]
        assert list(prompts) == ["best_ever_one", "worst_ever_one", "neutral"]
        assert prompts["neutral"]["framing"] is None


@pytest.mark.parametrize("name", [*SCHEMAS, *OUTPUTS])
def test_every_schema_is_a_valid_schema_and_refuses_another_file(name: str, birthmark: Any) -> None:
    schema = json.loads(birthmark("schema", name).out)
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"nothing": "of the kind"}, schema)


def test_every_command_that_prints_json_has_a_schema() -> None:
    from birthmark.cli.app import command_tree

    printing = set()
    for name, command in command_tree().items():
        children = getattr(command, "commands", None)
        for path, leaf in (
            {f"{name}-{key}": child for key, child in children.items()}.items() if children else [(name, command)]
        ):
            if any("--json" in param.opts for param in leaf.params):
                printing.add(f"{path}-output")
    assert printing == set(OUTPUTS)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("models-list-output", ("models", "list")),
        ("models-show-output", ("models", "show", "gemma-3-270m")),
        ("lexicons-list-output", ("lexicons", "list")),
        ("lexicons-show-output", ("lexicons", "show", "starter", "--words")),
        ("lexicons-check-output", ("lexicons", "check", "starter")),
        ("prompts-list-output", ("prompts", "list")),
        ("doctor-output", ("doctor", "--offline")),
    ],
)
def test_what_is_looked_up_is_of_its_schema(name: str, arguments: tuple[str, ...], birthmark: Any) -> None:
    answer = birthmark(*arguments, "--json")
    assert answer.code == 0, answer.err
    check(json.loads(answer.out), name)


def test_what_measuring_prints_is_of_its_schema(
    birthmark: Any, tiny_lm: Path, tiny_base: Path, words: Path, audited: Path, tmp_path: Path
) -> None:
    asked = (*PROMPTS, "--lexicon", words, "--json")
    tables = sorted((audited / "scores").glob("tiny-[lb]*.parquet"))
    for name, arguments in (
        ("score-output", ("score", tiny_lm, *asked)),
        ("score-output", ("score", tiny_lm, *asked, "--out", tmp_path / "scored")),
        ("score-output", ("score", tiny_lm, *asked, "--dry-run")),
        ("audit-output", ("audit", tiny_lm, tiny_base, *asked, "--out", tmp_path / "audited")),
        ("audit-output", ("audit", tiny_lm, tiny_base, *asked, "--dry-run")),
        ("implicit-output", ("implicit", tiny_lm, tiny_base, "--lexicon", words, "--json", "--out", tmp_path / "implicit")),
        ("implicit-output", ("implicit", "--grid", tables[0], "--", tables[1], "--lexicon", words, "--json", "--out", tmp_path / "grid")),
        ("implicit-output", ("implicit", "--grid", tiny_lm, "--", tiny_base, "--dry-run", "--json")),
        ("compare-output", ("compare", *tables, "--lexicon", words, "--json", "--out", tmp_path / "compared")),
        ("map-output", ("map", *tables, "--json", "--out", tmp_path / "mapped")),
        ("scores-show-output", ("scores", "show", tables[0], "--json")),
    ):  # fmt: skip
        answer = birthmark(*arguments)
        assert answer.code == 0, (arguments, answer.err)
        check(json.loads(answer.out), name)


def test_a_name_without_a_schema_is_one_line(birthmark: Any) -> None:
    assert birthmark("schema", "efects").is_error("effects")


def test_numbers_that_are_not_finite_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    from birthmark.cli.terminal import print_json

    print_json({"a": [float("nan"), float("-inf"), 1.5]})
    assert json.loads(capsys.readouterr().out) == {"a": [None, None, 1.5]}
