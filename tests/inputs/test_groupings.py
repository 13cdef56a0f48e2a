from pathlib import Path

import pytest

from birthmark.errors import BirthmarkError
from birthmark.inputs.catalog import Catalog, load_catalog
from birthmark.scoring.table import ScoreTable, read_scores
from birthmark.values.comparison import group_models, name_bases, teams

MODELS = ("qrm-gemma-2-27b", "grm-llama3-8b")


def test_models_are_grouped_by_a_column_of_the_catalog() -> None:
    assert group_models(MODELS, "team") == {"qrm-gemma-2-27b": "QRM", "grm-llama3-8b": "GRM"}


def test_models_are_grouped_by_a_file(tmp_path: Path) -> None:
    path = tmp_path / "sizes.csv"
    path.write_text("model,group\nqrm-gemma-2-27b,large\n\ngrm-llama3-8b,small\nother,small\n", encoding="utf-8")
    assert group_models(MODELS, str(path)) == {"qrm-gemma-2-27b": "large", "grm-llama3-8b": "small"}


def test_size_is_another_word_for_parameters() -> None:
    assert group_models(MODELS, "size") == group_models(MODELS, "parameters")


def test_models_of_a_size_are_one_group_whatever_their_heads_add() -> None:
    models = ["qrm-gemma-2-27b", "skywork-reward-gemma-2-27b", "qrm-llama3.1-8b", "grm-llama3-8b", "gemma-3-270m"]
    assert list(group_models(models, "size").values()) == ["27B", "27B", "7.5B", "7.5B", "270M"]


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
def test_a_file_of_another_layout_raises(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "groups.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BirthmarkError, match=message):
        group_models(MODELS, str(path))


# ------------------------------------------------------------------------------ what tables do not say of their models


@pytest.fixture
def stranger(tmp_path: Path) -> ScoreTable:
    """A table of a model that neither it nor the bundled catalog says anything of."""
    path = tmp_path / "mine.csv"
    path.write_text("response,best_ever_one\nlove,1.5\n", encoding="utf-8")
    return read_scores(path)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    path = tmp_path / "catalog.toml"
    path.write_text(
        '[models."mine"]\nhub = "me/mine"\nkind = "reward"\nfamily = "Gemma"\nbase_checkpoint = "gemma-2-2b-it"\nteam = "Us"\n',
        encoding="utf-8",
    )
    return load_catalog(path)


def test_a_catalog_names_what_a_table_does_not(stranger: ScoreTable, catalog: Catalog) -> None:
    (table,) = name_bases([stranger], catalog)
    assert (table.record.family, table.record.base_checkpoint) == ("Gemma", "gemma-2-2b-it")
    assert teams([stranger.model], catalog) == {"mine": "Us"}


def test_what_is_given_comes_before_the_catalog(stranger: ScoreTable, catalog: Catalog) -> None:
    (table,) = name_bases([stranger], catalog, {"mine": "Llama"}, {"mine": "llama-3.2-3b-instruct"})
    assert (table.record.family, table.record.base_checkpoint) == ("Llama", "llama-3.2-3b-instruct")


def test_a_family_for_a_model_that_no_table_is_of_raises(stranger: ScoreTable, catalog: Catalog) -> None:
    with pytest.raises(BirthmarkError, match="no table of other, whose base checkpoint is given: name one of mine"):
        name_bases([stranger], catalog, base_checkpoints={"other": "x"})
