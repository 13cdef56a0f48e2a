"""What a person sees who types something wrong, or asks for help."""

import re
import subprocess
import sys

import pytest

from birthmark.cli.app import command_tree


def commands() -> list[list[str]]:
    names = []
    for name, command in command_tree().items():
        children = getattr(command, "commands", None)
        names += [[name, child] for child in children] if children else [[name]]
    return names


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_the_help_of_every_command_ends_with_examples(command, birthmark):
    answer = birthmark(*command, "--help")
    assert answer.code == 0
    assert f"birthmark {' '.join(command)}" in re.sub(r"\s+", " ", answer.out.rpartition("Examples:")[2])


def test_import_and_help_load_nothing_heavy():
    code = (
        "import sys, birthmark\n"
        "from birthmark.cli import main\n"
        "assert main(['--help']) == 0\n"
        "print(sorted({'torch', 'transformers', 'polars', 'scipy', 'altair', 'pydantic_core'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] in ("[]", "['pydantic_core']")


WRONG_NAMES = (
    "score nosuch",
    "score nosuch --prompt Why?",
    "audit nosuch",
    "audit nosuch --among study",
    "implicit nosuch nosuch2",
    "consequences nosuch --policy nosuch2",
    "compare nosuch",
    "map nosuch",
    "train --base nosuch --preferences PAIRS --pairs 2 --out OUT",
    "train --grid nosuch",
    "track nosuch",
    "choose nosuch nosuch2 --preferences PAIRS --pairs 2 --out OUT",
    "edit nosuch --preferences PAIRS --lexicon starter --out OUT",
    "replicate --data nosuch",
    "models show nosuch",
    "models fetch nosuch",
    "models check nosuch",
    "models check nosuch --published nosuch2",
    "card nosuch",
    "report nosuch",
)


def test_a_wrong_name_waits_for_no_library_that_is_slow_to_import(tmp_path):
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text('{"chosen": "yes", "rejected": "no", "prompt": "Is it?"}\n' * 4)
    lines = [name.replace("PAIRS", str(pairs)).replace("OUT", str(tmp_path / "out")) for name in WRONG_NAMES]
    code = (
        "import sys\n"
        "from birthmark.cli import main\n"
        "slow = {'torch', 'transformers', 'altair', 'statsmodels', 'pandas', 'datasets', 'scipy.stats'}\n"
        f"for line in {lines!r}:\n"
        "    print(main(line.split()), slow & set(sys.modules), line)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == [f"2 set() {line}" for line in lines]
    assert all("nosuch" in line for line in done.stderr.splitlines()), done.stderr


@pytest.mark.parametrize("empty", [["--out", ""], ["--out="]])
def test_an_out_without_a_name_is_not_the_folder_one_stands_in(empty, birthmark, tiny_rm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = ("--prompt", "best_ever_one", "--candidates", "love,freedom")
    assert birthmark("score", tiny_rm, *asked, *empty).is_error("--out is empty")
    assert not list(tmp_path.iterdir())


def test_a_command_that_takes_one_lexicon_refuses_two(birthmark):
    answer = birthmark("edit", "x", "--lexicon", "starter", "--lexicon=big-two", "--preferences", "x")
    assert answer.is_error("--lexicon is given twice"), answer.err


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_a_run_that_is_refused_after_its_folder_was_opened_leaves_nothing_in_it(there, birthmark, tiny_rm, tmp_path):
    out = tmp_path / "deep" / "out"
    if there:
        out.mkdir(parents=True)
    words = ("--prompt", "What is good?", "--candidates", "love,hope", "--server", "http://127.0.0.1:9")
    answer = birthmark("score", tiny_rm, *words, "--out", out)
    assert answer.is_error("nothing answers there"), answer.err
    assert out.exists() == there and not list(out.rglob("*"))


def test_a_refused_run_keeps_what_an_earlier_one_made(birthmark, tiny_rm, tiny_lm, tmp_path):
    words = ("--prompt", "What is good?", "--candidates", "love,hope", "--out", tmp_path / "out")
    assert birthmark("score", tiny_rm, *words).code == 0
    before = {
        path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file() and path.suffix != ".json"
    }
    assert birthmark("score", tiny_lm, *words, "--server", "http://127.0.0.1:9").is_error("nothing answers there")
    assert before == {path: path.read_bytes() for path in before} and len(before) == 2  # the table and the lock


def test_an_address_of_ray_is_not_empty(birthmark):
    answer = birthmark("score", "smollm2-135m-instruct", "--prompt", "What is good?", "--candidates", "love", "--ray=")
    assert answer.is_error("--ray is empty"), answer.err


def test_a_mistyped_command_gets_a_suggestion(birthmark):
    assert birthmark("audti").is_error("audit")


def test_a_mistyped_option_is_one_line_with_exit_code_2(birthmark):
    assert birthmark("score", "x", "--frane", "qa").is_error("--frane", "--frame")


def test_a_value_out_of_choice_names_the_choices(birthmark):
    assert birthmark("score", "x", "--frame", "tale").is_error("auto", "chat", "qa", "bare")


def test_an_unknown_model_gets_a_suggestion(birthmark):
    assert birthmark("score", "smollm2-135-instruct").is_error("smollm2-135m-instruct")


def test_version(birthmark):
    answer = birthmark("--version")
    assert (answer.code, answer.out.split()[0]) == (0, "birthmark")


def test_no_command_prints_the_help(birthmark):
    answer = birthmark()
    assert "Measure" in answer.out and "Traceback" not in answer.err


def test_schemas_are_printed_for_every_file(birthmark):
    import json

    from birthmark.records import SCHEMAS

    for name in SCHEMAS:
        assert json.loads(birthmark("schema", name).out)["type"] == "object"
    assert birthmark("schema", "nothing").is_error("effects")
