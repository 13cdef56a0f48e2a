"""A policy behind a real HTTP server: what it is asked, what is read of its answers, and its failures in one line."""

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from model_server import serving

from birthmark.errors import BirthmarkError
from birthmark.inputs.prompts import prompt_set_record
from birthmark.models.resolve import resolve
from birthmark.records import PromptRecord
from birthmark.scoring.answers import Sampling, draw_answers
from birthmark.scoring.measure import make_measure

QUESTIONS = prompt_set_record(
    "two", {"good": PromptRecord(text="What is good?"), "bad": PromptRecord(text="What is bad?")}
)


def ask(policy: Path, address: str, out: Path, template: str | None = None) -> pl.DataFrame:
    sampling, model = Sampling(n=4, max_tokens=8, temperature=1.0, seed=0), resolve(policy, chat_template=template)
    return draw_answers(model, sampling, QUESTIONS, replace(make_measure(), prompts=QUESTIONS), address, out)


@pytest.mark.parametrize("kind", ["vllm", "openai"])
def test_a_served_policy_is_asked_with_a_seed_an_answer(kind: str, tiny_lm: Path, tmp_path: Path) -> None:
    with serving(tiny_lm, kind, reward=False) as server:
        found = ask(tiny_lm, server.address, tmp_path / "out")
        bodies = [body for body in server.bodies if "seed" in body]
        seeds = [body["seed"] for body in bodies]
        assert len(seeds) == len(set(seeds)) == 8 and all(body["max_tokens"] == 8 for body in bodies)
        assert all(("stop_token_ids" in body) == (kind == "vllm") for body in bodies)
        assert found.height == 8 and not found["finished"].all()
        assert ask(tiny_lm, server.address, tmp_path / "again").equals(found)


def test_how_reward_models_run_here_is_no_matter_of_the_served_policy(tiny_lm: Path, tmp_path: Path) -> None:
    sampling = Sampling(n=2, max_tokens=4, temperature=1.0, seed=0)
    measure = replace(make_measure(dtype="float32", device="cpu", engine="plain"), prompts=QUESTIONS)
    with serving(tiny_lm, "openai", reward=False) as server:
        found = draw_answers(resolve(tiny_lm), sampling, QUESTIONS, measure, server.address, tmp_path / "out")
    assert found.height == 4


def test_a_form_that_is_not_known_another_model_and_nobody_are_one_line(
    tiny_lm: Path, tiny_base: Path, tmp_path: Path
) -> None:
    with serving(tiny_lm, "openai", reward=False) as server:
        server.faults.append("shape")
        with pytest.raises(
            BirthmarkError, match="answers in a form that is not known here, for an answer to .What is good"
        ):
            ask(tiny_lm, server.address, tmp_path / "shape")
        with pytest.raises(BirthmarkError, match="serves .* and not"):
            ask(tiny_base, server.address, tmp_path / "other", "plain")
    with pytest.raises(BirthmarkError, match="nothing answers there"):
        ask(tiny_lm, "http://127.0.0.1:9", tmp_path / "none")
