# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Times and ratios: what has a colon."""

from __future__ import annotations

import re

from verl_ext.reward_score.notation import formula
from verl_ext.reward_score.number import Closeness, Quantity, read_number, same_number, value_of

_TIME = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*([ap])?\.?\s*(?:m\.?)?", re.IGNORECASE)
_RATIO = re.compile(r"([^:=]{1,60}):([^:=]{1,60})")


def same_colon(said: str, truth: str, closeness: Closeness) -> bool | None:
    """Times and ratios; None if the truth is neither.

    A time ("4:45") is the same to the minute, with or without its "am" and leading zero. A ratio ("1:2") is the same
    as any equal ratio or quotient. "4:45" could be both: two digits behind the colon make it a time.
    """
    said, truth = formula(said), formula(truth)
    time, said_time = _time(truth), _time(said)
    if time is not None:
        return (
            said_time is not None and said_time[:3] == time[:3] and "" in (said_time[3], time[3]) or said_time == time
        )
    wanted = _ratio(truth)
    if wanted is None:
        return None
    got = _ratio(said) or read_number(said)
    return got is not None and same_number(got, wanted, closeness)


def _time(text: str) -> tuple[int, int, int, str] | None:
    match = _TIME.fullmatch(text)
    if not match or int(match[1]) > 24 or int(match[2]) > 59:
        return None
    return int(match[1]), int(match[2]), int(match[3] or 0), (match[4] or "").casefold()


def _ratio(text: str) -> Quantity | None:
    match = _RATIO.fullmatch(text)
    if match is None:
        return None
    above, below = value_of(match[1].strip(), False), value_of(match[2].strip(), False)
    return Quantity(above.value / below.value) if above and below and below.value else None
