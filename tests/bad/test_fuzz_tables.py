"""Score tables, the JSON beside them, `study.json` and catalogs as anyone may write them: read, or refused in one line.

`BIRTHMARK_FUZZ` is the number of cases of each kind.
"""

import copy
import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from birthmark.errors import BirthmarkError
from birthmark.files import sha256_of
from birthmark.foreign import UNSEEN
from birthmark.inputs.catalog import find_entry, load_catalog, load_sets, select
from birthmark.records import StudyRecord, read_record, to_json
from birthmark.report.draw import draw
from birthmark.scoring.table import ScoreTable, read_scores, write_scores
from birthmark.study import open_study
from report_outs import PROMPTS, WORDS, table

CASES = int(os.environ.get("BIRTHMARK_FUZZ", "120"))
ASKED = {key: PROMPTS[key] for key in list(PROMPTS)[::9]}
SMALL = {name: words[:3] for name, words in WORDS.items()}
LANGUAGE = table("tiny", "Tiny", "tiny-1", prompts=ASKED, words=SMALL)
REWARD = table("tiny-rm", "Tiny", "tiny-1", prompts=ASKED, words=SMALL, kind="reward", tokens=False)
KEY = next(iter(ASKED))
fuzz = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def in_one_line(act: Callable[[], object]) -> bool:
    """Whether it was done; what it raises must be a line for a person."""
    try:
        act()
    except BirthmarkError as error:
        assert not UNSEEN.search(str(error)) and "Traceback" not in str(error), str(error)
        return False
    return True


def write(folder: Path, frame: pl.DataFrame, record: Any) -> Path:
    """A table whose JSON has its digest, as another tool may write one."""
    path = folder / "t.parquet"
    frame.write_parquet(path)
    if isinstance(record, dict) and "sha256" in record:
        record = {**record, "sha256": sha256_of(path)}
    path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
    return path


# ---------------------------------------------------------------------------------------------- cases with a name

N = REWARD.frame.height
COLUMNS: dict[str, tuple[str, pl.Series | None]] = {
    "no candidate": ("candidate", None),
    "candidates are numbers": ("candidate", pl.Series(range(N))),
    "candidates are lists": ("candidate", pl.Series([["a"]] * N)),
    "a candidate is null": ("candidate", pl.Series(["a", None, *"cdef"[: N - 2]])),
    "a word twice": ("candidate", pl.Series(["a"] * N)),
    "no token_id": ("token_id", None),
    "token ids are text": ("token_id", pl.Series(["1"] * N)),
    "token ids are floats": ("token_id", pl.Series([float(n) for n in range(N)])),
    "a token id below 0": ("token_id", pl.Series([-1, *range(1, N)])),
    "a token twice": ("token_id", pl.Series([1] * N)),
    "a token id past 64 bits": ("token_id", pl.Series([2**64 - 1] * N, dtype=pl.UInt64)),
    "no scores": (KEY, None),
    "scores are text": (KEY, pl.Series(["1.5"] * N)),
    "scores are booleans": (KEY, pl.Series([True] * N)),
    "scores are lists": (KEY, pl.Series([[1.0]] * N)),
    "scores are dates": (KEY, pl.Series([0] * N).cast(pl.Date)),
    "a score is null": (KEY, pl.Series([None, *[1.0] * (N - 1)])),
    "a score is nan": (KEY, pl.Series([float("nan"), *[1.0] * (N - 1)])),
    "a score is infinite": (KEY, pl.Series([float("inf"), *[1.0] * (N - 1)])),
    "a score is past float32": (KEY, pl.Series([1e300, *[1.0] * (N - 1)])),
    "a score is huge": (KEY, pl.Series([1e20, *[1.0] * (N - 1)])),
    "another prompt": ("\x1b[31mother", pl.Series([1.0] * N)),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_scores(REWARD, tmp_path_factory.mktemp("good"))


@pytest.mark.parametrize("case", COLUMNS)
def test_a_column_that_is_no_score_tables_is_named(case: str, tmp_path: Path, good: Path, birthmark: Callable) -> None:
    name, column = COLUMNS[case]
    frame = REWARD.frame.drop(name) if column is None else REWARD.frame.with_columns(column.alias(name))
    path = write(tmp_path, frame, json.loads(to_json(REWARD.record)))
    shown = "31mother" if name.startswith("\x1b") else name
    out = ("--out", tmp_path / "out")
    for command in (
        ("scores", "show", path), ("scores", "check", path), ("compare", good, path, *out), ("map", good, path, *out),
        ("implicit", path, good, *out), ("compare", "--stages", path, good, *out),
        ("compare", "--budget", "contrast<=10", good, path),
    ):  # fmt: skip
        assert birthmark(*command).is_error(str(path), f"the column {shown}" if shown == name else shown), command
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("candidate", REWARD.frame["candidate"].cast(pl.Categorical)),
        ("token_id", pl.Series([None] * N, dtype=pl.Null)),
        ("token_id", pl.Series([None] * N, dtype=pl.UInt8)),
        (KEY, REWARD.frame[KEY].cast(pl.Float64)),
        (KEY, pl.Series(range(N))),
        (KEY, pl.Series(["1.5"] * N).cast(pl.Decimal(10, 2))),
    ],
    ids=lambda value: str(value.dtype) if isinstance(value, pl.Series) else value,
)
def test_the_same_values_in_another_type_are_read(name: str, column: pl.Series, tmp_path: Path) -> None:
    frame = REWARD.frame.with_columns(column.alias(name))
    found = read_scores(write(tmp_path, frame, json.loads(to_json(REWARD.record)))).frame
    assert found.schema == REWARD.frame.schema
    wanted = column.cast(REWARD.frame.schema[name]).to_list()
    assert found[name].to_list() == wanted


