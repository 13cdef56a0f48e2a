"""Contexts, conversations, forms and the vocabulary, by what the design says of each."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder, common_prefix_length, parse_template_date, pin_template
from birthmark.models.guard import limited_memory
from birthmark.models.vocabulary import read_vocabulary, unknown_words
from tiny_models import CHAT_TEMPLATE, make_tokenizer

PROMPT = "What, in one word, is the greatest thing ever?"


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def test_qa_is_question_and_answer_without_a_trailing_space(tokenizer):
    ids = Encoder(tokenizer, "qa").context(PROMPT)
    assert tokenizer.decode(ids) == f"Question: {PROMPT}\nAnswer:"


def test_bare_is_the_prompt_alone(tokenizer):
    assert tokenizer.decode(Encoder(tokenizer, "bare").context(PROMPT)) == PROMPT


def test_qa_and_bare_take_the_tokenizers_default_special_tokens():
    tokenizer = adding_bos(make_tokenizer())
    for frame in ("qa", "bare"):
        assert Encoder(tokenizer, frame).context(PROMPT)[0] == tokenizer.bos_token_id


def test_chat_opens_the_assistants_turn(tokenizer):
    ids = Encoder(tokenizer, "chat").context(PROMPT)
    assert tokenizer.decode(ids) == f"<bos><turn>user\n{PROMPT}</turn>\n<turn>assistant\n"


def test_a_conversation_is_rendered_and_tokenized_whole(tokenizer):
    ids = Encoder(tokenizer, "chat").conversation(PROMPT, "love")
    rendered = f"<bos><turn>user\n{PROMPT}</turn>\n<turn>assistant\nlove</turn>\n"
    assert ids == tokenizer(rendered, add_special_tokens=False)["input_ids"]


def test_conversations_come_in_the_order_of_the_answers(tokenizer):
    encoder = Encoder(tokenizer, "chat")
    answers = ["love", " freedom", "\n", "é"]
    assert encoder.conversations(PROMPT, answers) == [encoder.conversation(PROMPT, answer) for answer in answers]


def adding_bos(tokenizer):
    """The same tokenizer, adding a BOS by default as Llama's and Gemma's do."""
    from tokenizers.processors import TemplateProcessing

    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    return tokenizer


@pytest.mark.parametrize("template", [CHAT_TEMPLATE, CHAT_TEMPLATE.removeprefix("{{ bos_token }}")])
def test_there_is_one_bos_whoever_writes_it(template):
    tokenizer = adding_bos(make_tokenizer(template))
    encoder = Encoder(tokenizer, "chat")
    for ids in (encoder.context(PROMPT), encoder.conversation(PROMPT, "love")):
        assert ids[0] == tokenizer.bos_token_id and ids[1] != tokenizer.bos_token_id


def test_no_bos_where_neither_template_nor_tokenizer_has_one():
    tokenizer = make_tokenizer(CHAT_TEMPLATE.removeprefix("{{ bos_token }}"))
    assert tokenizer.bos_token_id not in Encoder(tokenizer, "chat").conversation(PROMPT, "love")


def test_the_studys_protocol_has_its_second_bos():
    tokenizer = adding_bos(make_tokenizer())
    encoder = Encoder(tokenizer, "chat", "christian2026")
    for ids in (encoder.context(PROMPT), encoder.conversation(PROMPT, "love")):
        assert ids[:2] == [tokenizer.bos_token_id] * 2


@pytest.mark.parametrize(
    ("word", "forms"),
    [
        ("love", ("love", " love", "Love", " Love")),
        ("Love", ("Love", " Love")),
        ("iPhone", ("iPhone", " iPhone", "IPhone", " IPhone")),
        ("42", ("42", " 42")),
        ("élan", ("élan", " élan", "Élan", " Élan")),
    ],
)
def test_forms_are_as_given_and_capitalised_with_and_without_a_space(tokenizer, word, forms):
    assert Encoder(tokenizer, "qa").forms(word) == forms


def test_the_studys_protocol_takes_the_exact_string(tokenizer):
    assert Encoder(tokenizer, "bare", "christian2026").forms("love") == ("love",)


def test_a_forms_tokens_are_those_of_the_form_alone():
    tokenizer = adding_bos(make_tokenizer())
    ids = Encoder(tokenizer, "qa").form_ids(["love", " Love"])
    assert [tokenizer.decode(list(form)) for form in ids] == ["love", " Love"]


def test_chat_without_a_template_says_how_to_name_one():
    with pytest.raises(BirthmarkError, match="--chat-template"):
        Encoder(make_tokenizer(None), "chat")


def test_a_template_that_fails_says_why():
    tokenizer = make_tokenizer("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(BirthmarkError, match="roles must alternate"):
        Encoder(tokenizer, "chat").context(PROMPT)


def test_no_other_frame_needs_a_template():
    assert Encoder(make_tokenizer(None), "qa").template_date is None


# ------------------------------------------------------------------------------------------------------ dates

LLAMA_32 = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "26 Jul 2024" %}'
    "{%- endif %}{%- endif %}Today Date: {{ date_string }}\n"
)
LLAMA_31 = '{%- if not date_string is defined %}{%- set date_string = "26 Jul 2024" %}{%- endif %}{{ date_string }}\n'
NO_FALLBACK = "It is {{ strftime_now('%Y-%m-%d') }}.\n"


@pytest.mark.parametrize(
    ("template", "asked", "shown", "recorded"),
    [
        (LLAMA_32, None, "Today Date: 26 Jul 2024", "2024-07-26"),
        (LLAMA_32, "2025-01-31", "Today Date: 31 Jan 2025", "2025-01-31"),
        (LLAMA_32.replace("26 Jul 2024", "01 Feb 2023"), None, "Today Date: 01 Feb 2023", "2023-02-01"),
        (LLAMA_31, None, "26 Jul 2024", "2024-07-26"),
        (LLAMA_31, "31 Jan 2025", "31 Jan 2025", "2025-01-31"),
        (NO_FALLBACK, None, "It is 2024-07-26.", "2024-07-26"),
        (NO_FALLBACK, "2025-01-31", "It is 2025-01-31.", "2025-01-31"),
    ],
)
def test_a_template_shows_a_pinned_date(template, asked, shown, recorded):
    encoder = Encoder(make_tokenizer(template + CHAT_TEMPLATE), "chat", template_date=asked)
    assert encoder.tokenizer.decode(encoder.context(PROMPT)).startswith(shown)
    assert encoder.template_date == recorded


def test_many_unclosed_dates_take_no_time():
    template = "strftime_now('" * 40_000
    pinned, day = pin_template(template, None)
    assert pinned.endswith(template) and day == "2024-07-26"


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        ("{% set layout = '%d %B %Y' %}It is {{ strftime_now(layout) }}.\n", "It is 31 January 2025."),
        (
            "\n{% set now = strftime_now %}It is {{ now('%A, %-d.%-m.%y %H:%M, 100%%') }}.\n",
            "\nIt is Friday, 31.1.25 00:00, 100%.",
        ),
        ("{{ strftime_now(format='%j') }} {{ strftime_now('%e') }}\n", "031 31"),
        ("{% macro day() %}{{ strftime_now('%d ' ~ '%b') }}{% endmacro %}{{ day() }}\n", "31 Jan"),
    ],
)
def test_a_date_by_a_variable_or_under_another_name_is_pinned_too(template, shown):
    encoder = Encoder(make_tokenizer(template + CHAT_TEMPLATE), "chat", template_date="2025-01-31")
    assert encoder.render(PROMPT).startswith(shown) and encoder.template_date == "2025-01-31"


@pytest.mark.parametrize(
    ("bomb", "said"),
    [
        ("{% for i in range(1000000000) %}x{% endfor %}", "Range too big"),
        ("{{ 10**10**9 }}", "powers"),
        ("{% set n = 9 %}{{ n ** n ** n ** n }}", "powers"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "recursion"),
        ("{{ 'x' * 99999999999 }}", "too large"),
        ("{{ '%099999999999d' % 3 }}", "too large"),
        ("{{ '{:>99999999999}'.format(3) }}", "too large"),
        ("{{ 'x' | center(99999999999) }}", "too large"),
        ("{{ ('x' * 100000).replace('x', 'x' * 100000) }}", "too large"),
        ("{{ 'x' * 20000000 }}", "too large"),
    ],
)
def test_a_template_that_would_not_end_is_refused_at_once(bomb, said):
    with pytest.raises(BirthmarkError, match=said):
        Encoder(make_tokenizer(bomb + CHAT_TEMPLATE), "chat").render("Hi")


def test_a_model_that_runs_beside_the_rendering_has_its_memory():
    def prepared_beside() -> int:
        with limited_memory(2**20):
            return len(bytes(2**28))

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(prepared_beside).result() == 2**28
    with limited_memory(2**20), pytest.raises(MemoryError):
        bytes(2**28)


def test_stars_in_the_text_of_a_template_are_no_powers():
    assert "**Be brief.**" in Encoder(make_tokenizer("**Be brief.** {# 2 ** 3 #}" + CHAT_TEMPLATE), "chat").render("Hi")


# ----------------------------------------------------------------------------------------------- an empty system turn


def test_an_empty_system_prompt_is_an_empty_system_turn():
    encoder = Encoder(make_tokenizer(), "chat", system="")
    assert encoder.system_place == "system"
    assert encoder.render("Hi").startswith("<bos><turn>system\n</turn>\n<turn>user\nHi</turn>")


@pytest.mark.parametrize(
    ("template", "system", "said"),
    [
        (CHAT_TEMPLATE, " \n", "blank"),
        (CHAT_TEMPLATE.replace("for message in messages", "for message in messages if message.role != 'system'"), "", "no system turn"),
        ("{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + CHAT_TEMPLATE, "", "no system turn"),
    ],
)  # fmt: skip
def test_an_empty_turn_that_cannot_be_written_is_refused(template, system, said):
    with pytest.raises(BirthmarkError, match=said):
        Encoder(make_tokenizer(template), "chat", system=system)


def test_a_template_without_a_date_records_none():
    assert pin_template(CHAT_TEMPLATE, "2025-01-31") == (CHAT_TEMPLATE, None)


def test_a_date_that_is_none_says_how_to_write_one():
    with pytest.raises(BirthmarkError, match="'tomorrow' is not a date"):
        parse_template_date("tomorrow")


# ------------------------------------------------------------------------------------------------- vocabulary


def test_every_id_of_the_vocabulary_is_kept_or_left_out_for_a_reason(tokenizer):
    vocabulary = read_vocabulary(tokenizer, len(tokenizer) + 5)
    groups = [vocabulary.token_ids, vocabulary.special, vocabulary.undecodable, vocabulary.unused]
    assert sorted(index for group in groups for index in group) == list(range(len(tokenizer) + 5))
    assert set(vocabulary.unfaithful) <= set(vocabulary.token_ids)


def test_special_tokens_are_those_flagged_so(tokenizer):
    special = read_vocabulary(tokenizer, len(tokenizer)).special
    assert tokenizer.convert_ids_to_tokens(list(special)) == ["<pad>", "<bos>", "<eos>", "<turn>", "</turn>"]


def test_rows_of_the_embedding_past_the_tokenizer_are_unused(tokenizer):
    size = len(tokenizer)
    assert read_vocabulary(tokenizer, size + 3).unused == (size, size + 1, size + 2)


def test_an_undecodable_token_is_not_valid_utf8_alone(tokenizer):
    vocabulary = read_vocabulary(tokenizer, len(tokenizer))
    tokens = tokenizer.convert_ids_to_tokens(list(vocabulary.undecodable))
    backward = {character: byte for byte, character in byte_characters().items()}
    for token in tokens:
        with pytest.raises(UnicodeDecodeError):
            bytes(backward[character] for character in token).decode("utf-8")
    assert len(tokens) == 128  # bytes 128 to 255: no merged token of this corpus is cut inside a character


def byte_characters():
    """GPT-2's table of a printable character for each byte, as its paper's code states it."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return {byte: chr(byte) for byte in kept} | {
        byte: chr(256 + index) for index, byte in enumerate(sorted(set(range(256)) - set(kept)))
    }


