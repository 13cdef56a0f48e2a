"""The pitfalls of real chat templates, on the tokenizers that users meet: beginnings, dates, ends, trims, system prompts."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.models.chat_template import read_facts, read_shape, read_trimming
from birthmark.models.encoding import Encoder
from birthmark.models.vocabulary import read_vocabulary
from tiny_models import CHAT_TEMPLATE, make_tokenizer

QUESTION = "What, in one word, is the greatest thing ever?"
ON = pytest.mark.network
TOKENIZERS = ["llama3", "llama3_1", "gemma2", "gemma3", "qwen3"]


def text(tokenizer, ids: list[int]) -> str:
    return tokenizer.decode(ids, clean_up_tokenization_spaces=False)


# -------------------------------------------------------------------------------------------------- beginnings


@ON
@pytest.mark.parametrize(("name", "bos"), [("llama3_1", 128_000), ("gemma2", 2), ("gemma3", 2)])
def test_the_template_and_the_tokenizer_both_write_a_bos_and_one_stays(published, name, bos):
    tokenizer = published(name)
    rendered = Encoder(tokenizer, "chat").render(QUESTION, "love")
    assert tokenizer(rendered)["input_ids"][:2] == [bos, bos]  # the trap
    encoder = Encoder(tokenizer, "chat")
    for ids in (encoder.context(QUESTION), encoder.conversation(QUESTION, "love")):
        assert ids.count(bos) == 1 and ids[0] == bos


@ON
@pytest.mark.parametrize(("name", "bos"), [("llama3_1", 128_000), ("gemma2", 2), ("gemma3", 2)])
def test_the_studys_protocol_reproduces_its_double_bos_and_says_so(published, name, bos):
    ours, studys = (Encoder(published(name), "chat", protocol) for protocol in ("birthmark", "christian2026"))
    for ids, studied in (
        (ours.context(QUESTION), studys.context(QUESTION)),
        (ours.conversation(QUESTION, "love"), studys.conversation(QUESTION, "love")),
    ):
        assert studied == [bos, *ids]
    assert any("twice" in warning for warning in read_facts(studys).warnings)
    assert not any("twice" in warning for warning in read_facts(ours).warnings)


@ON
def test_no_bos_where_a_model_has_none(published):
    ids = Encoder(published("qwen3"), "chat").context(QUESTION)
    assert text(published("qwen3"), ids[:1]) == "<|im_start|>"


# ------------------------------------------------------------------------------------- the study's own candidates


@ON
def test_the_studys_protocol_decodes_as_the_published_list_of_shared_tokens_was(published, shared: Path):
    """Llama's clean-up took the space before punctuation: no other reading gives the 85,524 published texts."""
    with (shared / "paper-data/data/corpora/token_intersection.csv").open(encoding="utf-8", newline="") as file:
        listed = {row["token_decoded"] for row in csv.DictReader(line.replace("\0", "") for line in file)}

    def texts(name: str, protocol: str) -> set[str]:
        vocabulary = read_vocabulary(published(name), len(published(name)), protocol)
        return {text for text in vocabulary.texts if not (set(text) & {"\0"})}

    studys = texts("llama3_1", "christian2026") & texts("gemma2", "christian2026")
    assert studys <= listed
    assert " ." not in listed and "." in listed and " ." in texts("llama3_1", "birthmark")
    left_out = {token.content for token in published("gemma2").added_tokens_decoder.values()}
    assert {text for text in listed - studys if "\ufffd" not in text and text not in left_out} == {""}


@ON
def test_each_candidate_is_tokenized_anew_from_its_text(published):
    """` love` is a token, and the model never sees it: the template trims it, and `love` is another."""
    tokenizer = published("llama3_1")
    token = tokenizer.encode(" love", add_special_tokens=False)
    assert len(token) == 1
    for protocol in ("birthmark", "christian2026"):
        ids = Encoder(tokenizer, "chat", protocol).conversation(QUESTION, tokenizer.decode(token))
        assert token[0] not in ids and tokenizer.encode("love", add_special_tokens=False)[0] in ids