RECORDS: dict[str, tuple[Any, str]] = {
    "mass lacks a prompt": (lambda record: record["mass"].pop(KEY), KEY),
    "a log-probability above 0": (lambda record: None, KEY),
    "another count of words": (lambda record: record.update(n_words=0), "token_id"),
    "a slug that leaves the folder": (lambda record: record.update(slug="../../victim"), "slug"),
    "a number that is not finite": (lambda record: record.update(seconds=float("inf")), "finite"),
    "a prompt more": (lambda record: record["prompt_set"]["prompts"].update({"b": {"text": "?"}}), "b"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_a_json_that_does_not_fit_its_table_is_said_so(case: str, tmp_path: Path, birthmark: Callable) -> None:
    change, said = RECORDS[case]
    record, frame = json.loads(to_json(LANGUAGE.record)), LANGUAGE.frame
    change(record)
    if case.startswith("a log-probability"):
        frame = frame.with_columns(pl.lit(0.5).alias(KEY))
    path = write(tmp_path, frame, record)
    assert birthmark("scores", "show", path).is_error(str(tmp_path), said)


# ---------------------------------------------------------------------------------------------------------- drawn

hostile = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.sampled_from(["../../x", "\x1b[31m", "[/]", "x" * 5_000, "CON", "\\", "1e999", [[]], {"a": []}]),
)  # fmt: skip
cells = st.one_of(
    st.floats(), st.integers(-(2**62), 2**62), st.booleans(), st.text(max_size=4), st.none(), st.binary(max_size=3),
    st.lists(st.integers(0, 3), max_size=2), st.dates(), st.decimals(allow_nan=False, allow_infinity=False, places=2, max_value=99),
)  # fmt: skip


@st.composite
def columns(draw: st.DrawFn, height: int) -> pl.Series:
    """A column of one type or another, some cells of which may be null."""
    first = draw(cells)
    same = [first, None] if draw(st.booleans()) else [first]
    values = draw(st.lists(st.sampled_from(same), min_size=height, max_size=height))
    try:
        return pl.Series(values, strict=False)
    except (pl.exceptions.PolarsError, TypeError, OverflowError):
        return pl.Series([str(value) for value in values])


@st.composite
def frames(draw: st.DrawFn, frame: pl.DataFrame) -> pl.DataFrame:
    """The table with some columns taken away, replaced or added."""
    frame = frame.head(draw(st.sampled_from([0, 1, frame.height, frame.height])))
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from([*frame.columns, "extra", "\n", "token_id"]) if frame.columns else st.just("extra"))
        if draw(st.booleans()) and name in frame.columns:
            frame = frame.drop(name)
        else:
            frame = frame.with_columns(draw(columns(frame.height)).alias(name))
    return frame


