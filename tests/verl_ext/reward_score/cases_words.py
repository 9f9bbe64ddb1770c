# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Words beside an answer, sentences and options: (dataset, says, truth, scoring details, right?)."""

TEXT, FLOAT = {"answer_type": "text"}, {"answer_type": "float"}
MATH, NUMBER = {"type": "math"}, {"type": "number"}
DRAWN = {"options": ["A", "B", "C", "D", "E"]}
SIGNED = {"options": ["2", "-2", "4", "-4"]}
RATIOS = {"options": ["2: 3", "3: 2", "4: 1", "1: 4"]}
ROUNDED = {"options": ["1.4142", "1.7321", "12.345", r"$\frac{2}{3}$"]}
MONTHS = "January February March April May June July August September"

# No list of words has the credit of one of them.
_LISTS = [
    ("red blue green", "red"), ("red blue green", "green"), (MONTHS, "January"), (MONTHS, "May"), ("even odd", "even"),
    ("even odd", "odd"), ("red/blue", "red"), ("red; blue", "blue"), ("red and blue", "red"), ("red or blue", "blue"),
    ("red blue", "blue"), ("yes no", "yes"), ("yes no", "no"), ("Yes. No.", "Yes"), ("No. Yes.", "No"),
    ("Yes, no.", "no"),
    ("left right", "left"), ("car dog", "car"), ("car dog", "dog"), ("on in", "on"), ("north south east", "south"),
    ("the red, the blue", "red"), ("red - blue", "red"), ("red\nblue", "red"), ("red (blue)", "red"),
    ("cat bird", "bird"),
    ("increasing decreasing", "decreasing"), ("Monday Tuesday", "Monday"), ("It is red. It is blue.", "red"),
    ("triangle square circle", "square"), ("light dark", "dark"), ("Yes, red, blue", "Yes"), ("No, A, B", "No"),
]  # fmt: skip
_DENIED = [
    ("isn't red", "red"), ("isn’t red", "red"), ("is not red", "red"), ("anything but red", "red"),
    ("not the red", "red"),
    ("red is wrong", "red"), ("red is incorrect", "red"), ("never red", "red"), ("non-red", "red"), ("no red", "red"),
    ("everything except red", "red"), ("it can't be red", "red"), ("it cannot be red", "red"), ("hardly red", "red"),
    ("the opposite of red", "red"), ("neither red", "red"), ("un-even", "even"), ("far from even", "even"),
    ("without red", "red"), ("red, just kidding", "red"), ("it aint red", "red"), ("no longer red", "red"),
    ("red? No", "red"), ("rather than red", "red"), ("red ruled out", "red"), ("Yes, it is not", "Yes"),
    ("Yes, it isn't parallel.", "yes"), ("It isn't yes", "yes"), ("Yes and no", "yes"), ("the lack of red", "red"),
]  # fmt: skip
_SAID = [
    ("the red car", "red"), ("it is red", "red"), ("It's red.", "red"), ("The color is red.", "red"),
    ("red color", "red"),
    ("dark red car", "red"), ("This is an even function.", "even"), ("on Monday", "Monday"), ("in the north", "north"),
    ("The answer is red.", "red"), ("red.", "red"), ("the sign reads stop", "stop"), ("The triangle", "triangle"),
    ("Yes, the two lines are parallel.", "yes"), ("No, the lines do not meet.", "no"), ("Yes, it is.", "yes"),
    ("It is a car", "car"), ("a dog", "dog"), ("No, they are not.", "no"), ("The correct answer is odd.", "odd"),
]  # fmt: skip
_NUMBERS = [
    ("It is 5.", True), ("There are 5 dogs in the image.", True), ("Answer: 5", True), ("The answer is 5.", True),
    ("I see 5 dogs", True), ("We count 5 red apples on the table.", True), ("In total, 5", True), ("It's 5", True),
    ("5 dogs are in the picture", True), ("The image shows 5 people.", True), ("Final answer: 5", True),
    ("There are exactly 5 triangles.", True), ("A total of 5 triangles", True), ("The total is 5.", True),
    ("So it is 5 apples in the basket.", True), ("There are five dogs.", True), ("There are no 5 dogs", False),
    ("It isn't 5.", False), ("It is not 5.", False), ("It isn’t 5", False), ("anything but 5", False),
    ("less than 5", False),
    ("5 is wrong", False), ("There are 5 or 6 dogs.", False), ("There are more than 5 dogs.", False),
    ("5 wrong", False),
    ("It is 5 squared.", False), ("There are 5 hundred dogs", False), ("It is 5 x", False), ("It is x5", False),
    ("at least 5 dogs", False), ("Two of the 5 dogs", False), ("It is 5 minus 2.", False), ("half of 5", False),
    ("It is 15.", False), ("There are 5 dogs and 3 cats.", False), ("It is 5/2.", False), ("It is -5.", False),
    ("No 5", False), ("The square of it is 5.", False), ("It is 5!", False), ("5 it is not", False),
    ("Answer: -5", False),
]  # fmt: skip
_OPTIONS = [
    ("(A) -2", "A", SIGNED, False), ("(B) -2", "B", SIGNED, True), ("(A) 2", "A", SIGNED, True),
    ("A: -2", "A", SIGNED, False),
    ("B. -2", "B", SIGNED, True), ("B: $-2$", "B", SIGNED, True), ("(B) −2", "B", SIGNED, True),
    ("(B) 2", "B", SIGNED, False),
    ("(D) -4", "D", SIGNED, True), ("(C) -4", "C", SIGNED, False), ("C - 4", "C", SIGNED, True),
    ("(A) - 2", "A", SIGNED, True),
    ("-2", "A", SIGNED, False), ("-2", "B", SIGNED, True), ("[B] -2", "B", SIGNED, True), ("A -2", "A", SIGNED, False),
    ("B) -2", "B", SIGNED, True), ("A) -2", "A", SIGNED, False), ("(A) −2", "A", SIGNED, False),
    ("A-2", "A", SIGNED, False),
    (r"\frac{3}{2}", "B", RATIOS, True), ("3/2", "B", RATIOS, True), ("1.5", "B", RATIOS, True),
    ("3:2", "B", RATIOS, True),
    (r"\frac{2}{3}", "B", RATIOS, False), ("6 : 4", "B", RATIOS, True), ("4", "C", RATIOS, True),
    ("0.25", "D", RATIOS, True),
    ("32", "B", RATIOS, False), ("2:3", "A", RATIOS, True), (r"B: \frac{3}{2}", "B", RATIOS, True),
    ("1/4", "C", RATIOS, False),
    (r"A: \frac{3}{2}", "A", RATIOS, False), ("3", "B", RATIOS, False), ("5:2", "B", RATIOS, False),
    ("1.41", "A", ROUNDED, True), ("1.73", "B", ROUNDED, True), ("12.35", "C", ROUNDED, True),
    ("12.34", "C", ROUNDED, True),
    ("0.67", "D", ROUNDED, True), ("1.4", "A", ROUNDED, False), ("12.3", "C", ROUNDED, False),
    ("1.42", "A", ROUNDED, False),
    ("1.41", "B", ROUNDED, False), ("0.66", "D", ROUNDED, False), ("1.72", "B", ROUNDED, False),
    ("12", "C", ROUNDED, False),
    ("1.41", "A", {"options": ["1.412", "1.414", "2"]}, False), ("0.00", "A", {"options": ["0.004", "0.1"]}, False),
    ("1.410", "A", ROUNDED, True), ("D: 0.67", "D", ROUNDED, True), ("12.34567", "C", ROUNDED, True),
]  # fmt: skip
_LETTERS = [
    (r"\boxed{\rm B}", True), (r"\boxed{{\rm B}}", True), (r"\boxed{\underline{B}}", True),
    (r"\boxed{\color{red}{B}}", True),
    (r"\boxed{\textcolor{blue}{B}}", True), (r"\boxed{{\bf (B)}}", True), (r"\boxed{\textcolor{red}{\text{B}}}", True),
    (r"\boxed{\color{red} B}", True), (r"\boxed{\underline{\textbf{B}}}", True), (r"\boxed{\mathbb{B}}", True),
    (r"\boxed{\colorbox{yellow}{B}}", True), (r"\boxed{\Large B}", True), (r"\boxed{\boldsymbol{B}}", True),
    (r"\boxed{\rm C}", False), (r"\boxed{\underline{C}}", False), (r"\boxed{\underline{B}, \underline{C}}", False),
    (r"\boxed{\color{B}{C}}", False), (r"\boxed{\rm not B}", False), (r"\boxed{\rm B\ or\ C}", False),
    ("<answer>The answer is clearly B.</answer>", True), ("The answer is clearly B.", True),
    ("Clearly, the answer is B.", True),
    ("The answer is obviously option B.", True), ("<answer>It is B</answer>", True),
    ("The answer is definitely (B).", True),
    ("The answer is therefore B.", True), ("<answer>B is clearly correct</answer>", True), ("So it must be B.", True),
    ("The answer is clearly not B.", False), ("The answer is clearly C.", False), ("Clearly B or C.", False),
    ("It is clearly not B", False), ("<answer>B is clearly wrong</answer>", False), ("The answer isn't B.", False),
    ("The answer is anything but B.", False), ("<answer>It isn't B</answer>", False),
    ("<answer>It is B or C</answer>", False),
    ("<answer>clearly A, B</answer>", False),
]  # fmt: skip

