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