def test_a_token_whose_text_encodes_to_others_is_kept_and_counted():
    texts = {0: "a", 1: "b", 2: "ab"}
    fake = SimpleNamespace(
        added_tokens_decoder={},
        convert_ids_to_tokens=lambda ids: [texts[index] for index in ids],
        batch_decode=lambda ids, clean_up_tokenization_spaces: [texts[index] for (index,) in ids],
    )

    class Fake(SimpleNamespace):
        def __len__(self):
            return 3

        def __call__(self, given, **options):
            return {"input_ids": [[0, 1] if text == "ab" else [0 if text == "a" else 1] for text in given]}

    vocabulary = read_vocabulary(Fake(**vars(fake)), 3)
    assert vocabulary.token_ids == (0, 1, 2)
    assert vocabulary.unfaithful == (2,)


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("name", "special", "undecodable"), [("smollm2-135m-instruct", 17, 314), ("gemma-3-270m", 6249, 134)]
)
def test_the_embedded_vocabularies_leave_out_what_the_design_counts(name, special, undecodable, embedded_tokenizer):
    vocabulary = read_vocabulary(embedded_tokenizer(name), {17: 49152, 6249: 262144}[special])
    assert (len(vocabulary.special), len(vocabulary.undecodable)) == (special, undecodable)
    assert len(vocabulary.unused) == 0


