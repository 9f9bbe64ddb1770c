# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Render HTML pages that need no other file."""

from __future__ import annotations

import base64
import io
from typing import Any

import jinja2
from PIL import Image

_ENVIRONMENT = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


def render(template: str, **values: Any) -> str:
    """Fill a Jinja2 template. All values are escaped."""
    return _ENVIRONMENT.from_string(template).render(values)


def jpeg_url(image: Image.Image) -> str:
    """Encode an image as a JPEG ``data:`` URL."""
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
