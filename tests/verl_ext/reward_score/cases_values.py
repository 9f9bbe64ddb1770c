# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Values and forms of formulas: (dataset, what the model says at its end, truth, scoring details, right?)."""

MATH, NUMBER = {"type": "math"}, {"type": "number"}
TEXT, FLOAT = {"answer_type": "text"}, {"answer_type": "float"}

# Infinities, undefined values and functions of them equal no number and no formula.
_NOTHING = (
    r"\max(1,\infty)", r"\min(-\infty, 3)", r"\infty - \infty", r"\frac{\infty}{\infty}", r"0 \cdot \infty",
    r"\frac{1}{0}", r"\frac{0}{0}", r"\log 0", r"\tan 90^\circ", r"\lim_{x \to 0} \frac{1}{x}", r"|\infty|",
    r"\lfloor \infty \rfloor", r"\gcd(0, \infty)", r"\infty!", r"\sin \infty", r"\sum_{k=1}^{\infty} k", r"\infty^0",
    r"\{\}", r"\emptyset", r"(\max(1,\infty), \max(1,\infty))", r"\max(x,\infty)", r"\sqrt{\infty}", r"e^{\infty}",
    r"\int_0^\infty x dx", r"9^{9^{9}}", r"10^{-10^{10^{10}}}", r"\infty \equiv \infty", r"\infty", "NaN",
)  # fmt: skip
_SIDE_BY_SIDE = [  # (says, the sum or product that a parser makes of it)
    ("5 6", "11"), ("10 20 30", "60"), (r"5 \quad 6", "11"), (r"5\ 6", "11"), ("{5}{6}", "30"), (r"5\,6", "11"),
    ("5{6}", "30"), (r"5~6", "11"), (r"5 \equiv 6", "11"), (r"5 \equiv 6", "1"), (r"2 \frac{1}{2} 3", "5.5"),
    ("2 3x", "5x"), ("x 5 6", "11x"), (r"\sqrt{4} 3", "6"), (r"5 \sim 6", "11"), (r"1\;1", "2"), (r"5 \& 6", "11"),
    (r"3 \text{ } 4", "7"), ("2 1 1/2", "3"),
]  # fmt: skip
_CODES = [
    ("12B", "B12"), ("B12", "12B"), ("B12", "12 B"), ("2A3", "3A2"), ("A1", "1A"), ("7X", "X7"), ("12AB", "12BA"),
    ("b12", "12b"), ("Q4", "4Q"), ("3D", "D3"), ("A4B", "B4A"), ("N95", "95N"), ("AB12", "12AB"), ("2C3", "6C"),
    ("F16", "16F"), ("x2", "2x"),
]  # fmt: skip
_EQUAL = [
    (r"\frac{x^2-1}{x-1}", "x+1"), (r"(a-b)(a+b)", "a^2-b^2"), (r"2\sin x\cos x", r"\sin(2x)"),
    ("2^{2024}", "2^{2024}"),
    (r"4^{1012}", "2^{2024}"), ("10^{400}", r"10 \times 10^{399}"), (r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}"),
    (r"\sqrt{8}x", r"2\sqrt{2}x"), (r"\log_2 x^2", r"\frac{2\ln |x|}{\ln 2}"), (r"\sin 30^\circ", "0.5"),
    (r"\binom{5}{2}", "10"), (r"\lfloor 3.7 \rfloor", "3"), (r"-(1-x)", "x-1"), (r"x^{-2}", r"\frac{1}{x^2}"),
    (r"(1+i)^2", "2i"), (r"\max(3, 7)", "7"), (r"5! + 1", "121"), (r"2x+4y=12", "x+2y=6"), (r"a > 2b", "2b < a"),
    ("1.00000000000000000000000000000000000", "1"), ("0." + "3" * 40, r"\frac{1}{3}"), (r"e^{2\ln 3}", "9"),
    (r"1\frac{1}{2}x", r"\frac{3x}{2}"),
]  # fmt: skip
_DIFFERENT = [
    (r"\frac{x^2-1}{x-1}", "x-1"), ("|x|", "x"), (r"\sqrt{x^2}", "x"), ("2^{2024}", "2^{2025}"),
    ("10^{400}", "10^{401}"),
    ("10^{400}", "5"), ("2^{2024}", "3"), ("9" * 35, "9" * 34 + "8"), ("1." + "0" * 30 + "1", "2"), (r"x^2+1", "x^2+2"),
    (r"a > 2b", "2b > a"), (r"2x+4y=12", "x+2y=7"), ("3 < 5", "2 < 7"), ("5 = 5", "x = x"), (r"\sin x", r"\cos x"),
    ("x'", "x"), (r"\lfloor x \rfloor", "x"), (r"\binom{5}{2}", "5"), (r"x \equiv 1", "x = 1"), ("1 + 10^{-20}", "1"),
]  # fmt: skip
_FORMS = [  # (says, truth, right?)
    (r"1 < x \le 3", "(1, 3]", True), ("(1, 3]", r"1 < x \leq 3", True), (r"x > 2", r"(2, \infty)", True),
    (r"(2, +\infty)", "x > 2", True), (r"[2, \infty)", "x > 2", False), (r"3 \ge x > 1", "(1, 3]", True),
    (r"x \in [0, 1)", r"0 \le x < 1", True), (r"x \in [0, 1]", r"0 \le x < 1", False),
    ("1 < y < 3", "1 < x < 3", False),
    (r"x < 1 \text{ or } x > 3", r"(-\infty, 1) \cup (3, \infty)", True),
    (r"x < 1 \text{ or } x > 3", r"(1, 3)", False),
    (r"(3, \infty) \cup (-\infty, 1)", r"x < 1 \text{ or } x > 3", True), (r"\{x \mid 1 < x < 3\}", "(1, 3)", True),
    (r"x > 1 \text{ and } x < 3", "1 < x < 3", True), (r"x \geqslant \frac{1}{2}", r"[0.5, \infty)", True),
    (r"x < 2", r"(2, \infty)", False), (r"1 < x > 3", "(1, 3)", False), ("x > 3", "3", False),
    (r"(-\infty, \infty)", r"(-\infty, 3)", False), (r"x > \infty", "x > 3", False),
    (r"(x, y) = (1, 2)", "(1, 2)", True),
    ("(1, 2)", "(x, y) = (1, 2)", True), ("x = 1, y = 2", "(x, y) = (1, 2)", True), ("x = 1, y = 2", "(1, 2)", True),
    ("y = 2, x = 1", "(1, 2)", True), ("y = 1, x = 2", "(1, 2)", False), ("(y, x) = (1, 2)", "(x, y) = (1, 2)", False),
    ("(y, x) = (2, 1)", "(x, y) = (1, 2)", True), ("(x, y) = (2, 1)", "(1, 2)", False), ("P = (3, 4)", "(3, 4)", True),
    ("a = 3, b = 4, c = 5", "(a, b, c) = (3, 4, 5)", True), ("(3, 4)", "a = 3, b = 4, c = 5", False),
    (r"\angle A = 30^\circ", "30", True), ("AB = 5", "x = 5", True), ("(a, b) = (1, 2)", "(x, y) = (1, 2)", False),
    ("100,200,300", "100, 200, 300", True), ("100, 200, 300", "100,200,300", True), ("100,200", "100,300", False),
    ("(100,200,300)", "(100, 200, 300)", True), ("100,200,300", "100, 300, 400", False),
    ("100200300", "100, 200, 300", False),
    (r"\{100,200\}", r"\{200, 100\}", True), ("(120,350)", "(120, 350)", True), ("120350", "(120, 350)", False),
    (r"32,\!349", "32349", True), (r"32,\!349", "32,349", True), (r"1,\!234,\!567.5", "1234567.5", True),
    (r"32,\!349", "32", False), (r"32{,}349", "32349", True), (r"32,\!349", "32,\\!348", False),
    (r"0.\overline{3}", r"\frac{1}{3}", True), (r"0.\overline{3}", "0.3", False),
    (r"0.1\overline{6}", r"\frac{1}{6}", True),
    (r"0.\dot{3}", r"\frac{1}{3}", True), (r"0.\overline{142857}", r"\frac{1}{7}", True),
    (r"-1.\overline{36}", r"-\frac{15}{11}", True),
    (r"\frac{1}{3}", r"0.\overline{3}", True), (r"0.\overline{36}", r"0.3\overline{6}", False),
    (r"0.\overline{9}", "1", True),
    (r"12.\overline{5}\%", r"\frac{113}{9}\%", True), (r"0.\bar{6}", r"\frac{2}{3}", True),
    (r"\overline{3}", "3", False),
    (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", r"\begin{bmatrix}1&2\\3&4\end{bmatrix}", True),
    (r"\left(\begin{array}{cc} 1 & 2 \\ 3 & 4 \end{array}\right)", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", True),
    (r"[[1, 2], [3, 4]]", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", True),
    (r"\begin{pmatrix}1&3\\2&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", False),
    (r"\begin{pmatrix}1&2&3&4\end{pmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", False),
    (r"\begin{vmatrix}1&2\\3&4\end{vmatrix}", r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", False),
    (r"\begin{pmatrix}\frac{1}{2}\\0.5\end{pmatrix}", r"\begin{bmatrix}0.5\\ \frac12\end{bmatrix}", True),
    (r"\begin{pmatrix}-7\\16\\5\end{pmatrix}", "(-7, 16, 5)", True), (r"\langle 1, 2 \rangle", "(1, 2)", True),
    (r"\begin{pmatrix}5\\16\\-7\end{pmatrix}", "(-7, 16, 5)", False),
    (r"\begin{pmatrix}1&2\\3&5\end{pmatrix}", "[[1,2],[3,4]]", False),
    (r"x = 1 \pm \sqrt{2}", r"1 + \sqrt{2}, 1 - \sqrt{2}", True), (r"\pm 3", "3, -3", True), (r"\pm 3", "3", False),
]  # fmt: skip

CASES = [
    *[("mathvision", rf"\boxed{{{said}}}", truth, MATH, False) for said in _NOTHING for truth in ("12", "x+1")],
    *[("dynamath", rf"\boxed{{{said}}}", "3.5", FLOAT, False) for said in _NOTHING],
    *[("virl39k", rf"\boxed{{{said}}}", truth, MATH, False) for said, truth in _SIDE_BY_SIDE],
    *[("virl39k", rf"\boxed{{{said}}}", truth, MATH, False) for said, truth in _CODES],
    *[("virl39k", rf"\boxed{{{truth}}}", truth, MATH, True) for _, truth in _CODES if truth[0].isdigit()],
    *[("virl39k", rf"\boxed{{{said}}}", truth, MATH, True) for said, truth in _EQUAL],
    *[("virl39k", rf"\boxed{{{said}}}", truth, MATH, False) for said, truth in _DIFFERENT],
    *[("virl39k", rf"\boxed{{{said}}}", truth, MATH, right) for said, truth, right in _FORMS],
    ("virl39k", r"\boxed{(5)(6)}", "30", MATH, True),
    ("virl39k", r"\boxed{5 \cdot 6}", "30", MATH, True),
    ("virl39k", r"\boxed{5 \frac{1}{2}}", "5.5", MATH, True),
    ("virl39k", r"\boxed{2x}", r"x \cdot 2", MATH, True),
    ("virl39k", r"\boxed{(-\infty, 3]}", r"x \le 3", MATH, True),
    ("virl39k", r"\boxed{+\infty}", r"\infty", MATH, True),
    ("virl39k", r"\boxed{-\infty}", r"\infty", MATH, False),
    ("virl39k", r"\boxed{\max(1, \infty)}", r"\infty", MATH, False),
    ("virl39k", r"\boxed{(1, \infty)}", r"(1, +\infty)", MATH, True),
    # times
    ("dynamath", r"\boxed{3:00}", "3:0", TEXT, True),
    ("dynamath", r"\boxed{3:05}", "3:5", TEXT, True),
    ("dynamath", r"\boxed{3:50}", "3:5", TEXT, False),
    ("dynamath", r"\boxed{03:00}", "3:0", TEXT, True),
    ("dynamath", r"\boxed{3:00 \text{ PM}}", "3:0", TEXT, True),
    ("dynamath", r"\boxed{3:30}", "3:0", TEXT, False),
    ("dynamath", r"\boxed{4:00}", "3:0", TEXT, False),
    ("dynamath", r"\boxed{3:0}", "3:0", TEXT, True),
    ("dynamath", r"\boxed{12:08}", "12:8", TEXT, True),
    ("dynamath", r"\boxed{0}", "3:0", TEXT, False),
    ("dynamath", r"\boxed{3}", "3:0", TEXT, False),
]
