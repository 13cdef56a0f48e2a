"""A base before its first step: the head from the seed, a pad token that is never written, the language head."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from birthmark.errors import BirthmarkError
from birthmark.models.resolve import resolve
from birthmark.training.reward_model_init import (
    language_head,
    load_padding_tokenizer,
    load_reward_model_init,
    require_base,
)
from tiny_models import CHAT_TEMPLATE, make_tokenizer


def with_tokenizer(model: Path, folder: Path, template: str = CHAT_TEMPLATE, pad: str = "<eos>") -> Path:
    """The model with another template and pad token."""
    shutil.copytree(model, folder)
    tokenizer = make_tokenizer(template)
    tokenizer.pad_token = pad
    tokenizer.save_pretrained(folder)
    return folder


def edit_config(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_the_head_is_drawn_from_the_seed_alone(tiny_lm: Path, tiny_base: Path) -> None:
    heads = [
        load_reward_model_init(resolve(base, quiet=True), seed=seed, precision="float32").score.weight
        for base, seed in ((tiny_lm, 5), (tiny_base, 5), (tiny_lm, 6))
    ]
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    drawn = torch.normal(0.0, 0.02, (1, 32), generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(heads[0].detach(), drawn)


def test_the_body_is_the_bases_and_the_head_stays_in_float32(tiny_lm: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(tiny_lm)
    model = load_reward_model_init(resolve(tiny_lm, quiet=True), seed=0, precision="bfloat16")
    for name, weight in base.model.named_parameters():
        assert torch.equal(model.model.get_parameter(name), weight.bfloat16())
    assert model.score.weight.dtype == torch.float32


def test_the_bases_own_dropout_is_off(tiny_lm: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_lm, tmp_path / "base")
    edit_config(tmp_path / "base", attention_dropout=0.5)
    model = load_reward_model_init(resolve(tmp_path / "base", quiet=True), seed=0, precision="float32")
    assert model.config.attention_dropout == 0
    assert all(layer.self_attn.attention_dropout == 0 for layer in model.model.layers)


def test_a_pad_token_of_its_own_is_kept(tiny_lm: Path) -> None:
    assert load_padding_tokenizer(resolve(tiny_lm, quiet=True)).pad_token == "<pad>"


def test_a_pad_token_that_is_the_end_token_is_replaced_by_one_never_written(tiny_lm: Path, tmp_path: Path) -> None:
    folder = with_tokenizer(tiny_lm, tmp_path / "base")
    assert load_padding_tokenizer(resolve(folder, quiet=True)).pad_token == "<pad>"


def test_a_base_with_no_token_left_to_pad_with_says_what_to_do(tiny_lm: Path, tmp_path: Path) -> None:
    folder = with_tokenizer(tiny_lm, tmp_path / "base", template=CHAT_TEMPLATE + "<pad>")
    with pytest.raises(BirthmarkError, match="no pad token other than its end token.*add_special_tokens"):
        load_padding_tokenizer(resolve(folder, quiet=True))


def test_a_base_without_a_template_says_which_to_pass(tiny_base: Path) -> None:
    with pytest.raises(BirthmarkError, match="--chat-template.*plain"):
        require_base(resolve(tiny_base, quiet=True))
    require_base(resolve(tiny_base, quiet=True, chat_template="plain"))


def test_a_reward_model_is_no_base(tiny_rm: Path) -> None:
    with pytest.raises(BirthmarkError, match="reward model already"):
        require_base(resolve(tiny_rm, quiet=True))


@pytest.mark.parametrize("tied", [False, True])
def test_the_language_head_gives_the_bases_logits(tied: bool, tiny_lm: Path, tmp_path: Path) -> None:
    folder = tiny_lm
    if tied:
        folder = with_tokenizer(tiny_lm, tmp_path / "tied", pad="<pad>")
        config = AutoConfig.from_pretrained(folder)
        config.tie_word_embeddings = True
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    base = resolve(folder, quiet=True)
    model = load_reward_model_init(base, seed=0, precision="float32")
    head, softcap = language_head(base, model)
    ids = torch.tensor([[5, 6, 7, 8]])
    causal = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        logits = model.model(ids).last_hidden_state @ head.T
        torch.testing.assert_close(logits, causal(ids).logits)
    assert softcap is None and not head.requires_grad


def test_an_architecture_that_scales_its_logits_raises_for_text_losses(tiny_lm: Path) -> None:
    base = resolve(tiny_lm, quiet=True)
    model = load_reward_model_init(base, seed=0, precision="float32")
    model.config.logit_scale = 0.5
    with pytest.raises(BirthmarkError, match="logit_scale.*--loss bt"):
        language_head(base, model)
