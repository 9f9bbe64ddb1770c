# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Repair cells that are common in notebooks and chats, but are not valid Python.

Nothing is changed in a cell that Python can parse. Otherwise the code is taken out of what surrounds it (Markdown
fences, tags, prompts, indentation of the whole), and lines are changed that only notebooks accept. Only a line at which
the parser stops is changed, and the parser never stops inside a string.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator

NO_SHELL = "shell commands are not available"
PYTHON = {"python", "py", "python3", "py3", "ipython", "ipython3", "pycon", "tool_code", "code"}
SHELL = {"bash", "sh", "shell", "console", "zsh", "terminal"}
# Cell magics whose text is Python. The text of all others is something else.
PYTHON_CELLS = {"time", "timeit", "capture", "prun", "python", "python3", "px"}
# Characters that look like a space, or like nothing.
INVISIBLE = {0xA0: " ", 0x3000: " ", 0x200B: None, 0x200C: None, 0x200D: None, 0x2060: None, 0xFEFF: None}

_FENCED = re.compile(
    r"^[ \t]*(?P<mark>```+|~~~+)[ \t]*(?P<kind>[^\s`]*)[^\n`]*$(?P<body>.*?)(?:^[ \t]*(?P=mark)[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_FENCE_LINE = re.compile(r"^[ \t]*(?:```+|~~~+)[^\n`]*$", re.MULTILINE)
_TAG = r"(?P<tag>code|python|py|pre|tool|tool_code|execute\w*|interpreter|code_interpreter)"
# No quotation mark, bracket or assignment is in front of the tag, so it is not in a string of the code.
_TAGGED = re.compile(
    rf"^(?:[^\n\"'(=<]|\b'\b)*<{_TAG}(?:\s[^>\n]*)?>(?P<body>.*?)(?:</(?P=tag)>|\Z)",
    re.MULTILINE | re.DOTALL | re.IGNORECASE,
)
_TAG_LINE = re.compile(rf"^[ \t]*</?{_TAG}>[ \t]*$", re.MULTILINE | re.IGNORECASE)
_PROMPT = re.compile(r"[ \t]*(?:>>>|\.\.\.|In \[\d*\]:|\.\.\.:)(?: |$)")
_MAGIC = re.compile(
    r"(?P<indent>[ \t]*)(?P<target>[\w.,\[\] ]+=[ \t]*)?(?P<mark>%%?(?=[A-Za-z])|!)(?P<text>.*)", re.DOTALL
)
_INSTALL = re.compile(r"(?P<indent>[ \t]*)(?:python3? -m )?(?:pip3?|conda|apt|apt-get|sudo|uv) [\w-]+.*")
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")

Parse = Callable[[str], ast.Module]


def parse_repaired(code: str, parse: Parse) -> tuple[str, ast.Module]:
    """Return the code, repaired if that is necessary, and its syntax tree. Line numbers stay.

    Raises:
        SyntaxError: the code cannot be repaired.
    """
    code = code.replace("\r\n", "\n").replace("\r", "\n")  # Python itself does the same.
    try:
        return code, parse(code)
    except SyntaxError:
        pass
    cell = _CELL_MAGIC.match(code)
    if cell and cell[1].lower() not in PYTHON_CELLS:
        code = f'print("%%{cell[1]} is not available: cells are Python")'
        return code, parse(code)
    error: SyntaxError | None = None
    for candidate in _candidates(code, parse):
        try:
            return _parse_lines(_without_indent(_without_prompts(candidate)), parse)
        except SyntaxError as found:
            error = error or found  # Of the most likely candidate.
    raise error


def _candidates(code: str, parse: Parse) -> Iterator[str]:
    """Return what may be the code, the most likely first."""
    inner = code
    if (first := _TAGGED.search(code)) and not _is_in_string(code[: first.start()], parse):
        inner = _only(code, [found.span("body") for found in _TAGGED.finditer(code)])
    inner = _TAG_LINE.sub("", inner)
    blocks = list(_FENCED.finditer(inner))
    if blocks and not _is_in_string(inner[: blocks[0].start()], parse):
        yield from _blocks(inner, blocks)
    elif inner != code:
        yield inner
    yield code


def _blocks(code: str, blocks: list[re.Match]) -> Iterator[str]:
    """Return the code inside fences. Blocks without a language are output if others are marked as Python."""
    kinds = [block["kind"].strip("{}.").lower() for block in blocks]
    for wanted in (PYTHON, {""}):
        spans = [block.span("body") for block, kind in zip(blocks, kinds, strict=True) if kind in wanted]
        if any(code[start:end].strip() for start, end in spans):
            inside = _only(code, spans)
            yield inside
            if inside.rstrip().endswith("```"):
                yield inside.rstrip().rstrip("`")
            break
    else:
        if set(kinds) & SHELL:
            yield f'print("{NO_SHELL}")'
    lines = list(_FENCE_LINE.finditer(code))
    if len(lines) > 2:  # Fences inside a string of the code.
        yield _only(code, [(lines[0].end(), lines[-1].start())])
    yield _FENCE_LINE.sub("", code)


def _only(code: str, spans: list[tuple[int, int]]) -> str:
    """Return the parts of the code, each on the lines where it was. Each loses its own indentation."""
    parts, done = [], 0
    for start, end in spans:
        parts += ["\n" * code.count("\n", done, start), textwrap.dedent(code[start:end])]
        done = end
    return "".join(parts)


def _is_in_string(before: str, parse: Parse) -> bool:
    """Return True if a string with triple quotes is open at the end of this text."""
    try:
        parse(before)
    except SyntaxError as error:
        return "triple-quoted" in (error.msg or "")
    return False


def _without_indent(code: str) -> str:
    first = next((line for line in code.split("\n") if line.strip()), "")
    return textwrap.dedent(code) if first[:1] in (" ", "\t") else code


def _without_prompts(code: str) -> str:
    """Return the input of a transcript with prompts. All other lines of it are output."""
    lines = code.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if not (prompt := _PROMPT.match(first)) or prompt[0].strip().startswith("..."):
        return code
    return "\n".join(line[found.end() :] if (found := _PROMPT.match(line)) else "" for line in lines)


def _parse_lines(code: str, parse: Parse) -> tuple[str, ast.Module]:
    """Parse code and change each line at which the parser stops, if notebooks accept it."""
    lines = code.split("\n")
    while True:
        code = "\n".join(lines)
        try:
            return code, parse(code)
        except SyntaxError as error:
            number = (error.lineno or 0) - 1
            if not 0 <= number < len(lines) or not _change(lines, number):
                raise


def _change(lines: list[str], number: int) -> bool:
    """Change a line that only notebooks accept. Return False if it is no such line."""
    line = lines[number]
    visible = line.translate(INVISIBLE)
    if visible != line:
        lines[number] = visible
        return True
    if not (found := _MAGIC.fullmatch(line) or _INSTALL.fullmatch(line)):
        return False
    magic = found.groupdict()
    name, _, rest = magic.get("text", "").partition(" ")
    if magic.get("mark", "!") == "!" or name in ("pip", "conda", "sx", "system", "run"):
        plain = f'print("{NO_SHELL}")'
    elif name == "time" and rest.strip():
        plain = rest.strip()
    else:
        plain = "None" if magic["target"] else "pass"
    while line.endswith("\\") and number + 1 < len(lines):  # The command goes on in the next line.
        lines[number] = ""
        number += 1
        line = lines[number]
    lines[number] = f"{magic['indent']}{magic.get('target') or ''}{plain}"
    return True
