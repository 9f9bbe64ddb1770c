# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Run a small read-eval-print loop in the sandbox: ``python -m tools.sandbox``."""

from __future__ import annotations

import argparse
import codeop
import contextlib
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import pydantic

from tools.sandbox.errors import SandboxError
from tools.sandbox.notebook import Notebook
from tools.sandbox.options import SandboxOptions
from tools.sandbox.session import CellResult

DESCRIPTION = "Read cells of Python from standard input, run them in the sandbox and print what they return."
EPILOG = """\
A blank line ends a cell, and so does the end of the input. Variables last until the interpreter ends.

  printf 'x = 6\\n\\nx * 7\\n' | python -m tools.sandbox

exit status: 0 all cells were run, whatever they raised; 2 bad usage, or the sandbox failed
"""


def main(argv: list[str] | None = None) -> int:
    """Run the loop until the input ends.

    Args:
        argv: arguments without the program's name. The default is ``sys.argv``.

    Returns:
        The exit status.
    """
    args = _parser().parse_args(argv)
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  Importing it gives ``input`` a history.
    try:
        names = ("isolation", "code_timeout_s", "memory_mb", "disk_mb")
        options = SandboxOptions(**{name: getattr(args, name) for name in names})
        with Notebook(options) as notebook:
            for path in args.image:
                notebook.add_image(path)
            for number, code in enumerate(cells(_lines()), 1):
                try:
                    _print(notebook.run(code), options, args.output, number)
                except KeyboardInterrupt:
                    print("The cell was interrupted. Its changes are lost.")
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        return _fail(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except (SandboxError, OSError) as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.sandbox",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults = SandboxOptions()
    parser.add_argument(
        "--isolation",
        choices=("bubblewrap", "none"),
        default="bubblewrap",
        help="`none` runs the code without a jail and with all your rights (default: bubblewrap)",
    )
    for name, option, kind, unit, text in (
        ("--timeout", "code_timeout_s", float, "SECONDS", "time of one cell"),
        ("--memory-mb", "memory_mb", int, "MIB", "memory of the cells"),
        ("--disk-mb", "disk_mb", int, "MIB", "size of /tmp and of /work"),
    ):
        default = getattr(defaults, option)
        parser.add_argument(
            name, dest=option, type=kind, default=default, metavar=unit, help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--image", type=Path, action="append", default=[], metavar="PATH", help="becomes images[i]; repeatable"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="directory in which returned images are saved")
    return parser


def _fail(message: str) -> int:
    print(f"python -m tools.sandbox: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _lines() -> Iterator[str]:
    if not sys.stdin.isatty():
        yield from (line.rstrip("\n") for line in sys.stdin)
        return
    with contextlib.suppress(EOFError):
        while True:
            yield input("> ")


def cells(lines: Iterable[str]) -> Iterator[str]:
    """Split lines into cells. A blank line ends a cell unless the code before it is incomplete."""
    cell: list[str] = []
    for line in lines:
        if line.strip() or (cell and not _is_complete("\n".join(cell))):
            cell.append(line)
        elif cell:
            yield "\n".join(cell)
            cell = []
    if any(line.strip() for line in cell):
        yield "\n".join(cell)


def _is_complete(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return codeop.compile_command(code, symbol="exec") is not None
    except (SyntaxError, ValueError, OverflowError):
        return True  # No further line can mend it. The interpreter reports the error.


def _print(result: CellResult, options: SandboxOptions, output: Path | None, number: int) -> None:
    """Print a cell's output as a notebook shows it."""
    for text in (result.stdout, result.value, result.error):
        if text:
            print(text.rstrip("\n"))
    if result.ended == "died":
        print("The interpreter ended (out of memory, a crash or an exit). Variables are lost.")
    elif result.ended == "time":
        print(f"The cell did not stop after {options.code_timeout_s:g} s. Variables are lost.")
    elif result.timed_out:
        print(f"The cell was stopped after {options.code_timeout_s:g} s. Variables are kept.")
    if result.lost_variables:
        print("The interpreter was restarted. Some variables are lost.")
    for index, (label, image) in enumerate(result.images):
        where = ""
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            path = output / f"cell{number}_{index}.png"
            image.save(path)
            where = f", saved as {path}"
        print(f"[{label}: {image.width}x{image.height} px{where}]")
    if result.skipped_images:
        print(f"[{result.skipped_images} more images]")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
