"""`birthmark consequences` on tiny models: what is written, what is kept and shared, what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

import birthmark as bm
from birthmark.commands import consequences as command
from birthmark.commands.schema import json_schema
from birthmark.errors import BirthmarkError
from birthmark.models.generation import Sampler
from birthmark.scoring import answers as stage
from birthmark.scoring.local import LocalSession
from tiny_models import CHAT_TEMPLATE, write_tiny_model

QUESTIONS = {"good": "What is good?", "bad": "What is bad?", "soup": "How do I cook soup?", "rain": "What about rain?"}
N = 5


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory, tiny_lm: Path) -> dict[str, Any]:
    """Questions, a lexicon of words that the policy says (its tokens), and how it is asked."""
    folder = tmp_path_factory.mktemp("given")
    questions = folder / "mine.yaml"
    rows = [
        f'{key}: {{text: "{text}", about: {"food" if key == "soup" else "other"}}}' for key, text in QUESTIONS.items()
    ]
    questions.write_text("\n".join(rows))
    return {"policy": tiny_lm, "prompts": questions, "n": N, "max_tokens": 10}


@pytest.fixture(scope="module")
def chosen(given: dict[str, Any], tiny_rm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    out = tmp_path_factory.mktemp("chosen") / "out"
    return bm.consequences(tiny_rm, **given, out=out), out


def words(given: dict[str, Any], **more: object) -> list[str]:
    """The options on the command line."""
    options = {**given, **more}
    flags = {"n": "-n", "max_tokens": "--max-tokens", "chat_template": "--chat-template", "lexicons": "--lexicon"}
    return [word for name, value in options.items() for word in (flags.get(name, f"--{name}"), str(value))]


def test_a_row_an_answer_is_written_and_no_more_than_were_asked_for(chosen: tuple[Any, Path]) -> None:
    record, out = chosen
    frame = pl.read_parquet(out / "samples.parquet")
    assert frame.columns == ["question", "sample", "text", "tokens", "finished"]
    assert frame["question"].to_list() == [key for key in QUESTIONS for _ in range(N)]
    assert frame["tokens"].max() <= 10 and not frame.filter(pl.col("finished"))["tokens"].eq(10).any()
    assert (record.counts.questions, record.counts.answers) == (4, 20)
    assert record.counts.cut == (~frame["finished"]).sum()
    assert not (out / ".work").exists() or not list((out / ".work").iterdir())


def test_a_reward_is_what_score_gives_for_the_answer(chosen: tuple[Any, Path], tiny_rm: Path) -> None:
    _, out = chosen
    frame = pl.read_parquet(out / "samples.parquet").filter(pl.col("text") != "")
    rewards = pl.read_parquet(next((out / "rewards").glob("*.parquet")))
    for key in ("good", "rain"):
        mine = frame.filter(pl.col("question") == key).join(rewards, on=["question", "sample"]).unique("text")
        scored = bm.score(tiny_rm, prompt=[QUESTIONS[key]], candidates=mine["text"].to_list()).frame
        both = mine.join(scored, left_on="text", right_on="candidate")
        assert both.height == mine.height > 1
        assert both["reward"].to_numpy() == pytest.approx(both[scored.columns[-1]].to_numpy(), abs=1e-5)


def test_all_that_is_written_is_of_its_schema(chosen: tuple[Any, Path], birthmark: Callable, given: dict[str, Any], tiny_rm: Path) -> None:  # fmt: skip
    _, out = chosen
    for path, name in (
        (out / "consequences.json", "consequences"),
        (next((out / "rewards").glob("*.json")), "rewards"),
    ):
        jsonschema.validate(json.loads(path.read_text()), json_schema(name))
    answer = birthmark("consequences", tiny_rm, *words(given), "--out", out, "--json", "--dry-run")
    assert answer.code == 0, answer.err
    jsonschema.validate(rows := json.loads(answer.out), json_schema("consequences-output"))
    assert [(row["role"], row["answers"], row["answers_kept"]) for row in rows] == [
        ("policy", 20, True),
        ("reward model", 20, True),
    ]


def test_the_page_shows_the_shifts_the_words_and_the_pairs(chosen: tuple[Any, Path]) -> None:
    record, out = chosen
    page = (out / "report.html").read_text()
    for text in (
        "Words that rose",
        "The policy might have said",
        "What the policy said",
        "Length",
        "drawn by the seed",
    ):
        assert text in page
    assert len(record.examples) == 4 and all(item.b is None for item in record.examples)
    kls = [item.kl_soft for item in record.choosers]
    assert kls == pytest.approx([record.kl_target]) and record.kl_target == pytest.approx(np.log(5) - 4 / 5)


def test_a_run_that_is_stopped_resumes_at_a_question_and_ends_with_the_same(
    chosen: tuple[Any, Path], given: dict[str, Any], tiny_rm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    sample, score = Sampler.sample, LocalSession.score_answers

    def stops(which: list[str], after: int, run: Callable) -> Callable:
        def called(self: Any, text: str, *more: Any, **options: Any) -> Any:
            if len(which) == after:
                raise KeyboardInterrupt
            which.append(text)
            return run(self, text, *more, **options)

        return called

    monkeypatch.setattr(Sampler, "sample", stops(asked, 2, sample))
    with pytest.raises(KeyboardInterrupt):
        bm.consequences(tiny_rm, **given, out=tmp_path / "out")
    scored: list[str] = []
    monkeypatch.setattr(Sampler, "sample", stops(asked, 99, sample))
    monkeypatch.setattr(LocalSession, "score_answers", stops(scored, 3, score))
    with pytest.raises(KeyboardInterrupt):
        bm.consequences(tiny_rm, **given, out=tmp_path / "out")
    monkeypatch.setattr(LocalSession, "score_answers", stops(scored, 99, score))
    record = bm.consequences(tiny_rm, **given, out=tmp_path / "out")
    assert asked == scored == list(QUESTIONS.values())
    assert record == chosen[0]
    assert (tmp_path / "out" / "samples.parquet").read_bytes() == (chosen[1] / "samples.parquet").read_bytes()


def test_reward_models_that_join_later_share_the_answers(
    chosen: tuple[Any, Path], given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(*_: object, **__: object) -> None:
        raise AssertionError("the policy was asked again")

    monkeypatch.setattr(stage, "_policy", nothing)
    other = write_tiny_model(tmp_path / "other", reward=True, seed=8)
    record = bm.consequences(other, **given, out=chosen[1])
    assert len(record.choosers) == 2 and record.policy == chosen[0].policy
    first = chosen[0].choosers[0]
    assert next(item for item in record.choosers if item.model == first.model) == first
    assert all({item.a, item.b} == {each.model for each in record.choosers} for item in record.examples)
    assert record.families == [] and "family" in record.families_why
    for link in record.links:
        assert link.rho is None and "no score tables" in link.rho_why
    with pytest.raises(BirthmarkError, match="holds another study, with n 5 and not 6"):
        bm.consequences(other, **{**given, "n": 6}, out=chosen[1])


def test_a_lexicon_none_of_whose_words_occur_is_said(
    chosen: tuple[Any, Path], given: dict[str, Any], tiny_rm: Path, tmp_path: Path, birthmark: Callable
) -> None:
    own = tmp_path / "own.csv"
    own.write_text("word,category\nzyzzyva,Beetles\nqoph,Letters\nice cream,Letters\n")
    answer = birthmark("consequences", tiny_rm, *words(given, lexicons=own), "--out", chosen[1], "--json")
    assert answer.code == 0, answer.err
    jsonschema.validate(record := json.loads(answer.out), json_schema("consequences-output"))
    assert record["sentences"] == [
        "No word of the lexicons' categories occurs in the answers, so that no shift can be measured."
    ]
    assert {item["shift_why"] for item in record["shifts"] if item["about"] is None} == {
        "none of the 1 words of Beetles occurs in the answers",
        "none of the 2 words of Letters occurs in the answers",
    }
    assert any("1 entries of several words" in text for text in record["warnings"])
    assert "zyzzyva" not in answer.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"n": 1}, ("-n", "2")),
        ({"temperature": 0}, ("--temperature",)),
        ({"policy": "tiny_rm"}, ("reward model", "--policy")),
        ({"policy": "tiny_base"}, ("no chat template", "--chat-template")),
        ({"policy": "no-such-model"}, ("no-such-model",)),
        ({"max_tokens": 600}, ("positions",)),
        ({"prompts": "nowhere.yaml"}, ("nowhere.yaml",)),
        ({"contrasts": "none.parquet"}, ("none.parquet",)),
        ({"policy-server": "http://me:secret@127.0.0.1:9"}, ("--policy-server", "without a user name")),
        ({"policy-server": "http://127.0.0.1:9/?api_key=secret"}, ("--policy-server", "BIRTHMARK_SERVER_KEY")),
        ({"policy-server": "http://[::1"}, ("--policy-server", "http://localhost:8000")),
        ({"policy-server": ""}, ("--policy-server", "http://localhost:8000")),
        ({"policy-server": "ftp://x"}, ("--policy-server", "http://localhost:8000")),
    ],
    ids=["one-answer", "cold", "reward-policy", "no-template", "no-policy", "too-long", "no-file", "no-table", "password",
         "key", "no-url", "empty", "ftp"],
)  # fmt: skip
def test_bad_input_is_one_line(
    more: dict[str, Any], said: tuple[str, ...], given: dict[str, Any], tiny_rm: Path, tmp_path: Path, birthmark: Callable,
    request: pytest.FixtureRequest,
) -> None:  # fmt: skip
    more = {
        key: request.getfixturevalue(value) if str(value).startswith("tiny_") else value for key, value in more.items()
    }
    answer = birthmark("consequences", tiny_rm, *words(given, **more), "--out", tmp_path / "out", "--quiet")
    assert answer.is_error(*said) and "secret" not in answer.err, answer.err


def test_a_policy_that_gives_one_answer_again_and_again_is_one_line(
    given: dict[str, Any], tiny_rm: Path, birthmark: Callable, tmp_path: Path
) -> None:
    two = tmp_path / "two.yaml"
    two.write_text("good: What is good?\nbad: What is bad?\n")
    asked = words(given, temperature=0.01, max_tokens=1, prompts=two)
    answer = birthmark("consequences", tiny_rm, *asked, "--out", tmp_path / "out", "--quiet")
    assert answer.is_error("one answer to each question", "--temperature"), answer.err


def test_a_reward_model_that_cannot_be_read_or_is_named_twice_is_refused_before_the_policy_answers(
    given: dict[str, Any], tiny_rm: Path, birthmark: Callable, tmp_path: Path
) -> None:
    two = write_tiny_model(tmp_path / "two", reward=True, seed=8, outputs=2)
    for models, said in (((tiny_rm, two), "2 outputs"), ((tiny_rm, tiny_rm), "named twice")):
        answer = birthmark("consequences", *models, *words(given), "--out", tmp_path / "out", "--quiet")
        assert answer.is_error(said) and not (tmp_path / "out").exists(), answer.err


@pytest.mark.parametrize(
    "option", [{"read": "end"}, {"bos": "one"}, {"template_date": "2024-01-01"}, {"dtype": "bfloat16"}]
)
def test_reward_models_of_one_folder_are_read_in_one_way(
    option: dict[str, Any], chosen: tuple[Any, Path], given: dict[str, Any], tiny_rm: Path
) -> None:
    with pytest.raises(BirthmarkError, match=f"holds another study, with {next(iter(option)).replace('_', ' ')}"):
        bm.consequences(tiny_rm, **given, **option, out=chosen[1])


def test_a_model_whose_weights_were_replaced_is_another_reward_model(
    chosen: tuple[Any, Path], given: dict[str, Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(chosen[1], out, ignore=shutil.ignore_patterns("rewards"))
    for seed in (31, 32):
        shutil.rmtree(tmp_path / "rm", ignore_errors=True)
        record = bm.consequences(write_tiny_model(tmp_path / "rm", reward=True, seed=seed), **given, out=out)
    names = [item.model for item in record.choosers]
    assert len(set(names)) == 2 == len(record.choosers) and all(name.startswith("rm-") for name in names)
    assert {item.model for item in record.shifts} == set(names) and {
        record.differences[0].a,
        record.differences[0].b,
    } == set(names)


def test_one_question_has_shifts_without_an_interval_and_says_why(
    given: dict[str, Any], tiny_rm: Path, tmp_path: Path
) -> None:
    one = tmp_path / "one.yaml"
    one.write_text("good: What is good?\n")
    record = bm.consequences(tiny_rm, **{**given, "prompts": one}, out=tmp_path / "out")
    found = [item for item in record.shifts if item.shift is not None]
    assert found and all(item.se is None and "two or more questions" in str(item.se_why) for item in found)


def test_a_language_model_among_the_reward_models_is_one_line(
    given: dict[str, Any], tiny_base: Path, birthmark: Callable, tmp_path: Path
) -> None:
    for more in ((), ("--dry-run",)):
        answer = birthmark("consequences", tiny_base, *words(given), "--out", tmp_path / "out", "--quiet", *more)
        assert answer.is_error("tiny-base", "language model", "--policy"), answer.err


def test_a_template_that_is_given_is_the_policys_and_that_of_reward_models_without_one(
    tiny_base: Path, tiny_rm: Path, tmp_path: Path
) -> None:
    bare = write_tiny_model(tmp_path / "bare", reward=True, seed=8, chat_template=None)
    options: Any = {"quiet": True, "catalog": None}
    assert "Assistant:" in str(command.find_policy(tiny_base, None, "plain", quiet=True, catalog=None).chat_template)
    assert "Assistant:" in str(command._reward_model(bare, "plain", options).chat_template)
    assert command._reward_model(tiny_rm, "plain", options).chat_template == CHAT_TEMPLATE
