"""Whatever bytes a person brings, a reader reads them or says in one line what is wrong; it neither hangs nor fills memory.

`BIRTHMARK_FUZZ` is the number of cases for each reader; they are the same in every run.
"""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from birthmark.errors import BirthmarkError
from birthmark.foreign import UNSEEN
from birthmark.inputs.candidates import candidate_spec, load_candidates
from birthmark.inputs.lexicon_check import check_lexicon
from birthmark.inputs.lexicons import load_lexicon
from birthmark.inputs.prompts import load_personas, load_prompts, select_prompts
from birthmark.inputs.published import read_human_ranking
from birthmark.scoring.table import read_elo_scores, read_scores
from birthmark.training.grid import read_grid
from birthmark.training.sources import open_source, read_pairs, scan
from birthmark.values.budget import parse_budget
from birthmark.values.comparison import group_models

Reader = Callable[[Path], object]
CASES = int(os.environ.get("BIRTHMARK_FUZZ", "60"))


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

numbers_text = pieces(
    "word", "Valence", "care_p", "care_sent", ",", ";", "\t", "\n", "0.25", "0,5", "1", "0", "-1", "1e9", "nan", "X", '"', "love", "joy"
)  # fmt: skip
groups_text = pieces("model", "group", ",", ";", "\n", "\r", '"', "grm-llama3-8b", "small", "Small", "\u200b")
grid_text = pieces(
    "bases", "sources", "pairs", "seeds", "losses", ": ", "[", "]", "{", "}", ", ", "\n", "- ", "1", "99999999999999999999",
    "bt", "2001-99-99", "&a ", "*a", "!!python/name:os.system ", "!!binary x", "'", "smollm2-135m-instruct", "recipe", "model",
)  # fmt: skip
_value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text("lo\ud800\n\u200b ", max_size=5)
    | st.just("\n\nHuman: a"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "response", "overall_score", "fine-grained_score", "x\ny"]), inner
        )
    ),
    max_leaves=8,
)
_pair_names = ["prompt", "chosen", "rejected", "conv_A", "conv_B", "conv_A_rating", "conv_B_rating", "instruction",
               "completions", "source", "x\x1b\n"]  # fmt: skip
pair_lines = st.lists(st.dictionaries(st.sampled_from(_pair_names), _value), max_size=4).map(
    lambda rows: "\n".join(map(json.dumps, rows)).encode()
) | pieces("{", "}", "[", "]", '"chosen"', '"rejected"', ":", ",", "\n", '"a"', "1" * 5000, "[" * 3000, "NaN")
human_text = pieces(
    "name", "elo_rank", "candidate", "rank", "score", ",", "\n", '"', "love", "1.5", "nan", "x", "\ufeff"
)


PREFERENCES = ("preferences", "compressed", "preference-list", "preference-table")  # read row by row, of any size


def read_preferences(path: Path) -> None:
    source = open_source(path)
    read_pairs(source, scan(source).usable)


READERS: dict[str, tuple[str, Reader, st.SearchStrategy[bytes]]] = {
    "csv": ("mine.csv", load_lexicon, csv_text | after(b"word,category\n", csv_text)),
    "dicx": ("mine.dicx", load_lexicon, after(b"DicTerm,A,B\n", csv_text)),
    "dic": ("mine.dic", load_lexicon, dic_text | after(b"%\n1 A\n2 B\n%\n", dic_text)),
    "check": ("checked.dic", check_lexicon, after(b"%\n1 A\n2 B\n%\n", dic_text)),
    "prompts": ("mine.yaml", load_prompts, yaml_text),
    "candidates": ("mine.txt", lambda path: load_candidates(str(path), [], "reward"), csv_text),
    "numbers": ("mine.tsv", check_lexicon, numbers_text | after(b"word,a,b\n", numbers_text)),
    "emfd": ("emfd.csv", load_lexicon, after(b"word,care_p,care_sent\na,0.1,1\nb,0.5,1\nc,0.7,1\n", numbers_text)),
    "candidate-table": ("mine.csv", lambda path: load_candidates(str(path), [], "reward"), csv_text | numbers_text),
    "personas": ("personas.yaml", load_personas, yaml_text),
    "groups": (
        "groups.csv",
        lambda path: group_models(["grm-llama3-8b"], str(path)),
        groups_text | after(b"model,group\ngrm-llama3-8b,", groups_text),
    ),
    "grid": ("grid.yaml", read_grid, grid_text | after(b"bases: [a]\nsources: [b]\n", grid_text)),
    "preferences": ("pairs.jsonl", read_preferences, pair_lines),
    "compressed": ("pairs.jsonl.gz", read_preferences, st.binary(max_size=60) | pair_lines.map(gzip.compress)),
    "preference-list": ("pairs.json", read_preferences, pair_lines.map(lambda lines: b"[" + lines + b"]")),
    "preference-table": ("pairs.parquet", read_preferences, after(b"PAR1", st.binary(max_size=60))),
    "human": ("human.csv", read_human_ranking, human_text | after(b"candidate,rank\nlove,1\n", human_text)),
    "elo": (
        "elo.csv",
        lambda path: read_elo_scores([path]),
        human_text | after(b"elo_rank,elo_score,name,elo_matches,m\n", human_text),
    ),
    "scores": ("scores.csv", read_scores, scores_text | after(b"response,best_ever_one\n", scores_text)),
}


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settings(deadline=10_000, max_examples=CASES, derandomize=True)
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
        assert not UNSEEN.search(str(error))


TEXTS: dict[str, Callable[[str], object]] = {
    "candidates": lambda text: load_candidates(text, [], "reward"),
    "candidate": lambda text: load_candidates(candidate_spec([text]), [], "reward"),
    "lexicon": load_lexicon,
    "prompts": load_prompts,
    "prompt": lambda text: select_prompts(load_prompts(), [text]),
    "group": lambda text: group_models(["grm-llama3-8b"], text),
    "budget": parse_budget,
}
option_text = st.text(max_size=12) | st.lists(
    st.sampled_from(["lexicon", "vocabulary", "best_ever_one", "starter", "contrast", "<=", "9" * 400, ".csv", "/", "\\", ",",
                     "\udcff", "\ud800", "\0", "\n", "\x1b", "*", " ", "x" * 300, "~"]),
    max_size=5,
).map("".join)  # fmt: skip


@pytest.mark.parametrize("option", TEXTS)
@given(text=option_text)
@settings(deadline=10_000, max_examples=CASES, derandomize=True)
def test_any_text_is_taken_or_refused_in_one_line(option: str, text: str) -> None:
    try:
        TEXTS[option](text)
    except BirthmarkError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("reader", sorted(set(READERS) - {"scores", "human", "elo", *PREFERENCES}))
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
