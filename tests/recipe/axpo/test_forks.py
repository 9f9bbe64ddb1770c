# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Where a response can be forked. Token ids are readable: TEXT[id] says what each one stands for."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recipe.axpo.forks import NoForkReason, ToolCallSpan, find_tool_call_spans, read_response

OPEN, CLOSE, THINK, END_THINK = 101, 102, 103, 104
OPEN_NEWLINE, OPEN_MERGED = 105, 106
TEXT = {
    OPEN: "<tool_call>",
    CLOSE: "</tool_call>",
    THINK: "<think>",
    END_THINK: "</think>",
    OPEN_NEWLINE: "<tool_call>\n",
    OPEN_MERGED: '<tool_call>{"',
    2001: '{"name": "u:compute", ',
    2002: '"arguments": {}}',
    2003: "hm, ",
    2004: "so the answer is 7",
    2005: '["u:compute"]',
    2006: '{"nome": "u:compute"}',
    2007: 'name": "u:compute"}',
    2008: '{"name": 7}',
    2009: "[" * 3000,
    3001: "u:answer-of-the-tool",
}
NAME, ARGS, HM, ANSWER, LIST, NO_NAME, REST, BAD_NAME, DEEP, TOOL = (
    2001,
    2002,
    2003,
    2004,
    2005,
    2006,
    2007,
    2008,
    2009,
    3001,
)
CALL = [OPEN, NAME, ARGS, CLOSE]
TAGS = dict(open_id=OPEN, close_id=CLOSE)
THINKING = dict(TAGS, think_open_id=THINK, think_close_id=END_THINK)


def decode(ids):
    return "".join(TEXT[i] for i in ids)


def response(*turns):
    """Concatenate turns; tool answers are the tokens from 3000 on. Token i has probability 1 / (i + 2)."""
    ids = [token for turn in turns for token in turn]
    mask = [int(token < 3000) for token in ids]
    return ids, mask, [-math.log(i + 2) if generated else 0.0 for i, generated in enumerate(mask)]


def acted(ids, mask, **kwargs):
    return read_response(ids, mask, None, **kwargs).acted


def ranges(ids, mask, logprobs, **kwargs):
    return [(span.turn, span.start, span.end) for span in find_tool_call_spans(ids, mask, logprobs, **kwargs)]


CASES = {
    # name: (turns, expected [(turn, start, end)], why no fork)
    "plain call": ([[HM, *CALL]], [(1, 1, 5)], None),
    "nothing generated": ([[]], [], "no_call"),
    "no call": ([[HM, ANSWER]], [], "no_call"),
    "call after thinking": ([[HM, END_THINK, *CALL]], [(1, 2, 6)], None),
    "call inside thinking only": ([[*CALL, END_THINK, ANSWER]], [], "no_call"),
    "call inside thinking, real one after": ([[*CALL, END_THINK, *CALL]], [(1, 5, 9)], None),
    "call between two think closes": ([[END_THINK, *CALL, END_THINK, ANSWER]], [], "no_call"),
    "call straddles the think close": ([[OPEN, NAME, END_THINK, ARGS, CLOSE]], [], "no_call"),
    "thinking opened and never closed": ([[THINK, HM, *CALL]], [], "no_call"),
    "thinking opened again after a close": ([[END_THINK, THINK, *CALL]], [], "no_call"),
    "thinking opened and closed": ([[THINK, HM, END_THINK, *CALL]], [(1, 3, 7)], None),
    "no think tag at all is plain text": ([[HM, *CALL]], [(1, 1, 5)], None),
    "unclosed": ([[HM, OPEN, NAME]], [], "unclosed"),
    "close without open": ([[CLOSE, HM]], [], "no_call"),
    "close, then a call": ([[CLOSE, *CALL]], [(1, 1, 5)], None),
    "open, open, close": ([[OPEN, HM, *CALL]], [(1, 2, 6)], None),
    "two calls in one turn": ([[*CALL, *CALL]], [(1, 0, 4)], None),
    "a call in each of two turns": ([CALL, [TOOL, TOOL], [HM, *CALL]], [(1, 0, 4), (2, 7, 11)], None),
    "unclosed at the turn's end": ([[OPEN, NAME], [TOOL], [ARGS, CLOSE]], [], "unclosed"),
    "thinking is per turn": ([[HM, END_THINK, ANSWER], [TOOL], CALL], [(2, 4, 8)], None),
    "tool answer that looks like a call": ([[HM], [3001, 3001], [ANSWER]], [], "no_call"),
    "a list is no call": ([[OPEN, LIST, CLOSE]], [], "unparsable"),
    "name missing": ([[OPEN, NO_NAME, CLOSE]], [], "unparsable"),
    "name is no string": ([[OPEN, BAD_NAME, CLOSE]], [], "unparsable"),
    "empty call": ([[OPEN, CLOSE]], [], "unparsable"),
    "nested too deep to parse": ([[OPEN, DEEP, DEEP, CLOSE]], [], "unparsable"),
    "unparsable first, good second, same turn": ([[OPEN, HM, CLOSE, *CALL]], [], "unparsable"),
    "unparsable in one turn, good in the next": ([[OPEN, HM, CLOSE], [TOOL], CALL], [(2, 4, 8)], None),
    "no call in one turn, unparsable in the next": ([[HM], [TOOL], [OPEN, HM, CLOSE]], [], "unparsable"),
}


