# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Offer a notebook for the length of one trajectory, in a jail: ``python``.

The interpreter keeps its variables from call to call and sees the conversation's images. It returns what was printed,
the value of the last line, a short traceback, and every figure or image that was made. If the model's code fails, takes
too long or ends its interpreter, the model receives a text. If the sandbox itself fails, the tool raises
``ToolInfrastructureError``.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any, Literal

import pydantic
from PIL import Image

from tools.base import AgentTool, Answer
from tools.fusion import FusionBackend, server_failure
from tools.images import (
    MAX_ASPECT_RATIO,
    conversation_images,
    encoded_image,
    promise_pixels,
    smart_resize,
    tool_pixels,
)
from tools.sandbox.backends import Backend, LocalBackend
from tools.sandbox.errors import SandboxError
from tools.sandbox.jail import IsolationError, bubblewrap_version, find_bubblewrap
from tools.sandbox.options import SandboxOptions
from tools.sandbox.pool import Pool
from tools.sandbox.runtime import PackageMissing, package_files
from tools.sandbox.session import GRACE_SECONDS, CellResult, PastCell
from tools.sandbox.syscalls import SeccompMissing, compile_filter
from tools.trajectory_state import PerTrajectory
from verl_ext.service.http import HttpClient
from verl_ext.service.options import Check, Options
from verl_ext.tool_calls import BadArgument, ToolInfrastructureError, past_calls

HOW_ELSE = (
    "run_scripts/install_sandbox.sh installs bubblewrap and libseccomp; `backend: sandbox_fusion` uses a remote sandbox"
)


class PythonOptions(SandboxOptions, Options):
    """Choose where code runs and limit what it may use. Sizes in MiB apply to one trajectory's interpreter."""

    backend: Literal["local", "sandbox_fusion"] = "local"
    timeout_s: float = pydantic.Field(120.0, gt=0, allow_inf_nan=False)
    """Seconds for one call. A call that takes longer is an infrastructure failure."""
    max_concurrency: int = pydantic.Field(8, ge=1)
    """Calls that run concurrently in one agent-loop worker."""
    max_code_chars: int = pydantic.Field(50_000, ge=1)
    """Characters of the code that the model may send."""
    factor: int = pydantic.Field(32, ge=1)
    """Sides of a returned image are multiples of it."""
    min_pixels: int = pydantic.Field(1024, ge=1)
    """Area of the smallest image that is returned."""
    max_pixels_per_trajectory: int | None = pydantic.Field(None, ge=1)
    """Area of all images that tools have returned in one trajectory. Beyond it, further images are counted only."""
    incomplete_replay: Literal["continue", "drop"] = "continue"
    """What happens if cells that are executed again, at a fork or after an interpreter's end, print or return something
    else than the first time, or do not end in time. ``continue`` counts them as ``incomplete_replays``. ``drop`` makes
    the call an infrastructure failure, so the rollout is dropped."""
    url: str | None = None
    """URL of a SandboxFusion server, for ``backend: sandbox_fusion``."""

    @pydantic.model_validator(mode="after")
    def _consistent(self):
        # The earlier cells and the new one have their time, and each may take a moment to stop.
        if self.timeout_s < 2 * (self.code_timeout_s + GRACE_SECONDS):
            raise ValueError(
                f"timeout_s ({self.timeout_s:g}), which ends in an infrastructure failure, must be at least twice "
                f"code_timeout_s ({self.code_timeout_s:g}) plus {2 * GRACE_SECONDS:g}"
            )
        if self.max_pixels < max(self.min_pixels, self.factor**2):
            raise ValueError(f"max_pixels ({self.max_pixels}) must be at least min_pixels and factor * factor")
        if self.backend == "sandbox_fusion" and not self.url:
            raise ValueError("url: backend sandbox_fusion needs the server's URL, such as http://host:8080")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError("url must start with http:// or https://")
        return self


