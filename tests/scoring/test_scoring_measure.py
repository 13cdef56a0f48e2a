"""What is asked of every model of one study: refused before any model is fetched."""

from importlib.metadata import EntryPoint

import pytest

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.inputs.lexicons import load_lexicon
from birthmark.scoring import measure as measures
from birthmark.scoring.measure import make_measure, parse_controls
from birthmark.values.comparison import all_effects


def test_a_backend_that_is_not_installed_is_refused_with_the_nearest_name(monkeypatch):
    points = [EntryPoint("server", "no_such_module:Backend", "birthmark.backends")]
    monkeypatch.setattr(measures, "entry_points", lambda group: points)
    assert make_measure(backend="server").backend == "server"  # nothing is imported yet
    with pytest.raises(BirthmarkError, match="did you mean server"):
        make_measure(backend="sever")


def test_controls_are_each_there_once_in_a_fixed_order():
    assert parse_controls(["tokens,length", "length,tokens", "prompt"]) == [("length", "tokens"), ("prompt",)]
    for wrong in ("lenght", ","):
        with pytest.raises(BirthmarkError):
            parse_controls(wrong)


def test_a_list_of_candidates_is_recorded_as_a_list_and_a_text_as_a_text():
    assert make_measure(candidates=["love", "I think, yes!"]).of_study(None)["candidates"] == ["love", "I think, yes!"]
    assert make_measure(candidates="love,freedom").of_study(None)["candidates"] == "love,freedom"
    assert make_measure().of_study(None)["candidates_sha256"] is None


def test_candidates_are_checked_before_a_model_is_looked_up(tmp_path):
    for wrong in ("wrods.csv", "lexicons", [1], []):
        with pytest.raises(BirthmarkError):
            bm.score(tmp_path / "no-model", candidates=wrong)


@pytest.mark.parametrize(("name", "option"), [("mine.csv", "lexicons"), ("mine.txt", "candidates")])
def test_a_lexicon_or_list_that_was_edited_is_another_study(tmp_path, tiny_rm, name, option):
    path, out = tmp_path / name, tmp_path / "out"
    head = "word,category\n" if option == "lexicons" else ""
    rows = ("love,A\npower,B\n", "love,B\npower,A\n") if head else ("love\npower\n", "love\nfame\n")
    path.write_text(head + rows[0], encoding="utf-8")
    bm.score(tiny_rm, prompt="What matters most?", out=out, **{option: str(path)})
    path.write_text(head + rows[1], encoding="utf-8")
    with pytest.raises(BirthmarkError, match=f"another study, with {option} sha256"):
        bm.score(tiny_rm, prompt="What matters most?", out=out, **{option: str(path)})


def test_hidden_characters_move_no_score_and_are_said(tmp_path, tiny_rm):
    asked = {"prompt": "What matters most?", "dtype": "float32"}
    clean = bm.score(tiny_rm, candidates=["love", "café", "I think, yes!"], **asked)
    hidden = bm.score(tiny_rm, candidates=["\u200blo\u00adve", "cafe\u0301", "I think, yes!\ufeff"], **asked)
    assert hidden.frame.equals(clean.frame)
    assert clean.frame["candidate"].to_list() == ["love", "café", "I think, yes!"]
    assert not [text for text in clean.record.warnings if "invisible" in text]
    assert [text for text in hidden.record.warnings if "2 candidates with invisible characters" in text]
    lexicon = tmp_path / "mine.csv"
    lexicon.write_text("word,category\n\u200blove,A\ncare,A\npower,B\nfame,b\n", encoding="utf-8")
    table = bm.score(tiny_rm, lexicons=str(lexicon), **asked)
    assert table.frame["candidate"].to_list() == ["love", "care", "power", "fame"]
    (result,) = all_effects([table], [load_lexicon(lexicon)], seed=0, mixed_frames=False).values()
    for text in (
        "mine: 1 word with invisible characters, which are dropped: love (U+200B)",
        "mine: categories that are",
    ):
        assert len([each for each in result.warnings if each.startswith(text)]) == 1
