"""A reward equals what the model's own class returns for the same ids, unpadded, whatever its config calls padding; and what a
model cannot read is left out by name or refused in one line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from architectures import CONFIGS, VOCABULARY, random_ids, tiny_model
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedTokenizerFast

import birthmark as bm
from birthmark.errors import BirthmarkError
from birthmark.models.encoding import Encoder, added_around
from birthmark.models.engine import make_engine
from birthmark.models.engine_choice import choose_engine
from birthmark.models.heads.base import reading_place
from birthmark.models.heads.known import known_heads
from birthmark.models.heads.linear import LinearHead
from birthmark.models.limits import positions_of
from birthmark.models.loading import attention_of
from birthmark.models.reading import Reading
from birthmark.models.vocabulary import unknown_words
from tiny_models import CHAT_TEMPLATE, make_tokenizer, write_tiny_model

PROMPT = "What matters most?"
END = 7
SHARED = [3, 9, 4, 11, END]
SMALL = {"vocab_size": VOCABULARY, "num_labels": 1}
OTHERS = {  # architectures with a class of their own for classification, or that the prefix engine cannot run
    "gpt2": transformers.GPT2Config(**SMALL, n_embd=32, n_layer=2, n_head=4, n_positions=64),
    "gptj": transformers.GPTJConfig(**SMALL, n_embd=32, n_layer=2, n_head=4, n_positions=64, rotary_dim=8),
    "gpt_neo": transformers.GPTNeoConfig(
        **SMALL, hidden_size=32, num_layers=2, num_heads=4, attention_types=[[["global", "local"], 1]], window_size=8,
        intermediate_size=64, max_position_embeddings=64,
    ),
    "gpt_neox": transformers.GPTNeoXConfig(
        **SMALL, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4
    ),
    "opt": transformers.OPTConfig(
        **SMALL, hidden_size=32, word_embed_proj_dim=32, ffn_dim=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=64,
    ),
    "bloom": transformers.BloomConfig(**SMALL, hidden_size=32, n_layer=2, n_head=4),
    "falcon": transformers.FalconConfig(**SMALL, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
    "mpt": transformers.MptConfig(**SMALL, d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
    "mixtral": transformers.MixtralConfig(
        **SMALL, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        num_local_experts=4,
    ),
    "deepseek_v3": transformers.DeepseekV3Config(
        **SMALL, hidden_size=32, intermediate_size=64, moe_intermediate_size=16, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, n_shared_experts=1, n_routed_experts=4, num_experts_per_tok=2, n_group=1, topk_group=1,
        first_k_dense_replace=1, q_lora_rank=16, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=12,
    ),
}  # fmt: skip
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2,
}  # fmt: skip
LANGUAGE_ONLY = {
    "mamba": transformers.MambaConfig(vocab_size=VOCABULARY, hidden_size=32, num_hidden_layers=2, state_size=4),
    "gpt_oss": transformers.GptOssConfig(
        vocab_size=VOCABULARY, hidden_size=32, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, num_local_experts=2, num_experts_per_tok=1, sliding_window=8,
    ),
    "cohere": transformers.CohereConfig(**SHAPE, logit_scale=0.3, pad_token_id=0, bos_token_id=1, eos_token_id=2),
    "granite": transformers.GraniteConfig(**SHAPE, logits_scaling=8.0),
    "codegen": transformers.CodeGenConfig(vocab_size=VOCABULARY, n_embd=32, n_layer=2, n_head=4, rotary_dim=4),
    "llama4": transformers.Llama4TextConfig(
        **SHAPE, head_dim=8, num_local_experts=2, intermediate_size_mlp=32, pad_token_id=0
    ),
}  # fmt: skip


def conversations() -> list[list[int]]:
    """With the end token at the end, not there, twice there, within the answer, and nothing but an answer of it."""
    endings = [[12, END], [12, 13], [14, END, END], [15, END, 16], [END, END]]
    return [[*SHARED, *ending] for ending in endings]


def of_config(config: Any, factory: Any) -> Any:
    torch.manual_seed(1)
    kind = attention_of(resolved_without_entry(), config)
    model = factory.from_config(config, attn_implementation=kind).eval()
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn(parameter.shape)
    return model


def resolved_without_entry() -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(entry=None)


@pytest.fixture(scope="module", params=[*CONFIGS, *OTHERS])
def classifier(request: pytest.FixtureRequest) -> Any:
    if request.param in CONFIGS:
        return tiny_model(request.param, reward=True)
    return of_config(OTHERS[request.param], AutoModelForSequenceClassification)


@pytest.mark.parametrize("pad", [None, END, 0, 12, 3])
def test_rewards_are_those_of_the_models_own_class_on_unpadded_ids(classifier: Any, pad: int | None) -> None:
    """The peer is transformers' forward, one conversation at a time."""
    classifier.config.pad_token_id = pad
    try:
        with torch.inference_mode():
            peer = [float(classifier(input_ids=torch.tensor([ids])).logits[0, 0]) for ids in conversations()]
        engine, _ = choose_engine("prefix", classifier)
        reading = Reading(LinearHead.reads, classifier.config.get_text_config().pad_token_id)
        runs, others, _ = reading.cut(conversations(), None)
        found = np.empty(len(peer))
        for each in (engine, make_engine("plain", classifier)):
            for indices, states, _ in each.states(runs, others):
                with torch.inference_mode():
                    found[indices] = LinearHead(classifier.score)(states).numpy()
            np.testing.assert_allclose(found, peer, atol=1e-4 * max(1, np.std(peer)))
    finally:
        classifier.config.pad_token_id = None