def begin(mask, turn):
    """Position at which an assistant turn begins."""
    starts = [i for i, m in enumerate(mask) if m and (i == 0 or not mask[i - 1])]
    return starts[turn - 1]


def turn_of(ids, mask, turn):
    return [token for token, m in zip(ids[begin(mask, turn) :], mask[begin(mask, turn) :], strict=True) if m]


@pytest.mark.parametrize("turns, expected, reason", CASES.values(), ids=CASES.keys())
def test_case(turns, expected, reason):
    ids, mask, logprobs = response(*turns)
    assert ranges(ids, mask, logprobs, **THINKING, decode=decode) == expected
    reading = read_response(ids, mask, logprobs, **THINKING, decode=decode)
    assert reading.acted == (bool(expected) or reason in ("unparsable", "merged_tag"))
    # verl pairs the first opening tag of a turn with the first closing one: what it executes is not the call
    swallowed = [turn for turn, start, _ in expected if OPEN in turn_of(ids, mask, turn)[: start - begin(mask, turn)]]
    assert [(s.turn, s.start, s.end) for s in reading.spans] == [e for e in expected if e[0] not in swallowed]
    assert reading.reason == (None if reading.spans else "literal_tag" if swallowed else reason)


def test_masked_tokens_are_never_read_as_a_call():
    ids = [HM, *CALL, ANSWER]
    mask = [1, 0, 0, 0, 0, 1]
    assert ranges(ids, mask, [0.0] * 6, **TAGS) == []
    assert not acted(ids, mask, **TAGS)


def test_without_think_ids_thinking_is_text():
    assert ranges(*response([*CALL, END_THINK, ANSWER]), **TAGS) == [(1, 0, 4)]


def test_span_fork_and_confidence():
    ids, mask, _ = response([HM, *CALL])
    logprobs = [math.log(p) for p in (0.001, 1.0, 0.5, 0.25, 0.25)]
    (span,) = find_tool_call_spans(ids, mask, logprobs, **TAGS)
    assert span == ToolCallSpan(turn=1, start=1, end=5, fork=2, confidence=pytest.approx(0.5))
    assert ids[: span.fork][-1] == OPEN  # the prefix ends with the opening tag, which the continuation does not sample


@pytest.mark.parametrize(
    "open_id, body, spans, reason",
    [
        (OPEN_NEWLINE, [NAME, ARGS], 1, None),  # white space belongs to the prefix
        (OPEN_MERGED, [REST], 0, "merged_tag"),  # the first characters of the call do not
    ],
)
def test_tag_merged_with_what_follows(open_id, body, spans, reason):
    ids, mask, logprobs = response([HM, open_id, *body, CLOSE])
    tags = dict(open_id=open_id, close_id=CLOSE)
    assert len(find_tool_call_spans(ids, mask, logprobs, **tags, decode=decode)) == spans
    reading = read_response(ids, mask, logprobs, **tags, decode=decode)
    assert reading.reason == reason and reading.acted


