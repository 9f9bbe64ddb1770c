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
"""DynaMath: (what the model says at its end, truth, scoring details, right?)."""

FLOAT, CHOICE, TEXT = ({"answer_type": name} for name in ("float", "multiple choice", "text"))

CASES = [
    # absolute difference of at most 0.001
    (r"\boxed{17140.5295}", "17140.5295", FLOAT, True),
    (r"\boxed{17140.5300}", "17140.5295", FLOAT, True),
    (r"\boxed{17,140.5295}", "17140.5295", FLOAT, True),
    (r"\boxed{17140.53}", "17140.5295", FLOAT, True),
    (r"\boxed{17140.531}", "17140.5295", FLOAT, False),
    (r"\boxed{17140.5}", "17140.5295", FLOAT, False),  # two decimals would do for MathVision
    (r"\boxed{2.001}", "2.0", FLOAT, True),
    (r"\boxed{2.0011}", "2.0", FLOAT, False),
    (r"\boxed{1.999}", "2", FLOAT, True),
    (r"\boxed{0.0005}", "0.001", FLOAT, True),
    (r"\boxed{-2}", "2.0", FLOAT, False),
    # pi is expanded
    (r"\boxed{2\pi}", "6.2832", FLOAT, True),
    ("<answer>2π</answer>", "6.2832", FLOAT, True),
    (r"\boxed{6.2832}", "2π", FLOAT, True),
    (r"\boxed{2 \pi}", "2π", FLOAT, True),
    (r"\boxed{6.28}", "6.2832", FLOAT, False),
    (r"\boxed{2}", "2π", FLOAT, False),
    (r"\boxed{\frac{\pi}{4}}", "0.7854", FLOAT, True),
    # the first token, units and fractions
    ("Answer: 12.5 cm", "12.5", FLOAT, True),
    ("Answer: 12.5 (rounded up)", "12.5", FLOAT, True),
    ("Answer: 12.5 or 13", "12.5", FLOAT, False),
    ("Answer: 12.5, 13", "12.5", FLOAT, False),
    ("Answer: 12.5 to 13", "12.5", FLOAT, False),
    (r"\boxed{\frac{25}{2}}", "12.5", FLOAT, True),
    (r"\boxed{12\frac{1}{2}}", "12.5", FLOAT, True),
    (r"\boxed{0.3333}", "0.3333", FLOAT, True),
    (r"\boxed{\frac{1}{3}}", "0.3333", FLOAT, True),
    (r"\boxed{1.25 \times 10^{1}}", "12.5", FLOAT, True),
    (r"\boxed{1.25e1}", "12.5", FLOAT, True),
    (r"\boxed{45^\circ}", "45.0", FLOAT, True),
    (r"\boxed{x = 12.5}", "12.5", FLOAT, True),
    (r"\boxed{V = 5 \times 2.5 = 12.5}", "12.5", FLOAT, True),
    (r"\boxed{V = 5 \times 2.4 = 12.5}", "12.5", FLOAT, False),
    (r"\boxed{seven}", "7", FLOAT, True),
    ("The area of the region is 12.5.", "12.5", FLOAT, True),
    ("No idea, 12.5 is one of the lengths in the figure, 13 another.", "12.5", FLOAT, False),
    (r"\boxed{nan}", "12.5", FLOAT, False),
    (r"\boxed{\infty}", "12.5", FLOAT, False),
    # letters
    (r"\boxed{B}", "B", CHOICE, True),
    (r"\boxed{(b)}", "B", CHOICE, True),
    ("Answer: B) increasing", "B", CHOICE, True),
    ("The answer is B, as shown in the figure.", "B", CHOICE, True),
    (r"\boxed{A}", "B", CHOICE, False),
    (r"\boxed{A, B}", "B", CHOICE, False),  # within the first three characters
    (r"\boxed{A or B}", "B", CHOICE, False),
    (r"\boxed{Bad question}", "B", CHOICE, False),  # the official rule takes this for B
    ("B is wrong, so <answer>C</answer>", "B", CHOICE, False),
    # texts
    (r"\boxed{(6, -4)}", "(6.000, -4.000)", TEXT, True),
    (r"\boxed{(6.000, -4.000)}", "(6.000, -4.000)", TEXT, True),
    (r"\boxed{(6.0005, -4)}", "(6.000, -4.000)", TEXT, True),
    (r"\boxed{6, -4}", "(6.000, -4.000)", TEXT, True),
    (r"\boxed{(-4, 6)}", "(6.000, -4.000)", TEXT, False),
    (r"\boxed{(6, 4)}", "(6.000, -4.000)", TEXT, False),
    (r"\boxed{(6, -4, 0)}", "(6.000, -4.000)", TEXT, False),
    (r"\boxed{[6, -4]}", "(6.000, -4.000)", TEXT, False),
    (r"\boxed{6}", "(6.000, -4.000)", TEXT, False),
    (r"\boxed{4:45}", "4:45", TEXT, True),
    (r"\boxed{04:45}", "4:45", TEXT, True),
    ("Answer: 4:45 PM", "4:45", TEXT, True),
    ("Answer: 4:45 AM", "4:45 PM", TEXT, False),
    (r"\boxed{4:54}", "4:45", TEXT, False),
    (r"\boxed{14:45}", "4:45", TEXT, False),  # holds the truth
    (r"\boxed{4.45}", "4:45", TEXT, False),
    (r"\boxed{69, 51, 59}", "69, 51, 59", TEXT, True),
    (r"\boxed{69,51,59}", "69, 51, 59", TEXT, True),
    (r"\boxed{(69, 51, 59)}", "69, 51, 59", TEXT, True),
    (r"\boxed{51, 59, 69}", "69, 51, 59", TEXT, False),
    (r"\boxed{69, 51}", "69, 51, 59", TEXT, False),
    (r"\boxed{69, 51, 59, 60}", "69, 51, 59", TEXT, False),
    (r"\boxed{even}", "even", TEXT, True),
    (r"\boxed{\text{even function}}", "even", TEXT, True),
    (r"\boxed{uneven}", "even", TEXT, False),
    (r"\boxed{not even}", "even", TEXT, False),
    (r"\boxed{even or odd}", "even", TEXT, False),
    (r"\boxed{Yes}", "yes", TEXT, True),
    ("Answer: Yes, it is.", "yes", TEXT, True),
    ("Answer: yes and no", "no", TEXT, False),
    ("Answer: no", "yes", TEXT, False),
    ("Answer: unknown", "no", TEXT, False),
    (r"\boxed{112}", "12", TEXT, False),  # a substring
    # without an answer type
    (r"\boxed{3.1415}", "3.1416", {}, True),
    (r"\boxed{D}", "D", {}, True),
    (r"\boxed{odd}", "odd", {}, True),
    (r"\boxed{2.4}", "2.5", {"answer_type": "float", "tolerance": 0.2}, True),
    (r"\boxed{increasing and decreasing}", "increasing", TEXT, False),
    (r"\boxed{neither even nor odd}", "odd", TEXT, False),
    (r"\boxed{neither}", "neither", TEXT, True),
]
