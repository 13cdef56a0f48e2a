"""Whatever bytes a person brings, a reader reads them or says in one line what is wrong; it neither hangs nor fills memory."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from birthmark.errors import BirthmarkError
from birthmark.inputs.candidates import load_candidates
from birthmark.inputs.lexicon_check import check_lexicon
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_prompts
from birthmark.scoring.table import read_scores

Reader = Callable[[Path], object]


def pieces(*parts: str) -> st.SearchStrategy[bytes]:
    """Files made of the layout's own pieces, in any order, with stray text between."""
    piece = st.sampled_from(parts) | st.text(max_size=3)
    return st.lists(piece, max_size=20).map(lambda chosen: "".join(chosen).encode("utf-8", "surrogatepass"))


def after(start: bytes, rest: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    return rest.map(lambda end: start + end)


csv_text = pieces(
    "word", ",", "category", "\n", "\r\n", '"', "love", "*", "DicTerm", "X", "NA", "\ufeff", "\0", "\u2028"
)
dic_text = pieces("%", "\n", "1", "2", "\t", " ", "Agency", "love*", "power", "\r", "*")
yaml_text = pieces(
    "best_one", ": ", "{", "}", "text: ", "framing: ", "positive", "negative", ", ", "\n", "  ", "- ", "&a ", "*a", "'",
    "!!python/object:os.system ", "!!int ", "!!map ", "!!set ", "<<: ", "? ", "|\n", ">", "#", "%YAML 1.1\n", "---\n", "\t",
)  # fmt: skip
scores_text = pieces("response", "best_ever_one", "worst_ever_one", ",", "\n", '"', "1.5", "nan", "love", "-", "e9")

READERS: dict[str, tuple[str, Reader, st.SearchStrategy[bytes]]] = {
    "csv": ("mine.csv", load_lexicon, csv_text | after(b"word,category\n", csv_text)),
    "dicx": ("mine.dicx", load_lexicon, after(b"DicTerm,A,B\n", csv_text)),
    "dic": ("mine.dic", load_lexicon, dic_text | after(b"%\n1 A\n2 B\n%\n", dic_text)),
    "check": ("checked.dic", check_lexicon, after(b"%\n1 A\n2 B\n%\n", dic_text)),
    "prompts": ("mine.yaml", load_prompts, yaml_text),
    "candidates": ("mine.txt", lambda path: load_candidates(str(path), [], "reward"), csv_text),
    "scores": ("scores.csv", read_scores, scores_text | after(b"response,best_ever_one\n", scores_text)),
}


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_any_bytes_are_read_or_refused_in_one_line(
    reader: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, read, layout = READERS[reader]
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(data.draw(st.binary(max_size=60) | layout))
    try:
        read(path)
    except BirthmarkError as error:
        assert "\n" not in str(error)
        assert str(error).isprintable()


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"scores"}))
def test_a_hundred_megabytes_raise_unread(reader: str, tmp_path: Path) -> None:
    name, read, _ = READERS[reader]
    path = tmp_path / name
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(BirthmarkError, match="has 100.0 MB, and a"):
        read(path)


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 30_000, "- " * 50_000, "a:\n" + " " * 100_000 + "b"])
def test_deep_nesting_raises(text: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BirthmarkError):
        load_prompts(path)
