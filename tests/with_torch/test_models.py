"""Models of `transformers`, built from their configurations."""

import pytest
import torch
from torch import nn

import simdrop.torch as st
from simdrop.torch import functional as F

transformers = pytest.importorskip("transformers")

SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
IMAGES = {"image_size": 32, "patch_size": 8, "attention_probs_dropout_prob": 0.1}
TOKENS = torch.arange(16).reshape(2, 8)


def bert(attention):
    config = transformers.BertConfig(vocab_size=100, attn_implementation=attention, **SIZES)
    return transformers.BertModel(config), lambda net: net(input_ids=TOKENS).last_hidden_state


def gpt2(attention):
    config = transformers.GPT2Config(
        vocab_size=100,
        n_embd=32,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation=attention,
    )
    return transformers.GPT2LMHeadModel(config), lambda net: net(input_ids=TOKENS).logits


def vit(attention):
    config = transformers.ViTConfig(
        hidden_dropout_prob=0.1, attn_implementation=attention, **SIZES, **IMAGES
    )
    images = torch.ones(2, 3, 32, 32)
    return transformers.ViTForImageClassification(config), lambda net: net(images).logits


@pytest.fixture
def calls(monkeypatch):
    """The probabilities with which simdrop dropped."""
    seen, before = [], F.transformed

    def transformed(transform, x, training, *rest):
        if training and transform.p:
            seen.append(transform.p)
        return before(transform, x, training, *rest)

    monkeypatch.setattr(F, "transformed", transformed)
    return seen


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model", [bert, gpt2, vit])
def test_models(model, attention, calls):
    """Two layers: one dropout for the embedding, and in each layer two and that of attention."""
    net, run = model(attention)
    net.train()
    with st.patch():
        run(net).sum().backward()
    assert calls == [0.1] * 7
    names = list(net.state_dict())
    assert st.convert(net) is net and list(net.state_dict()) == names
    assert not any(type(module) is nn.Dropout for module in net.modules())
    run(net).sum().backward()
    assert calls == [0.1] * (7 + 5)
    net.eval()
    assert torch.equal(run(net), run(net)) and len(calls) == 12