# ------------------------------------------------------------------------------------------------------- dates

# Llama 3.2's turn of phrase, shortened: a system turn that shows a date, today's where a clock is at hand
DATED = (
    '{{- bos_token }}{%- if not date_string is defined %}{%- if strftime_now is defined %}{%- set date_string = '
    'strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}{%- endif %}'
    "{%- if messages[0]['role'] == 'system' %}{%- set system_message = messages[0]['content']|trim %}"
    "{%- set messages = messages[1:] %}{%- else %}{%- set system_message = '' %}{%- endif %}"
    "{{- '<|start_header_id|>system<|end_header_id|>\\n\\nCutting Knowledge Date: December 2023\\nToday Date: ' }}"
    "{{- date_string + '\\n\\n' + system_message + '<|eot_id|>' }}{%- for message in messages %}"
    "{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content']|trim + '<|eot_id|>' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}"
)  # fmt: skip


@ON
@pytest.mark.parametrize(
    ("asked", "shown", "recorded"), [(None, "26 Jul 2024", "2024-07-26"), ("2025-03-01", "01 Mar 2025", "2025-03-01")]
)
def test_a_dated_template_shows_the_pinned_day_and_no_other(published, asked, shown, recorded):
    encoder = Encoder(published("llama3_1"), "chat", chat_template=DATED, template_date=asked)
    assert f"Today Date: {shown}\n" in encoder.render(QUESTION, "love")
    assert encoder.template_date == recorded


@ON
def test_the_system_prompt_that_a_template_adds_is_read(published):
    encoder = Encoder(published("llama3_1"), "chat", chat_template=DATED)
    assert read_shape(encoder).system == "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024"


@pytest.mark.real_model
def test_smollms_own_system_prompt_is_read():
    from birthmark.models.resolve import resolve
    from birthmark.models.tokenizer import load_tokenizer

    encoder = Encoder(load_tokenizer(resolve("smollm2-135m-instruct", quiet=True)), "chat")
    said = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
    assert read_shape(encoder).system == said and said in encoder.render(QUESTION)
    assert said not in Encoder(encoder.tokenizer, "chat", system="Be brief.").render(QUESTION)


@ON
@pytest.mark.parametrize("name", TOKENIZERS)
def test_these_templates_add_no_system_prompt(published, name):
    assert read_shape(Encoder(published(name), "chat")).system is None


# ---------------------------------------------------------------------------------------- where an answer ends