class PythonTool(AgentTool):
    """Run code in the trajectory's own interpreter.

    Raises:
        ValueError: at start, if code cannot be isolated on this machine. The message says what to install or allow.
    """

    Options = PythonOptions

    def __init__(self, config: dict, tool_schema):
        super().__init__(config, tool_schema)
        checks = self._prerequisites()
        if bad := [check.detail for check in checks if not check.ready]:
            raise ValueError(f"{self.name}: {'; '.join(bad)}")
        # verl prints the schema in the same way.
        print(f"{self.name}: " + "; ".join(f"{check.what}: {check.detail}" for check in checks))
        self._client = HttpClient(
            self.name,
            attempts=3,
            attempt_timeout_s=0.9 * self.options.timeout_s,
            backoff_s=0.5,
            max_connections=self.options.max_concurrency,
        )
        self._notebooks: PerTrajectory[Backend] = PerTrajectory(self._start, lambda notebook: notebook.close())
        if self.options.backend == "sandbox_fusion" and (failure := server_failure(self._start())):
            raise ValueError(f"{self.name}: {failure}")

    def _start(self) -> Backend:
        if self.options.backend == "sandbox_fusion":
            return FusionBackend(self.options, self._client, self.options.url, 0.95 * self.options.timeout_s)
        turn_s = self.options.timeout_s - self.options.code_timeout_s - 2 * GRACE_SECONDS
        return LocalBackend(self.options, encoded_image, turn_s)

    @property
    def max_answer_chars(self) -> int:
        """Return the length of the output plus a line for each image and each remark."""
        return self.options.max_output_chars + 200 * (self.options.max_images + 5)

    def check(self) -> list[Check]:
        """Report whether code can be isolated on this machine.

        Build the sandbox and probe its walls, which takes some seconds.
        """
        if self.options.backend == "sandbox_fusion":
            failure = server_failure(self._start())
            return [Check("SandboxFusion", failure is None, failure or f"{self.options.url} runs cells")]
        checks = self._prerequisites()
        local = self.options.backend == "local" and self.options.isolation != "none"
        if not local or not all(check.ready for check in checks):
            return checks
        pool = Pool(self.options.jail(), spares=0)
        try:
            pool.start()
        except IsolationError:
            pass  # The walls below report it.
        except SandboxError as error:
            return [*checks, Check("sandbox", False, str(error))]
        finally:
            pool.close()
        return checks + [Check(f"wall: {wall.name}", wall.stands, wall.detail or wall.rests_on) for wall in pool.checks]

    def _prerequisites(self) -> list[Check]:
        """Report what must be installed. Start no process that stays."""
        if self.options.backend == "sandbox_fusion":
            return [Check("SandboxFusion", True, self.options.url)]  # Asked once the client exists.
        checks = []

        def tried(what: str, function, said) -> None:
            try:
                checks.append(Check(what, True, said(function())))
            except PackageMissing as error:
                checks.append(Check(what, False, str(error)))
            except (IsolationError, SeccompMissing) as error:
                checks.append(Check(what, False, f"{error}; {HOW_ELSE}"))

        if self.options.isolation == "none":
            checks.append(Check("isolation", True, "NONE: the model's code has all your rights"))
        else:
            tried("isolation", find_bubblewrap, lambda path: f"{bubblewrap_version()} at {path}")
            tried("system-call filter", compile_filter, lambda program: f"{len(program) // 8} instructions")
        packages = self.options.jail().packages
        tried("packages", lambda: package_files(packages), lambda files: ", ".join(packages))
        return checks

    async def call(self, parameters: dict[str, Any], agent_data: Any, create_kwargs: dict[str, Any]) -> Answer:
        """Run one cell.

        Args:
            parameters: ``code``. In it, ``images[i]`` (PIL) and ``image_paths[i]`` are the conversation's images as the
                model counts them, including those that tools returned.
            agent_data: verl's trajectory. Its calls share one namespace. Without it every call has its own.
            create_kwargs: ``images`` serves prompts whose messages hold no image.

        Returns:
            The text and the images, each announced with its index in the conversation.

        Raises:
            BadArgument: ``code`` is missing, not text, empty or too long.
            ToolInfrastructureError: the sandbox failed.
        """
        code = parse_code(parameters.get("code"), self.options.max_code_chars)
        images = conversation_images(agent_data, create_kwargs.get("images"))
        notebook = self._start() if agent_data is None else self._notebooks.get(agent_data)
        earlier: list[PastCell] = []
        for past in past_calls(agent_data) if agent_data is not None else ():
            if past.tool == self.name:
                cell = PastCell(**{"code": past.parameters["code"], "images": len(images), **past.replay})
                earlier = [] if past.lost_state else [*earlier, cell]
        try:
            result = await notebook.run(code, earlier, images)
        except SandboxError as error:
            raise ToolInfrastructureError(str(error), error.kind) from error
        finally:
            if agent_data is None:
                notebook.close()
        if result.not_run:
            raise BadArgument("code", "was not run: the other calls of this turn took all the time.")
        if result.replay and self.options.incomplete_replay == "drop":
            raise ToolInfrastructureError(f"an earlier cell did not repeat itself: {result.replay}", "replay")
        if self.options.max_pixels_per_trajectory is None:
            unlimited = self.options.max_pixels * self.options.max_images
            return await asyncio.to_thread(self._answer, code, result, len(images), unlimited)
        # No await may come between these lines, because other calls of this turn share the budget.
        left = self.options.max_pixels_per_trajectory - tool_pixels(agent_data)
        answer = self._answer(code, result, len(images), left)
        promise_pixels(agent_data, sum(image.width * image.height for image in answer.images))
        return answer

    def _answer(self, code: str, result: CellResult, num_images: int, pixels_left: int) -> Answer:
        """Build the text and the images for the model."""
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
        if result.lost_variables:
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
            replay=asdict(PastCell.of(code, num_images, result)),
            metrics={"images": len(images)},
            counts=_counts(result),
        )

    def _fitted(self, image: Image.Image, pixels_left: int) -> Image.Image | None:
        """Return the image in a size that the model's processor accepts, or None."""
        sides = sorted(image.size)
        smallest = max(self.options.min_pixels, self.options.factor**2)
        if sides[1] > MAX_ASPECT_RATIO * sides[0] or pixels_left < smallest:
            return None
        limit = min(self.options.max_pixels, pixels_left)
        size = smart_resize(*image.size, self.options.factor, self.options.min_pixels, limit)
        return image if size == image.size else image.resize(size, Image.Resampling.BICUBIC)


def _failure(result: CellResult) -> str | None:
    """Return one word for what the model's code did wrong, or None."""
    if result.ended == "died":
        return "died"
    if result.timed_out:
        return "timeout"
    return None if result.error is None else "exception"


def _counts(result: CellResult) -> tuple[str, ...]:
    """Return the metrics that the call adds one to."""
    if not result.replayed:
        return ()
    return ("replays", *((f"incomplete_replays/{result.replay}",) if result.replay else ()))


def parse_code(value: Any, max_chars: int) -> str:
    """Check the ``code`` that the model sent.

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
