"""Local weights, on a tiny model made here: random, but loaded, templated and run as a real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kerf.models.local import plain, split
from kerf.models.protocol import Finish, Message, ModelError, Request, Role, Tool, ToolCall
from kerf.models.registry import open_model

TOOL = Tool("evaluate", "Judges.", {"type": "object", "properties": {"source": {"type": "string"}}})
TEMPLATE = (
    "{% if tools %}[tools {{ tools | tojson }}]{% endif %}"
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of two layers over bytes."""
    transformers = pytest.importorskip("transformers")
    tokenizers = pytest.importorskip("tokenizers")
    import torch

    folder = tmp_path_factory.mktemp("weights")
    letters = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {"<eos>": 0, **{c: n for n, c in enumerate(letters, 1)}}
    bytes_ = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges=[]))
    bytes_.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = tokenizers.decoders.ByteLevel()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=bytes_, eos_token="<eos>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=len(vocabulary), max_position_embeddings=600, **sizes)
    config.bos_token_id, config.eos_token_id = None, 0
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_it_is_loaded_and_answers(weights: Path) -> None:
    heard: list[str] = []
    model = open_model(f"local/{weights}")
    first = Message(Role.ASSISTANT, "", (ToolCall("c", "evaluate", {"source": "x"}),))
    talk = [Message(Role.USER, "hi"), first, Message(Role.TOOL, "1x", call="c")]
    reply = model.reply(Request(talk, "be brief", [TOOL], max_tokens=12), heard.append)
    assert 0 < reply.usage.output_tokens <= 12 and heard
    assert reply.finish in (Finish.LENGTH, Finish.DONE)
    asked = model.model._encoded(Request(talk, "be brief", [TOOL]))["input_ids"][0]  # type: ignore[attr-defined]
    sent = model.model.tokenizer.decode(asked)  # type: ignore[attr-defined]
    assert "<|system|>be brief" in sent and '"name": "evaluate"' in sent and "<|tool|>1x<|assistant|>" in sent
    assert reply.usage.input_tokens == len(asked)


def test_what_does_not_fit_is_said(weights: Path) -> None:
    with pytest.raises(ModelError, match="window holds 600"):
        open_model(f"local/{weights}").reply(Request([Message(Role.USER, "x" * 700)]))


def test_time_ends_it(weights: Path) -> None:
    reply = open_model(f"local/{weights}").reply(Request([Message(Role.USER, "x")], timeout_s=0.05))
    assert reply.finish is Finish.LENGTH and reply.usage.output_tokens < 590


def test_folders_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is no folder"):
        open_model("local/meta-llama/Llama-3")
    pytest.importorskip("transformers")
    with pytest.raises(ModelError, match="holds no model"):
        open_model(f"local/{tmp_path}")


def test_calls_in_text() -> None:
    text = '<think>hm <tool_call></think>I try.\n<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call><tool_call>{"name": "g", "arguments": "no"}'
    calls, said = split(text)
    assert said == "I try." and [c.name for c in calls] == ["f", "g"]
    assert calls[0].arguments == {"x": 1} and calls[1].arguments is None and calls[1].raw == "no"
    assert split('{"name": "f", "parameters": {}}') == ((ToolCall("call_0", "f", {}, "{}"),), "")
    assert split('the object {"name": "f", "parameters": {}}')[0] == ()
    ((broken,), _) = split("<tool_call>{oops</tool_call>")
    assert broken.arguments is None and broken.raw == "{oops" and broken.name == ""


def test_a_conversation_without_a_template() -> None:
    talk = [Message(Role.USER, "hi"), Message(Role.ASSISTANT, "", (ToolCall("c", "f", {"x": 1}),))]
    text = plain(Request(talk, "be brief", [TOOL]))
    assert text.startswith("be brief\n\nTools") and text.endswith("Assistant:")
    assert '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>' in text
