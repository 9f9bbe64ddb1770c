# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Prepare text from outside for the model: remove control tokens and cut to a number of tokens."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cached_property

CUT_MARK = "..."
WORD_SEARCH_CHARS = 40  # A cut moves back to a blank within this distance. Without such a blank it splits the word.

# Control characters except newline and tab, and characters that reverse the writing direction.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffc]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")  # JSON may hold halves of surrogate pairs, which no tokenizer accepts.
# Chat templates or processors give these names a meaning as `<name>`, `</name>` or `<name/>`, some with a prefix such
# as `minimax:`. Media names count, because an additional placeholder would no longer fit the images.
_MEDIA = "im|img|images?|videos?|audio|vision|media|patch|frame|quad|box|ref|point"
_NAMES = "|".join(
    (
        "tools?|tool_(?:calls?|responses?|results?|outputs?|code|sep)|function_(?:calls?|responses?)",
        "(?:[a-z]+_)?think(?:ing)?|answer|observation|system|user|assistant|role|human|bot",
        "(?:pad|unk|[be]os|s|mask|cls|sep|eo[dptm]|sop)(?:_token)?",
        f"(?:{_MEDIA}|global-img)",
        f"(?:{_MEDIA})_(?:start|end|begin|pad|patch|context|token|soft_token|newline|sep|placeholder|break|[0-9]+)",
        "(?:start|end|begin|beginning)_of_[a-z_]+|(?:start|end)_function_[a-z]+|fake_token_around_image",
        "row_[0-9]+_col_[0-9]+|fim[_-](?:prefix|middle|suffix|pad)",
        "(?:unused|extra_id|extra_token|reserved|reserved_token|reserved_special_token|special|special_token)_?[0-9]+",
    )
)
_TAG = re.compile(r"<(?=/?([\w:-]{1,40})\s{0,8}/?\s{0,8}>)")
_CONTROL_NAME = re.compile(f"(?:[a-z]+:)?(?:{_NAMES})", re.IGNORECASE)
_SYS = re.compile(r"<(?=</?SYS>>)")
_BAR_OPEN = re.compile(r"<(?=[|\uff5c])|\[(?=\|[^\s|\[\]]{1,40}\|\])")
_BAR_CLOSE = re.compile(r"(?<=[|\uff5c])>")
# These are written in this case only. Others in brackets, such as `a[INDEX]`, are code.
_BRACKET_NAMES = "|".join(
    (
        "INST|IMG(?:_BREAK|_END)?|SYSTEM_PROMPT|MODEL_SETTINGS|ARGS|CALL_ID|THINK|PREFIX|MIDDLE|SUFFIX",
        "AVAILABLE_TOOLS|TOOL_(?:CALLS|RESULTS|CONTENT)|AUDIO|BEGIN_AUDIO|TRANSCRIBE|REF|control_[0-9]+",
        "[gs]?MASK|CLS|SEP|PAD|UNK|[BE]OS|unused[0-9]+",
    )
)
_BRACKET = re.compile(rf"\[(?=/?(?:{_BRACKET_NAMES})\])")


def neutralise(text: str, special_tokens: Collection[str] = ()) -> str:
    """Return text that a tokenizer or processor reads as plain text.

    Control characters are removed. Every chat-template token such as ``<|im_start|>``, ``<tool_response>``,
    ``[TOOL_CALLS]`` or ``<image>`` receives a blank after its first character, so that it stays readable. A second
    application changes nothing.

    Args:
        text: the text from outside.
        special_tokens: further tokens, see ``Tokens.special``.
    """
    text = _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _CONTROL.sub("", text)  # This comes first, because a control character could stand inside a token.
    text = _TAG.sub(lambda tag: "< " if _CONTROL_NAME.fullmatch(tag[1]) else "<", text)
    text = _BAR_CLOSE.sub(" >", _BAR_OPEN.sub(r"\g<0> ", _SYS.sub("< ", text)))
    text = _BRACKET.sub("[ ", text)
    for token in special_tokens:
        text = text.replace(token, f"{token[0]} {token[1:]}")
    return text