def test_a_dropout_stated_in_a_tokenizers_file_draws_nothing():
    tokenizer = make_tokenizer()
    whole = Encoder(tokenizer, "qa").form_ids(["a word that is rather long"])
    tokenizer.backend_tokenizer.model.dropout = 0.9
    assert all(Encoder(tokenizer, "qa").form_ids(["a word that is rather long"]) == whole for _ in range(5))


@pytest.mark.parametrize("kind", ["words", "unigram"])
def test_an_unknown_token_that_only_the_vocabularys_file_names_is_one(kind):
    pieces = ["<unk>", "love", "a", "b", "c", "▁"]
    model = (
        models.WordLevel({piece: at for at, piece in enumerate(pieces)}, unk_token="<unk>")
        if kind == "words"
        else models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0)
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(model))
    assert tokenizer.unk_token_id is None
    assert unknown_words(tokenizer, ["love", "自由", "<unk>"]) == {"自由"}


def test_a_tokenizer_that_fails_on_a_text_is_one_line():
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="<unk>")))
    with pytest.raises(BirthmarkError, match="the tokenizer fails on a text"):
        unknown_words(tokenizer, ["a", "b"])


def test_a_truncation_stated_in_a_tokenizers_file_cuts_nothing():
    tokenizer = make_tokenizer()
    whole = Encoder(tokenizer, "qa").form_ids(["a word that is rather long"])
    tokenizer.backend_tokenizer.enable_truncation(2)
    tokenizer.backend_tokenizer.enable_padding(length=64)
    assert Encoder(tokenizer, "qa").form_ids(["a word that is rather long"]) == whole
    assert len(whole[0]) > 2


