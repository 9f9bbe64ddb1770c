# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Training data scored by rules: (dataset, what the model says at its end, truth, scoring details, right?)."""

CASES = [
    # DeepEyes: letters are choices, the rest is judged or says what it is
    ("deepeyes", "<answer>B</answer>", "B", {}, True),
    ("deepeyes", "<answer>A</answer>", "B", {}, False),
    (
        "deepeyes",
        "<answer>The umbrella is red.</answer>",
        "A",
        {"options": ["The umbrella is red.", "It is blue."]},
        True,
    ),
    ("deepeyes", "<answer>It is blue.</answer>", "A", {"options": ["The umbrella is red.", "It is blue."]}, False),
    ("deepeyes", r"\boxed{12.5}", "12.5", {"type": "math"}, True),
    ("deepeyes", r"\boxed{12.6}", "12.5", {"type": "number", "tolerance": 0.2}, True),
    ("deepeyes", r"\boxed{12.8}", "12.5", {"type": "number", "tolerance": 0.2}, False),
    ("deepeyes", "<answer>Sales, 2020</answer>", "sales, 2020", {"type": "exact"}, True),
    # ViRL39K: letters and LaTeX
    ("virl39k", r"\boxed{C}", "C", {}, True),
    ("virl39k", r"\boxed{\text{C}}", r"$\text{C}$", {}, True),
    ("virl39k", r"\boxed{C}", r"\boxed{C}", {}, True),
    ("virl39k", r"\boxed{\frac{\sqrt{5}-1}{2}}", r"$\frac{\sqrt{5} - 1}{2}$", {}, True),
    ("virl39k", r"\boxed{0.618}", r"$\frac{\sqrt{5} - 1}{2}$", {}, True),  # rounded to three digits
    ("virl39k", r"\boxed{0.62}", r"$\frac{\sqrt{5} - 1}{2}$", {}, False),  # to two
    ("virl39k", r"\boxed{0.619}", r"$\frac{\sqrt{5} - 1}{2}$", {}, False),
    ("virl39k", r"\boxed{0.54}", "0.5", {}, False),  # a decimal is exact
    ("virl39k", r"\boxed{0.5}", "0.54", {}, False),
    ("virl39k", r"\boxed{0.333}", r"\frac{1}{3}", {}, True),
    ("virl39k", r"\boxed{\frac{2}{6}}", r"\frac{1}{3}", {}, True),
    ("virl39k", r"\boxed{3.0 \times 10^8}", r"3 \times 10^{8}", {}, True),
    ("virl39k", r"\boxed{3 \times 10^8 \text{ m/s}}", r"3\times10^8", {}, True),
    ("virl39k", r"\boxed{3 \times 10^7}", r"3 \times 10^8", {}, False),
    ("virl39k", r"\boxed{\text{Wednesday}}", "Wednesday", {}, True),
    ("virl39k", r"\boxed{Tuesday}", "Wednesday", {}, False),
    ("virl39k", r"\boxed{-\frac{1}{2}}", "-0.5", {}, True),
    ("virl39k", r"\boxed{x > 3}", "3 < x", {}, True),
    ("virl39k", r"\boxed{x \geq 3}", "x>3", {}, False),
    ("virl39k", r"\boxed{2n+1}", "1+2n", {}, True),
    ("virl39k", r"\boxed{2n-1}", "2n+1", {}, False),
    ("virl39k", r"\boxed{a = 1, b = 2}", "a=1, b=2", {}, True),
    ("virl39k", r"\boxed{12345678901234567891}", "12345678901234567890", {}, False),
    ("virl39k", r"\boxed{AC}", "AC", {}, True),
    ("virl39k", r"\boxed{A, C}", "AC", {}, True),
    ("virl39k", r"\boxed{A}", "AC", {}, False),
    # Geometry3K
    ("geometry3k", r"\boxed{52.5}", "52.5", {}, True),
    ("geometry3k", r"\boxed{52.5^\circ}", "52.5", {}, True),
    ("geometry3k", r"\boxed{m\angle ABC = 52.5^\circ}", "52.5", {}, True),
    ("geometry3k", r"\boxed{15\sqrt{3}}", r"15 \sqrt { 3 }", {}, True),
    ("geometry3k", r"\boxed{25.98}", r"15 \sqrt { 3 }", {}, True),
    ("geometry3k", r"\boxed{26}", r"15 \sqrt { 3 }", {}, False),
    ("geometry3k", r"\boxed{15\sqrt{2}}", r"15 \sqrt { 3 }", {}, False),
    ("geometry3k", r"\boxed{\frac{45}{\sqrt{3}}}", r"15 \sqrt { 3 }", {}, True),
    ("geometry3k", r"\boxed{8\pi}", r"8 \pi", {}, True),
    ("geometry3k", r"\boxed{25.13}", r"8 \pi", {}, True),
    ("geometry3k", r"\boxed{8}", r"8 \pi", {}, False),
    ("geometry3k", r"\boxed{AB = 12}", "12", {}, True),
    ("geometry3k", r"\boxed{12 \text{ m}}", "12 cm", {}, False),  # units contradict
    ("geometry3k", r"\boxed{12 \text{ centimeters}}", "12 cm", {}, True),
    ("geometry3k", r"\boxed{12\text{ cm}^2}", "12 cm", {}, False),
    ("geometry3k", r"\boxed{3x + 2}", "2 + 3x", {}, True),
    # PyVision
    ("pyvision_image", r"\boxed{42}", "42", {}, True),
    ("pyvision_image", r"\boxed{D}", "D", {}, True),
    ("pyvision_image", r"\boxed{the blue one}", "The blue one", {}, True),
    ("pyvision_image", r"\boxed{the red one}", "The blue one", {}, False),
    ("pyvision_image", r"\boxed{75%}", "0.75", {}, True),
    # found by trying to fool the scorer
    ("virl39k", r"\boxed{y = 3}", "x=3", {}, False),
    ("virl39k", r"\boxed{x = x}", "x=3", {}, False),
    ("virl39k", r"\boxed{x = 3}", "x=3.0", {}, True),
    ("virl39k", r"\boxed{f(x) = 2x}", "y=2x", {}, True),
    ("virl39k", r"\boxed{2, -2}", r"\pm 2", {}, True),
    ("virl39k", r"\boxed{2}", r"\pm 2", {}, False),
    # a number that has to be worked out
    ("virl39k", r"\boxed{5!}", "120", {"type": "number"}, True),
    ("virl39k", r"\boxed{\log_2 8}", "3", {"type": "number"}, True),
    ("virl39k", r"\boxed{3x}", "3", {"type": "number"}, False),
    ("virl39k", r"\boxed{3, 4}", "3", {"type": "number"}, False),
    ("virl39k", r"\boxed{\text{three}}", "3", {"type": "number"}, True),
    ("virl39k", "The total is 3 minus 1, which is 2.", "2", {"type": "number"}, True),
    ("virl39k", "The total is 3 minus 1, which is 2.", "3", {"type": "number"}, False),
]
