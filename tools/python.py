# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""`python`: a notebook for the length of one trajectory, in a jail.

The interpreter keeps its variables from call to call, sees the conversation's images, and hands back what was printed,
the value of the last line, a short traceback, and every figure or image that was made. Code of the model that fails,
takes too long or ends its interpreter gets a text; a sandbox of ours that fails raises `ToolInfrastructureError`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from PIL import Image

from tools.base import AgentTool, Answer
from tools.image_zoom_in import MAX_ASPECT_RATIO, smart_resize
from tools.images import conversation_images, promise_pixels, tool_pixels
from tools.sandbox.backends import Backend, LocalBackend
from tools.sandbox.fusion import FusionBackend
from tools.sandbox.jail import IsolationError, bubblewrap_version, find_bubblewrap
from tools.sandbox.options import PythonOptions
from tools.sandbox.pool import Pool
from tools.sandbox.runtime import PackageMissing, package_files
from tools.sandbox.session import CellResult, PastCell
from tools.sandbox.syscalls import SeccompMissing, compile_filter
from tools.trajectory_state import PerTrajectory
from verl_ext.service.http import HttpClient
from verl_ext.service.options import Check
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError, past_calls


class PythonTool(AgentTool):
    """Run code in the trajectory's own interpreter.

    Raises:
        ValueError: at start, if code could not be run in isolation here; the message says what to install or allow.
    """

    Options = PythonOptions

    def __init__(self, config: dict, tool_schema):
        super().__init__(config, tool_schema)
        checks = self._prerequisites()
        if bad := [check.detail for check in checks if not check.ready]:
            raise ValueError(f"{self.name}: {'; '.join(bad)}")
        print(f"{self.name}: " + "; ".join(f"{check.what}: {check.detail}" for check in checks))  # as verl its schema
        self._client = HttpClient(
            self.name,
            attempts=3,
            attempt_timeout_s=0.9 * self.options.timeout_s,
            backoff_s=0.5,
            max_connections=self.options.max_concurrency,
        )
        self._notebooks: PerTrajectory[Backend] = PerTrajectory(self._start, lambda notebook: notebook.close())

    def _start(self) -> Backend:
        if self.options.backend == "sandbox_fusion":
            return FusionBackend(self.options, self._client)
        return LocalBackend(self.options)

    @property
    def max_answer_chars(self) -> int:
        """See `AgentTool`: the output, and a line for each image and each remark."""
        return self.options.max_output_chars + 200 * (self.options.max_images + 5)

    def check(self) -> list[Check]:
        """Whether code can be run in isolation here: builds the sandbox and probes its walls; some seconds."""
        checks = self._prerequisites()
        local = self.options.backend == "local" and self.options.isolation != "none"
        if not local or not all(check.ready for check in checks):
            return checks
        pool = Pool(self.options.jail(), spares=0)
        try:
            pool.start()
        except IsolationError:
            pass  # the walls below say it
        except ToolInfrastructureError as error:
            return [*checks, Check("sandbox", False, str(error))]
        finally:
            pool.close()
        return checks + [Check(f"wall: {wall.name}", wall.stands, wall.detail or wall.rests_on) for wall in pool.checks]

    def _prerequisites(self) -> list[Check]:
        """What must be installed; starts nothing that stays."""
        if self.options.backend == "sandbox_fusion":
            return [Check("SandboxFusion", True, f"{self.options.url} (not asked)")]
        checks = []

        def tried(what: str, function, said) -> None:
            try:
                checks.append(Check(what, True, said(function())))
            except (IsolationError, SeccompMissing, PackageMissing) as error:
                checks.append(Check(what, False, str(error)))

        if self.options.isolation == "none":
            checks.append(Check("isolation", True, "NONE: code of the model can do what you can"))
        else:
            tried("isolation", find_bubblewrap, lambda path: f"{bubblewrap_version()} at {path}")
            tried("system-call filter", compile_filter, lambda program: f"{len(program) // 8} instructions")
        packages = self.options.jail().packages
        tried("packages", lambda: package_files(packages), lambda files: ", ".join(packages))
        return checks

    async def call(self, parameters: dict[str, Any], agent_data: Any, create_kwargs: dict[str, Any]) -> Answer:
        """Run one cell.

        Args:
            parameters: `code`. `images[i]` (PIL) and `image_paths[i]` are the conversation's images, as the model
                counts them, those that tools returned included.
            agent_data: verl's trajectory: its calls so far share one namespace. Without it every call has its own.
            create_kwargs: `images` serves prompts whose messages hold no image.

        Returns:
            The text and the images, each announced with its index in the conversation.

        Raises:
            BadArgument: `code` is missing, no text, empty or too long.
            ToolInfrastructureError: the sandbox failed.
        """
        code = parse_code(parameters.get("code"), self.options.max_code_chars)
        images = conversation_images(agent_data, create_kwargs.get("images"))
        notebook = self._start() if agent_data is None else self._notebooks.get(agent_data)
        earlier: list[PastCell] = []
        for past in past_calls(agent_data) if agent_data is not None else ():
            if past.tool == self.name:
                cell = PastCell(past.parameters["code"], **{"images": len(images), **past.replay})
                earlier = [] if past.lost_state else [*earlier, cell]
        try:
            result = await notebook.run(code, earlier, images)
        finally:
            if agent_data is None:
                notebook.close()
        if self.options.max_pixels_per_trajectory is None:
            unlimited = self.options.max_pixels * self.options.max_images
            return await asyncio.to_thread(self._answer, result, len(images), unlimited)
        # nothing in between: other calls of this turn share the budget
        answer = self._answer(result, len(images), self.options.max_pixels_per_trajectory - tool_pixels(agent_data))
        promise_pixels(agent_data, sum(image.width * image.height for image in answer.images))
        return answer

    def _answer(self, result: CellResult, num_images: int, pixels_left: int) -> Answer:
        """Text and images for the model."""
        text, images, notes = [], [], []
        limit, truncated = self.options.max_output_chars, result.dropped > 0
        seconds = f"{self.options.code_timeout_s:g} s"
        if result.ended == "died":
            notes.append(
                "Error: the interpreter ended (out of memory, a crash or an exit). It starts anew, variables are lost."
            )
        elif result.ended == "time":
            notes.append(
                f"Error: the code did not stop after {seconds}. The interpreter starts anew, variables are lost."
            )
        elif result.timed_out:
            notes.append(f"Error: the code was stopped after {seconds}. Variables are kept.")
        if result.disk_full:
            notes.append(f"Error: the disk is full ({self.options.disk_mb} MiB): delete files, then new images appear.")
        if result.replay_failed:
            notes.append("Note: the interpreter was restarted; some variables of earlier calls are lost.")
        body = "\n".join(part.rstrip("\n") for part in (result.stdout, result.value, result.error) if part)
        if len(body) > limit:
            body, truncated = f"{body[: limit // 2]}\n... (cut) ...\n{body[-limit // 2 :]}", True
        elif truncated:
            body += "\n... (cut)"
        skipped = result.skipped_images
        for label, image in result.images:
            fitted = self._fitted(image, pixels_left)
            if fitted is None:
                skipped += 1
                continue
            pixels_left -= fitted.width * fitted.height
            text.append(f"Image {num_images + len(images)}: {label}.")
            images.append(fitted)
        if skipped:
            text.append(f"({skipped} more image{'s' * (skipped > 1)} not shown)")
        return Answer(
            "\n".join([part for part in (body, *notes, *text) if part]) or "(no output)",
            images,
            truncated=truncated or skipped > 0,
            failure=_failure(result),
            lost_state=result.ended is not None,
            replay={"images": num_images, "timed_out": result.timed_out},
            metrics={"images": len(images)},
        )

    def _fitted(self, image: Image.Image, pixels_left: int) -> Image.Image | None:
        """The image in a size that the model's processor takes, or None."""
        sides = sorted(image.size)
        smallest = max(self.options.min_pixels, self.options.factor**2)
        if sides[1] > MAX_ASPECT_RATIO * sides[0] or pixels_left < smallest:
            return None
        limit = min(self.options.max_pixels, pixels_left)
        size = smart_resize(*image.size, self.options.factor, self.options.min_pixels, limit)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _failure(result: CellResult) -> str | None:
    """What the model's code did wrong, in one word."""
    if result.ended == "died":
        return "died"
    if result.timed_out:
        return "timeout"
    if result.disk_full:
        return "disk"
    return None if result.error is None else "exception"


def parse_code(value: Any, max_chars: int) -> str:
    """Check what the model sent as `code`.

    Raises:
        BadArgument: says what is allowed.
    """
    if not isinstance(value, str) or not value.strip():
        raise BadArgument("code", "must be a string of Python code.")
    if len(value) > max_chars:
        raise BadArgument("code", f"is too long: at most {max_chars} characters.")
    if "\0" in value:
        raise BadArgument("code", "must not contain null characters.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadArgument("code", "must be valid Unicode text.") from None
    return value