@pytest.mark.parametrize(
    ("ids", "pad", "unpadded", "before"),
    [
        ([5, 6, 7], None, 2, 2),
        ([5, 6, 7], 9, 2, 2),
        ([5, 6, 7], 7, 1, 1),
        ([5, 7, 6, 7, 7], 7, 2, 0),
        ([7, 5, 6], 7, 2, 2),
        ([7, 7], 7, 0, 1),
    ],
)
def test_the_two_rules_that_search_for_padding(ids: list[int], pad: int | None, unpadded: int, before: int) -> None:
    assert reading_place(ids, pad, "last unpadded") == unpadded
    assert reading_place(ids, pad, "before padding") == before
    assert reading_place(ids, pad, "last") == len(ids) - 1
    if pad is not None:  # the line that older versions of transformers have, and heads derived from them
        mask = torch.eq(torch.tensor([ids]), pad).int()
        assert int((mask.argmax(-1) - 1) % len(ids)) == before


def test_value_heads_are_read_at_the_last_token_as_their_authors_code_does() -> None:
    """Theirs goes by the attention mask, not by the padding token."""
    assert known_heads()["value"].reads == "last"


def test_a_gate_behind_the_token_that_is_read_keeps_its_own_state() -> None:
    reading = Reading("before padding", pad=END)
    runs, others, exchanged = reading.cut([[1, END, 2, 3, 4], [1, 2, 3, 4, 5]], [3, 2])
    assert [len(ids) for ids in runs] == [4, 5] and others == [0, 2] and exchanged == [True, False]


# ----------------------------------------------------------------------------------------------------- engines


@pytest.mark.parametrize("name", [*(name for name in OTHERS if name != "gptj"), *LANGUAGE_ONLY])
def test_log_probabilities_come_from_an_engine_that_runs_the_architecture(name: str) -> None:
    model = of_config((OTHERS | LANGUAGE_ONLY)[name], AutoModelForCausalLM)
    engine, why = choose_engine("prefix", model)
    assert (engine.name == "plain") == (why is not None)
    context, ends = random_ids(6, seed=1), [[5], [6, 8], [6, 9, 10]]
    found = engine.log_probs(context, ends)[1]
    for end, value in zip(ends, found, strict=True):
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([[*context, *end]]), use_cache=False).logits[0].double()
        steps = logits.log_softmax(-1)[len(context) - 1 : -1]
        assert value == pytest.approx(float(sum(steps[at, token] for at, token in enumerate(end))), abs=1e-4)


@pytest.mark.parametrize("name", ["gpt2", "gptj", "falcon", "deepseek_v3"])
def test_the_plain_engine_takes_over_and_says_why(name: str) -> None:
    model = of_config(OTHERS[name], AutoModelForSequenceClassification)
    engine, why = choose_engine("prefix", model)
    assert engine.name == "plain" and why is not None and type(model.get_decoder()).__name__ in why
    assert choose_engine("plain", model)[1] is None


