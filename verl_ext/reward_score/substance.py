# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Tell an answer from text that answers nothing, before a judge is asked.

Judges often accept an empty form: a colon, an emoji, or an opening such as "Let's solve this step by step". An answer
must hold a letter or a digit of any script that is no markup, and a word that does more than announce an answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

CHARS = 10_000  # An answer that says nothing for so long says nothing.

_TAG = re.compile(r"</?[A-Za-z_][^<>]{0,80}>|&(?:[a-z]{2,8}|#x?[0-9a-fA-F]{1,6});")
# These commands arrange other content. Commands that stand for a sign, such as ``\pi`` and ``\infty``, are content.
_LAYOUT = re.compile(
    r"\\(?:begin|end)(?![a-zA-Z])(?:\s*\{[^{}]{0,30}\})?"
    r"|\\(?:boxed|fbox|text[a-z]*|math[a-z]*|operatorname|mbox|hbox|displaystyle|textstyle|scriptstyle|left|right|middle"
    r"|[Bb]igg?[lrm]?|q?quad|[hv]space|hfill|hline|newline|par|noindent|rm|bf|it|sf|tt|cal|color|textcolor|underline"
    r"|overline|underbrace|overbrace|phantom|label|tag|displaylines|limits|nolimits|hphantom|vphantom|smash|strut)"
    r"(?![a-zA-Z])\*?"
)
# A variation selector makes an emoji of what precedes it, except of a digit (a keycap).
_EMOJI = re.compile(r"[^0-9#*]\ufe0f|\u2139")
# Unicode calls these letters, but they are blank.
_BLANK = re.compile(r"[\u115f\u1160\u3164\uffa0\u17b4\u17b5\u0673]")
_LETTERS = frozenset({"Lu", "Ll", "Lt", "Lo", "Nd", "Nl", "No"})
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_STEP = re.compile(r"\bsteps?\s*\d{1,3}\s*:", re.IGNORECASE)

# Words of openings and headings. Alone or together they announce an answer and give none.
_ANNOUNCES = frozenset(
    "the this that these is are be was will would can could shall should let let's lets us we i'll we'll i'm it it's "
    "its here here's there my our your me to of for by with as and so then now ok okay sure certainly "
    "answer answers solution solutions solve solved solving response responses reply result results output conclusion "
    "conclude explanation explain analysis analyze analyse reasoning reason thought thoughts thinking think process "
    "problem problems question questions task step steps stepwise summary therefore thus hence finally follows "
    "following provided given based start begin carefully break work find "
    "grade verdict assistant user system "
    "solución solucion respuesta resultado razonamiento paso pasos por la el es réponse reponse solution étape étapes "
    "antwort lösung losung ergebnis die der das ist lautet schritt für risposta soluzione resposta solução solucao "
    "ответ решение шаг за шагом рассуждение đáp án giải jawaban cevap çözüm उत्तर हल الجواب الإجابة الحل "
    "答案 答え 答 回答 解答 解 解决 解析 分析 思考 思路 过程 解题 解题过程 步骤 结论 结果 综上 综上所述 所以 因此 "
    "最终答案 答案是 答案为 让我们 让我们一步一步地思考 让我们一步一步来 让我们一步步思考 一步一步地思考 逐步思考 "
    "かいせつ 解説 こたえ 考え 思考過程 結論 解法 정답 답 풀이 해설 해답 결론 생각".split()
)
# These belong to an announcement only in front of one of its nouns: "a solution", "the correct answer is". On their own
# they may be the answer: option A, "correct".
_QUALIFIES = frozenset("a an i one correct right final first next best true proper full complete detailed".split())
_COPULAS = frozenset("is are be was and".split())


def says_something(candidate: str, references: Iterable[str] = ()) -> bool:
    """Return whether a text can be an answer, right or wrong.

    Args:
        candidate: the text that a judge would read.
        references: the accepted answers. One of them may consist of announcing words, such as the title "The Answer".
            A text that holds all of its words can be an answer.
    """
    words = _words(candidate)
    if not _announces(words):
        return bool(words)
    wanted = [set(_words(reference)) - {"the"} for reference in references]
    return any(reference and reference <= set(words) for reference in wanted)


def _words(text: str) -> list[str]:
    text = _EMOJI.sub(" ", _BLANK.sub(" ", _LAYOUT.sub(" ", _TAG.sub(" ", text[:CHARS]))))
    text = _STEP.sub("step", text)
    words = [word.casefold().replace("\u2019", "'") for word in _WORD.findall(unicodedata.normalize("NFC", text))]
    return [word for word in words if any(unicodedata.category(character) in _LETTERS for character in word)]


def _announces(words: list[str]) -> bool:
    """Return whether all words announce an answer."""
    following = [*words[1:], ""]
    return bool(words) and all(
        word in _ANNOUNCES or (word in _QUALIFIES and after not in _COPULAS and after in _ANNOUNCES | _QUALIFIES)
        for word, after in zip(words, following, strict=True)
    )