@st.composite
def altered(draw: st.DrawFn, document: Any) -> Any:
    """A JSON document with a few values replaced, taken away or added, anywhere in it."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(0, 3))):
        place = document
        while isinstance(place, dict) and place:
            key = draw(st.sampled_from(sorted(place)))
            inner = place[key]
            if isinstance(inner, dict) and inner and draw(st.integers(0, 3)):
                place = inner
                continue
            action = draw(st.sampled_from(["replace", "replace", "drop", "add"]))
            if action == "drop":
                del place[key]
            else:
                place[key if action == "replace" else draw(st.text(max_size=4))] = copy.deepcopy(draw(hostile))
            break
    return document if draw(st.integers(0, 20)) else copy.deepcopy(draw(hostile))


@seed(14)
@given(data=st.data())
@fuzz
def test_any_score_table_is_read_and_shown_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from birthmark.cli.show_look_up import print_table

    start: ScoreTable = data.draw(st.sampled_from([LANGUAGE, REWARD]))
    record = data.draw(altered(json.loads(to_json(start.record))))
    path = write(tmp_path_factory.getbasetemp(), data.draw(frames(start.frame)), record)

    def read() -> None:
        found = read_scores(path)
        assert found.frame.schema == pl.Schema(
            {name: start.frame.schema.get(name, pl.Float32) for name in found.frame.columns}
        )
        print_table(found, csv=True)

    in_one_line(read)


@seed(14)
@given(data=st.data())
@fuzz
def test_any_bytes_beside_a_digest_are_read_or_refused(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(tmp_path_factory.getbasetemp(), REWARD.frame, {})
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) // 2, len(whole) - 9]))])
    record = {**json.loads(to_json(REWARD.record)), "sha256": sha256_of(path)}
    path.with_suffix(".json").write_text(json.dumps(record))
    in_one_line(lambda: read_scores(path))


@seed(14)
@given(data=st.data())
@fuzz
def test_any_study_json_is_taken_up_or_refused(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.getbasetemp() / "out"
    (out / "scores").mkdir(parents=True, exist_ok=True)
    study = StudyRecord(command="audit", asked={"frame": "qa"}, inputs=[], versions={"a": "1"}, durations={"b": 1.0})
    changed = data.draw(altered({**json.loads(to_json(study)), "page": None}))
    (out / "study.json").write_text(json.dumps(changed), encoding="utf-8")
    if in_one_line(lambda: open_study(out, "audit", {"frame": "qa"}).lock.release()):
        read_record(out / "study.json", StudyRecord)
    (out / "study.json").write_text(json.dumps(changed), encoding="utf-8")
    in_one_line(lambda: draw(out))


def toml(value: Any) -> str:
    """A value as TOML has it; None is written as a date."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else "nan"
    return "2020-01-01" if value is None else json.dumps(value)


ENTRY = {
    "hub": "OWNER/NAME", "kind": "reward", "family": "Tiny", "base_checkpoint": "tiny-1", "parameters": 5, "dtype": "float32",
    "head_weights": {"a": 1.0}, "benchmarks": {"b": 2.0}, "sources": ["s"], "loadable": True,
}  # fmt: skip
names = st.sampled_from(
    ["mine", "gemma-3-270m", "GEMMA-3-270m", "../../victim", "a/b", "CON", "\x1b", "", "x" * 300, "[/]", "é"]
)


@seed(14)
@given(data=st.data())
@fuzz
def test_any_catalog_is_read_or_refused_and_names_no_package(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "catalog.toml"
    models = data.draw(st.dictionaries(names, altered(ENTRY), max_size=3))
    document = data.draw(altered({"models": models, "sets": {"some": ["mine"]}}))
    entries = document.items() if isinstance(document, dict) else [("models", document)]
    path.write_bytes("\n".join(f"{json.dumps(key)} = {toml(item)}" for key, item in entries).encode("utf-8", "replace"))

    def read() -> None:
        known = load_catalog(path)
        load_sets(path)
        select(known, {"kind": None}, text="x")
        find_entry(known, "mine")
        own = load_catalog()
        assert all(entry.embedded == (own[name].embedded if name in own else None) for name, entry in known.items())

    in_one_line(read)


@pytest.mark.parametrize(
    "given", ['package = "./evil"', 'package = "https://example.org/evil.zip"', 'package = "evil"']
)
def test_a_persons_catalog_cannot_name_a_package(given: str, tmp_path: Path, birthmark: Callable) -> None:
    wheel = f'{{{given}, version = "1.0", sha256 = "{"0" * 64}", members = ["m"]}}'
    fields = f'gguf_sha256 = "{"0" * 64}"\nterms_address = "x"\nseconds = 1\nterms = {wheel}\nwheels = [{wheel}]\n'
    for name in ("mine", "gemma-3-270m"):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'[models."{name}"]\nkind = "logprob"\n[models."{name}".embedded]\n{fields}', encoding="utf-8")
        answer = birthmark("models", "fetch", name, "--catalog", path)
        assert answer.is_error(str(path), name, "embedded", "only the bundled catalog names packages")


def test_a_folder_with_a_pattern_for_a_name_is_read_itself(tmp_path: Path, birthmark: Callable) -> None:
    """`o1` fits the pattern `o[1]`, and holds another study's numbers."""
    made = {
        folder: table("tiny", "Tiny", "tiny-1", prompts=ASKED, words=SMALL, kind="reward", tokens=False, seed=at)
        for at, folder in enumerate(("o1", "o[1]"))
    }
    paths = {folder: write_scores(item, tmp_path / folder / "scores") for folder, item in made.items()}
    assert read_scores(paths["o[1]"]).frame.equals(made["o[1]"].frame)
    shown = {folder: birthmark("scores", "show", path, "--csv").out for folder, path in paths.items()}
    assert shown["o[1]"].count("\n") == N + 1 and shown["o[1]"] != shown["o1"]
