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
"""MathVision: (what the model says at its end, truth, scoring details, right?)."""

LETTERS_ONLY = {"options": ["A", "B", "C", "D", "E"]}  # the choices are drawn in the image
NUMBERS = {"options": ["3", "4", "5", "6", "8"]}
FRACTIONS = {"options": [r"$\frac{1}{2}$", r"$\frac{3}{4}$", r"$1\frac{1}{2}$", "$2$", "$3$"]}
ANIMALS = {"options": ["the cat", "the dog", "the ladybug", "a cow", "none of these"]}
DAYS = {"options": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]}
REPEATED = {"options": ["red", "red", "blue", "green", "white"]}

CASES = [
    # choices that are letters and nothing else
    (r"\boxed{C}", "C", LETTERS_ONLY, True),
    (r"\boxed{c}", "C", LETTERS_ONLY, True),
    (r"\boxed{(C)}", "C", LETTERS_ONLY, True),
    (r"\boxed{C.}", "C", LETTERS_ONLY, True),
    (r"\boxed{\text{C}}", "C", LETTERS_ONLY, True),
    (r"\boxed{\textbf{(C)}}", "C", LETTERS_ONLY, True),
    (r"\boxed{\mathbf{C}}", "C", LETTERS_ONLY, True),
    (r"\boxed{\text{Option C}}", "C", LETTERS_ONLY, True),
    (r"\boxed{B}", "C", LETTERS_ONLY, False),
    (r"\boxed{F}", "C", LETTERS_ONLY, False),
    (r"\boxed{3}", "C", LETTERS_ONLY, False),  # the third is C, but 3 is no choice
    (r"\boxed{B \text{ or } C}", "C", LETTERS_ONLY, False),
    (r"\boxed{B, C}", "C", LETTERS_ONLY, False),
    (r"\boxed{ABCDE}", "C", LETTERS_ONLY, False),
    (r"\boxed{}", "C", LETTERS_ONLY, False),
    (r"It is not A, B, D or E, so \boxed{C}", "C", LETTERS_ONLY, True),
    (r"It cannot be C. \boxed{A}", "C", LETTERS_ONLY, False),
    (r"First \boxed{C}, but on reflection \boxed{A}.", "C", LETTERS_ONLY, False),
    (r"First \boxed{A}, but on reflection \boxed{C}.", "C", LETTERS_ONLY, True),
    ("The answer is C", "C", LETTERS_ONLY, True),
    ("**Answer: C**", "C", LETTERS_ONLY, True),
    ("The correct option is (C).", "C", LETTERS_ONLY, True),
    ("The answer is not C", "C", LETTERS_ONLY, False),
    ("A person would choose the third picture", "A", LETTERS_ONLY, False),  # an article is no choice
    # letter or text of the option
    (r"\boxed{5}", "C", NUMBERS, True),
    (r"\boxed{5.0}", "C", NUMBERS, True),
    (r"\boxed{C}", "C", NUMBERS, True),
    (r"\boxed{C: 5}", "C", NUMBERS, True),
    (r"\boxed{\text{C. } 5}", "C", NUMBERS, True),
    (r"\boxed{6}", "C", NUMBERS, False),
    (r"\boxed{C: 6}", "C", NUMBERS, False),  # a letter and another one's text
    (r"\boxed{50}", "C", NUMBERS, False),
    (r"\boxed{5}", "5", NUMBERS, True),  # the truth as text
    (r"\boxed{C}", "5", NUMBERS, True),
    (r"\boxed{\frac{3}{4}}", "B", FRACTIONS, True),
    (r"\boxed{0.75}", "B", FRACTIONS, True),
    (r"\boxed{3/4}", "B", FRACTIONS, True),
    (r"\boxed{\frac{3}{2}}", "C", FRACTIONS, True),
    (r"\boxed{\frac{1}{2}}", "B", FRACTIONS, False),
    (r"\boxed{\text{The ladybug}}", "C", ANIMALS, True),
    (r"\boxed{ladybug}", "C", ANIMALS, True),
    (r"\boxed{cow}", "D", ANIMALS, True),
    (r"\boxed{\text{the bug}}", "C", ANIMALS, False),
    (r"\boxed{None of these.}", "E", ANIMALS, True),
    ("The answer is Wednesday because the month has 31 days.", "C", DAYS, True),
    ("Answer: Tuesday", "C", DAYS, False),
    (r"\boxed{red}", "A", REPEATED, True),
    (r"\boxed{B}", "A", REPEATED, False),
    (r"\boxed{\text{red}}", "C", REPEATED, False),
    # free form: the ways in which the truths are written
    (r"\boxed{C}", '"C"', {}, True),
    (r"\boxed{D}", '"C"', {}, False),
    (r"\boxed{11}", "11 ", {}, True),
    (r"\boxed{1}", "11 ", {}, False),
    (r"\boxed{\frac{3}{4}}", r"$\boxed{\frac{3}{4}}$", {}, True),
    (r"\boxed{0.75}", r"$\boxed{\frac{3}{4}}$", {}, True),
    (r"\boxed{\dfrac34}", r"$\boxed{\frac{3}{4}}$", {}, True),
    (r"\boxed{\frac{4}{3}}", r"$\boxed{\frac{3}{4}}$", {}, False),
    (r"\boxed{69}", "69{degrees}", {}, True),
    (r"\boxed{69^\circ}", "69{degrees}", {}, True),
    (r"\boxed{69 \text{ degrees}}", "69{degrees}", {}, True),
    (r"\boxed{96}", "69{degrees}", {}, False),
    (r"\boxed{2025}", "45^2", {}, True),
    (r"\boxed{45^2}", "45^2", {}, True),
    ("<answer>45²</answer>", "45^2", {}, True),
    (r"\boxed{452}", "45^2", {}, False),
    (r"\boxed{1:2}", "1:2", {}, True),
    (r"\boxed{\frac{1}{2}}", "1:2", {}, True),
    (r"\boxed{2:4}", "1:2", {}, True),
    (r"\boxed{2:1}", "1:2", {}, False),
    (r"\boxed{12}", "1:2", {}, False),
    (r"\boxed{\frac{1}{4}}", "$\x0crac{1}{4}$", {}, True),  # "\f" of "\frac" was read as a form feed
    (r"\boxed{\frac{1}{3}}", "$\x0crac{1}{4}$", {}, False),
    # equal after rounding to two decimals
    (r"\boxed{3.14}", r"\pi", {}, True),
    (r"\boxed{3.1416}", r"$\pi$", {}, True),
    (r"\boxed{3.1}", r"$\pi$", {}, False),
    (r"\boxed{0.333}", r"\frac{1}{3}", {}, True),
    (r"\boxed{0.3}", r"\frac{1}{3}", {}, False),
    (r"\boxed{7.071}", r"5\sqrt{2}", {}, True),
    (r"\boxed{7}", r"5\sqrt{2}", {}, False),
    (r"\boxed{12.504}", "12.5", {}, True),
    (r"\boxed{12.51}", "12.5", {}, False),
    (r"\boxed{0.13}", r"\frac{1}{8}", {}, True),
    (r"\boxed{0.12}", r"\frac{1}{8}", {}, True),  # halves to even
    (r"\boxed{0.001}", "0.004", {}, False),  # both round to nothing
    (r"\boxed{0}", "0.004", {}, False),
    (r"\boxed{1000}", "1,000", {}, True),
    (r"\boxed{1{,}000}", "1000", {}, True),
    (r"\boxed{1 000}", "1000", {}, True),
    (r"\boxed{1.000}", "1000", {}, False),
    (r"\boxed{-5}", "5", {}, False),
    (r"\boxed{−5}", "-5", {}, True),
    (r"\boxed{x = 5}", "5", {}, True),
    (r"\boxed{2 + 3 = 5}", "5", {}, True),
    (r"\boxed{4 = 5}", "5", {}, False),
    (r"\boxed{5 \text{ cm}^2}", "5", {}, True),
    (r"\boxed{5\text{ apples}}", "5", {}, True),
    (r"\boxed{5x}", "5", {}, False),
    (r"\boxed{5 \text{ or } 6}", "5", {}, False),
    (r"\boxed{4, 5}", "5", {}, False),
    (r"\boxed{50\%}", "50", {}, True),
    (r"\boxed{0.5}", r"50\%", {}, True),
    (r"\boxed{5\%}", r"50\%", {}, False),
    # LaTeX that has to be understood
    (r"\boxed{(x+1)^2}", "x^2+2x+1", {}, True),
    (r"\boxed{x^2+1}", "x^2+2x+1", {}, False),
    (r"\boxed{\frac{a\sqrt{3}}{2}}", r"\frac{\sqrt{3}}{2}a", {}, True),
    (r"\boxed{2^{10}}", "1024", {}, True),
    (r"\boxed{\{1, 2, 3\}}", r"\{3, 2, 1\}", {}, True),
    (r"\boxed{(2, 1)}", "(1, 2)", {}, False),
    (r"\boxed{ABC}", "CBA", {}, False),  # a product to a parser
    (r"\boxed{1 - \cos^2 x}", r"\sin^2 x", {}, True),
    # sentences instead of marks
    ("So there are 12 of them.", "12", {}, True),
    ("So the area is 12 square centimetres.", "12", {}, True),
    ("So the area is 12 or 13.", "12", {}, False),
    ("So it is not 12.", "12", {}, False),
    ("I give up.", "12", {}, False),
    ("", "12", {}, False),
    # found by trying to fool the scorer
    (r"\boxed{5!}", "5", {}, False),
    (r"\boxed{5?}", "5", {}, False),
    (r"\boxed{x < 5}", "5", {}, False),
    (r"\boxed{5i}", "5", {}, False),
    (r"\boxed{5 \pm 1}", "5", {}, False),
    (r"\boxed{x = 6 = 5}", "5", {}, False),
    (r"\boxed{x = 5, 6}", "5", {}, False),
    (r"\boxed{12 \text{ (D)}}", "D", {"options": ["9", "10", "11", "12", "13"]}, True),
    (r"\boxed{11 \text{ (D)}}", "D", {"options": ["9", "10", "11", "12", "13"]}, False),
    # a free answer that is a letter
    (r"\boxed{\text{Option C}}", "C", {"type": "math", "aliases": ['"C"']}, True),
    (r"\boxed{B}", "C", {"type": "math"}, False),
    (r"\boxed{\text{B or C}}", "C", {"type": "math"}, False),
    (r"\boxed{C = 5}", "C", {"type": "math"}, False),
]
