# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers, units, equations, and sentences that hold them: each wrong answer beside its right neighbour."""

NUMBER, MATH = {"type": "number"}, {"type": "math"}
TEXT = {"answer_type": "text"}
FLOAT = {"answer_type": "float"}

_NO_TWELVE = (  # not 12, whatever 12 stands in them
    r"12x", r"12n", r"12k", r"12N", r"12K", r"12t", r"12h", r"12i", r"12nm", r"12xyz", r"12 x", r"12 m n", r"12\alpha",
    r"12\theta", r"12\text{ M}", r"12 \text{ million}", r"12\text{ hundred}", r"12\text{ dozen}", r"12\text{ squared}",
    r"12\text{ factorial}", r"12\text{ tenths}", r"12!", r"12'", r"12_8", r"12\text{万}", r"12\text{ base }8",
    r"2x = 12", r"\frac{x}{2} = 12", r"x^2 = 12", r"\log x = 12", r"2\theta = 12", r"-x = 12", r"\sqrt{x} = 12",
    r"\text{The square of it is } 12", r"\text{The answer is not } 12", r"\text{at least } 12",
)  # fmt: skip
_TWELVE = (
    r"12\text{ N}", r"12\text{N}", r"12 N", r"12\text{ kN}", r"12\text{ Pa}", r"12\text{ K}", r"12\text{ kJ}",
    r"12\text{ mA}", r"12\text{ Wb}", r"12\text{ eV}", r"12\text{ nm}", r"12\text{ dB}", r"12\text{ kΩ}",
    r"12\,\mathrm{k\Omega}", r"12\text{ N·m}", r"12\text{ N m}", r"12\,\text{N}\cdot\text{m}", r"12\text{ J/(kg·K)}",
    r"12\text{ mol/L}", r"12\text{ s}^{-1}", r"12\text{ m} \cdot \text{s}^{-1}", r"12\,\mathrm{m\,s^{-1}}",
    r"12\text{ m/s²}", r"12\mu\text{F}", r"12\text{ 元}", r"12个", r"12平方厘米", r"12\text{ square feet}",
    r"12\text{ o'clock}", r"12\text{ apples}", r"12^\circ\mathrm{C}", r"12cm", r"12V", r"\text{Twelve apples}",
    r"\text{The area is } 12", r"\sim 12", r"\color{red}{12}", r"\bm{12}", r"\large 12", r"\underline{12}",
    r"x = 12", r"F = 12\text{ N}", r"a + b = 12", r"x_1 + x_2 = 12", r"\frac{AB}{CD} = 12", r"f(2) = 12", r"S_n = 12",
    r"\tan x = 12", r"m\angle 1 = 12", r"P(A) = 12", r"\overline{AB} = 12",
)  # fmt: skip
_NO_TWELVE_SAID = (
    r"The area is $12\pi$.", r"So the length is $\sqrt{12}$.", "The perimeter is $12x$.", r"It is $\frac{12}{x}$.",
    "The area equals $x^{12}$.", "There are at least 12.", "There are at most 12 of them.", "The area is half of 12.",
    "The answer is $12+k$.", "The answer is n - 12.", "The answer is log 12.", r"The answer is $\log 12$.",
    "The answer is 12 or more.", "The answer is 12 squared.", "So y^2 = 12.", "Therefore 2x = 12.",
    r"So $\sqrt{x} = 12$.", "The answer is 3. Each of the 4 sides is 12.", "The answer is 3, where x = 12.",
    "Answer: 24 cm, half of which is 12", "The answer is 1*2.",
)  # fmt: skip
_TWELVE_SAID = (
    "So there are 12 of them.", "So, we need **12** tiles.", "The area is $12$ square units.", "The price is $12.",
    "Hence $x = 12$.", "Thus $$x=12$$", r"Hence, $AB = 12\text{ cm}$.", "We have 3x = 36, so x = 12.",
    "The answer is 12. Each side is 3.", "The answer is 12 cm. Each side is 3.", "The answer is 12, where x = 3.",
    "The answer is **12**, since it is even.", "The answer is 3*4.", "The answer is 3 * 4.", "**Answer:** **12**",
    "* 12",
)  # fmt: skip

