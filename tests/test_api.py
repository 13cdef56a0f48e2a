"""The library's options: a name that is none is refused, one thing stands for a list of it, a plan knows a folder's kind."""

import inspect
from pathlib import Path

import pytest

import birthmark as bm
from birthmark.commands.plan import plan_audit as plan
from birthmark.scoring.declarations import option_of
from birthmark.scoring.measure import make_measure


@pytest.mark.parametrize(("name", "meant"), [("lexicon", "lexicons"), ("control", "controls"), ("familly", "family")])
def test_an_option_that_is_none_is_refused_before_anything_is_read(tmp_path: Path, name: str, meant: str) -> None:
    with pytest.raises(bm.BirthmarkError, match=f"there is no option {name}: did you mean {meant}"):
        bm.audit(tmp_path / "no-model", out=tmp_path / "out", **{name: "x"})
    assert not (tmp_path / "out").exists()


def test_one_prompt_and_one_lexicon_need_no_list(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("word,category\nlove,Other\npower,Self\n", encoding="utf-8")
    measure = make_measure(prompt="What matters most?", lexicons=str(own))
    assert [prompt.text for prompt in measure.prompts.prompts.values()] == ["What matters most?"]
    assert [lexicon.name for lexicon in measure.lexicons] == ["own"]


def test_a_plan_reads_a_folders_kind_from_its_config(tiny_rm: Path, tiny_lm: Path) -> None:
    rows = plan(tiny_rm, tiny_lm)
    assert [(row["kind"], row["vocabulary"]) for row in rows] == [("reward", False), ("logprob", True)]


FUNCTIONS = [name for name in bm.__all__ if inspect.isfunction(getattr(bm, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_help_shows_each_parameter_with_its_default_and_what_it_does(name: str) -> None:
    function = getattr(bm, name)
    parameters = inspect.signature(function).parameters
    declared = getattr(function, "__options__", {})
    for option, annotation in declared.items():
        assert option in parameters
        if (declaration := option_of(annotation)) is not None:
            assert f"- `{option}`: {declaration.help}" in function.__doc__
    free = [item for item in parameters.values() if item.kind is item.VAR_KEYWORD]
    assert not free or name == "calibrate"  # whose kinds have functions of their own
    assert "Annotated" not in str(inspect.signature(function)) and "Option(" not in str(inspect.signature(function))
    assert inspect.getdoc(function)


def test_a_type_that_is_named_in_text_shows_without_quotation_marks() -> None:
    shown = str(inspect.signature(bm.score))
    assert "lexicons: str | Path | Lexicon | Sequence[str | Path | Lexicon] = ()" in shown
    assert "model: str | pathlib.Path" in shown and "seed: int = 0" in shown
