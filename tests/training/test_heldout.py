"""Held-out pairs: drawn by their question, and rewards as transformers' own class gives them."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from birthmark.errors import BirthmarkError
from birthmark.models.resolve import resolve
from birthmark.training.data import Pair, Turn, read_pair
from birthmark.training.heldout import PairRewards, hold_out, pair_rewards
from preference_files import pair_rows

PAIRS = [read_pair(row, number) for number, row in enumerate(pair_rows(8), start=1)]


def asked(row: int, question: str) -> Pair:
    turns = (Turn("user", question),)
    return Pair(row, (*turns, Turn("assistant", "yes")), (*turns, Turn("assistant", f"no {row}")))


def test_rewards_are_those_of_transformers_own_class(tiny_rm):
    found = pair_rewards(resolve(tiny_rm), PAIRS)
    model = AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_rm)
    for place, pair in enumerate(PAIRS):
        for side, rewards in ((pair.chosen, found.chosen), (pair.rejected, found.rejected)):
            text = tokenizer.apply_chat_template([turn._asdict() for turn in side], tokenize=False)
            ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
            with torch.inference_mode():
                assert rewards[place] == pytest.approx(float(model(ids).logits), abs=1e-4)
    assert found.drops == []


def test_a_checkpoint_of_a_run_is_read_with_its_own_head(bt_run):
    found = pair_rewards(resolve(bt_run.checkpoints[max(bt_run.checkpoints)]), PAIRS)
    assert np.isfinite(found.margins).all() and set(found.correct()) <= {0.0, 0.5, 1.0}


def test_pairs_that_are_the_same_after_the_cut_are_dropped_and_have_no_reward(tiny_rm):
    alike = Pair(
        7, (Turn("user", "a"), Turn("assistant", "xx same end")), (Turn("user", "b"), Turn("assistant", "yy same end"))
    )
    found = pair_rewards(resolve(tiny_rm), [PAIRS[0], alike], max_tokens=4, cut="left")
    assert [drop.row for drop in found.drops] == [1, 7] or [drop.row for drop in found.drops] == [7]
    assert np.isnan(found.chosen[1]) and np.isnan(found.correct()[1])


def test_equal_rewards_count_one_half():
    found = PairRewards(np.array([1.0, 2.0, 0.0, np.nan]), np.array([0.0, 2.0, 1.0, np.nan]), [])
    np.testing.assert_array_equal(found.correct(), [1.0, 0.5, 0.0, np.nan])


def test_accuracies_are_summed_in_double_precision_so_that_equal_differences_are_equal():
    rights = {base: [PairRewards(np.repeat(np.float32([1, 0]), [n, 40 - n]), np.full(40, 0.5, np.float32), []).correct()
                     for n in counts] for base, counts in {"a": (20, 21, 22), "b": (28, 29, 30)}.items()}  # fmt: skip
    means = {base: [each.mean() for each in found] for base, found in rights.items()}
    assert np.ptp(np.subtract(means["b"], means["a"])) < 1e-15 and means["a"][1] == 21 / 40


def test_no_question_of_a_held_out_pair_is_trained_on():
    pairs = [asked(row, f"question {row // 3}") for row in range(30)]
    split = hold_out(pairs, 7, seed=3)
    held, trained = ({pair.chosen[0].content for pair in part} for part in (split.held_out, split.training))
    assert len(split.held_out) == len(held) == 7 and not held & trained and split.set_aside == 14
    assert len(split.training) + len(split.held_out) + split.set_aside == 30
    assert split == hold_out(pairs, 7, seed=3) and split != hold_out(pairs, 7, seed=4)


@pytest.mark.parametrize("count", [0, 9])
def test_more_than_there_are_cannot_be_held_out(count):
    with pytest.raises(BirthmarkError, match="8 different questions: hold out fewer"):
        hold_out(PAIRS, count)


def test_a_language_model_has_no_rewards(tiny_lm):
    with pytest.raises(BirthmarkError, match="is a language model"):
        pair_rewards(resolve(tiny_lm), PAIRS)
