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
"""Data sources that have a judge, compared by its stand-in, the rules: (dataset, says, truth, scoring details, right?).

The rules are stricter than a judge: what is right in other words is wrong here.
"""

PARTS = {"type": "set"}
CHURCHILL = {"aliases": ["Winston Churchill", "Sir Winston Leonard Spencer Churchill"]}

CASES = [
    # VisualProbe: short texts and numbers
    ("visualprobe", "<answer>red</answer>", "Red", {}, True),
    ("visualprobe", "<answer>Red.</answer>", "red", {}, True),
    ("visualprobe", "<answer>The red</answer>", "red", {}, True),
    ("visualprobe", "<answer>dark red car</answer>", "red", {}, True),  # details are allowed
    ("visualprobe", "<answer>not red</answer>", "red", {}, False),
    ("visualprobe", "<answer>red or blue</answer>", "red", {}, False),
    ("visualprobe", "<answer>reddish</answer>", "red", {}, False),
    ("visualprobe", "<answer>7</answer>", "7", {}, True),
    ("visualprobe", "<answer>seven</answer>", "7", {}, True),
    ("visualprobe", "<answer>17</answer>", "7", {}, False),
    ("visualprobe", "<answer>7 people</answer>", "7", {}, True),
    ("visualprobe", "There are 7 people.", "7", {}, True),
    ("visualprobe", "<answer>-7</answer>", "7", {}, False),
    ("visualprobe", "<answer>NO PARKING</answer>", "No parking", {}, True),
    ("visualprobe", "<answer>PARKING</answer>", "No parking", {}, False),
    ("visualprobe", "<answer>No parking</answer>", "parking", {}, False),
    ("visualprobe", "<answer>KAFE 24</answer>", "KAFE 24", {}, True),
    ("visualprobe", "<answer>KAFE 25</answer>", "KAFE 24", {}, False),
    ("visualprobe", "<answer>KAFE</answer>", "KAFE 24", {}, False),
    ("visualprobe", "<answer>555-0199</answer>", "555-0199", {}, True),
    ("visualprobe", "<answer>5550199</answer>", "555-0198", {}, False),
    ("visualprobe", "It says KAFE.\n\nI cannot read it.", "KAFE", {}, False),
    ("visualprobe_train", "<answer>B</answer>", "B", {"type": "choice"}, True),
    ("visualprobe_train", "<answer>yellow</answer>", "green", {}, False),
    # HR-MMSearch: exact match after normalisation, else as near as token F1 allows
    ("hr_mmsearch", "<answer>The Hague</answer>", "the hague", {}, True),
    ("hr_mmsearch", "<answer>Hague</answer>", "The Hague", {}, True),
    ("hr_mmsearch", "<answer>“The Hague”</answer>", "The Hague.", {}, True),
    ("hr_mmsearch", "<answer>Den Haag</answer>", "The Hague", {}, False),
    ("hr_mmsearch", "<answer>12 May 2019</answer>", "12 May 2019", {}, True),
    ("hr_mmsearch", "<answer>13 May 2019</answer>", "12 May 2019", {}, False),
    ("hr_mmsearch", "<answer>in 2019</answer>", "2019", {}, True),
    ("hr_mmsearch", "<answer>2019</answer>", "2018", {}, False),
    ("hr_mmsearch", "<answer>18.5 million</answer>", "18.5 million", {}, True),
    ("hr_mmsearch", "<answer>18.5 billion</answer>", "18.5 million", {}, False),
    ("hr_mmsearch", "<answer>1.85 million</answer>", "18.5 million", {}, False),
    ("hr_mmsearch", "<answer>N/A</answer>", "12 May 2019", {}, False),
    # MMSearch: best token F1 over the answers
    ("mmsearch", "<answer>Winston Churchill</answer>", "Churchill", CHURCHILL, True),
    ("mmsearch", "<answer>Sir Winston Churchill</answer>", "Churchill", CHURCHILL, True),
    ("mmsearch", "<answer>Randolph Churchill</answer>", "Churchill", CHURCHILL, False),
    ("mmsearch", "<answer>Clement Attlee</answer>", "Churchill", CHURCHILL, False),
    ("mmsearch", "<answer>Not Winston Churchill</answer>", "Churchill", CHURCHILL, False),
    ("mmsearch", "<answer>Seoul, South Korea</answer>", "Seoul South Korea", {}, True),
    ("mmsearch", "<answer>North Korea</answer>", "South Korea", {}, False),
    ("mmsearch", "<answer>$3.5 million</answer>", "3.5 million", {}, True),
    ("mmsearch", "<answer>2 August 2024</answer>", "August 2, 2024", {}, True),
    ("mmsearch", "<answer>3 August 2024</answer>", "August 2, 2024", {}, False),
    ("mmsearch", "<answer>August 2024</answer>", "August 2, 2024", {}, False),
    ("mmsearch", "Churchill, Attlee, Eden, Macmillan", "Churchill", CHURCHILL, False),
    ("mmsearch", "<answer>3-1</answer>", "3-1", {}, True),
    ("mmsearch", "<answer>1-3</answer>", "3-1", {"type": "exact"}, False),
    ("mmsearch", "<answer>Paris</answer>", "Paris", {"type": "f1"}, True),
    # FVQA
    ("fvqa", "<answer>Eiffel Tower</answer>", "the Eiffel Tower", {}, True),
    ("fvqa", "<answer>La Tour Eiffel</answer>", "the Eiffel Tower", {"aliases": ["La tour Eiffel"]}, True),
    ("fvqa", "<answer>CN Tower</answer>", "the Eiffel Tower", {}, False),
    ("fvqa", "The answer is the Eiffel Tower.", "Eiffel Tower", {}, True),
    # Math-VR: several parts
    ("math_vr", r"\boxed{12}", "12", {}, True),
    ("math_vr", r"\boxed{12\text{ cm}}", "12", {}, True),
    ("math_vr", r"\boxed{2\sqrt{3}}", r"$2\sqrt{3}$", {}, True),
    ("math_vr", r"\boxed{\sqrt{12}}", r"$2\sqrt{3}$", {}, True),
    ("math_vr", r"\boxed{3\sqrt{2}}", r"$2\sqrt{3}$", {}, False),
    ("math_vr", r"\boxed{60^\circ}", r"60°", {}, True),
    ("math_vr", r"\boxed{y = 2x + 1}", "y=2x+1", {}, True),
    ("math_vr", r"\boxed{y = 1 + 2x}", "$y = 2x + 1$", {}, True),
    ("math_vr", r"\boxed{y = 2x - 1}", "y=2x+1", {}, False),
    ("math_vr", r"\boxed{1, 3}", "3, 1", PARTS, True),
    ("math_vr", r"\boxed{x = 1 \text{ or } x = 3}", "x=3, x=1", PARTS, True),
    ("math_vr", r"\boxed{1}", "3, 1", PARTS, False),
    ("math_vr", r"\boxed{1, 3, 5}", "3, 1", PARTS, False),
    ("math_vr", r"\boxed{1, 1}", "3, 1", PARTS, False),
    ("math_vr", r"\boxed{x = 1, y = 3}", "x=1, y=3", PARTS, True),
    ("math_vr", r"\boxed{y = 3, x = 1}", "x=1, y=3", PARTS, True),
    ("math_vr", r"\boxed{x = 3, y = 1}", "x=1, y=3", PARTS, False),
    ("math_vr", r"\boxed{A(1, 2)}", "(1, 2)", {}, True),
    ("math_vr", r"\boxed{(-\infty, 3)}", r"(-\infty, 3]", {}, False),
    ("math_vr_train", r"\boxed{\frac{1}{2}}", "0.5", {}, True),
    ("math_vr_train", r"\boxed{\angle B}", r"\angle A", {}, False),
    ("visualprobe", "<answer>red, blue, green</answer>", "red", {}, False),
    ("visualprobe", "<answer>It is a cat, a dog</answer>", "cat", {}, False),
    ("hr_mmsearch", "<answer>$1,200</answer>", "1200", {}, True),
    # answers that begin like a choice
    ("deepeyes", "<answer>F-35</answer>", "F-16", {}, False),
    ("deepeyes", "<answer>F</answer>", "F-16", {}, False),
    ("deepeyes", "<answer>I-75</answer>", "I-95", {}, False),
    ("deepeyes", "<answer>J. Jill</answer>", "J. Crew", {}, False),
    ("deepeyes", "<answer>G-Star</answer>", "G-Shock", {}, False),
    ("deepeyes", "<answer>E</answer>", "E.T.", {}, False),
    ("deepeyes", "<answer>F-16</answer>", "F-16", {}, True),
    ("deepeyes", "<answer>J. Crew</answer>", "J. Crew", {}, True),
    ("deepeyes", "<answer>E.T.</answer>", "E.T.", {}, True),
    ("pyvision_image", r"\boxed{B-14}", "B-12", {}, False),
    ("pyvision_image", r"\boxed{C: 54}", "C: 45", {}, False),
    ("pyvision_image", r"\boxed{C: 45}", "C: 45", {}, True),
    ("virl39k", r"\boxed{A(5,7)}", "A(2, 3)", {}, False),
    ("virl39k", r"\boxed{A}", "A(2, 3)", {}, False),
    ("virl39k", r"\boxed{(2,3)}", "A(2, 3)", {}, True),
    ("virl39k", r"\boxed{A, 60\%}", "A, 30%", {}, False),
    ("virl39k", r"\boxed{A, 30\%}", "A, 30%", {}, True),
]