def test_a_model_that_fails_on_a_batch_is_one_line() -> None:
    """Its class computes one text and not two of unlike length; another number of key and value heads than its weights allow."""
    config = transformers.DeepseekV3Config(**OTHERS["deepseek_v3"].to_diff_dict() | {"num_key_value_heads": 2})
    with pytest.raises(BirthmarkError, match=r"DeepseekV3ForCausalLM fails on two short texts .*config\.json"):
        choose_engine("prefix", of_config(config, AutoModelForCausalLM))


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("reward", [True, False])
def test_the_prefix_engine_stays_where_it_can_run(name: str, reward: bool) -> None:
    assert choose_engine("prefix", tiny_model(name, reward=reward))[0].name == "prefix"


@pytest.mark.parametrize(
    ("name", "kind"), [("bloom", "eager"), ("mpt", "eager"), ("gpt_neo", "eager"), ("gpt2", "sdpa"), ("opt", "sdpa")]
)
def test_attention_is_what_the_class_supports(name: str, kind: str) -> None:
    assert attention_of(resolved_without_entry(), OTHERS[name]) == kind


def test_a_table_and_the_terminal_say_that_the_plain_engine_ran(tmp_path: Path, birthmark: Any) -> None:
    tokenizer = make_tokenizer()
    config = transformers.GPT2Config(vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64)
    config.num_labels, config.pad_token_id = 1, tokenizer.pad_token_id
    AutoModelForSequenceClassification.from_config(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    record = bm.score(tmp_path, prompt=[PROMPT], candidates="love,freedom", device="cpu").record
    assert record.engine == "plain" and "GPT2Model" in record.engine_why
    answer = birthmark("score", tmp_path, "--prompt", PROMPT, "--candidates", "love,freedom", "--device", "cpu")
    assert answer.code == 0 and "GPT2Model" in answer.out + answer.err
    long = birthmark("score", tmp_path, "--prompt", "a long one " * 40, "--candidates", "love", "--device", "cpu")
    assert long.is_error("64 positions", "max_position_embeddings")


# ------------------------------------------------------------------------------------- the options and the records


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RM whose padding token ends every conversation, and whose template and tokenizer both write a BOS."""
    folder = tmp_path_factory.mktemp("reading") / "ended"
    template = CHAT_TEMPLATE.replace("</turn>\n{% endfor %}", "</turn>{% endfor %}")
    write_tiny_model(folder, reward=True, seed=6, chat_template=template)
    tokenizer = make_tokenizer(template)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["pad_token_id"] = tokenizer.convert_tokens_to_ids("</turn>")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def score(folder: Path, **options: Any) -> Any:
    return bm.score(folder, prompt=[PROMPT], candidates="love,freedom,power", device="cpu", **options)


def of_class(folder: Path, bos: int, cut: int = 0) -> list[float]:
    """Rewards by transformers on text written by hand, with so many BOS and so many last tokens taken off."""
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    found = []
    for word in ("love", "freedom", "power"):
        text = "<bos>" * bos + f"<turn>user\n{PROMPT}</turn><turn>assistant\n{word}</turn>"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            states = model.model(ids).last_hidden_state[0]
            found.append(float(model.score(states[-1 - cut]) if cut is not None else model(ids).logits))
    return found


@pytest.mark.parametrize(
    ("options", "bos", "cut", "token", "early"),
    [
        ({}, 1, 1, None, 1),
        ({"read": "end"}, 1, 0, "</turn>", 0),
        ({"bos": "two"}, 2, 1, None, 1),
        ({"bos": "one", "read": "end"}, 1, 0, "</turn>", 0),
        ({"protocol": "christian2026"}, 2, 1, None, 1),
    ],
)
def test_a_record_states_which_token_was_read_and_how_many_bos_there_were(ended, options, bos, cut, token, early):
    table = score(ended, **options)
    np.testing.assert_allclose(table.matrix()[:, 0], of_class(ended, bos, cut), atol=1e-4)
    record = table.record
    assert (record.bos, record.read_early, record.read) == (bos, early, options.get("read", "class"))
    assert record.read_token == token or (token is None and record.read_token != "</turn>")
    assert any("--read end" in line for line in record.warnings)


def test_by_default_the_models_whole_forward_is_the_right_value(ended):
    np.testing.assert_allclose(score(ended).matrix()[:, 0], of_class(ended, 1, None), atol=1e-4)


def test_the_catalog_says_how_many_bos_a_models_authors_had(ended, tmp_path):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(f'[models."mine"]\npath = "{ended}"\nkind = "reward"\nbos = "two"\n', encoding="utf-8")
    assert score("mine", catalog=catalog).record.bos == 2
    assert score("mine", catalog=catalog, bos="one").record.bos == 1
    assert bm.explain("mine", catalog=catalog, prompt=[PROMPT], candidates="love").bos == 2


def test_explain_shows_the_token_that_is_read(ended):
    found = bm.explain(ended, prompt=[PROMPT], candidates="love", bos="two")
    assert found.bos == 2 and found.read == len(found.token_ids) - 2
    assert bm.explain(ended, prompt=[PROMPT], candidates="love", read="end").read == len(found.token_ids) - 2


def test_models_check_gives_the_numbers_of_both_ways(ended):
    findings = bm.check_model(ended, device="cpu").findings
    for check, option in (("beginning", "--bos two"), ("padding", "--read end")):
        assert any(item.trap == check and option in item.message and "love" in item.message for item in findings)


@pytest.mark.parametrize("option", ["read", "bos"])
def test_options_on_reading_are_refused_for_a_language_model(tiny_lm, birthmark, option):
    value = {"read": "end", "bos": "two"}[option]
    answer = birthmark("score", tiny_lm, f"--{option}", value, "--prompt", PROMPT, "--candidates", "love")
    assert answer.is_error(f"--{option} is for reward models")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_an_adapter_is_read_by_the_padding_token_that_its_training_had(ended, tmp_path):
    """A trainer puts the padding token of the tokenizer that it saves into the model's config, which an adapter lacks."""
    from peft import LoraConfig, get_peft_model

    base = AutoModelForSequenceClassification.from_pretrained(ended)
    adapted = get_peft_model(
        base, LoraConfig(task_type="SEQ_CLS", r=2, target_modules=["q_proj"], init_lora_weights=False)
    )
    adapted.peft_config["default"].base_model_name_or_path = str(ended)
    adapted.save_pretrained(tmp_path)
    assert score(tmp_path).record.read_early == 1  # as its base's config has it
    special = tmp_path / "special_tokens_map.json"  # all that `birthmark train` saves of the tokenizer
    special.write_text('{"pad_token": "<pad>"}', encoding="utf-8")
    assert score(tmp_path).record.read_token == "</turn>"
    special.write_text('{"pad_token": "no such token"}', encoding="utf-8")
    with pytest.raises(BirthmarkError, match="special_tokens_map.json: pad_token is no token of the model"):
        score(tmp_path)
    special.unlink()
    tokenizer = transformers.AutoTokenizer.from_pretrained(ended)  # pads with <pad>, which no conversation holds
    tokenizer.save_pretrained(tmp_path)
    assert score(tmp_path).record.read_token == "</turn>"
    tokenizer.pad_token = "</turn>"
    tokenizer.save_pretrained(tmp_path)
    assert score(tmp_path).record.read_early == 1


# ----------------------------------------------------------------------------------------------------- tokenizers


@pytest.mark.parametrize(
    ("single", "before", "after"),
    [
        ("$A <eos>", [], ["<eos>"]),
        ("<bos> $A <eos>", ["<bos>"], ["<eos>"]),
        ("<turn> $A </turn>", ["<turn>"], ["</turn>"]),
    ],
)
@pytest.mark.parametrize("frame", ["qa", "bare"])
def test_what_a_tokenizer_appends_does_not_stand_before_an_answer(single, before, after, frame):
    tokenizer = make_tokenizer()
    plain = Encoder(make_tokenizer(), frame).context(PROMPT)
    names = ("<bos>", "<eos>", "<turn>", "</turn>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[(name, tokenizer.convert_tokens_to_ids(name)) for name in names]
    )
    assert [tokenizer.convert_ids_to_tokens(list(part)) for part in added_around(tokenizer)] == [before, after]
    begin = tokenizer.convert_tokens_to_ids(before)
    assert Encoder(tokenizer, frame).context(PROMPT) == [*begin, *plain]


KNOWN = ("<unk>", "<s>", "</s>", "Question", ":", "What", "matters", "most", "?", "Answer", "love", "freedom")


def without_byte_fallback(template: str | None = None) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel({word: at for at, word in enumerate(KNOWN)}, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = template
    return tokenizer


def dropping() -> PreTrainedTokenizerFast:
    """Without an unknown token, a letter that is not known leaves no trace."""
    inner = Tokenizer(models.BPE({letter: at for at, letter in enumerate("abcdelov")}, []))
    return PreTrainedTokenizerFast(tokenizer_object=inner)


def test_words_that_a_tokenizer_cannot_write_are_found():
    assert unknown_words(without_byte_fallback(), ["love", " love", "Würde", "自由"]) == {"Würde", "自由"}
    assert unknown_words(dropping(), ["love", "xlove", "x"]) == {"xlove", "x"}
    assert unknown_words(make_tokenizer(), ["love", "Würde", "自由", "👍🏽", " "]) == set()


def write_unknowing(folder: Path, reward: bool) -> Path:
    template = "{% for m in messages %}Question : {{ m['content'] }} </s>{% endfor %}" if reward else None
    config = transformers.LlamaConfig(
        vocab_size=len(KNOWN), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_labels=1,
        pad_token_id=None,
    )  # fmt: skip
    torch.manual_seed(2)
    factory = AutoModelForSequenceClassification if reward else AutoModelForCausalLM
    factory.from_config(config).save_pretrained(folder)
    without_byte_fallback(template).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("reward", [True, False])
def test_unknown_words_are_left_out_by_name(tmp_path, reward, birthmark):
    folder = write_unknowing(tmp_path, reward)
    table = bm.score(folder, prompt=[PROMPT], candidates=["love", "Würde", "freedom", "自由"], device="cpu")
    assert table.frame["candidate"].to_list() == ["love", "freedom"]
    assert table.record.unknown_words == ["Würde", "自由"] and table.record.n_words == 2
    assert any("Würde" in line and "自由" in line for line in table.record.warnings)
    assert any("Würde" in item.message for item in bm.check_model(folder, device="cpu").findings)
    if not reward:  # the forms that it can write, and no probability of <unk>
        ids = transformers.AutoTokenizer.from_pretrained(folder)(f"Question: {PROMPT}\nAnswer:", return_tensors="pt")
        with torch.inference_mode():
            following = AutoModelForCausalLM.from_pretrained(folder)(ids["input_ids"]).logits[0, -1].log_softmax(-1)
        np.testing.assert_allclose(table.matrix()[:, 0], following[[10, 11]], atol=1e-4)
    answer = birthmark("score", folder, "--prompt", PROMPT, "--candidates", "自由,Würde", "--device", "cpu")
    assert answer.is_error("自由", "unknown token")


def test_a_token_without_an_embedding_is_one_line_and_a_finding(tmp_path, birthmark):
    folder = write_tiny_model(tmp_path, reward=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<new>"]})
    tokenizer.chat_template = CHAT_TEMPLATE.replace("<turn>", "<new>")
    tokenizer.save_pretrained(folder)
    answer = birthmark("score", folder, "--prompt", PROMPT, "--candidates", "love,freedom", "--device", "cpu")
    assert answer.is_error("<new>", "has no embedding")
    findings = bm.check_model(folder, device="cpu").findings
    assert any(item.trap == "vocabulary" and item.level == "wrong" and "<new>" in item.message for item in findings)


@pytest.mark.parametrize(
    ("changes", "positions"),
    [
        ({}, 64),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1e4}}, 128),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 64}}, 256),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 2.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "rope_theta": 1e4, "original_max_position_embeddings": 16}}, 64),
    ],
)  # fmt: skip
def test_rotary_positions_end_where_training_and_scaling_do(changes, positions):
    assert positions_of(transformers.LlamaConfig(max_position_embeddings=64, **changes)) == positions


def test_models_without_positions_have_no_limit():
    assert positions_of(OTHERS["bloom"]) is None and positions_of(LANGUAGE_ONLY["mamba"]) is None


@pytest.mark.parametrize(
    ("tensor", "value", "named"),
    [
        ("model.layers.1.mlp.up_proj.weight", torch.nan, "model.layers.1.mlp.up_proj.weight is not a number"),
        ("model.layers.0.mlp.down_proj.weight", torch.inf, "model.layers.0.mlp.down_proj.weight is infinite"),
        ("model.layers.0.mlp.down_proj.weight", 3e38, "the output of model.layers.0"),
    ],
)
def test_scores_that_are_no_numbers_name_the_model_and_the_first_tensor(tmp_path, birthmark, tensor, value, named):
    from safetensors.torch import load_file, save_file

    folder = write_tiny_model(tmp_path / "broken", reward=True)
    tensors = load_file(folder / "model.safetensors")
    tensors[tensor][0] = value
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    answer = birthmark("score", folder, "--prompt", PROMPT, "--candidates", "love,freedom", "--device", "cpu")
    assert answer.is_error("broken", named)
    assert any(
        item.trap == "scores" and named in item.message for item in bm.check_model(folder, device="cpu").findings
    )