@pytest.mark.parametrize("text", ["[TOOL_CALLS]", "<|tool_call|>", "", "\n<tool_call> "])
def test_other_tags_are_not_mistaken_for_merged_ones(text):
    texts = {**TEXT, OPEN: text}
    ids, mask, logprobs = response(CALL)
    assert find_tool_call_spans(ids, mask, logprobs, **TAGS, decode=lambda x: "".join(texts[i] for i in x))


def test_a_malformed_call_is_tool_use_and_an_unclosed_one_is_not():
    assert acted(*response([OPEN, HM, CLOSE])[:2], **THINKING)
    assert not acted(*response([OPEN, NAME])[:2], **THINKING)
    assert not acted(*response([*CALL, END_THINK, ANSWER])[:2], **THINKING)


def test_reasons_are_strings_for_metric_keys():
    assert [str(reason) for reason in NoForkReason] == [
        *("unreadable", "no_call", "no_answer", "no_thinking", "in_thinking", "unclosed", "unparsable"),
        *("merged_tag", "no_log_probs", "nan", "literal_tag", "last_turn"),
    ]


@pytest.mark.parametrize("convert", [list, tuple, np.asarray, torch.tensor])
def test_any_sequence(convert):
    ids, mask, logprobs = response([HM, *CALL], [TOOL], CALL)
    expected = find_tool_call_spans(ids, mask, logprobs, **THINKING, decode=decode)
    converted = [convert(values) for values in (ids, mask)]
    assert len(expected) == 2
    assert find_tool_call_spans(*converted, convert(logprobs), **THINKING, decode=decode) == [
        ToolCallSpan(s.turn, s.start, s.end, s.fork, pytest.approx(s.confidence)) for s in expected
    ]
    assert read_response(*converted, convert(logprobs), **THINKING).spans == tuple(
        find_tool_call_spans(*converted, convert(logprobs), **THINKING)
    )


@pytest.mark.parametrize(
    "ids, mask, logprobs, message",
    [
        ([1, 2], [1], [0.0, 0.0], "response_mask"),
        ([1, 2], [1, 1], [0.0], "response_logprobs"),
        ([1, 2], [1, 1], None, "calculate_log_probs must be true"),
    ],
)
def test_errors_name_the_argument(ids, mask, logprobs, message):
    with pytest.raises(ValueError, match=message):
        find_tool_call_spans(ids, mask, logprobs, **TAGS)


# ---------------------------------------------------------------- what verl's agent loop would do, broken input


@pytest.mark.parametrize(
    "limits, turns",
    [
        ({}, [1, 2]),
        ({"max_assistant_turns": 3}, [1, 2]),
        ({"max_assistant_turns": 2}, [1]),
        ({"max_assistant_turns": 1}, []),
        ({"max_user_turns": 2}, [1, 2]),
        ({"max_user_turns": 1}, [1]),
        ({"max_user_turns": 1, "max_assistant_turns": 1}, []),
        ({"max_user_turns": 0, "max_assistant_turns": None}, [1, 2]),
    ],
)
def test_a_call_in_the_last_turn_is_never_executed(limits, turns):
    reading = read_response(*response([HM, *CALL], [TOOL], CALL), **THINKING, decode=decode, **limits)
    assert [span.turn for span in reading.spans] == turns and reading.acted
    assert reading.reason == (None if turns else "last_turn")


def test_a_literal_tag_before_the_call_swallows_it():
    spoken = response([HM, OPEN, HM, END_THINK, *CALL])
    assert len(find_tool_call_spans(*spoken, **THINKING)) == 1
    reading = read_response(*spoken, **THINKING, decode=decode)
    assert reading.spans == () and reading.acted and reading.reason == "literal_tag"


def test_a_call_inside_the_thinking_is_executed_but_no_fork():
    reading = read_response(*response([*CALL, END_THINK, ANSWER]), **THINKING, decode=decode, executed_calls=1)
    assert (reading.acted, reading.spans, reading.reason) == (True, (), "in_thinking")


