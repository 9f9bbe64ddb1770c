# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Token ids of the tags, in tokenizers built for the purpose."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from recipe.axpo.forks import find_tool_call_spans
from recipe.axpo.tags import ToolCallTags
from verl_ext.cpu.env import REPO_ROOT

CALL, THINK = ("<tool_call>", "</tool_call>"), ("<think>", "</think>")


def tokenizer(*tags, unk_token=None, special=False):
    vocabulary = {word: i for i, word in enumerate([unk_token or "zoom", "in"])}
    backend = Tokenizer(WordLevel(vocabulary, unk_token=unk_token))
    backend.pre_tokenizer = Whitespace()
    tok = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token=unk_token)
    tok.add_tokens(list(tags), special_tokens=special)
    return tok


@pytest.mark.parametrize("unk_token", [None, "<unk>"])
@pytest.mark.parametrize("special", [False, True])
def test_tags_are_found(unk_token, special):
    tok = tokenizer(*CALL, *THINK, unk_token=unk_token, special=special)
    tags = ToolCallTags.from_tokenizer(tok)
    assert tags == ToolCallTags(2, 3, 4, 5)
    assert [tok.decode([i]) for i in tags.ids.values()] == [*CALL, *THINK]


@pytest.mark.parametrize("unk_token", [None, "<unk>"])
def test_a_model_that_does_not_think(unk_token):
    tags = ToolCallTags.from_tokenizer(tokenizer(*CALL, unk_token=unk_token))
    assert tags == ToolCallTags(2, 3, None, None)


@pytest.mark.parametrize("unk_token", [None, "<unk>"])
@pytest.mark.parametrize("tags, missing", [((), CALL[0]), (CALL[:1], CALL[1]), (CALL[1:], CALL[0])])
def test_missing_tag(tags, missing, unk_token):
    with pytest.raises(ValueError, match=f"'{missing}' is no single token") as error:
        ToolCallTags.from_tokenizer(tokenizer(*tags, *THINK, unk_token=unk_token))
    assert "tool-call tokens" in str(error.value)  # what to do about it


def test_other_tags():
    tags = ToolCallTags.from_tokenizer(tokenizer("[CALL]", "[/CALL]"), open_tag="[CALL]", close_tag="[/CALL]")
    assert (tags.open_id, tags.close_id) == (2, 3)


def test_the_embedded_tokenizer_and_the_functions_that_use_the_ids():
    tok = AutoTokenizer.from_pretrained(REPO_ROOT / "run_scripts" / "tiny_model" / "checkpoint")
    tags = ToolCallTags.from_tokenizer(tok)
    text = 'a</think>\n\n<tool_call>\n{"name": "image_zoom_in", "arguments": {}}\n</tool_call><|im_end|>'
    ids = tok.encode(text, add_special_tokens=False)
    (span,) = find_tool_call_spans(ids, [1] * len(ids), [0.0] * len(ids), **tags.ids, decode=tok.decode)
    assert tok.decode(ids[: span.fork]).endswith("<tool_call>")
    assert tok.decode(ids[span.end :]) == "<|im_end|>"
