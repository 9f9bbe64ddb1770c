# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Turn the text of a cell into its value, and an exception into a few lines."""

from __future__ import annotations

import ast
import inspect
import linecache
import traceback

from cellrepair import parse_repaired
from errorhints import hint

MAX_FRAMES = 6


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
    code, tree = parse_repaired(code, lambda text: _compile(text, name, "exec", ast.PyCF_ONLY_AST))
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
    except CellTimeout:
        raise
    except BaseException:
        return "?"
    return message + hint(error)


def redrawn(text: str) -> str:
    """Return what a terminal shows of a text: a carriage return starts the line again, as progress bars do."""
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
