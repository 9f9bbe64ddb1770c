# Copyright 2026 The AXPO-on-verl Authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Images on their way into a cell (those of the conversation) and out of it (figures, files, values)."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

_shown: list = []  # images that the cell has shown with Image.show()
_saved_figures: set[int] = set()
_files_before: dict[str, tuple] = {}


class ImageList(Sequence):
    """`images[i]`: the conversation's images as the model sees them, RGB, decoded when first used."""

    def __init__(self):
        self.paths: list[str] = []
        self._folder = os.getcwd()  # a cell may go elsewhere
        self._open: dict[int, Image.Image] = {}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        if index not in self._open:
            self._open[index] = as_rgb(Image.open(self.paths[index]))
        return self._open[index]

    def __repr__(self) -> str:
        return f"<{len(self)} images: {', '.join(self.paths)}>"

    def add(self, suffix: str, data: bytes) -> None:
        """Write one more image to the disk."""
        path = os.path.join(self._folder, f"image_{len(self.paths)}{suffix}")
        self.paths.append(path)
        with open(path, "wb") as file:
            file.write(data)

    def keep(self, count: int) -> None:
        """Forget all images but the first ones."""
        for path in self.paths[count:]:
            with contextlib.suppress(OSError):
                os.unlink(path)
        del self.paths[count:]


def as_rgb(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def prepare() -> None:
    """Make show() and savefig() leave a trace instead of looking for a screen."""
    Image.Image.show = lambda self, *args, **kwargs: _shown.append(self)
    Image.MAX_IMAGE_PIXELS = None  # a large image of the conversation is no bomb, and memory is limited anyway
    try:
        import matplotlib.figure
        import matplotlib.pyplot as plt
    except ImportError:
        return
    savefig = matplotlib.figure.Figure.savefig

    def remembering(self, *args, **kwargs):
        result = savefig(self, *args, **kwargs)
        _saved_figures.add(id(self))
        return result

    matplotlib.figure.Figure.savefig = remembering
    plt.show = lambda *args, **kwargs: None  # an open figure is shown at the end of the cell
    figure, axes = plt.subplots()  # finds and loads the fonts
    axes.set_title("$x$")
    _render(figure)
    plt.close("all")


def _image_files() -> dict[str, tuple]:
    found = {}
    for folder in (".", "/tmp"):
        try:
            entries = [e for e in os.scandir(folder) if e.name.lower().endswith(SUFFIXES)]
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.path] = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
        except OSError:
            continue
    return found


def start_cell() -> None:
    """Remember what is there, so that only what a cell adds is shown."""
    _shown.clear()
    _saved_figures.clear()
    _files_before.clear()
    _files_before.update(_image_files())


def is_picture(value) -> bool:
    """Whether the value of a cell's last line is shown as an image, not as text."""
    return isinstance(value, Image.Image) or _is_figure(value)


def _is_figure(value) -> bool:
    module = sys.modules.get("matplotlib.figure")  # it need not be among the packages
    return module is not None and isinstance(value, module.Figure)


def _render(figure) -> Image.Image:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.frombuffer("RGBA", canvas.get_width_height(physical=True), canvas.buffer_rgba())


def _candidates(value):
    """Label and a function that makes the image, in the order in which a reader would expect them."""
    for image in list(_shown):
        yield "image shown", lambda image=image: image
    files = _image_files()
    for path in sorted((p for p, stat in files.items() if _files_before.get(p) != stat), key=lambda p: files[p]):
        yield f"file {os.path.basename(path)[:60]}", lambda path=path: Image.open(path)
    figures = []
    try:
        import matplotlib.pyplot as plt

        figures = [plt.figure(number) for number in plt.get_fignums()]
    except ImportError:
        pass
    for figure in figures:
        if id(figure) not in _saved_figures:
            yield "figure", lambda figure=figure: _render(figure)
    if isinstance(value, Image.Image) and not any(value is image for image in _shown):
        yield "value", lambda: value
    elif value is not None and _is_figure(value) and value not in figures and id(value) not in _saved_figures:
        yield "figure", lambda: _render(value)


def collect(value, limits: dict, silent: bool) -> tuple[list, list[bytes], int]:
    """The cell's images, at most `limits["images"]` of at most `limits["image_pixels"]` each; figures are closed.

    Returns:
        [label, width, height] and RGB bytes of each, and the number of images left out or unreadable.
    """
    found, blobs, skipped = [], [], 0
    for label, make in [] if silent else _candidates(value):
        if len(found) == limits["images"]:
            skipped += 1
            continue
        try:
            image = make()
            scale = (limits["image_pixels"] / max(1, image.width * image.height)) ** 0.5
            if scale < 1:
                size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
                if size[0] * size[1] > limits["image_pixels"]:  # a line of one pixel
                    raise ValueError("too long and thin")
                image = as_rgb(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
            image = as_rgb(image)
            blobs.append(image.tobytes())
            found.append([label, image.width, image.height])
        except Exception as error:
            skipped += 1
            print(f"{label}: {type(error).__name__}: {str(error)[:200]}")
    try:
        import matplotlib.pyplot as plt

        plt.close("all")
    except ImportError:
        pass
    return found, blobs, skipped
