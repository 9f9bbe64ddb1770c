# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Stand in for the parts of IPython that cells import: ``from IPython.display import display, Image, Markdown``."""

from __future__ import annotations

import html
import io
import re
import sys
import types

import pictures
from PIL import Image as PILImage

_HIDDEN = re.compile(r"<(style|script)\b.*?</\1>|<!--.*?-->", re.IGNORECASE | re.DOTALL)
_LINE = re.compile(r"\s*</?(?:br|table|tr|p|h\d|div|ul|ol|li|pre)\b[^>]*>\s*", re.IGNORECASE)
_CELL = re.compile(r"\s*</t[dh]>\s*", re.IGNORECASE)
_TAG = re.compile(r"<[^>]+>")


class Text:
    """Hold text that a notebook would format. It is printed as it is."""

    def __init__(self, data=None, url=None, filename=None, **kwargs):
        if filename is not None:
            with open(filename, encoding="utf-8") as file:
                data = file.read()
        self.data = data if data is not None else url

    def __repr__(self) -> str:
        return str(self.data)


class HTML(Text):
    """Hold HTML. Its text is printed."""

    def __repr__(self) -> str:
        text = _HIDDEN.sub("", str(self.data))
        text = _TAG.sub("", _CELL.sub("  ", _LINE.sub("\n", text)))
        lines = (line.strip() for line in html.unescape(text).split("\n"))
        return "\n".join(line for line in lines if line)


class Image(pictures.Shown):
    """Hold an image file, its bytes, or a picture, as ``IPython.display.Image`` does."""

    def __init__(self, data=None, url=None, filename=None, **kwargs):
        self.data, self.url, self.filename = data, url, filename

    def picture(self) -> PILImage.Image:
        """Return the picture. A text is the path of a file."""
        data = self.data if self.data is not None else self.filename if self.filename is not None else self.url
        if isinstance(data, PILImage.Image):
            return data
        return PILImage.open(io.BytesIO(data) if isinstance(data, (bytes, bytearray)) else data)


def prepare() -> None:
    """Make the modules importable, unless IPython itself is there."""
    if "IPython" in sys.modules:
        return
    package, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    core, shell = types.ModuleType("IPython.core"), types.ModuleType("IPython.core.display")
    names = {"display": pictures.display, "display_png": pictures.display, "Image": Image, "HTML": HTML}
    names |= {"clear_output": lambda *args, **kwargs: None, "set_matplotlib_formats": lambda *args, **kwargs: None}
    kinds = ("Markdown", "Latex", "Math", "Pretty", "JSON", "SVG", "Javascript", "Code", "IFrame", "Audio", "Video")
    names |= {name: Text for name in kinds}
    for module in (display, shell):
        module.__dict__.update(names)
    # Libraries ask for the shell, and None says that there is none.
    package.__dict__.update(version_info=(9, 0, 0, ""), __version__="9.0.0", __path__=[], get_ipython=lambda: None)
    package.__dict__.update(display=display, core=core)
    core.__dict__.update(display=shell, __path__=[])
    display_module = {"IPython.display": display, "IPython.core": core, "IPython.core.display": shell}
    sys.modules.update({"IPython": package, **display_module})