@pytest.mark.parametrize("value", [math.nan, math.inf, 1000.0])
@pytest.mark.parametrize("position", range(1, 5))
def test_a_call_with_broken_log_probs_is_no_fork(value, position):
    ids, mask, logprobs = response([HM, *CALL], [TOOL], CALL)
    logprobs[position] = value
    reading = read_response(ids, mask, logprobs, **THINKING, decode=decode)
    assert [span.turn for span in reading.spans] == [2]
    assert find_tool_call_spans(ids, mask, logprobs, **THINKING) == list(reading.spans)
    reading = read_response(ids[:5], mask[:5], logprobs[:5], **THINKING, decode=decode)
    assert (reading.acted, reading.spans, reading.reason) == (True, (), "nan")


def test_broken_log_probs_elsewhere_do_not_matter():
    ids, mask, logprobs = response([HM, *CALL], [TOOL], [ANSWER])
    logprobs[0] = logprobs[5] = logprobs[6] = math.nan
    assert len(read_response(ids, mask, logprobs, **THINKING).spans) == 1
    logprobs[1] = -math.inf  # probability 0 is a number
    (span,) = read_response(ids, mask, logprobs, **THINKING).spans
    assert span.confidence == pytest.approx((1 / 4 + 1 / 5 + 1 / 6) / 4)


def test_without_log_probs_there_is_nothing_to_rank_by():
    reading = read_response(*response([HM, *CALL])[:2], None, **THINKING)
    assert (reading.acted, reading.spans, reading.reason) == (True, (), "no_log_probs")


# ---------------------------------------------------------------- properties, against a slow and obvious reference

LETTER = {"o": OPEN, "c": CLOSE, "t": THINK, "e": END_THINK, ".": HM, "_": TOOL}


def reference(word: str) -> list[tuple[int, int, int]]:
    """Spans of a response written as letters: o/c tool tags, t/e think tags, _ tool answer, '.' text."""
    spans, turn, offset = [], 0, 0
    for piece in word.split("_"):
        if piece:
            turn += 1
            visible = piece.rpartition("e")[2]
            if "t" not in visible:
                skipped = len(piece) - len(visible)
                tags = [(i, letter) for i, letter in enumerate(visible) if letter in "oc"]
                for (i, first), (j, second) in zip(tags, tags[1:], strict=False):
                    if first + second == "oc":
                        spans.append((turn, offset + skipped + i, offset + skipped + j + 1))
                        break
        offset += len(piece) + 1
    return spans


@given(st.text(alphabet="octe._", max_size=24))
def test_matches_reference(word):
    ids = [LETTER[letter] for letter in word]
    mask = [int(letter != "_") for letter in word]
    logprobs = [-math.log(i + 2) for i in range(len(word))]
    spans = find_tool_call_spans(ids, mask, logprobs, **THINKING)
    assert [(span.turn, span.start, span.end) for span in spans] == reference(word)
    reading = read_response(ids, mask, logprobs, **THINKING)
    assert reading.acted == bool(spans)
    assert set(reading.spans) <= set(spans) and (reading.reason is None) == bool(reading.spans)
    for span in spans:
        probabilities = [1 / (i + 2) for i in range(span.start, span.end)]
        assert span.confidence == pytest.approx(sum(probabilities) / len(probabilities))
        assert span.fork == span.start + 1
        assert all(mask[span.start : span.end])


@given(st.text(alphabet="octe._", max_size=24), st.data())
def test_each_generated_token_is_trained_at_most_once(word, data):
    """A source row trains [0, fork), its continuations what comes after: no position twice, none masked."""
    ids = [LETTER[letter] for letter in word]
    mask = [int(letter != "_") for letter in word]
    spans = find_tool_call_spans(ids, mask, [0.0] * len(ids), **THINKING)
    if not spans:
        return
    span = data.draw(st.sampled_from(spans))
    source = [m if i < span.fork else 0 for i, m in enumerate(mask)]
    resampled = [0 if i < span.fork else m for i, m in enumerate(mask)]  # a continuation that repeats the source
    assert [a + b for a, b in zip(source, resampled, strict=True)] == mask
    assert source[span.start] == 1 and resampled[span.start] == 0