@ON
def test_the_old_llama_3_template_opens_a_turn_after_the_answer(published):
    encoder = Encoder(published("llama3"), "chat")
    assert read_shape(encoder).opens_a_turn
    assert text(encoder.tokenizer, encoder.conversation(QUESTION, "love")[-4:]) == (
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert any("opens another assistant's turn" in warning for warning in read_facts(encoder, ["love"]).warnings)


@ON
@pytest.mark.parametrize("name", ["llama3_1", "gemma2", "gemma3", "qwen3"])
def test_the_other_templates_end_with_the_answers_turn(published, name):
    encoder = Encoder(published(name), "chat")
    shape = read_shape(encoder)
    assert not shape.opens_a_turn
    assert shape.after in ("<|eot_id|>", "<end_of_turn>\n", "<|im_end|>\n")
    assert not any("opens another" in warning for warning in read_facts(encoder, ["love"]).warnings)


@ON
def test_qwen_3_puts_an_empty_thinking_block_before_an_answer_and_not_into_an_opened_turn(published):
    encoder = Encoder(published("qwen3"), "chat")
    assert read_shape(encoder).inserted == "<think>\n\n</think>\n\n"
    assert encoder.render(QUESTION).endswith("<|im_start|>assistant\n")
    assert encoder.render(QUESTION, "love").endswith("<|im_start|>assistant\n<think>\n\n</think>\n\nlove<|im_end|>\n")
    assert any("<think>" in warning for warning in read_facts(encoder).warnings)
    assert not any(
        "<think>" in warning for warning in read_facts(encoder, ["love"]).warnings
    )  # an RM reads it as trained


@ON
@pytest.mark.parametrize("name", ["llama3", "llama3_1", "gemma2", "gemma3"])
def test_the_others_put_nothing_before_an_answer(published, name):
    assert read_shape(Encoder(published(name), "chat")).inserted == ""


# ------------------------------------------------------------------------------------------------------- trims


@ON
@pytest.mark.parametrize("name", ["llama3", "llama3_1", "gemma2", "gemma3"])
def test_trimmed_candidates_are_counted_with_those_that_become_another(published, name):
    encoder = Encoder(published(name), "chat")
    found = read_trimming(encoder, ["love", " love", "Love", " freedom", "peace\n", "\n\n", "a b"])
    assert (found.n_candidates, found.changed, found.merged) == (7, 4, 1)
    assert encoder.conversation(QUESTION, " love") == encoder.conversation(QUESTION, "love")
    (warning,) = (line for line in read_facts(encoder, ["love", " love"]).warnings if "trims" in line)
    assert "1 of 2" in warning


@ON
def test_qwen_takes_off_line_breaks_before_an_answer_and_nothing_else(published):
    found = read_trimming(Encoder(published("qwen3"), "chat"), [" love", "love ", "\nlove", "love\n", "love"])
    assert (found.changed, found.merged) == (1, 1)


@ON
@pytest.mark.parametrize("name", ["gemma2", "qwen3"])
def test_the_count_over_a_vocabulary_is_that_of_rendering_every_candidate(published, name):
    encoder = Encoder(published(name), "chat")
    texts = list(dict.fromkeys(read_vocabulary(encoder.tokenizer, 6_000).texts))
    before, after = (encoder.render("Q", "X").partition("X")[place] for place in (0, 2))
    kept = [encoder.render("Q", text)[len(before) :].removesuffix(after) for text in texts]
    found = read_trimming(encoder, texts)
    assert found.changed == sum(text != seen for text, seen in zip(texts, kept, strict=True)) > 0
    assert found.merged == len(texts) - len(set(kept))


# ---------------------------------------------------------------------------------------------- system prompts


@ON
@pytest.mark.parametrize("name", ["llama3", "llama3_1", "qwen3"])
def test_a_system_prompt_has_a_turn_of_its_own(published, name):
    encoder = Encoder(published(name), "chat", system="You are a pirate.")
    assert encoder.system_place == "system"
    rendered = encoder.render(QUESTION, "love")
    assert rendered.index("system") < rendered.index("You are a pirate.") < rendered.index("user")
    assert encoder.context(QUESTION) == encoder.conversation(QUESTION, "love")[: len(encoder.context(QUESTION))]


@ON
def test_gemma_2_refuses_a_system_prompt_so_it_opens_the_users_turn(published):
    encoder = Encoder(published("gemma2"), "chat", system="You are a pirate.")
    assert encoder.system_place == "user"
    assert f"<start_of_turn>user\nYou are a pirate.\n\n{QUESTION}<end_of_turn>" in encoder.render(QUESTION, "love")
    assert any("does not support a system prompt" in warning for warning in read_facts(encoder).warnings)


@ON
def test_gemma_3s_own_template_does_the_same(published):
    two, three = (Encoder(published(name), "chat", system="Be brief.") for name in ("gemma2", "gemma3"))
    assert two.render(QUESTION, "love") == three.render(QUESTION, "love")


def test_a_template_that_passes_over_a_system_prompt_gets_it_in_the_users_turn():
    deaf = CHAT_TEMPLATE.replace("messages %}", "messages if message['role'] != 'system' %}")
    encoder = Encoder(make_tokenizer(deaf), "chat", system="Be brief.")
    assert encoder.system_place == "user" and f"Be brief.\n\n{QUESTION}" in encoder.render(QUESTION)


@ON
def test_a_persons_system_prompt_is_not_taken_for_the_templates(published):
    encoder = Encoder(published("llama3_1"), "chat", chat_template=DATED, system="Be brief.")
    assert "Be brief." in encoder.render(QUESTION)
    assert read_shape(encoder).system == "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024"


@pytest.mark.parametrize("frame", ["qa", "bare"])
def test_a_system_prompt_needs_a_chat(frame):
    with pytest.raises(BirthmarkError, match="--frame chat"):
        Encoder(make_tokenizer(), frame, system="Be brief.")


def test_an_empty_system_prompt_raises():
    with pytest.raises(BirthmarkError, match="empty"):
        Encoder(make_tokenizer(), "chat", system="  ")


# ------------------------------------------------------------------- templates that show less than they should, or several

LOOP = "{{{{ bos_token }}}}{{% for m in messages %}}{}{{% endfor %}}"


@pytest.mark.parametrize("template", ["fixed text", LOOP.format("{% if m.role != 'user' %}{{ m.content }}{% endif %}")])
def test_a_template_without_the_question_is_refused(
    template: str, birthmark: Any, tiny_lm: Path, tiny_rm: Path, copy: Any
) -> None:
    for model, words in ((tiny_lm, "love"), (tiny_rm, "love")):
        folder = copy(model, model.name)
        (folder / "chat_template.jinja").write_text(template)
        answer = birthmark("score", folder, "--prompt", "What?", "--candidates", words)
        assert answer.is_error(str(folder), "the chat template leaves out the question", "--chat-template")


def test_a_template_without_the_answer_is_refused(birthmark: Any, tiny_rm: Path, copy: Any) -> None:
    folder = copy(tiny_rm)
    (folder / "chat_template.jinja").write_text(LOOP.format("{% if m.role == 'user' %}{{ m.content }}{% endif %}"))
    answer = birthmark("score", folder, "--prompt", "What?", "--candidates", "love,power")
    assert answer.is_error(str(folder), "the chat template leaves out the answer")


@pytest.mark.parametrize("change", ["upper", "trim", "replace('?', '')"])
def test_a_template_may_change_what_it_shows(change: str, birthmark: Any, tiny_rm: Path, copy: Any) -> None:
    folder = copy(tiny_rm)
    (folder / "chat_template.jinja").write_text(LOOP.format(f"{{{{ m.content | {change} }}}}"))
    assert birthmark("score", folder, "--prompt", "What?", "--candidates", "love,Love,LOVE").code == 0


def several_templates(folder: Path, of: Any) -> None:
    (folder / "chat_template.jinja").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": of}))


@pytest.mark.parametrize("listed", [True, False])
def test_of_several_templates_the_default_is_used(listed: bool, tiny_lm: Path, copy: Any) -> None:
    own = (tiny_lm / "chat_template.jinja").read_text()
    folder, named = copy(tiny_lm), {"tool_use": "no {{ messages }}", "default": own}
    several_templates(folder, [{"name": key, "template": text} for key, text in named.items()] if listed else named)
    found = bm.score(folder, prompt=["What?"], candidates=["love", "power"])
    assert found.record.frame == "chat" and found.record.warnings == []
    assert (found.matrix() == bm.score(tiny_lm, prompt=["What?"], candidates=["love", "power"]).matrix()).all()


def test_several_templates_without_a_default_are_named(birthmark: Any, tiny_lm: Path, tiny_rm: Path, copy: Any) -> None:
    folder = copy(tiny_lm)
    several_templates(folder, {"tool_use": "no {{ messages }}", "rag": "x {{ messages }}"})
    found = bm.score(folder, prompt=["What?"], candidates=["love", "power"])
    assert found.record.frame == "qa"
    assert any("the chat templates tool_use, rag and none that is called default" in w for w in found.record.warnings)
    reward = copy(tiny_rm, "rm")
    several_templates(reward, None)
    (reward / "additional_chat_templates").mkdir()
    (reward / "additional_chat_templates/rag.jinja").write_text("x {{ messages }}")
    assert birthmark("score", reward, "--prompt", "What?", "--candidates", "love").is_error("--chat-template")
    assert "rag and none that is called default" in bm.resolve(reward).remarks[0]