CASES = [
    *[("dynamath", f"<answer>{said}</answer>", truth, TEXT, False) for said, truth in _LISTS + _DENIED],
    *[("visualprobe", f"<answer>{said}</answer>", truth, {}, False) for said, truth in _LISTS + _DENIED],
    *[("fvqa", f"<answer>{said}</answer>", truth, {}, False) for said, truth in _LISTS + _DENIED],
    *[("dynamath", said, truth, TEXT, False) for said, truth in _DENIED],
    *[("dynamath", f"<answer>{said}</answer>", truth, TEXT, True) for said, truth in _SAID],
    *[("visualprobe", rf"\boxed{{\text{{{said}}}}}", truth, {}, True) for said, truth in _SAID],
    *[("virl39k", f"<answer>{said}</answer>", "5", NUMBER, right) for said, right in _NUMBERS],
    *[("mathvision", rf"\boxed{{\text{{{said}}}}}", "5", MATH, right) for said, right in _NUMBERS],
    *[("dynamath", f"<answer>{said}</answer>", "5.0", FLOAT, right) for said, right in _NUMBERS if "wrong" not in said],
    *[("mathvision", rf"\boxed{{{said}}}", truth, options, right) for said, truth, options, right in _OPTIONS],
    *[("mathvision", said, "B", DRAWN, right) for said, right in _LETTERS],
    *[("vstar", said, "B", {}, right) for said, right in _LETTERS],
    ("virl39k", "<answer>In 2015</answer>", "2015", NUMBER, True),
    ("virl39k", "<answer>In 2015</answer>", "2016", NUMBER, False),
    ("mathvision", "Nothing here is red.", "red", MATH, False),
    ("mathvision", "None of the cars is red.", "red", MATH, False),
    ("mathvision", "So the color is red.", "red", MATH, True),
]
