from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.groupings import group_models

MODELS = ("qrm-gemma-2-27b", "grm-llama3-8b")


def test_models_are_grouped_by_a_column_of_the_catalog() -> None:
    assert group_models(MODELS, "team") == {"qrm-gemma-2-27b": "QRM", "grm-llama3-8b": "GRM"}


def test_models_are_grouped_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sizes.csv"
    path.write_text("model,group\nqrm-gemma-2-27b,large\n\ngrm-llama3-8b,small\nother,small\n", encoding="utf-8")
    assert group_models(MODELS, str(path)) == {"qrm-gemma-2-27b": "large", "grm-llama3-8b": "small"}


def test_an_unknown_column_gets_a_hint() -> None:
    with pytest.raises(BirthmarkError, match="team"):
        group_models(MODELS, "teem")


def test_a_model_that_the_catalog_does_not_know_is_named() -> None:
    with pytest.raises(BirthmarkError, match="nothing for mine"):
        group_models([*MODELS, "mine"], "team")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,size\na,b\n", "another header"),
        ("", "another header"),
        ("model,group\na\n", "line 2"),
        ("model,group\na,b\na,c\n", "in two groups"),
        ("model,group\na,b\n", "nothing for qrm"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BirthmarkError, match=message):
        group_models(MODELS, str(path))