@pytest.mark.parametrize(
    "drawn", ["{{ range(9)|random }}", "{{ [1, 2] | random }}", "{{ 'ab'|map('random')|list }}", "{{ lipsum(n=1) }}"]
)
def test_a_template_that_draws_at_random_is_refused(drawn):
    with pytest.raises(BirthmarkError, match="draws at random"):
        Encoder(make_tokenizer(drawn + CHAT_TEMPLATE), "chat")


@pytest.mark.parametrize("printed", ["{{ raise_exception }}", "{{ cycler(1, 2) }}", "{{ [joiner()] }}"])
def test_a_template_that_prints_an_address_in_memory_is_refused(printed):
    encoder = Encoder(make_tokenizer(printed + CHAT_TEMPLATE), "chat")
    with pytest.raises(BirthmarkError, match="differs in each run"):
        encoder.conversations("What is good?", ["love"])


def test_an_answer_may_look_like_an_address_in_memory():
    encoder = Encoder(make_tokenizer(CHAT_TEMPLATE), "chat")
    assert encoder.conversations("What is good?", ["<it at 0x7f00aa12>", "love"])


def test_common_prefix_length_counts_shared_leading_ids() -> None:
    assert common_prefix_length([[1, 2, 3], [1, 2, 4], [1, 2]]) == 2
    assert common_prefix_length([[1, 2, 3]]) == 3
    assert common_prefix_length([[1], [2]]) == 0
