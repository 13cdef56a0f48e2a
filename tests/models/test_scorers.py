"""Scores against the model itself, one whole sequence at a time; and the check that every run makes of its engine."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from birthmark.errors import BirthmarkError
from birthmark.models import scorers as scorers_module
from birthmark.models.engine import PlainEngine, PrefixEngine
from birthmark.models.scored import Verification, sample_rows
from birthmark.models.scorers import make_scorer
from birthmark.models.shared_attention import PackedBatch
from birthmark.models.verification import NOISE_FACTOR, perturb_rounding, plain_noise
from tiny_models import CHAT_TEMPLATE, make_tokenizer, write_tiny_model

PROMPT = "What, in one word, is the greatest thing ever?"
OTHER = "What, in one word, is the worst thing ever?"
WORDS = ["love", "freedom", "compassion", "self", "self-reliance", "Zeal", "autonomy"]
ENGINES = ["plain", "prefix"]
BOUND = 1e-4


@pytest.fixture(scope="module")
def lm(tiny_lm):
    return AutoModelForCausalLM.from_pretrained(tiny_lm).eval(), AutoTokenizer.from_pretrained(tiny_lm)


@pytest.fixture(scope="module")
def rm(tiny_rm):
    return AutoModelForSequenceClassification.from_pretrained(tiny_rm).eval(), AutoTokenizer.from_pretrained(tiny_rm)


def logprob_scorer(lm, words=WORDS, vocabulary=True, frame="qa", **options):
    model, tokenizer = lm
    return make_scorer(model, tokenizer, kind="logprob", words=words, vocabulary=vocabulary, frame=frame, **options)


def reward_scorer(rm, words=WORDS, vocabulary=False, **options):
    model, tokenizer = rm
    return make_scorer(model, tokenizer, kind="reward", words=words, vocabulary=vocabulary, frame="chat", **options)


def probability_of(lm, text_before, continuation):
    """p(continuation's tokens | text), token by token, from the model's logits."""
    model, tokenizer = lm
    ids = tokenizer(text_before)["input_ids"]
    total = 1.0
    for token in tokenizer(continuation, add_special_tokens=False)["input_ids"]:
        with torch.inference_mode():
            logits = model(torch.tensor([ids])).logits[0, -1].double()
        total *= float(torch.softmax(logits, dim=-1)[token])
        ids = [*ids, token]
    return total


# ------------------------------------------------------------------------------------------ log-probabilities


@pytest.mark.parametrize("engine", ENGINES)
def test_a_words_probability_is_the_sum_over_its_four_forms(lm, engine):
    scorer = logprob_scorer(lm, vocabulary=False, engine=engine)
    scores = scorer.score(PROMPT).scores
    before = f"Question: {PROMPT}\nAnswer:"
    for word, score in zip(WORDS, scores, strict=True):
        forms = {word, f" {word}", word[0].upper() + word[1:], f" {word[0].upper() + word[1:]}"}
        assert score == pytest.approx(np.log(sum(probability_of(lm, before, form) for form in forms)), abs=BOUND)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_vocabulary_row_is_its_own_tokens_log_probability(lm, engine):
    model, tokenizer = lm
    scorer = logprob_scorer(lm, engine=engine)
    rows = scorer.candidates.filter(scorer.candidates["token_id"].is_not_null())
    with torch.inference_mode():
        logits = model(torch.tensor([tokenizer(f"Question: {PROMPT}\nAnswer:")["input_ids"]])).logits[0, -1]
    expected = torch.log_softmax(logits.double(), dim=-1)[rows["token_id"].to_list()].numpy()
    assert np.abs(scorer.score(PROMPT).scores[: rows.height] - expected).max() <= BOUND


def test_token_rows_come_first_in_id_order_then_the_words(lm):
    candidates = logprob_scorer(lm).candidates
    ids = candidates["token_id"].drop_nulls().to_list()
    assert ids == sorted(set(ids))
    assert candidates["candidate"].tail(len(WORDS)).to_list() == WORDS
    assert candidates["token_id"].tail(len(WORDS)).null_count() == len(WORDS)


@pytest.mark.parametrize("engine", ENGINES)
def test_token_rows_and_what_is_left_out_sum_to_one(lm, engine):
    scorer = logprob_scorer(lm, engine=engine)
    result = scorer.score(PROMPT)
    tokens = result.scores[: -len(WORDS)].astype(float)
    assert result.mass.left_out > 0
    assert np.exp(tokens).sum() + result.mass.left_out == pytest.approx(1, abs=1e-6)


def test_without_vocabulary_rows_all_tokens_are_left_out(lm):
    scorer = logprob_scorer(lm, vocabulary=False)
    assert scorer.score(PROMPT).mass.left_out == pytest.approx(1, abs=1e-6)
    assert scorer.left_out is None


def test_lexicon_mass_counts_a_word_that_begins_another_once(lm):
    both = logprob_scorer(lm, ["self", "self-reliance"], vocabulary=False).score(PROMPT).mass.lexicon
    alone = logprob_scorer(lm, ["self"], vocabulary=False).score(PROMPT).mass.lexicon
    assert both == pytest.approx(alone, rel=1e-6)


def test_lexicon_mass_is_the_sum_of_different_words(lm):
    mass = logprob_scorer(lm, ["love", "freedom"], vocabulary=False).score(PROMPT).mass.lexicon
    scores = logprob_scorer(lm, ["love", "freedom"], vocabulary=False).score(PROMPT).scores
    assert mass == pytest.approx(np.exp(scores.astype(float)).sum(), rel=1e-5)


def test_left_out_tokens_are_counted_by_reason(lm):
    scorer = logprob_scorer(lm)
    counts = scorer.left_out
    tokens = scorer.candidates.height - len(WORDS)
    assert tokens + counts.special + counts.undecodable + counts.unused == lm[0].config.vocab_size


@pytest.mark.parametrize("frame", ["qa", "bare", "chat"])
def test_context_ids_are_what_the_model_read(lm, frame):
    _, tokenizer = lm
    result = logprob_scorer(lm, frame=frame).score(PROMPT)
    text = {"qa": f"Question: {PROMPT}\nAnswer:", "bare": PROMPT}.get(
        frame, f"<bos><turn>user\n{PROMPT}</turn>\n<turn>assistant\n"
    )
    assert tokenizer.decode(result.context_ids) == text


def test_the_studys_protocol_scores_the_exact_string(lm):
    scorer = logprob_scorer(lm, ["love"], vocabulary=False, frame="bare", protocol="christian2026")
    assert scorer.score(PROMPT).scores[0] == pytest.approx(np.log(probability_of(lm, PROMPT, "love")), abs=BOUND)


def test_word_tokens_is_the_longest_forms_count(lm):
    _, tokenizer = lm
    counts = {
        word: max(
            len(tokenizer(form, add_special_tokens=False)["input_ids"])
            for form in (word, f" {word}", word.capitalize(), f" {word.capitalize()}")
        )
        for word in ("love", "autonomy")
    }
    assert logprob_scorer(lm, ["love", "autonomy"], vocabulary=False).word_tokens == counts


def test_an_empty_word_raises(lm):
    with pytest.raises(BirthmarkError, match="has no tokens"):
        logprob_scorer(lm, [""], vocabulary=False, frame="bare", protocol="christian2026")


def test_no_candidates_at_all_raises(lm):
    with pytest.raises(BirthmarkError, match="no candidates"):
        logprob_scorer(lm, [], vocabulary=False)


# ---------------------------------------------------------------------------------------------------- rewards


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reward_is_the_sequence_classifiers_logit(rm, engine):
    model, tokenizer = rm
    scores = reward_scorer(rm, engine=engine).score(PROMPT).scores
    for word, score in zip(WORDS, scores, strict=True):
        text = f"<bos><turn>user\n{PROMPT}</turn>\n<turn>assistant\n{word}</turn>\n"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            assert score == pytest.approx(float(model(ids).logits[0, 0]), abs=BOUND)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_pad_token_that_ends_the_answer_moves_the_token_read_as_in_the_models_class(tmp_path, engine):
    template = CHAT_TEMPLATE.replace("</turn>\n{% endfor %}", "</turn>{% endfor %}")
    folder = write_tiny_model(tmp_path, reward=True, seed=5, chat_template=template)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.pad_token = "</turn>"
    model.config.pad_token_id = tokenizer.pad_token_id
    of_class = reward_scorer((model, tokenizer), engine=engine)
    of_end = reward_scorer((model, tokenizer), engine=engine, read="end")
    scores, ends = of_class.score(PROMPT).scores, of_end.score(PROMPT).scores
    for word, score, end in zip(WORDS, scores, ends, strict=True):
        text = f"<bos><turn>user\n{PROMPT}</turn><turn>assistant\n{word}</turn>"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        assert ids[0, -1] == tokenizer.pad_token_id
        with torch.inference_mode():
            assert score == pytest.approx(float(model(ids).logits[0, 0]), abs=BOUND)
            assert end == pytest.approx(float(model.score(model.model(ids).last_hidden_state[0, -1])), abs=BOUND)
    assert np.abs(scores - ends).min() > 10 * BOUND
    assert of_class.chat.read_early == 1 and any("--read end" in line for line in of_class.chat.warnings)
    assert of_end.chat.read_early == 0 and of_end.chat.read_token == "</turn>"


def test_what_the_model_pads_with_cannot_matter(rm):
    model, _ = rm
    before = reward_scorer(rm, engine="plain").score(PROMPT).scores
    pad, model.config.pad_token_id = model.config.pad_token_id, None
    try:
        assert np.array_equal(reward_scorer(rm, engine="plain").score(PROMPT).scores, before)
    finally:
        model.config.pad_token_id = pad


def test_context_ids_of_a_reward_are_common_to_all_candidates(rm):
    _, tokenizer = rm
    shared = reward_scorer(rm, ["love", "freedom"]).score(PROMPT).context_ids
    assert tokenizer.decode(shared) == f"<bos><turn>user\n{PROMPT}</turn>\n<turn>assistant\n"


def test_the_vocabulary_as_answers_keeps_its_token_ids(rm):
    scorer = reward_scorer(rm, ["love"], vocabulary=True)
    candidates = scorer.candidates
    result = scorer.score(PROMPT)
    assert candidates.height == len(result.scores) and result.mass is None
    assert candidates["token_id"].null_count() == 1
    row = candidates["candidate"].to_list().index(" the")
    alone = reward_scorer(rm, [" the"]).score(PROMPT).scores[0]
    assert result.scores[row] == pytest.approx(alone, abs=BOUND)


def test_answers_scored_in_pieces_are_scored_alike(rm, monkeypatch):
    whole = reward_scorer(rm).score(PROMPT)
    monkeypatch.setattr(scorers_module, "ANSWERS_AT_ONCE", 3)
    pieces = reward_scorer(rm).score(PROMPT)
    assert np.abs(whole.scores - pieces.scores).max() <= BOUND
    assert whole.context_ids == pieces.context_ids


def test_a_reward_needs_a_chat_template(rm):
    with pytest.raises(BirthmarkError, match="--chat-template"):
        reward_scorer((rm[0], make_tokenizer(None)))


def test_a_head_with_several_outputs_raises(tmp_path):
    folder = write_tiny_model(tmp_path, reward=True, outputs=3)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with pytest.raises(BirthmarkError, match="3 outputs"):
        reward_scorer((model, AutoTokenizer.from_pretrained(folder)))


def test_a_language_model_has_no_reward_head(lm):
    with pytest.raises(BirthmarkError, match="no reward head"):
        reward_scorer(lm)


# --------------------------------------------------------------------------------------------- verification


def scorer_of(kind, lm, rm):
    return logprob_scorer(lm) if kind == "logprob" else reward_scorer(rm)


@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_the_prefix_engine_passes_its_check(kind, lm, rm):
    result = scorer_of(kind, lm, rm).verify([PROMPT, OTHER])
    assert result.passed and result.seconds > 0
    assert result.bound == BOUND if kind == "logprob" else 0 < result.bound < BOUND


def scaled(rm, scale):
    """The reward model with rewards so many times as large."""
    model = AutoModelForSequenceClassification.from_config(rm[0].config)
    model.load_state_dict(rm[0].state_dict())
    model.score.weight.data *= scale
    return reward_scorer((model.eval(), rm[1]))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
@pytest.mark.parametrize("processor", ["this", "another"])
def test_an_honest_run_passes_whatever_the_rewards_scale_and_the_processor(scale, processor, rm):
    scorer = scaled(rm, scale)
    with perturb_rounding(scorer.model) if processor == "another" else nullcontext():
        scores = scorer.score(PROMPT).scores
    result = scorer.verify([PROMPT], scored={PROMPT: scores})
    assert result.passed and result.bound <= 2e-4 * scores.std()


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e5])
def test_a_position_shifted_by_one_trips_the_check_whatever_the_rewards_scale(scale, rm, monkeypatch):
    shift_positions(monkeypatch)
    assert not scaled(rm, scale).verify([PROMPT]).passed


def test_where_rounding_alone_passes_the_first_bound_plains_own_noise_decides(rm):
    scorer = scaled(rm, 1.0)
    scores = scorer.score(PROMPT).scores
    rows = np.arange(len(scores))
    noise = plain_noise(scorer, rows, {PROMPT: scorer.score_rows(PROMPT, rows, PlainEngine(scorer.model))})
    assert 0 < noise < 1e-5
    far = scorer.verify([PROMPT], scored={PROMPT: scores + 1_000 * noise})
    assert not far.passed
    assert 0 < far.bound <= NOISE_FACTOR * noise  # the noise of a sample is at most that of all words
    assert scorer.verify([PROMPT], scored={PROMPT: scores + far.bound / 2}).passed


def shift_positions(monkeypatch):
    """Every token after the shared prefix is taken to stand one place further on."""
    own = PackedBatch.positions.fget

    def shifted(run):
        positions = own(run).clone()
        if not (run.extends or run.keeps):  # of which all others see all: the shift would be one of the whole text
            positions[:, -run.tokens :] += 1
        return positions

    monkeypatch.setattr(PackedBatch, "positions", property(shifted))


@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_a_position_shifted_by_one_trips_the_check(kind, lm, rm, monkeypatch):
    shift_positions(monkeypatch)
    assert not scorer_of(kind, lm, rm).verify([PROMPT]).passed


def test_reading_the_token_before_the_last_trips_the_check(rm, monkeypatch):
    forward = PrefixEngine._forward

    def one_short(self, shared, suffixes, extending=False, only_last=False):
        states = forward(self, shared, suffixes, extending)
        return states[np.cumsum([len(suffix) for suffix in suffixes]) - 2] if only_last else states

    monkeypatch.setattr(PrefixEngine, "_forward", one_short)
    assert not reward_scorer(rm).verify([PROMPT]).passed


@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_the_check_takes_the_scores_that_were_written(kind, lm, rm):
    scorer = scorer_of(kind, lm, rm)
    scores = scorer.score(PROMPT).scores
    assert scorer.verify([PROMPT], scored={PROMPT: scores}).passed
    wrong = scores.copy()
    wrong[-len(WORDS) :] += 0.01
    result = scorer.verify([PROMPT], scored={PROMPT: wrong})
    assert not result.passed and result.max_abs_diff == pytest.approx(0.01, abs=BOUND)


@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_a_score_that_is_not_a_number_never_passes(kind, lm, rm):
    scorer = scorer_of(kind, lm, rm)
    scores = np.full_like(scorer.score(PROMPT).scores, np.nan)
    assert not scorer.verify([PROMPT], scored={PROMPT: scores}).passed
    assert not Verification(float("nan"), 1e-4, 0.0).passed
    assert not Verification(0.0, float("nan"), 0.0).passed


def test_the_sample_is_seeded_and_holds_words_and_tokens():
    rows = sample_rows(1000, 100, 64, seed=3)
    assert np.array_equal(rows, sample_rows(1000, 100, 64, seed=3))
    assert not np.array_equal(rows, sample_rows(1000, 100, 64, seed=4))
    assert len(set(rows)) == 64 and (rows >= 1000).sum() == 32


@pytest.mark.parametrize(("tokens", "words", "taken"), [(0, 10, 10), (10, 0, 10), (1000, 5, 64), (5, 100, 64)])
def test_a_sample_is_filled_from_what_there_is(tokens, words, taken):
    rows = sample_rows(tokens, words, 64, seed=0)
    assert len(rows) == taken and rows.max() < tokens + words


def test_the_bound_grows_with_the_scale_of_rewards(tiny_rm):
    model = AutoModelForSequenceClassification.from_pretrained(tiny_rm)
    model.score.weight.data *= 1e4
    scorer = reward_scorer((model, AutoTokenizer.from_pretrained(tiny_rm)))
    result = scorer.verify([PROMPT], sample=len(WORDS))
    checked = scorer.score(PROMPT).scores[sample_rows(0, len(WORDS), 6, 0)]
    assert result.bound == pytest.approx(1e-4 * checked.std(), rel=1e-3)
    assert result.passed and result.bound > 100 * BOUND


def half_scorer(kind, dtype, tiny_lm, tiny_rm):
    factory, folder = (
        (AutoModelForCausalLM, tiny_lm) if kind == "logprob" else (AutoModelForSequenceClassification, tiny_rm)
    )
    loaded = factory.from_pretrained(folder, dtype=dtype), AutoTokenizer.from_pretrained(folder)
    return logprob_scorer(loaded) if kind == "logprob" else reward_scorer(loaded)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_half_precision_is_held_to_plains_own_noise(kind, dtype, tiny_lm, tiny_rm):
    result = half_scorer(kind, dtype, tiny_lm, tiny_rm).verify([PROMPT, OTHER])
    assert result.passed and BOUND < result.bound < 0.5


@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_a_shifted_position_trips_the_check_in_half_precision_too(kind, tiny_lm, tiny_rm, monkeypatch):
    shift_positions(monkeypatch)
    assert not half_scorer(kind, torch.bfloat16, tiny_lm, tiny_rm).verify([PROMPT]).passed


def test_rounding_otherwise_moves_states_by_their_last_place_and_leaves_no_trace(rm):
    model = AutoModelForSequenceClassification.from_config(rm[0].config).to(torch.bfloat16)
    ids = torch.arange(5, 25)[None]
    with torch.inference_mode():
        before = model.model(ids).last_hidden_state
        with perturb_rounding(model):
            within = model.model(ids).last_hidden_state
        after = model.model(ids).last_hidden_state
    assert torch.equal(before, after)
    assert 0 < float((within - before).abs().max()) < 0.2


@pytest.mark.real_model
@pytest.mark.parametrize("name", ["smollm2-135m-instruct", "gemma-3-270m"])
@pytest.mark.parametrize("kind", ["logprob", "reward"])
def test_prefix_equals_plain_on_the_embedded_models(name, kind):
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    found = resolve(name, quiet=True, chat_template=None if name.startswith("smol") else "plain")
    tokenizer = load_tokenizer(found)
    if kind == "logprob":
        model = AutoModelForCausalLM.from_pretrained(found.path, dtype=torch.float32)
    else:
        model = AutoModelForSequenceClassification.from_pretrained(found.path, num_labels=1, dtype=torch.float32)
        generator = torch.Generator().manual_seed(0)
        model.score.weight.data = 0.02 * torch.randn(model.score.weight.shape, generator=generator)
    scorer = make_scorer(
        model, tokenizer, kind=kind, words=WORDS, vocabulary=False, frame="chat" if kind == "reward" else "qa"
    )
    assert scorer.verify([PROMPT, OTHER]).max_abs_diff <= BOUND


def test_the_self_check_of_few_words_reads_few_conversations_and_never_fewer_than_six(rm, monkeypatch):
    checked = []
    own = scorers_module.verify_rows
    monkeypatch.setattr(scorers_module, "verify_rows", lambda *given: checked.append(len(given[2])) or own(*given))
    tokens = []
    for words in (WORDS, [f"word{number}" for number in range(300)]):
        scorer = reward_scorer(rm, words)
        scorer.verify([PROMPT], sample=64)
        conversations = scorer.encoder.conversations(PROMPT, words)
        shared = min(map(len, conversations)) - 1
        tokens.append(
            (checked[-1] * len(conversations[0]), shared + sum(len(found) - shared for found in conversations))
        )
    assert checked[0] == 6
    read, scored = tokens[1]
    assert 6 < checked[1] < 64 and read < 0.5 * scored


def test_words_are_looked_over_once_however_many_there_are(rm, monkeypatch):
    asked = []
    own = scorers_module.unknown_answers
    monkeypatch.setattr(scorers_module, "unknown_answers", lambda *given: asked.append(given) or own(*given))
    reward_scorer(rm, [f"word{number}" for number in range(200)])
    assert len(asked) == 1
