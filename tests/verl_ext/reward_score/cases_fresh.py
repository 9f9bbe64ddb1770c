# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""A table whose verdicts were written before the scorer saw a line of it: (kind of row, truth, response, verdict).

A verdict is what a fair reader and the benchmark's own rule say. It may not be changed to agree with the scorer.
``RIGHT`` and ``WRONG`` are ordinary answers. ``GAMED`` marks what a policy would write to be paid without an answer.
"""

RIGHT, WRONG, GAMED = "right", "wrong", "gamed"

_DRAWN = {"type": "choice", "options": ["A", "B", "C", "D", "E"]}
_LENGTHS = {"type": "choice", "options": ["$12$", "$15$", "$3\\sqrt{5}$", "$\\frac{27}{2}$", "$45$"]}
_PETS = {"type": "choice", "options": ["the rabbit", "the parrot", "the goldfish", "the hamster"]}
_SHIRTS = {"type": "choice", "options": ["orange", "purple", "dark green", "green"]}
_PLACES = {"type": "choice", "options": ["above the lamp", "below the lamp", "left of the lamp", "right of the lamp"]}
_TIMES = {"type": "choice", "options": ["7:15", "7:45", "8:15", "8:45"]}
_DYNAMATH = {"tolerance": 0.001, "ordered": True, "leading_number": True}
_POETS = {"aliases": ["Emily Dickinson", "Emily Elizabeth Dickinson"]}

# A kind of row: the data source and what its ``scoring`` says, as ``data_prep`` writes it.
ROWS = {
    "mathvision free": ("mathvision", {"type": "math", "decimals": 2}),
    "mathvision drawn": ("mathvision", _DRAWN),
    "mathvision lengths": ("mathvision", _LENGTHS),
    "mathvision pets": ("mathvision", _PETS),
    "dynamath float": ("dynamath", {"type": "number", "answer_type": "float", **_DYNAMATH}),
    "dynamath text": ("dynamath", {"type": "text", "answer_type": "text", **_DYNAMATH}),
    "dynamath letter": ("dynamath", {"type": "choice", "answer_type": "multiple choice"}),
    "dynamath times": ("dynamath", {"answer_type": "multiple choice", **_TIMES}),
    "math_vr": ("math_vr", {"type": "judge", "fallback": "math", "judge_reads": "message"}),
    "vstar colour": ("vstar", _SHIRTS),
    "vstar place": ("vstar", _PLACES),
    "vstar bare": ("vstar", {"type": "choice"}),
    "visualprobe": ("visualprobe", {"type": "judge"}),
    "hrbench_4k": ("hrbench_4k", _SHIRTS),
    "hrbench_8k": ("hrbench_8k", {"type": "choice", "options": ["14", "41", "17", "71"]}),
    "hr_mmsearch": ("hr_mmsearch", {"type": "judge", "fallback": "f1"}),
    "mmsearch": ("mmsearch", {"type": "f1"}),
    "mmsearch poet": ("mmsearch", {"type": "judge", "fallback": "f1", **_POETS}),
    "deepeyes": ("deepeyes", {"type": "judge"}),
    "deepeyes choice": ("deepeyes", {"type": "choice", "options": ["a kite", "a ladder", "a bench", "a canoe"]}),
    "visualprobe_train": ("visualprobe_train", {"type": "judge"}),
    "fvqa": ("fvqa", {"type": "judge", "fallback": "f1"}),
    "pyvision math": ("pyvision_image", {"type": "math"}),
    "pyvision search": ("pyvision_image", {"type": "judge"}),
    "virl39k math": ("virl39k", {"type": "math"}),
    "virl39k number": ("virl39k", {"type": "number"}),
    "virl39k choice": ("virl39k", {"type": "choice"}),
    "geometry3k": ("geometry3k", {"type": "math"}),
    "math_vr_train": ("math_vr_train", {"type": "judge", "fallback": "math", "judge_reads": "message"}),
}

# One entry is a row, its truth, and the responses with one verdict.
_TABLE = [
    # MathVision, free form: the value, equal after rounding to two decimals
    ("mathvision free", "36", RIGHT, (
        r"\boxed{36}", r"Adding up, we get $\boxed{36}$.", r"\boxed{36.00}", r"\boxed{6^2}", r"\boxed{36\text{ cm}^2}",
        r"\boxed{36^{\circ}}", r"\boxed{\dfrac{72}{2}}", r"\boxed{4 \times 9}", r"\boxed{x=36}", r"\boxed{{36}}",
        r"\boxed{ 36 }", r"\boxed{\text{36 ways}}", r"\boxed{\mathbf{36}}", "**Final Answer**\n\n$$\\boxed{36}$$",
        r"\boxed{35.999}", "The answer is 36.", "Answer: 36", r"\boxed{\$36}", r"\boxed{\text{thirty-six}}",
        r"\boxed{3!\cdot 6}", r"\boxed{+36}", r"\boxed{\sqrt{1296}}", r"\boxed{36\,\text{minutes}}",
    )),
    ("mathvision free", "36", WRONG, (
        r"\boxed{63}", r"\boxed{-36}", r"\boxed{3.6}", r"\boxed{36.01}", r"\boxed{360}", r"\boxed{36\pi}",
        r"\boxed{\frac{36}{5}}", r"\boxed{36^2}", r"\boxed{36a}", r"\boxed{36!}", r"\boxed{\sqrt{36}}",
        r"Perhaps \boxed{36}. Checking again, it is \boxed{30}.", "I could not solve this.",
    )),
    ("mathvision free", "36", GAMED, (
        r"\boxed{36, 35, 34, 33}", r"\boxed{36 \text{ or } 37}", r"\boxed{30 + k}", r"\boxed{\ge 36}",
        r"\boxed{35\text{ to }37}", r"\boxed{36 \pm 1}", r"\boxed{\max(36, \infty)}", r"\boxed{\min(1, -\infty)}",
        r"\boxed{\infty}", r"\boxed{\frac{0}{0}}", r"\boxed{n}", r"\boxed{30\ 6}", r"\boxed{12\ 12\ 12}",
        r"\boxed{\{1, 2, \ldots, 100\}}", r"\boxed{\text{the answer}}", r"\boxed{1 = 36}", r"\boxed{(-\infty, \infty)}",
        r"\boxed{\text{any number}}", r"\boxed{x}", r"\boxed{\lim_{x\to\infty} x}", r"\boxed{36 \text{ is wrong}}",
        r"\boxed{\mathbb{R}}",
    )),
    ("mathvision free", r"$\frac{7}{12}$", RIGHT, (
        r"\boxed{\frac{7}{12}}", r"\boxed{7/12}", r"\boxed{\dfrac{7}{12}}", r"\boxed{0.5833}", r"\boxed{0.58}",
        r"\boxed{\frac{14}{24}}", r"\boxed{\frac{1}{3}+\frac{1}{4}}", r"\boxed{P=\frac{7}{12}}", r"\boxed{\tfrac7{12}}",
        r"The probability is $\frac{7}{12}$.",
    )),
    ("mathvision free", r"$\frac{7}{12}$", WRONG, (
        r"\boxed{\frac{12}{7}}", r"\boxed{0.5}", r"\boxed{0.6}", r"\boxed{-\frac{7}{12}}", r"\boxed{7:11}",
        r"\boxed{712}", r"\boxed{7, 12}",
    )),
    ("mathvision free", r"$6\sqrt{2}$", RIGHT, (
        r"\boxed{6\sqrt{2}}", r"\boxed{6 \sqrt 2}", r"\boxed{\sqrt{72}}", r"\boxed{8.485}", r"\boxed{8.49}",
        r"\boxed{\frac{12}{\sqrt{2}}}", r"\boxed{2\sqrt{18}\text{ cm}}", r"\boxed{6\sqrt{2} \approx 8.49}",
        "\\boxed{6√2}",
    )),
    ("mathvision free", r"$6\sqrt{2}$", WRONG, (
        r"\boxed{6\sqrt{3}}", r"\boxed{62}", r"\boxed{8}", r"\boxed{8.5}", r"\boxed{2\sqrt{6}}", r"\boxed{72}",
    )),
    ("mathvision free", "3:4", RIGHT, (r"\boxed{3:4}", r"\boxed{3 : 4}", r"\boxed{3\colon4}", r"\boxed{6:8}")),
    ("mathvision free", "3:4", WRONG, (r"\boxed{4:3}", r"\boxed{3}", r"\boxed{34}", r"\boxed{3:4:5}")),
    # MathVision, choices
    ("mathvision drawn", "D", RIGHT, (
        r"\boxed{D}", r"\boxed{(D)}", r"\boxed{\text{D}}", r"\boxed{\mathrm{D}}", "The answer is D.", "**D**",
        r"\boxed{\text{(D)}}", "So the matching net is figure D.\n\n\\boxed{D}", "Answer: D",
        "The correct answer is (D).", r"Not A, B, C. $\boxed{D}$", r"\boxed{\text{Option D}}", r"\boxed{d}",
    )),
    ("mathvision drawn", "D", WRONG, (
        r"\boxed{E}", r"\boxed{4}", "The answer is E, since D has too many holes.", r"First \boxed{D}, then \boxed{B}.",
        "Drawing it did not help.", r"\boxed{\text{Done}}",
    )),
    ("mathvision drawn", "D", GAMED, (
        r"\boxed{A, B, C, D, E}", r"\boxed{ABCDE}", r"\boxed{D, E}", r"\boxed{A}\boxed{B}\boxed{C}\boxed{D}\boxed{E}",
        r"\boxed{D \text{ or } E}", r"\boxed{\text{not D}}", r"\boxed{D?\ E?}", r"\boxed{\text{anything but D}}",
        r"\boxed{\text{D is wrong}}", r"\boxed{A\ B\ C\ D\ E}", r"\boxed{\text{one of A to E}}", r"\boxed{D/E}",
        "A. B. C. D. E.", r"\boxed{D \boxed{E}}", r"\boxed{\text{D isn't it}}",
    )),
    ("mathvision lengths", "D", RIGHT, (
        r"\boxed{D}", r"\boxed{13.5}", r"\boxed{\frac{27}{2}}", r"\boxed{27/2}", r"\boxed{\text{(D) } \frac{27}{2}}",
        r"\boxed{D. 13.5}", r"\boxed{13\frac{1}{2}}", "The answer is (D) 27/2.",
    )),
    ("mathvision lengths", "D", WRONG, (
        r"\boxed{C}", r"\boxed{\frac{2}{27}}", r"\boxed{45}", r"\boxed{14}", r"\boxed{D. 15}", r"\boxed{27}",
    )),
    ("mathvision lengths", "C", RIGHT, (r"\boxed{3\sqrt5}", r"\boxed{\sqrt{45}}", r"\boxed{6.71}", r"\boxed{6.7082}")),
    ("mathvision lengths", "C", WRONG, (r"\boxed{45}", r"\boxed{5\sqrt{3}}", r"\boxed{6.7}", r"\boxed{7}")),
    ("mathvision lengths", "A", GAMED, (
        r"\boxed{12, 15, 45}", r"\boxed{12\ 15}", r"\boxed{(A) 15}", r"\boxed{\max(12,\infty)}",
        r"\boxed{12 \text{ or } 15}", r"\boxed{\text{not } 12}",
    )),
    ("mathvision pets", "B", RIGHT, (
        r"\boxed{\text{the parrot}}", r"\boxed{B}", r"\boxed{\text{Parrot}}", r"\boxed{\text{B. the parrot}}",
        "The answer is the parrot.",
    )),
    ("mathvision pets", "B", WRONG, (r"\boxed{\text{the rabbit}}", r"\boxed{\text{A. the parrot}}", r"\boxed{carrot}")),
    ("mathvision pets", "B", GAMED, (
        r"\boxed{\text{rabbit parrot goldfish hamster}}", r"\boxed{\text{the parrot, the rabbit}}",
        r"\boxed{\text{not the parrot}}", r"\boxed{\text{the parrot or the hamster}}",
        r"\boxed{\text{anything but the parrot}}",
    )),
    # DynaMath, numbers: within 0.001
    ("dynamath float", "8.4853", RIGHT, (
        "8.4853", r"\boxed{8.485}", r"\boxed{6\sqrt{2}}", "The answer is 8.4853.", r"\boxed{8.4853 \text{ cm}}",
        "<answer>8.4853</answer>", r"\boxed{x \approx 8.485}", "Answer: 8.4853 units", r"\boxed{8.48528}",
        "<answer>It is 8.485.</answer>", r"\boxed{\sqrt{72}}",
    )),
    ("dynamath float", "8.4853", WRONG, (
        r"\boxed{8.49}", r"\boxed{8.48}", r"\boxed{8.5}", r"\boxed{-8.4853}", r"\boxed{84.853}", r"\boxed{8}",
        "<answer></answer>", "8.4853 is not right, so <answer>9</answer>",
    )),
    ("dynamath float", "8.4853", GAMED, (
        r"\boxed{8.4853, 9, 10}", r"\boxed{8.4853 \text{ or } 9}", r"\boxed{\infty}", r"\boxed{\max(8,\infty)}",
        r"\boxed{[8, 9]}", "<answer>8.4853 9.1234</answer>", r"\boxed{8 < x < 9}", r"\boxed{\text{nan}}",
        r"\boxed{\text{about anything}}", "<answer>not 8.4853</answer>", r"\boxed{8.4853 = 9}",
        r"\boxed{\frac{\infty}{\infty}}", "<answer>8 0.4853</answer>",
    )),
    ("dynamath float", "2π", RIGHT, ("<answer>2π</answer>", r"\boxed{2\pi}", r"\boxed{6.2832}", r"\boxed{6.283}")),
    ("dynamath float", "2π", WRONG, (r"\boxed{2}", r"\boxed{\pi}", r"\boxed{6.28}", r"\boxed{2\pi^2}",
        r"\boxed{4\pi}")),
    ("dynamath float", "-3.0", RIGHT, (r"\boxed{-3}", "−3", r"\boxed{-\frac{6}{2}}", "<answer>-3.000</answer>")),
    ("dynamath float", "-3.0", WRONG, (r"\boxed{3}", r"\boxed{-3.1}", r"\boxed{-30}", r"\boxed{0.3}")),
    # DynaMath, texts
    ("dynamath text", "even", RIGHT, (
        "even", "<answer>Even</answer>", r"\boxed{\text{even}}", "The function is even.",
        "<answer>It is even.</answer>", "Answer: EVEN", r"\boxed{\textbf{Even}}", "The answer is even.",
    )),
    ("dynamath text", "even", WRONG, ("odd", "<answer>neither</answer>", "<answer>seven</answer>", r"\boxed{uneven}")),
    ("dynamath text", "even", GAMED, (
        "<answer>even odd</answer>", "<answer>even, odd, neither</answer>", "<answer>not even</answer>",
        "<answer>isn't even</answer>", "<answer>even or odd</answer>", "<answer>anything but even</answer>",
        "<answer>even? odd?</answer>", "<answer>even is false</answer>", "<answer>odd; even</answer>",
        "<answer>It is even. It is odd.</answer>", "<answer>even odd neither both yes no</answer>",
        "<answer>never even</answer>", "<answer>even\nodd</answer>", "<answer>hardly even</answer>",
        "<answer>even isn’t it</answer>",
    )),
    ("dynamath text", "(3.000, -1.500)", RIGHT, (
        r"\boxed{(3, -1.5)}", r"\boxed{(3, -\frac{3}{2})}", "<answer>(3.000, -1.500)</answer>",
        r"\boxed{\left(3, -1.5\right)}", "The vertex is (3, -1.5).", r"\boxed{(x, y) = (3, -1.5)}",
    )),
    ("dynamath text", "(3.000, -1.500)", WRONG, (
        r"\boxed{(-1.5, 3)}", r"\boxed{(3, 1.5)}", r"\boxed{3}", r"\boxed{(3, -1.6)}", r"\boxed{(3, -1.5, 0)}",
    )),
    ("dynamath text", "(3.000, -1.500)", GAMED, (
        r"\boxed{(3, -1.5), (3, 1.5)}", r"\boxed{(3 \text{ or } 4, -1.5)}", r"\boxed{(\max(1,\infty), \max(1,\infty))}",
        r"\boxed{(x, y)}", r"\boxed{(3, -1.5) \text{ or } (-1.5, 3)}",
    )),
    ("dynamath text", "4:45", RIGHT, ("<answer>4:45</answer>", r"\boxed{4:45}", "The time is 4:45.", r"\boxed{04:45}")),
    ("dynamath text", "4:45", WRONG, (r"\boxed{5:45}", r"\boxed{445}", r"\boxed{4}", r"\boxed{4:46}", r"\boxed{45:4}")),
    ("dynamath text", "4:45", GAMED, ("<answer>4:45 5:45 6:45</answer>", "<answer>4:45 or 5:45</answer>")),
    ("dynamath letter", "C", RIGHT, ("C", "(C)", r"\boxed{C}", "<answer>C</answer>", "The answer is C.", "C) neither")),
    ("dynamath letter", "C", WRONG, ("B", r"\boxed{D}", "Cannot tell", "<answer>Circle</answer>")),
    ("dynamath letter", "C", GAMED, ("<answer>ABC</answer>", "<answer>B, C</answer>", r"\boxed{C \lor D}", "A B C D")),
    ("dynamath times", "B", RIGHT, ("B", "<answer>7:45</answer>", "(B) 7:45", r"\boxed{\text{B. }7:45}")),
    ("dynamath times", "B", WRONG, ("<answer>7:15</answer>", "<answer>8:45</answer>", "(A) 7:45",
        "<answer>745</answer>")),
    ("dynamath times", "B", GAMED, ("<answer>7:15 7:45 8:15 8:45</answer>", "<answer>7:45 or 8:45</answer>")),
    # Math-VR: closed forms, several parts
    ("math_vr", r"$x = 4$", RIGHT, (
        r"\boxed{x = 4}", r"\boxed{4}", r"Therefore $x = \boxed{4}$.", "The answer is $x=4$.", r"\boxed{4.0}",
    )),
    ("math_vr", r"$x = 4$", WRONG, (r"\boxed{x = -4}", r"\boxed{y = 5}", r"\boxed{x = 4y}", r"\boxed{x^4}")),
    ("math_vr", r"$x = 4$", GAMED, (
        r"\boxed{x = 4 \text{ or } x = 5}", r"\boxed{x = x}", r"\boxed{x = \infty}", r"\boxed{x \in \mathbb{R}}",
        r"\boxed{x > 3}", r"\boxed{x = \max(4, \infty)}", r"\boxed{x \neq 4}", r"\boxed{0 = 0}",
    )),
    ("math_vr", "3; 12", RIGHT, (r"\boxed{3; 12}", r"\boxed{3, 12}", r"\boxed{3 \text{ and } 12}")),
    ("math_vr", "3; 12", WRONG, (r"\boxed{3}", r"\boxed{12}", r"\boxed{3, 13}", r"\boxed{312}", r"\boxed{15}")),
    ("math_vr", "3; 12", GAMED, (r"\boxed{3, 12, 15, 18}", r"\boxed{\{1,2,3,\ldots,12\}}", r"\boxed{3, 12, 3, 13}")),
    ("math_vr", r"$y=-\frac{1}{2}x+3$", RIGHT, (
        r"\boxed{y=-\frac{1}{2}x+3}", r"\boxed{y = 3 - \frac{x}{2}}", r"\boxed{y=-0.5x+3}", r"\boxed{x+2y=6}",
    )),
    ("math_vr", r"$y=-\frac{1}{2}x+3$", WRONG, (
        r"\boxed{y=\frac{1}{2}x+3}", r"\boxed{y=-2x+3}", r"\boxed{y=-\frac12 x}", r"\boxed{3}", r"\boxed{y=kx+3}",
    )),
    ("math_vr", r"$\sqrt{3}-1$", RIGHT, (
        r"\boxed{\sqrt{3}-1}", r"\boxed{-1+\sqrt3}", r"\boxed{\frac{2}{\sqrt{3}+1}}", r"The area equals $\sqrt{3}-1$.",
    )),
    ("math_vr", r"$\sqrt{3}-1$", WRONG, (r"\boxed{1-\sqrt{3}}", r"\boxed{\sqrt{3}+1}", r"\boxed{\sqrt{2}}",
        r"\boxed{0}")),
    # V*
    ("vstar colour", "C", RIGHT, (
        "C", "dark green", "(C) dark green", "The shirt is dark green.\n\nC", "<answer>C</answer>",
        "<answer>dark green</answer>", "The answer is C.", r"\boxed{C}", "**C. dark green**", "Answer: dark green",
    )),
    ("vstar colour", "C", WRONG, ("D", "green", "<answer>light green</answer>", "D. green", "dark", "C. green")),
    ("vstar colour", "C", GAMED, (
        "<answer>orange purple dark green green</answer>", "<answer>A B C D</answer>", "C or D",
        "<answer>not C</answer>", "<answer>A</answer><answer>B</answer><answer>C</answer><answer>D</answer>",
        "A\nB\nC\nD", "<answer>C, D</answer>", "<answer>It isn't C</answer>", "<answer>C is incorrect</answer>",
        "<answer>dark green or purple</answer>", "<answer>anything but dark green</answer>", "Either C or B.",
    )),
    ("vstar place", "B", RIGHT, (
        "B", "below the lamp", "<answer>below the lamp</answer>", "B. below the lamp", "(B)", "Below the lamp.",
    )),
    ("vstar place", "B", WRONG, ("A", "above the lamp", "<answer>D</answer>", "the lamp", "A. below the lamp")),
    ("vstar place", "B", GAMED, ("above the lamp, below the lamp", "<answer>not below the lamp</answer>", "ABCD")),
    ("vstar bare", "A", RIGHT, ("A", "(A)", "The answer is A", r"\boxed{A}", "<answer>a</answer>", "Answer: **A**")),
    ("vstar bare", "A", WRONG, ("B", "An apple", "A red car stands there", "<answer>D</answer>", "I cannot see it.")),
    ("vstar bare", "A", GAMED, ("AB", "A, B", "A|B|C|D", "<answer>A or B</answer>", "<answer>A, not A</answer>")),
    # VisualProbe
    ("visualprobe", "MARKET STREET", RIGHT, (
        "<answer>Market Street</answer>", "<answer>MARKET STREET</answer>", r"\boxed{\text{Market Street}}",
        "The answer is Market Street.", "<answer>market street.</answer>", "<answer>\"MARKET STREET\"</answer>",
        "<answer>The sign reads MARKET STREET.</answer>",
    )),
    ("visualprobe", "MARKET STREET", WRONG, (
        "<answer>Market</answer>", "<answer>Market Road</answer>", "<answer>MARKER STREET</answer>",
        "<answer>I cannot read it.</answer>", "<answer>Street</answer>",
    )),
    ("visualprobe", "MARKET STREET", GAMED, (
        "<answer>Market Street, Main Street, High Street</answer>", "<answer>not Market Street</answer>",
        "<answer>MARKET STREET or MAIN STREET</answer>", "<answer>Street Market Road Avenue</answer>",
        "<answer>:</answer>", "<answer>.</answer>", "<answer>Solution</answer>", "<answer>()</answer>",
        "<answer>\u200b</answer>", "<answer>👍</answer>", "<answer>Market Street is not what it says</answer>",
    )),
    ("visualprobe", "3", RIGHT, (
        "<answer>3</answer>", "<answer>three</answer>", "<answer>3 buses</answer>", r"\boxed{3}", "<answer>3.</answer>",
        "<answer>There are 3 buses.</answer>", "<answer>Three buses</answer>", "There are three.",
    )),
    ("visualprobe", "3", WRONG, ("<answer>4</answer>", "<answer>13</answer>", "<answer>33</answer>",
        "<answer>two</answer>")),
    ("visualprobe", "3", GAMED, (
        "<answer>1 2 3 4 5</answer>", "<answer>one two three four</answer>", "<answer>3 or 4</answer>",
        "<answer>at least 3</answer>", "<answer>1 1 1</answer>", "<answer>not 3</answer>", "<answer>2-4</answer>",
    )),
    ("visualprobe", "yellow", RIGHT, ("<answer>Yellow</answer>", "<answer>The bus is yellow.</answer>",
        "It is yellow.")),
    ("visualprobe", "yellow", WRONG, ("<answer>blue</answer>", "<answer>mellow</answer>", "<answer>yell</answer>")),
    ("visualprobe", "yellow", GAMED, (
        "<answer>red orange yellow green blue</answer>", "<answer>yellow blue</answer>",
        "<answer>everything except yellow</answer>", "<answer>isn't yellow</answer>", "<answer>yellow/blue</answer>",
        "<answer>yellow is wrong</answer>", "<answer>a yellow or blue bus</answer>", "<answer>non-yellow</answer>",
    )),
    # HR-Bench
    ("hrbench_4k", "A", RIGHT, ("A", "orange", "<answer>A. orange</answer>", "The hat is orange.\nAnswer: A", "(A)")),
    ("hrbench_4k", "A", WRONG, ("B", "purple", "<answer>B. orange</answer>", "A dog", "Absolutely unclear")),
    ("hrbench_4k", "A", GAMED, ("A B", "orange, purple, green", "<answer>A and C</answer>",
        "<answer>orange green</answer>")),
    ("hrbench_8k", "B", RIGHT, ("B", "41", "<answer>41</answer>", "B. 41", r"\boxed{41}", "The answer is 41.")),
    ("hrbench_8k", "B", WRONG, ("14", "<answer>A</answer>", "B. 14", "<answer>410</answer>", "<answer>4 1</answer>")),
    ("hrbench_8k", "B", GAMED, ("<answer>14 41 17 71</answer>", "41 or 71", "<answer>A-D</answer>",
        r"\boxed{\max(41,\infty)}")),
    # HR-MMSearch and MMSearch: names, dates, counts
    ("hr_mmsearch", "Kunsthaus Zürich", RIGHT, (
        "<answer>Kunsthaus Zürich</answer>", "<answer>the Kunsthaus Zürich</answer>",
        "<answer>kunsthaus zürich.</answer>", "The answer is Kunsthaus Zürich.", "<answer>Kunsthaus Zurich</answer>",
    )),
    ("hr_mmsearch", "Kunsthaus Zürich", WRONG, (
        "<answer>Kunsthaus Graz</answer>", "<answer>Zürich</answer>", "<answer>Tate Modern</answer>",
        "<answer>unknown</answer>",
    )),
    ("hr_mmsearch", "Kunsthaus Zürich", GAMED, (
        "<answer>Kunsthaus Zürich or Tate Modern</answer>", "<answer>not Kunsthaus Zürich</answer>",
        "<answer>Kunsthaus Zürich Graz Bregenz</answer>", "<answer>Kunsthaus</answer>", "<answer>-</answer>",
    )),
    ("hr_mmsearch", "1987", RIGHT, ("<answer>1987</answer>", "<answer>in 1987</answer>", r"\boxed{1987}",
        "It opened in 1987.")),
    ("hr_mmsearch", "1987", WRONG, ("<answer>1978</answer>", "<answer>1987 BC</answer>", "<answer>87</answer>")),
    ("hr_mmsearch", "1987", GAMED, (
        "<answer>1985 1986 1987 1988</answer>", "<answer>1980-1990</answer>", "<answer>before 1987</answer>",
        "<answer>1987 or 1988</answer>",
    )),
    ("mmsearch", "Lena Hartmann", RIGHT, (
        "<answer>Lena Hartmann</answer>", "<answer>lena hartmann</answer>", "<answer>Hartmann, Lena</answer>",
        "The answer is Lena Hartmann.",
    )),
    ("mmsearch", "Lena Hartmann", WRONG, ("<answer>Lena Hoffmann</answer>", "<answer>Max Hartmann</answer>",
        "<answer>Lena</answer>")),
    ("mmsearch", "Lena Hartmann", GAMED, (
        "<answer>Lena Max Anna Hartmann Hoffmann</answer>", "<answer>Lena Hartmann, Anna Hoffmann</answer>",
        "<answer>not Lena Hartmann</answer>", "<answer>anyone but Lena Hartmann</answer>",
    )),
    ("mmsearch", "March 14, 2024", RIGHT, ("<answer>March 14, 2024</answer>", "<answer>14 March 2024</answer>")),
    ("mmsearch", "March 14, 2024", WRONG, ("<answer>March 15, 2024</answer>", "<answer>2024</answer>",
        "<answer>14 May 2024</answer>")),
    ("mmsearch", "March 14, 2024", GAMED, (
        "<answer>January February March 14 2024</answer>", "<answer>March 14 15 16 2024</answer>",
        "<answer>March 14, 2024 or March 15, 2024</answer>",
    )),
    ("mmsearch poet", "Dickinson", RIGHT, ("<answer>Emily Dickinson</answer>", "<answer>Dickinson</answer>",
        "<answer>The poet Emily Dickinson</answer>")),
    ("mmsearch poet", "Dickinson", WRONG, ("<answer>Emily Brontë</answer>", "<answer>Emily</answer>",
        "<answer>Walt Whitman</answer>")),
    ("mmsearch poet", "Dickinson", GAMED, ("<answer>Dickinson, Brontë, Whitman</answer>",
        "<answer>Dickinson or Whitman</answer>")),
    # DeepEyes, VisualProbe's training rows, FVQA, PyVision
    ("deepeyes", "The hat is blue.", RIGHT, ("<answer>The hat is blue.</answer>", "<answer>the hat is blue</answer>")),
    ("deepeyes", "The hat is blue.", WRONG, ("<answer>The hat is red.</answer>", "<answer>The car is blue.</answer>",
        "<answer>The hat</answer>")),
    ("deepeyes", "The hat is blue.", GAMED, (
        "<answer>The hat is blue. The hat is red.</answer>", "<answer>The hat is not blue.</answer>",
        "<answer>The hat is blue red green.</answer>", "<answer>The hat is blue or red.</answer>",
        "<answer>The hat isn't blue.</answer>",
    )),
    ("deepeyes", "12.5", RIGHT, ("<answer>12.5</answer>", r"\boxed{12.5}", "The answer is 12.5.")),
    ("deepeyes", "12.5", WRONG, ("<answer>12</answer>", "<answer>125</answer>", "<answer>-12.5</answer>")),
    ("deepeyes", "12.5", GAMED, ("<answer>12.5 13 14</answer>", "<answer>12 0.5</answer>", r"\boxed{\max(1,\infty)}")),
    ("deepeyes choice", "D", RIGHT, ("<answer>D</answer>", "<answer>a canoe</answer>", "<answer>D. a canoe</answer>",
        "<answer>canoe</answer>")),
    ("deepeyes choice", "D", WRONG, ("<answer>a kite</answer>", "<answer>B</answer>", "<answer>A. a canoe</answer>")),
    ("deepeyes choice", "D", GAMED, ("<answer>kite ladder bench canoe</answer>", "<answer>D C B A</answer>",
        "<answer>no canoe</answer>")),
    ("visualprobe_train", "A dog.", RIGHT, ("<answer>a dog</answer>", "<answer>Dog</answer>",
        "<answer>It is a dog.</answer>")),
    ("visualprobe_train", "A dog.", WRONG, ("<answer>a cat</answer>", "<answer>a hot dog stand</answer>",
        "<answer>God</answer>")),
    ("visualprobe_train", "A dog.", GAMED, ("<answer>cat dog bird</answer>", "<answer>no dog</answer>",
        "<answer>a dog or a cat</answer>", "<answer>dog cat</answer>")),
    ("fvqa", "Mount Kenya", RIGHT, ("<answer>Mount Kenya</answer>", "<answer>mount kenya</answer>",
        r"\boxed{\text{Mount Kenya}}")),
    ("fvqa", "Mount Kenya", WRONG, ("<answer>Mount Meru</answer>", "<answer>Kilimanjaro</answer>",
        "<answer>Mount</answer>")),
    ("fvqa", "Mount Kenya", GAMED, (
        "<answer>Mount Kenya Meru Elgon</answer>", "<answer>Mount Kenya or Kilimanjaro</answer>",
        "<answer>Mount Kenya, Mount Meru, Mount Elgon</answer>", "<answer>not Mount Kenya</answer>",
    )),
    ("pyvision math", "7", RIGHT, (r"\boxed{7}", r"\boxed{x=7}", "<answer>7</answer>", r"\boxed{\frac{21}{3}}",
        r"\boxed{7 \text{ units}}")),
    ("pyvision math", "7", WRONG, (r"\boxed{8}", r"\boxed{-7}", r"\boxed{7x}", r"\boxed{77}", r"\boxed{0.7}")),
    ("pyvision math", "7", GAMED, (r"\boxed{3\ 4}", r"\boxed{7, 8}", r"\boxed{\max(7,\infty)}", r"\boxed{5 \equiv 2}",
        r"\boxed{\emptyset}")),
    ("pyvision search", "a cat", RIGHT, ("<answer>a cat</answer>", "<answer>Cat</answer>", r"\boxed{\text{a cat}}")),
    ("pyvision search", "a cat", WRONG, ("<answer>a dog</answer>", "<answer>a catalogue</answer>")),
    ("pyvision search", "a cat", GAMED, ("<answer>a cat a dog</answer>", "<answer>not a cat</answer>",
        "<answer>cat?? dog??</answer>")),
    # ViRL39K, Geometry3K, Math-VR's training rows
    ("virl39k math", r"$\frac{3\sqrt{7}}{8}$", RIGHT, (
        r"\boxed{\frac{3\sqrt{7}}{8}}", r"\boxed{\dfrac{3}{8}\sqrt7}", r"\boxed{3\sqrt{7}/8}",
        r"\boxed{\sin A = \frac{3\sqrt{7}}{8}}",
    )),
    ("virl39k math", r"$\frac{3\sqrt{7}}{8}$", WRONG, (
        r"\boxed{\frac{3\sqrt{7}}{4}}", r"\boxed{\frac{7\sqrt{3}}{8}}", r"\boxed{1}", r"\boxed{-\frac{3\sqrt{7}}{8}}",
    )),
    ("virl39k math", r"$\frac{3\sqrt{7}}{8}$", GAMED, (
        r"\boxed{\frac{\infty}{8}}", r"\boxed{\max(1,\infty)}", r"\boxed{0 \cdot \infty}", r"\boxed{t}",
        r"\boxed{\lim_{x \to 0} \frac{x}{x^2}}", r"\boxed{\min(\infty, \frac{3\sqrt{7}}{8})+0\cdot\infty}",
    )),
    ("virl39k math", "(2, 5)", RIGHT, (r"\boxed{(2, 5)}", r"\boxed{(2,5)}", r"\boxed{\left(2,5\right)}")),
    ("virl39k math", "(2, 5)", WRONG, (r"\boxed{(5, 2)}", r"\boxed{[2, 5]}", r"\boxed{7}", r"\boxed{(2, 5, 0)}",
        r"\boxed{(-2, 5)}")),
    ("virl39k math", r"$x^2-4x+3$", RIGHT, (r"\boxed{x^2-4x+3}", r"\boxed{(x-1)(x-3)}", r"\boxed{3 - 4x + x^{2}}",
        r"\boxed{(x-2)^2-1}")),
    ("virl39k math", r"$x^2-4x+3$", WRONG, (r"\boxed{x^2+4x+3}", r"\boxed{x^2-4x}", r"\boxed{0}",
        r"\boxed{x^2-4x+3+y}")),
    ("virl39k math", r"$x^2-4x+3$", GAMED, (r"\boxed{\max(x,\infty)}", r"\boxed{f(x)}", r"\boxed{x}",
        r"\boxed{ax^2+bx+c}")),
    ("virl39k math", "10^{6}", RIGHT, (r"\boxed{10^6}", r"\boxed{1000000}", r"\boxed{1{,}000{,}000}",
        r"\boxed{1 \times 10^6}")),
    ("virl39k math", "10^{6}", WRONG, (r"\boxed{10^5}", r"\boxed{106}", r"\boxed{10^{400}}", r"\boxed{2^{2024}}",
        r"\boxed{60}")),
    ("virl39k number", "250", RIGHT, (
        r"\boxed{250}", "<answer>250</answer>", "<answer>It is 250.</answer>", r"\boxed{2.5 \times 10^2}",
        r"\boxed{250\text{ mL}}", r"\boxed{250.0}", "The answer is 250.",
        "<answer>In total there are 250 bricks.</answer>",
    )),
    ("virl39k number", "250", WRONG, (
        r"\boxed{25}", r"\boxed{2500}", r"\boxed{250k}", r"\boxed{250^2}", "<answer>250 minus 3</answer>",
        r"\boxed{-250}", "<answer>250 dozen</answer>", r"\boxed{10^{400}}",
    )),
    ("virl39k number", "250", GAMED, (
        r"\boxed{200\ 50}", r"\boxed{250, 260}", "<answer>249 250 251</answer>", "<answer>more than 250</answer>",
        "<answer>250 is wrong</answer>", r"\boxed{\max(250,\infty)}", r"\boxed{250 \sim 300}",
        "<answer>not 250</answer>",
    )),
    ("virl39k choice", "B", RIGHT, (r"\boxed{B}", r"\boxed{\text{B}}", "<answer>B</answer>", "The answer is B.")),
    ("virl39k choice", "B", WRONG, (r"\boxed{A}", r"\boxed{\text{Both}}", "<answer>C</answer>")),
    ("virl39k choice", "B", GAMED, (r"\boxed{AB}", r"\boxed{A \cup B}", r"\boxed{\text{B, C}}", r"\boxed{\lnot B}")),
    ("geometry3k", r"3 \sqrt { 2 }", RIGHT, (
        r"\boxed{3\sqrt{2}}", r"\boxed{3 \sqrt 2}", r"\boxed{\sqrt{18}}", r"\boxed{x = 3\sqrt{2}}",
        r"\boxed{\frac{6}{\sqrt{2}}}",
    )),
    ("geometry3k", r"3 \sqrt { 2 }", WRONG, (r"\boxed{2\sqrt{3}}", r"\boxed{3}", r"\boxed{32}", r"\boxed{\sqrt{6}}",
        r"\boxed{4}")),
    ("geometry3k", "110", RIGHT, (r"\boxed{110}", r"\boxed{110^\circ}", r"\boxed{m\angle 3 = 110}",
        r"\boxed{110\text{ degrees}}")),
    ("geometry3k", "110", WRONG, (r"\boxed{70}", r"\boxed{11}", r"\boxed{110\pi}", r"\boxed{101}")),
    ("geometry3k", "110", GAMED, (r"\boxed{55\ 55}", r"\boxed{100 \quad 10}", r"\boxed{110 \text{ or } 70}",
        r"\boxed{\{70, 110\}}")),
    ("math_vr_train", "B12", RIGHT, (r"\boxed{B12}", r"\boxed{\text{B12}}")),
    ("math_vr_train", "B12", WRONG, (r"\boxed{12B}", r"\boxed{B21}", r"\boxed{12}", r"\boxed{B}")),
    ("math_vr_train", r"$\frac{1}{4}$; $\frac{1}{2}$", RIGHT, (r"\boxed{\frac{1}{4}, \frac{1}{2}}",
        r"\boxed{0.25; 0.5}")),
    ("math_vr_train", r"$\frac{1}{4}$; $\frac{1}{2}$", WRONG, (r"\boxed{\frac{1}{4}}", r"\boxed{\frac{3}{4}}",
        r"\boxed{\frac{1}{8}}")),
]  # fmt: skip

CASES = [(row, truth, said, verdict) for row, truth, verdict, answers in _TABLE for said in answers]
