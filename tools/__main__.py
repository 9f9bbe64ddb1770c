# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Implement the command line ``python -m tools run | check | list``.

Each command imports heavy modules only if needed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

TOOLS_DIR = Path(__file__).resolve().parent
OK, MISTAKE, FAILED = 0, 1, 2
EXIT_CODES = (
    "exit status: 0 success; 1 a mistake of the model, which is told about it; 2 bad usage or infrastructure failure"
)


class UsageError(Exception):
    """Raised to end the program with status 2 and a one-line message."""


class Conversation:
    """Stand in for verl's ``AgentData``: one trajectory that keeps its messages from call to call."""

    def __init__(self, images: list[Path]):
        content: list[dict] = [{"type": "image", "image": str(path)} for path in images]
        self.messages: list[dict] = [{"role": "user", "content": [*content, {"type": "text", "text": ""}]}]
        self.image_data = None
        self.request_id = uuid4().hex
        self.tools_kwargs: dict[str, Any] = {}


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments without the program's name. The default is ``sys.argv``.

    Returns:
        The exit status, see ``EXIT_CODES``.
    """
    args = _parser().parse_args(argv)
    try:
        return args.command(args)
    except UsageError as error:
        return _say(str(error), FAILED)


def _say(line: str, status: int) -> int:
    print(f"python -m tools: {' '.join(line.split())}", file=sys.stderr)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools", description="Try, check and list the tools.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="call a tool as the model would",
        description="Call a tool as the model would: the class, options and limits of a training run.",
        epilog=EXIT_CODES,
    )
    run.add_argument("tool", metavar="TOOL", help="a name that `python -m tools list` shows")
    run.add_argument(
        "arguments",
        nargs="+",
        metavar="JSON",
        help="arguments of a call, `-` reads them from standard input; several calls run one after the other in one "
        "trajectory, which keeps its images and the variables of the python tool",
    )
    run.add_argument("--config", type=Path, metavar="FILE", help="YAML with the tool (default: tools/TOOL.yaml)")
    run.add_argument(
        "--image", type=Path, action="append", default=[], metavar="PATH", help="an image of the prompt; repeatable"
    )
    run.add_argument(
        "--output",
        type=Path,
        default=Path("tool_output"),
        metavar="DIR",
        help="directory for returned images, as TOOL_<img_idx>.png (default: ./tool_output)",
    )
    run.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="option of the tool, as in its YAML; repeatable",
    )
    run.set_defaults(command=_run)

    check = commands.add_parser(
        "check",
        help="say what the tools need and whether it is available",
        description="Say what the tools need and whether it is available: keys, programs, packages. Sends no request.",
        epilog="exit status: 0 everything is ready; 1 something is missing; 2 bad usage",
    )
    check.add_argument(
        "--config", type=Path, nargs="+", metavar="FILE", help="YAML files of tools (default: all of tools/)"
    )
    check.set_defaults(command=_check)

    listing = commands.add_parser("list", help="names and one-line descriptions", description="List the tools.")
    listing.set_defaults(command=_list)
    return parser


# ---------------------------------------------------------------- tools and their files


def _tool_files() -> list[Path]:
    return sorted(TOOLS_DIR.glob("*.yaml"))


def _entries(file: Path) -> list[dict[str, Any]]:
    """Return the tools of a YAML file as plain data."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        # Read the file as verl does: it resolves ${oc.env:NAME} and reads 3e1 as a number.
        entries = OmegaConf.to_container(OmegaConf.load(file), resolve=True)["tools"]
        for entry in entries:
            _name(entry), entry["class_name"], entry["config"]["type"]
        return entries
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    except OmegaConfBaseException as error:
        raise UsageError(f"{file}: {str(error).splitlines()[0]}") from error
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        missing = f" ({error} is missing)" if isinstance(error, KeyError) else ""
        raise UsageError(f"{file} is no YAML of tools such as tools/image_zoom_in.yaml{missing}") from error


def _name(entry: dict[str, Any]) -> str:
    return entry["tool_schema"]["function"]["name"]


def _label(file: Path, entry: dict[str, Any]) -> str:
    """Return the name under which a tool is listed. A variant is listed with its file."""
    return _name(entry) if _name(entry) == file.stem else f"{_name(entry)} ({file.name})"


def _find_entry(tool: str, config: Path | None) -> dict[str, Any]:
    known = [file.stem for file in _tool_files()]
    if config is None and tool not in known:
        raise UsageError(f"there is no tool {tool!r}; there are {', '.join(known)} (others: --config FILE)")
    file = config or TOOLS_DIR / f"{tool}.yaml"
    entries = _entries(file)
    for entry in entries:
        if _name(entry) == tool:
            return entry
    if len(entries) == 1 and file.stem == tool:
        return entries[0]
    raise UsageError(f"{file} has no tool {tool!r}; it has {', '.join(map(_name, entries))}")


