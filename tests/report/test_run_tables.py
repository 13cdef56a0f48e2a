"""The table of how each model was scored, and what page and card say of system prompts."""

from pathlib import Path

import pytest

from birthmark.records import PrecisionCheck, ScoreRecord
from birthmark.report.card import card
from birthmark.report.contents import read_contents
from birthmark.report.models import run_table
from birthmark.values.wording_page import system_said

PRECISION = PrecisionCheck(
    dtype="bfloat16", quantized=None, n_prompts=3, n_sample=64, n_candidates=900, spearman=0.99951, max_abs_diff=0.021,
    noise_floor_score=0.004, noise_floor_rank=7.3, pairs_below_noise=0.01, seconds=1.0,
)  # fmt: skip


@pytest.fixture
def record(two_models: Path) -> ScoreRecord:
    return read_contents(two_models).scores[0]


def asked(record: ScoreRecord, system: str | None, persona: str | None = None) -> ScoreRecord:
    prompts = record.prompt_set.model_copy(update={"system": system, "persona": persona})
    return record.model_copy(update={"prompt_set": prompts})


def rows(*records: ScoreRecord) -> dict[str, tuple[str, ...]]:
    return {str(name): tuple(map(str, cells)) for name, *cells in run_table(records).rows}


def test_what_no_model_has_is_no_row(record):
    assert {"System prompt", "The template's own system prompt", "Reward head", "Check against float32"}.isdisjoint(
        rows(record)
    )


def test_a_system_prompt_stands_with_its_persona_and_where_it_went(record):
    told = asked(record, "You are\na pirate.", "pirate").model_copy(update={"system_place": "user"})
    assert rows(record, told)["System prompt"] == (
        "–",
        "persona pirate: “You are a pirate.”, opening the user's turn",
    )


def test_the_templates_own_system_prompt_the_head_and_the_check_of_precision_are_rows(record):
    told = record.model_copy(
        update={"template_system": "You are SmolLM.", "head": "armorm", "precision": PRECISION, "quantized": "8bit"}
    )
    found = rows(told)
    assert found["The template's own system prompt"] == ("“You are SmolLM.”",)
    assert found["Reward head"] == ("armorm",) and "weights in 8bit" in found["Precision, device"][0]
    assert "0.9995 or more" in found["Check against float32"][0] and "below 7.3" in found["Check against float32"][0]


def test_page_and_card_say_the_system_prompt_that_a_person_set(record):
    assert system_said([record]) is None and system_said([]) is None
    said = system_said([asked(record, "Be *brief*.")])
    assert said == "Every question was asked with the system prompt: “Be *brief*.”"
    own = asked(record, "Be *brief*.", "short").model_copy(update={"template_system": "You are SmolLM."})
    text = card([], [own], None)
    assert "with the system prompt of the persona “short”: “Be \\*brief\\*.”" in text
    assert "its template's system prompt “You are SmolLM.”" in text


def test_a_long_system_prompt_is_cut(record):
    assert len(system_said([asked(record, "word " * 500)]) or "") < 500