def compact(text: str) -> str:
    """Replace a run of blanks by one blank and a run of newlines by one newline."""
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"[^\S\n]+", " ", text)).strip()


def one_line(text: str) -> str:
    """Replace each run of white space by one blank."""
    return " ".join(text.split())


class Tokens:
    """Count and cut text by tokens.

    Args:
        tokenizer: path of a Hugging Face tokenizer, loaded at the first use. None uses an estimate: 4 ASCII characters
            or 1 other character make a token. For prose and Qwen's tokenizer the estimate tends to be too high.
    """

    def __init__(self, tokenizer: str | None = None):
        self.path = tokenizer

    @cached_property
    def _tokenizer(self):
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(self.path)

    def load(self) -> None:
        """Load the tokenizer now.

        Raises:
            ValueError: the tokenizer cannot be loaded.
        """
        if self.path is None:
            return
        try:
            self._tokenizer  # noqa: B018  loads it
        except Exception as error:  # transformers raises many kinds of errors.
            raise ValueError(f"tokenizer: cannot be loaded from {self.path} ({type(error).__name__})") from error

    @cached_property
    def special(self) -> frozenset[str]:
        """Return the tokenizer's own control tokens that look like one.

        Tokenizers also add words and runs of blanks, which stand in ordinary text.
        """
        if self.path is None:
            return frozenset()
        added = {str(token) for token in self._tokenizer.added_tokens_decoder.values()}
        return frozenset(token for token in added if len(token) > 2 and token[0] in "<[]{|" and not token.isspace())

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        if self.path is not None:
            return len(self._tokenizer.encode(text, add_special_tokens=False))
        ascii_chars = len(text.encode("ascii", "ignore"))
        return -(-ascii_chars // 4) + len(text) - ascii_chars

    def cut(self, text: str, budget: int) -> tuple[str, bool]:
        """Return the longest prefix of ``text`` within ``budget`` tokens.

        The cut is at a word's end and marked with ``CUT_MARK``.

        Returns:
            The text, and whether it was cut.
        """
        if self.count(text) <= budget:
            return text, False
        # Tokens grow with the length, except for one or two at the end. Double, bisect, then step back, so that the
        # cost depends on the budget and not on the text.
        low, high = 0, max(budget, 1)
        while high < len(text) and self.count(_cut_at(text, high)) <= budget:
            low, high = high, 2 * high
        high = min(high, len(text))
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.count(_cut_at(text, middle)) <= budget else (low, middle - 1)
        while low > 0 and self.count(_cut_at(text, low)) > budget:
            low -= 1
        return (_cut_at(text, low), True) if budget > 0 else ("", True)

    def cut_fairly(self, texts: list[str], budget: int) -> tuple[list[str], bool]:
        """Cut several texts to a common budget. Short texts stay whole, the others share the rest evenly.

        Returns:
            The texts, and whether any was cut.
        """
        needs = [self.count(text) for text in texts]
        shares, left = [0] * len(texts), budget
        for rank, index in enumerate(sorted(range(len(texts)), key=needs.__getitem__)):
            shares[index] = min(needs[index], max(left, 0) // (len(texts) - rank))
            left -= shares[index]
        cut = [self.cut(text, share) for text, share in zip(texts, shares, strict=True)]
        return [text for text, _ in cut], any(was_cut for _, was_cut in cut)


def _cut_at(text: str, length: int) -> str:
    start = text[:length]
    if length < len(text) and not text[length].isspace():
        words = re.match(r"(?s)(.*\S)\s", start)
        if words and length - words.end(1) <= WORD_SEARCH_CHARS:
            start = words[1]
    return f"{start.rstrip()} {CUT_MARK}".strip()