def _make(entry: dict[str, Any], options: dict[str, Any]) -> Any:
    """Create the tool as verl does.

    Raises:
        Exception: what the tool's class raises. A ValueError reports wrong options and missing prerequisites.
    """
    from verl_ext.cpu.env import prepare_interpreter

    prepare_interpreter()
    from verl.tools.schemas import OpenAIFunctionToolSchema
    from verl.tools.tool_registry import get_tool_class

    schema = OpenAIFunctionToolSchema.model_validate(entry["tool_schema"])
    with contextlib.redirect_stdout(io.StringIO()):  # verl prints the schema.
        tool_class = get_tool_class(entry["class_name"])
        return tool_class(config={**(entry.get("config") or {}), **options}, tool_schema=schema)


def _message(error: Exception) -> str:
    """Return the message for a tool that cannot be created.

    A ValueError is written for the reader, other errors are named.
    """
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _options(settings: list[str]) -> dict[str, Any]:
    import yaml

    options = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise UsageError(f"--set {setting}: must be OPTION=VALUE")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise UsageError(f"--set {setting}: the value is no YAML") from error
    return options


# ---------------------------------------------------------------- commands


def _list(args: argparse.Namespace) -> int:
    for file in _tool_files():
        for entry in _entries(file):
            description = " ".join(entry["tool_schema"]["function"].get("description", "").split())
            print(f"{file.stem:<22} {description.split('. ')[0].removesuffix('.')}")
    return OK


def _check(args: argparse.Namespace) -> int:
    entries = [(_label(file, entry), entry) for file in args.config or _tool_files() for entry in _entries(file)]
    width, ready = max((len(label) for label, _ in entries), default=0), True
    for label, entry in entries:
        try:
            tool = _make(entry, {})
            checks = [(c.what, c.ready, c.detail) for c in tool.check()] if hasattr(tool, "check") else []
        except Exception as error:  # A user's class may raise anything.
            checks = [("", False, _message(error))]
        for what, is_ready, detail in checks or [("nothing to check", True, "")]:
            ready &= is_ready
            detail = " ".join(f"{what}: {detail}".strip(": ").split())
            print(f"{label:<{width}}  {'ready' if is_ready else 'missing':<7}  {detail}")
    return OK if ready else MISTAKE


def _run(args: argparse.Namespace) -> int:
    calls = [_parse_call(text) for text in args.arguments]
    entry, options = _find_entry(args.tool, args.config), _options(args.set)
    try:
        tool = _make(entry, options)
    except Exception as error:  # A user's class may raise anything.
        raise UsageError(_message(error)) from error
    from tools.images import image_size
    from verl_ext.tool_calls import ToolInfrastructureError

    try:
        for path in args.image:
            image_size(path)
    except ToolInfrastructureError as error:
        raise UsageError(f"--image {path}: {error}") from error
    if args.output.exists() and not args.output.is_dir():
        raise UsageError(f"--output {args.output}: is no folder")
    return asyncio.run(_run_calls(tool, calls, Conversation(args.image), args.output))


def _parse_call(text: str) -> Any:
    text = sys.stdin.read() if text == "-" else text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"the arguments are no JSON ({error}): {text[:60]!r}") from error


async def _run_calls(tool: Any, calls: list[Any], conversation: Conversation, output: Path) -> int:
    """Execute the calls of one trajectory as verl's agent loop does. Stop at the first infrastructure failure."""
    from tools.images import conversation_images, open_image

    status = OK
    for number, parameters in enumerate(calls, 1):
        which = f"call {number}: " if len(calls) > 1 else ""
        started = time.monotonic()
        try:
            instance, _ = await tool.create(create_kwargs={})
            try:
                response, _, figures = await tool.execute(instance, parameters, agent_data=conversation)
            finally:
                await tool.release(instance)
        except Exception as error:
            kind = getattr(error, "kind", type(error).__name__)
            return _say(f"{which}our side failed ({kind}): {error}", FAILED)
        seconds = time.monotonic() - started
        print(response.text)
        images = response.image or []
        for index, image in enumerate(images, len(conversation_images(conversation))):
            output.mkdir(parents=True, exist_ok=True)
            path = output / f"{tool.name}_{index}.png"
            open_image(image).save(path)
            print(f"[image {index}: {path}, {image.width}x{image.height} px]")
        mistake = None if figures.get("ok", True) else figures.get("error")
        cut = ", cut to a limit" if figures.get("truncated") else ""
        print(f"[{which}{seconds:.3f} s{cut}]")
        content = [*({"type": "image", "image": image} for image in images), {"type": "text", "text": response.text}]
        conversation.messages.append({"role": "tool", "content": content if images else response.text})
        if mistake is not None:
            status = _say(f"{which}the model's mistake: {mistake}", MISTAKE)
    return status


if __name__ == "__main__":
    sys.exit(main())
