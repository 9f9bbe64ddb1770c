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
]
