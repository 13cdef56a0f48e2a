"""Scores of candidates in sentences equal those of plain transformers, and what does not go with them is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from birthmark.commands.score import explain, score
from birthmark.inputs.answers import AnswerSet, asked, crossed, load_answers, read_by_language_models
from birthmark.inputs.prompts import load_prompts, select_prompts
from birthmark.models.scored import PromptScores
from birthmark.scoring.resume import Kept
from birthmark.scoring.table import ScoreTable

PROMPTS = ("best_ever_one", "worst_ever_one")
WORDS = ["love", "freedom", "care", "authority"]
TEMPLATES = {
    "late": "I say {word}.",
    "quoted": 'I say "{word}", my friend.',
    "late_too": "I say {word}, my friend.",
    "early": "{word}, I say.",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("answers") / "own.yaml"
    path.write_text(json.dumps(TEMPLATES), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def rewards(tiny_rm: Path, own: Path) -> ScoreTable:
    return score(tiny_rm, prompt=PROMPTS, candidates=WORDS, answers=own, verify=True)


@pytest.fixture(scope="module")
def log_probs(tiny_lm: Path, own: Path) -> ScoreTable:
    return score(tiny_lm, prompt=PROMPTS, candidates=WORDS, answers=own)


def of(table: ScoreTable, column: str) -> np.ndarray:
    return table.frame[column].to_numpy()


def rendered(tokenizer, key: str, answer: str | None = None) -> str:
    turns = [{"role": "user", "content": load_prompts().prompts[key].text}]
    if answer is not None:
        turns.append({"role": "assistant", "content": answer})
    return tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer is None)


@torch.inference_mode()
def test_a_reward_is_that_of_the_whole_sentence_as_plain_transformers_gives_it(rewards, tiny_rm):
    tokenizer = AutoTokenizer.from_pretrained(tiny_rm)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    formats = {"word": "{word}", **TEMPLATES}
    assert rewards.prompt_keys == [f"{key}@{name}" for name in formats for key in PROMPTS]
    for column in rewards.prompt_keys:
        key, name = column.split("@")
        wanted = []
        for word in rewards.frame["candidate"]:
            text = rendered(tokenizer, key, formats[name].replace("{word}", word))
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
            wanted.append(float(model(input_ids=ids).logits[0, 0]))
        assert of(rewards, column) == pytest.approx(np.array(wanted), abs=1e-4 * float(np.std(wanted)) + 1e-5)
    assert rewards.record.verify_max_abs_diff <= rewards.record.verify_bound
    assert rewards.record.precision.spearman == 1


@torch.inference_mode()
def test_a_log_probability_is_the_words_in_its_place_by_the_chain_rule(log_probs, tiny_lm):
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_lm), AutoModelForCausalLM.from_pretrained(tiny_lm).eval()
    places = {"late": ("I say", " {}"), "quoted": ('I say "', "{}")}
    for name, (before, form) in places.items():
        for key in PROMPTS:
            context = tokenizer(rendered(tokenizer, key) + before, add_special_tokens=False)["input_ids"]
            wanted = []
            for word in log_probs.frame["candidate"]:
                ids = tokenizer(form.format(word), add_special_tokens=False)["input_ids"]
                steps = model(input_ids=torch.tensor([context + ids])).logits[0].double().log_softmax(-1)
                wanted.append(sum(float(steps[len(context) + at - 1, token]) for at, token in enumerate(ids)))
            assert of(log_probs, f"{key}@{name}") == pytest.approx(np.array(wanted), abs=1e-4)


def test_formats_that_begin_alike_are_scored_once_by_a_language_model(log_probs, tiny_lm):
    kept = [f"{key}@{name}" for name in ("word", "late", "quoted") for key in PROMPTS]
    assert log_probs.prompt_keys == kept
    assert any("late_too, early" in text for text in log_probs.record.warnings)
    alone = score(tiny_lm, prompt=PROMPTS, candidates=WORDS)
    for key in PROMPTS:
        assert of(log_probs, f"{key}@word") == pytest.approx(of(alone, key), abs=1e-5)
    assert log_probs.frame["token_id"].is_null().all()


def test_bare_words_have_the_scores_that_they_have_without_sentences(rewards, tiny_rm):
    alone = score(tiny_rm, prompt=PROMPTS, candidates=WORDS)
    for key in PROMPTS:
        assert of(rewards, f"{key}@word") == pytest.approx(of(alone, key), abs=1e-5)
    assert "answer" not in alone.record.prompt_set.model_dump_json()


def test_the_plain_engine_gives_the_same(rewards, log_probs, tiny_rm, tiny_lm, own):
    for table, model in ((rewards, tiny_rm), (log_probs, tiny_lm)):
        plain = score(model, prompt=PROMPTS, candidates=WORDS, answers=own, engine="plain")
        assert table.matrix() == pytest.approx(plain.matrix(), abs=1e-4)


def test_words_change_no_digest_and_sentences_do(own):
    prompts = select_prompts(load_prompts(), PROMPTS)
    assert crossed(prompts, load_answers("words")) is prompts
    assert crossed(prompts, load_answers(own)).sha256 != prompts.sha256
    assert read_by_language_models(prompts) == (prompts, ())


def test_kept_work_of_two_sentences_of_a_question_is_told_apart(tmp_path, own):
    cells = crossed(select_prompts(load_prompts(), PROMPTS[:1]), load_answers(own)).prompts
    kept, rows = Kept(tmp_path), range(1)
    for at, prompt in enumerate(cells.values()):
        kept.write(asked(prompt), rows, 1, PromptScores(np.array([at], dtype=np.float32), [1]))
    found = [kept.read(asked(prompt), rows, 1) for prompt in cells.values()]
    assert [float(part.scores[0]) for part in found] == list(range(5))


def test_an_interrupted_run_ends_with_the_bytes_of_a_whole_one(tiny_rm, own, tmp_path, monkeypatch, rewards):
    from birthmark.models.scorers import RewardScorer

    original, scored = RewardScorer.score, []

    def third(self, text, rows):
        if len(scored) == 3:
            raise KeyboardInterrupt
        scored.append(text)
        return original(self, text, rows)

    with monkeypatch.context() as stopped, pytest.raises(KeyboardInterrupt):
        stopped.setattr(RewardScorer, "score", third)
        score(tiny_rm, prompt=PROMPTS, candidates=WORDS, answers=own, out=tmp_path)
    scored.clear()
    table = score(tiny_rm, prompt=PROMPTS, candidates=WORDS, answers=own, out=tmp_path)
    assert table.frame.equals(rewards.frame)


def test_explain_shows_the_sentence(tiny_rm, tiny_lm, own):
    of_reward = explain(tiny_rm, prompt=PROMPTS, candidates=WORDS, answers=own)
    assert of_reward.prompt == "best_ever_one@late" and "I say love." in of_reward.rendered
    of_language = explain(tiny_lm, prompt=PROMPTS, candidates=WORDS, answers=own)
    assert of_language.rendered.endswith("I say") and list(of_language.forms) == [" love"]


@pytest.mark.parametrize(
    "more",
    [
        ["--server", "http://localhost:1"],
        ["--backend", "other"],
        ["--ray"],
        ["--protocol", "christian2026"],
        ["--candidates", "vocabulary"],
        ["--control", "prompt"],
        ["--attributes"],
        ["--persona", "personas.yaml"],
    ],
)
def test_what_does_not_go_with_sentences_is_refused_in_one_line(birthmark, tiny_rm, more):
    assert birthmark("score", tiny_rm, "--answers", "sentences", *more).is_error(more[0], "--answers")


def test_an_unknown_name_is_one_line(birthmark, tiny_rm):
    assert birthmark("score", tiny_rm, "--answers", "sentence").is_error("did you mean sentences")


def test_an_answer_set_without_templates_is_the_bare_words():
    assert AnswerSet("words", {}).sha256 is None