CASES = [
    *[("virl39k", rf"\boxed{{{said}}}", "12", NUMBER, False) for said in _NO_TWELVE],
    *[("mathvision", rf"\boxed{{{said}}}", "12", MATH, False) for said in _NO_TWELVE],
    *[("virl39k", rf"\boxed{{{said}}}", "12", NUMBER, True) for said in _TWELVE],
    *[("mathvision", rf"\boxed{{{said}}}", "12", MATH, True) for said in _TWELVE],
    *[("virl39k", said, "12", NUMBER, False) for said in _NO_TWELVE_SAID],
    *[("mathvision", said, "12", MATH, False) for said in _NO_TWELVE_SAID],
    *[("dynamath", said, "12", FLOAT, False) for said in _NO_TWELVE_SAID],
    *[("virl39k", said, "12", NUMBER, True) for said in _TWELVE_SAID],
    *[("mathvision", said, "12", MATH, True) for said in _TWELVE_SAID],
    # units against units
    ("virl39k", r"\boxed{40}", "40 N", {}, True),
    ("virl39k", r"\boxed{F = 40\text{ N}}", "40 N", {}, True),
    ("virl39k", r"\boxed{40\text{ J}}", "40 N", {}, False),
    ("virl39k", r"\boxed{40\text{ kPa}}", "40 Pa", {}, False),
    ("virl39k", r"\boxed{40\text{ mW}}", "40 MW", {}, False),
    ("virl39k", r"\boxed{40\text{ m/s}}", r"40 m \cdot s^{-1}", {}, True),
    ("virl39k", r"\boxed{40\text{ m/s}^2}", "40 m/s", {}, False),
    ("virl39k", r"\boxed{40\text{ mph}}", "40 miles per hour", {}, True),
    ("virl39k", r"\boxed{3.2 \times 10^{-5} \, \text{mol/L}}", r"3.2 \times 10^{-5}", {}, True),
    ("virl39k", r"\boxed{\$5}", "5 dollars", {}, True),
    ("virl39k", r"\boxed{€5}", "$5", {}, False),
    ("virl39k", r"\boxed{3h}", "3t", {}, False),
    ("virl39k", r"\boxed{11th}", "11", {}, True),
    # words
    ("virl39k", r"\boxed{\text{two thirds}}", "2", NUMBER, False),
    ("virl39k", r"\boxed{\text{two point five}}", "2", NUMBER, False),
    ("virl39k", r"\boxed{\text{one half}}", "1", NUMBER, False),
    ("virl39k", r"\boxed{\text{one hundred twenty}}", "100", NUMBER, False),
    ("virl39k", r"\boxed{\text{one hundred}}", "100", NUMBER, True),
    ("virl39k", r"\boxed{\text{twenty five}}", "20", NUMBER, False),
    ("virl39k", r"\boxed{\text{twenty five}}", "25", NUMBER, True),
    ("virl39k", r"\boxed{\text{twenty-five}}", "25", NUMBER, True),
    ("virl39k", r"\boxed{\text{forty}}", "42", NUMBER, False),
    ("visualprobe", "<answer>three quarters</answer>", "three", {}, False),
    ("visualprobe", "<answer>one lane</answer>", "One Way", {}, False),
    ("visualprobe", "<answer>one way</answer>", "One Way", {}, True),
    ("mmsearch", "<answer>One World Trade Center</answer>", "One Direction", {}, False),
    ("visualprobe", "<answer>There are three birds.</answer>", "3", {}, True),
    ("visualprobe", "<answer>There are 3 birds.</answer>", "3", {}, True),
    ("visualprobe", "<answer>at least 3</answer>", "3", {}, False),
    # spellings
    ("virl39k", r"\boxed{2½}", r"\frac{5}{2}", {}, True),
    ("virl39k", r"\boxed{2½}", r"\frac{21}{2}", {}, False),
    ("virl39k", r"\boxed{1\text{,}024}", "1024", {}, True),
    ("virl39k", r"\boxed{1\colon 2}", "1:2", {}, True),
    ("virl39k", r"\boxed{2\sqrt{3} \approx 3.46}", r"2\sqrt{3}", NUMBER, True),
    ("virl39k", r"\boxed{2\sqrt{3} \approx 3.56}", r"2\sqrt{3}", NUMBER, False),
    ("virl39k", r"\boxed{5 \approx 3.46}", "3.46", {}, False),
    ("geometry3k", r"\boxed{x \approx 12.5}", "12.5", {}, True),
    ("mathvision", r"\boxed{2\sqrt{3} \approx 3.46}", "A", {"options": [r"$2\sqrt{3}$", r"$3\sqrt{2}$"]}, True),
    ("mathvision", r"\boxed{\overline{AB}}", "AB", MATH, True),
    # dates, scores
    ("pyvision_image", "<answer>2024-09-03</answer>", "2024-03-09", {}, False),
    ("pyvision_image", "<answer>2024-03-09</answer>", "2024-03-09", {}, True),
    ("visualprobe", "<answer>1/2/2012</answer>", "4/8/2012", {}, False),
    ("hr_mmsearch", "<answer>2024-09-03</answer>", "2024-03-09", {}, False),
    ("visualprobe", "<answer>2-0</answer>", "3-1", {}, False),
    ("visualprobe", "<answer>2</answer>", "3-1", {}, False),
    ("visualprobe", "<answer>1-3</answer>", "3-1", {}, False),
    ("visualprobe", "<answer>The score is 3-1.</answer>", "3-1", {}, True),
    ("mmsearch", "<answer>2-0</answer>", "3-1", {}, False),
    ("mmsearch", "<answer>3–1</answer>", "3-1", {}, True),
    ("mmsearch", "<answer>Ajax won 1-3</answer>", "Ajax won 3-1", {}, False),
    ("virl39k", r"\boxed{7-2}", "5", {}, True),
    # equations as truths
    ("virl39k", r"\boxed{6}", "3x+2y=6", {}, False),
    ("virl39k", r"\boxed{6}", "x+y=6", {}, False),
    ("virl39k", r"\boxed{6}", "x=6", {}, True),
    ("virl39k", r"\boxed{\frac{3}{5}}", r"\sin A=\frac{3}{5}", {}, True),
    ("virl39k", r"\boxed{5}", "2+3=5", {}, True),
    ("virl39k", r"\boxed{2x+1}", "y=2x+1", {}, True),
    ("virl39k", r"\boxed{2x+y=6}", "y=6-2x", {}, True),
    # sentences around what is no number
    ("mathvision", "So the ratio is 1:2.", "1:2", MATH, True),
    ("mathvision", "So the ratio is not 1:2.", "1:2", MATH, False),
    ("dynamath", "The vertex is at **(-2, 3)**.", "(-2.000, 3.000)", TEXT, True),
    ("dynamath", "The vertex is at **(2, 3)**.", "(-2.000, 3.000)", TEXT, False),
    ("fvqa", "The answer is U.S. Open.", "U.S. Open", {}, True),
    ("fvqa", "The answer is J. Crew.", "J. Crew", {}, True),
    ("fvqa", "The answer is 3 p.m. Eastern.", "3 p.m. Eastern", {}, True),
    ("fvqa", "The answer is Apollo 11. It flew in 1969.", "Apollo 11", {}, True),
    # formulas are not made of words
    *[
        ("dynamath", rf"\boxed{{{said}}}", truth, TEXT, said == truth)
        for truth, *answers in [
            ("y=2x+1", "y=2x-1", "y=-2x+1", "y=2x*1"),
            ("x>3", "x<3", "x>=3"),
            ("5x+6y=7", "5x-6y=7"),
            ("x+y", "x-y", "x*y"),
            ("x^2", "-x^2", "2x^2"),
            ("sin(x)", r"-\sin(x)", "sin(x)+x"),
            ("x", "x-y", "2x"),
            ("ln(x)", r"\ln(x)+x"),
            ("f(x)", "f'(x)"),
        ]
        for said in (truth, *answers)
    ],
    ("dynamath", r"\boxed{\sin x}", "sin(x)", TEXT, True),
    ("dynamath", r"\boxed{\ln x}", "ln(x)", TEXT, True),
    ("dynamath", r"\boxed{\text{the red dog}}", "red", TEXT, True),
    ("visualprobe", "<answer>C</answer>", "C++", {}, False),
    ("dynamath", "No, the two lines are not parallel.", "no", TEXT, True),
    ("dynamath", "Yes, the two lines are parallel.", "no", TEXT, False),
    ("dynamath", r"\boxed{\text{Yes, but no}}", "yes", TEXT, False),
]
