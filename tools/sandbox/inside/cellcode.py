# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Turn the text of a cell into its value, and an exception into a few lines.

Models write cells as they have seen them in notebooks and chats. Some of it is valid there but not in Python and is
repaired first: Markdown fences, indentation of the whole cell, lines with ``%`` and ``!``.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
import textwrap
import traceback

MAX_FRAMES = 6
NO_SHELL = 'print("shell commands are not available")'
PACKAGES = ("numpy", "scipy", "sympy", "pandas", "PIL", "matplotlib")  # The message about a missing module lists these.

_FENCE = re.compile(r"\s*```[\w+-]*[ \t]*$")
_MAGIC = re.compile(r"^([ \t]*)(%%?[A-Za-z].*|!.*)$", re.MULTILINE)


class CellTimeout(BaseException):
    """Raised inside a cell whose time is up. ``except Exception`` does not catch it."""


def run_code(code: str, name: str, namespace: dict) -> tuple[object, bool]:
    """Run a cell.

    Args:
        code: the cell as the model wrote it.
        name: the name of the cell in tracebacks.
        namespace: its global variables.

    Returns:
        The value of its last line (None if that is not an expression), and whether a ``;`` behind it suppresses the
        output.
    """
    code, tree = _parse(_tidy(code), name)
    if not isinstance(linecache.cache, dict):  # An earlier cell has replaced it.
        linecache.cache = {}
    linecache.cache[name] = (len(code), None, [f"{line}\n" for line in code.split("\n")], name)
    last, quiet = None, False
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = tree.body.pop()
        line = code.split("\n")[last.end_lineno - 1].encode()  # Columns count bytes of UTF-8.
        quiet = line[last.end_col_offset :].lstrip().startswith(b";")
    _evaluate(_compile(tree, name, "exec"), namespace)
    if last is None:
        return None, quiet
    return _evaluate(_compile(ast.Expression(last.value), name, "eval"), namespace), quiet


def _compile(source, name: str, mode: str, flags: int = 0):
    # dont_inherit keeps the `from __future__` of this file away from the cell.
    return compile(source, name, mode, flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def _evaluate(code, namespace: dict):
    value = eval(code, namespace)
    if code.co_flags & inspect.CO_COROUTINE:  # The code contains an await.
        import asyncio

        value = asyncio.run(value)
    return value


def _tidy(code: str) -> str:
    """Remove fences around the code and indentation of the whole. Line numbers stay."""
    code = code.replace("\r\n", "\n").replace("\r", "\n")  # Python itself does the same.
    lines = code.split("\n")
    written = [i for i, line in enumerate(lines) if line.strip()]
    if written and _FENCE.match(lines[written[0]]):
        lines[written[0]] = ""
        if lines[written[-1]].strip() == "```":
            lines[written[-1]] = ""
        written = [i for i, line in enumerate(lines) if line.strip()]
        code = "\n".join(lines)
    if written and lines[written[0]][0] in " \t":
        return textwrap.dedent(code)
    return code


def _parse(code: str, name: str) -> tuple[str, ast.Module]:
    """Return the code, changed where it holds lines that only notebooks accept, and its syntax tree."""
    try:
        return code, _compile(code, name, "exec", ast.PyCF_ONLY_AST)
    except SyntaxError:
        plain = _MAGIC.sub(lambda found: found[1] + (NO_SHELL if found[2][0] == "!" else "pass"), code)
        if plain == code:
            raise
    return plain, _compile(plain, name, "exec", ast.PyCF_ONLY_AST)


def type_name(value) -> str:
    """Return the name of a value's class, which a metaclass cannot change."""
    return type.__dict__["__name__"].__get__(type(value))


def describe(error: BaseException, name: str) -> str:
    """Return the error and the lines of the cell that led to it, whatever the error's class does.

    The result is empty for an exit without a message.

    Args:
        error: the exception. Its class may be defined by the cell.
        name: name of the cell that raised it.
    """
    try:
        return _describe(error, name)
    except CellTimeout:
        raise
    except BaseException:
        return f"{type_name(error)}: ?"


def _describe(error: BaseException, name: str) -> str:
    if isinstance(error, SystemExit):  # Report what Python would at its end.
        number = 0 if error.code is None else error.code
        return str(number) if not isinstance(number, int) else f"exit status {number}" if number else ""
    kind = type_name(error)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith("<cell ")]
    if isinstance(error, SyntaxError) and error.filename == name and not frames:  # The cell itself is not valid Python.
        where = f"line {error.lineno}: {(error.text or '').strip()}\n" if error.lineno else ""
        return f"{where}{kind}: {error.msg}"
    lines = [f"line {f.lineno}: {f.line}" for f in frames[-MAX_FRAMES:]]
    if len(frames) > MAX_FRAMES:
        lines.insert(0, f"... {len(frames) - MAX_FRAMES} more lines ...")
    message = _message(error)
    return "\n".join([*lines, f"{kind}: {message}" if message else kind])


def _message(error: BaseException) -> str:
    try:
        if isinstance(error, SyntaxError) and error.msg is None:
            return ""
        message = str.__str__(str(error))  # The cell may define a subclass of str.
        if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] not in sys.modules:
            message += f" (installed: {', '.join(package for package in PACKAGES if package in sys.modules)})"
        return message
    except CellTimeout:
        raise
    except BaseException:
        return "?"
