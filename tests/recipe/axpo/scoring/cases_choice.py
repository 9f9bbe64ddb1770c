# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""V* and HR-Bench: (what the model says at its end, truth, scoring details, right?). The same cases serve all three."""

SIDES = {"options": ["left", "right"]}  # relative_position may have two
COLOURS = {"options": ["The color of the car is red.", "The color of the car is blue.", "white", "silver"]}
LINES = {"options": ["Line", "Line A", "Line B", "Line C"]}
GENES = {"options": ["AA", "Aa", "aa", "AB"]}
POINTS = {"options": ["$.5$", "$5$", "$50$"]}
ANIMALS = {"options": ["A dog", "A cat", "a bird"]}
DRAWN = {"options": ["A", "B", "C", "D", "E"]}
SIGNS = {"options": ["Exit 12", "12", "Exit", "No exit"]}

CASES = [
    # without the options' texts
    ("A", "A", {}, True),
    ("a", "A", {}, True),
    ("(A)", "A", {}, True),
    ("A.", "A", {}, True),
    ("A)", "A", {}, True),
    ("[A]", "A", {}, True),
    ("**A**", "A", {}, True),
    ("Option A", "A", {}, True),
    ("The answer is A.", "A", {}, True),
    ("The answer is: (A)", "A", {}, True),
    ("Answer:\n\nA", "A", {}, True),
    ("Final answer: **A**", "A", {}, True),
    ("The correct answer is option A.", "A", {}, True),
    ("<answer>A</answer>", "A", {}, True),
    ("<answer>A. red</answer>", "A", {}, True),
    ("<answer>(A) red</answer>", "A", {}, True),
    (r"$\boxed{A}$", "A", {}, True),
    (r"<answer>\boxed{A}</answer>", "A", {}, True),
    ("The car is red.\n\nA", "A", {}, True),
    ("So the dog is on the left of the bin (A).", "A", {}, True),
    ("A", "(A)", {}, True),
    ("A", "A. red", {}, True),
    ("B", "A", {}, False),
    ("A or B", "A", {}, False),
    ("A and B", "A", {}, False),
    ("A, B", "A", {}, False),
    ("A/B", "A", {}, False),
    ("A. or B.", "A", {}, False),
    ("(A) (B)", "A", {}, False),
    ("AB", "A", {}, False),
    ("not A", "A", {}, False),
    ("Answer: not A", "A", {}, False),
    ("Apple", "A", {}, False),  # any string with the letter
    ("A car is parked at the road", "A", {}, False),
    ("BAD", "A", {}, False),
    ("The answer is unclear.", "A", {}, False),
    ("It could be (A) or (B).", "A", {}, False),
    ("(A) is wrong.", "A", {}, False),
    ("I see it now: A. But the light is different.\n\nB", "A", {}, False),
    ("The answer is A. No wait.\n\nThe answer is B.", "A", {}, False),
    ("The answer is B. The answer is not A.", "B", {}, True),
    ("<answer>A</answer> or rather <answer>B</answer>", "A", {}, False),
    ("<answer>A", "A", {}, False),  # cut off
    ("<answer></answer>", "A", {}, False),
    ("", "A", {}, False),
    # with them
    ("left", "A", SIDES, True),
    ("Left.", "A", SIDES, True),
    ("A. left", "A", SIDES, True),
    ("A: Left", "A", SIDES, True),
    ("(A) left", "A", SIDES, True),
    ("A. right", "A", SIDES, False),  # contradicts itself
    ("right", "A", SIDES, False),
    ("<answer>to the left</answer>", "A", SIDES, False),  # not the option's text; nothing is guessed
    ("C", "A", SIDES, False),
    ("The answer is left", "A", SIDES, True),
    ("The color of the car is red.", "A", COLOURS, True),
    ("the color of the car is red", "A", COLOURS, True),
    ("A. The color of the car is red.", "A", COLOURS, True),
    ("The color of the car is blue.", "A", COLOURS, False),
    ("White", "C", COLOURS, True),
    ("off-white", "C", COLOURS, False),
    ("E", "C", COLOURS, False),
    ("12", "B", SIGNS, True),
    ("Exit 12", "A", SIGNS, True),
    ("Exit 12", "B", SIGNS, False),
    ("exit", "C", SIGNS, True),
    ("no exit", "C", SIGNS, False),
    ("B. 12", "B", SIGNS, True),
    # found by trying to fool the scorer
    ("My choice: B", "B", {}, True),
    ("The answer is B (red).", "B", {}, True),
    ("The answer is A, not B.", "A", {}, True),
    ("The answer is A, not B.", "B", {}, False),
    ("<answer>A, maybe C</answer>", "A", {}, False),
    ("<answer>A) red\nB) blue</answer>", "A", {}, False),
    ("<answer>A: red, B: blue</answer>", "A", {}, False),
    ("<answer>B. Vitamin C</answer>", "B", {}, True),
    ("<answer>B (A)</answer>", "A", {}, False),
    ("A: red\nB: blue\nC: green\nD: white", "D", {}, False),
    ("The text (A) in the sign is unreadable.", "A", {}, False),
    ("<answer>right (B)</answer>", "B", SIDES, True),
    ("<answer>left (B)</answer>", "B", SIDES, False),
    ("<answer>B right</answer>", "B", SIDES, True),
    # "A" is a label, not an article
    ("<answer>A. right</answer>", "B", SIDES, False),
    ("<answer>A right</answer>", "B", SIDES, False),
    ("<answer>A, right</answer>", "B", SIDES, False),
    ("<answer>a) right</answer>", "B", SIDES, False),
    ("The answer is A. right", "B", SIDES, False),
    ("<answer>A left</answer>", "A", SIDES, True),
    ("<answer>a. left</answer>", "A", SIDES, True),
    ("<answer>the right</answer>", "B", SIDES, True),
    (r"\boxed{\text{A. }12}", "B", SIGNS, False),
    ("The correct answer is **A. The color of the car is blue.**", "B", COLOURS, False),
    ("<answer>A cat</answer>", "B", ANIMALS, True),
    ("<answer>A. A cat</answer>", "B", ANIMALS, False),
    ("<answer>B. a cat</answer>", "B", ANIMALS, True),
    ("<answer>A bird</answer>", "C", ANIMALS, True),
    ("<answer>Line A</answer>", "A", LINES, False),
    ("<answer>Line A</answer>", "B", LINES, True),
    ("<answer>Line</answer>", "A", LINES, True),
    ("<answer>Line</answer>", "B", LINES, False),
    # options that differ in case or a point alone
    ("<answer>aa</answer>", "A", GENES, False),
    ("<answer>aa</answer>", "C", GENES, True),
    ("<answer>Aa</answer>", "B", GENES, True),
    (r"\boxed{5}", "A", POINTS, False),
    (r"\boxed{5}", "B", POINTS, True),
    (r"\boxed{0.5}", "A", POINTS, True),
    # sentences
    ("The answer should be A.", "A", {}, True),
    ("The answer would be A.", "A", {}, True),
    ("The correct answer choice is A.", "A", {}, True),
    ("So, the right option is A.", "A", {}, True),
    ("I choose A.", "A", {}, True),
    ("A is correct", "A", {}, True),
    ("Thus A is the answer.", "A", {}, True),
    ("\u7b54\u6848\u662f A", "A", {}, True),
    ("\u7b54\u6848\uff1aA", "A", {}, True),
    ("\u7b54\u6848\u4e0d\u662f A", "A", {}, False),
    ("The answer should be one letter.\n\nB", "B", {}, True),
    ("The answer should be A.\n\nB", "A", {}, False),
    ("The answer should not be A.", "A", {}, False),
    ("If it were red, the answer would be A.", "A", {}, False),
    ("I would choose A if it were red.", "A", {}, False),
    ("I choose A or B.", "A", {}, False),
    ("A is incorrect", "A", {}, False),
    ("A is right of B", "A", {}, False),
    (r"\boxed{\text{A. I}}", "A", {"type": "choice"}, True),
    (r"\boxed{\text{A, I}}", "A", {"type": "choice"}, False),
    # choices in the image
    (r"\boxed{\text{Figure C}}", "C", DRAWN, True),
    (r"\boxed{\text{Image D}}", "C", DRAWN, False),
    (r"\boxed{\text{Figure C or D}}", "C", DRAWN, False),
    ("The correct figure is C.", "C", DRAWN, True),
    ("<answer>Figure A</answer>", "A", SIDES, False),  # a figure in the image, perhaps
]
