# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""V* and HR-Bench: (what the model says at its end, truth, scoring details, right?). The same cases serve all three."""

"""Texts: articles, signs, letter case, and names that are nearly the same."""

TEXT = {"answer_type": "text"}

CASES = [
    # an article goes, a label stays
    ("dynamath", r"\boxed{\text{Container A}}", "Container A", TEXT, True),
    ("dynamath", r"\boxed{\text{Container B}}", "Container A", TEXT, False),
    ("dynamath", r"\boxed{\text{Container}}", "Container A", TEXT, False),
    ("dynamath", r"\boxed{\text{Line B}}", "Line A", TEXT, False),
    ("fvqa", "<answer>Hepatitis</answer>", "Hepatitis A", {}, False),
    ("fvqa", "<answer>hepatitis a</answer>", "Hepatitis A", {}, True),
    ("visualprobe", "<answer>Exit</answer>", "Exit A", {}, False),
    ("visualprobe", "<answer>Exit A</answer>", "Exit", {}, False),
    ("visualprobe", "<answer>EXIT A</answer>", "Exit A", {}, True),
    ("hr_mmsearch", "<answer>Terminal</answer>", "Terminal A", {}, False),
    ("virl39k", r"\boxed{\text{Point}}", "Point A", {}, False),
    ("virl39k", r"\boxed{\text{Point A}}", "Point A", {}, True),
    ("visualprobe", "<answer>a, b</answer>", "b", {}, False),
    ("visualprobe", "<answer>A dog</answer>", "dog", {}, True),
    ("visualprobe", "<answer>dog</answer>", "a dog", {}, True),
    ("visualprobe", "<answer>The cat in the box</answer>", "a cat in a box", {}, True),
    ("visualprobe", "<answer>THIS IS A STOP SIGN!</answer>", "This is a stop sign", {}, True),
    # signs and blanks
    ("geometry3k", r"\boxed{.5}", "5", {}, False),
    ("geometry3k", r"\boxed{.5}", "0.5", {}, True),
    ("visualprobe", "<answer>.5</answer>", "5", {}, False),
    ("virl39k", r"\boxed{21/2}", "2 1/2", {}, False),
    ("virl39k", r"\boxed{2 1/2}", "2 1/2", {}, True),
    ("visualprobe", "<answer>Room 1 2</answer>", "Room 12", {}, False),
    ("visualprobe", "<answer>Room12</answer>", "Room 12", {}, True),
    ("virl39k", r"\boxed{n}", "n!", {}, False),
    ("virl39k", r"\boxed{x}", "|x|", {}, False),
    ("dynamath", r"\boxed{f'}", "f", TEXT, False),
    ("virl39k", r"\boxed{\sim p}", "p", {}, False),
    ("visualprobe", "<answer>NO PARKING!</answer>", "No parking", {}, True),
    ("visualprobe", "<answer>C#</answer>", "C++", {}, False),
    ("visualprobe", "<answer>The C++ logo</answer>", "C++ logo", {}, True),
    ("visualprobe", "<answer>A-</answer>", "A+", {}, False),
    # letter case where it says something
    ("virl39k", r"\boxed{AaBb}", "AaBb", {}, True),
    ("virl39k", r"\boxed{aabb}", "AaBb", {}, False),
    ("virl39k", r"\boxed{AABB}", "AaBb", {}, False),
    ("virl39k", r"\boxed{CO}", "Co", {}, False),
    ("dynamath", r"\boxed{\text{YES}}", "Yes", TEXT, True),
    ("dynamath", r"\boxed{\text{yes}}", "YES", TEXT, True),
    ("dynamath", r"\boxed{\text{NO}}", "No", TEXT, True),
    ("hr_mmsearch", "<answer>PARIS</answer>", "Paris", {}, True),
    ("hr_mmsearch", "<answer>usa</answer>", "USA", {}, True),
    # words that make it another one
    ("dynamath", "<answer>The day after Monday</answer>", "Monday", TEXT, False),
    ("dynamath", "<answer>On Monday</answer>", "Monday", TEXT, True),
    ("visualprobe", "<answer>off-white</answer>", "white", {}, False),
    # names under token F1
    ("fvqa", "<answer>United States of Mexico</answer>", "United States of America", {}, False),
    ("fvqa", "<answer>the United States America</answer>", "United States of America", {}, True),
    ("fvqa", "<answer>Battle of Big Round Top</answer>", "Battle of Little Round Top", {}, False),
    ("fvqa", "<answer>The Little Round Top Battle</answer>", "Battle of Little Round Top", {}, True),
    (
        "fvqa",
        "<answer>University of Southern California, Los Angeles</answer>",
        "University of California, Los Angeles",
        {},
        False,
    ),
    (
        "fvqa",
        "<answer>University of California, Los Angeles (UCLA)</answer>",
        "University of California, Los Angeles",
        {},
        True,
    ),
    (
        "fvqa",
        "<answer>University of California, Los Angeles (USC)</answer>",
        "University of California, Los Angeles",
        {},
        False,
    ),
    ("hr_mmsearch", "<answer>2010 FIFA World Cup</answer>", "2010 FIFA World Cup Final", {}, False),
    ("hr_mmsearch", "<answer>2010 FIFA Women's World Cup Final</answer>", "2010 FIFA World Cup Final", {}, False),
    ("hr_mmsearch", "<answer>the 2010 FIFA World Cup Final</answer>", "2010 FIFA World Cup Final", {}, True),
    ("mmsearch", "<answer>Churchill, Winston</answer>", "Winston Churchill", {}, True),
    ("mmsearch", "<answer>Argentina beat Brazil</answer>", "Brazil beat Argentina", {}, False),
    ("mmsearch", "<answer>1-3</answer>", "3-1", {}, False),
    # acronyms
    ("hr_mmsearch", "<answer>USA</answer>", "U.S.A.", {}, True),
    ("hr_mmsearch", "<answer>U.S.A.</answer>", "USA", {}, True),
    ("fvqa", "<answer>E.</answer>", "E.T.", {}, False),
    # letters that are two things in one formula
    ("virl39k", r"\boxed{R^2-r^2}", "r^2-R^2", {"type": "math"}, False),
    ("virl39k", r"\boxed{\pi R^2-\pi r^2}", r"\pi(R^2-r^2)", {"type": "math"}, True),
    ("virl39k", r"\boxed{\delta+1}", r"\Delta+1", {"type": "math"}, False),
    ("virl39k", r"\boxed{1+\Delta}", r"\Delta+1", {"type": "math"}, True),
]
