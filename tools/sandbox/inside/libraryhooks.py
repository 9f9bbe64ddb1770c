# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Change Pillow and matplotlib once in the zygote, so that they do not look for a screen."""

from __future__ import annotations

import functools
import os
import time

import pictures
from PIL import Image


def prepare() -> None:
    """Let show() and savefig() leave a trace instead of looking for a screen."""
    Image.init()  # Otherwise every interpreter would import the formats again.
    Image.Image.show = lambda self, *args, **kwargs: pictures.current().take("image shown", lambda: self)
    Image.MAX_IMAGE_PIXELS = None  # A large image of the conversation is not an attack, and memory is limited anyway.
    try:
        import matplotlib.figure
        import matplotlib.pyplot as plt
    except ImportError:
        return
    savefig = matplotlib.figure.Figure.savefig

    @functools.wraps(savefig)
    def remembering(self, fname, *args, **kwargs):
        result = savefig(self, fname, *args, **kwargs)
        if isinstance(fname, (str, os.PathLike)):
            path = os.fsdecode(os.path.realpath(fname))
            paths = (path, f"{path.rstrip('.')}.png")  # matplotlib adds a suffix where there is none.
            pictures.current().saved.setdefault(self, []).extend(paths)
            self.stale = False  # The next line that is drawn makes it true again.
        return result

    def show_one(self, *args, **kwargs):
        pictures.current().figure(self)
        plt.close(self)

    def show_all(*args, **kwargs):
        pictures.current().figures(showing=True)

    matplotlib.figure.Figure.savefig = remembering
    matplotlib.figure.Figure.show = show_one
    plt.show = show_all
    plt.pause = time.sleep  # The original would show all figures each time.
    figure, axes = plt.subplots()  # This finds and loads the fonts.
    axes.set_title("$x$")
    pictures.render(figure)
    plt.close("all")
    _find_fonts(os.path.join(matplotlib.get_data_path(), "fonts", "ttf"))


def _find_fonts(folder: str) -> None:
    """Let Pillow find matplotlib's fonts by name, because the jail has no others."""
    from PIL import ImageFont

    truetype = ImageFont.truetype

    @functools.wraps(truetype)
    def finding(font=None, *args, **kwargs):
        try:
            return truetype(font, *args, **kwargs)
        except OSError:
            path = os.path.join(folder, os.path.basename(font)) if isinstance(font, str) else ""
            if not os.path.isfile(path):
                raise
            return truetype(path, *args, **kwargs)

    ImageFont.truetype = finding
