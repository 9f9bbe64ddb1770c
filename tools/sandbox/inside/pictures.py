# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Collect images from a cell: what it shows, displays or saves, figures that it leaves open, and values."""

from __future__ import annotations

import contextlib
import errno
import math
import os
import stat
import sys
import weakref

from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".jp2", ".j2k", ".ico", ".tga")
SUFFIXES += (".ppm", ".pgm", ".pbm", ".pnm")
MAX_FILES, MAX_DEPTH = 8192, 16  # Bounds of the search on the disk.
MAX_WRITTEN = 32  # Files of one cell whose pictures are remembered.


def as_rgb(image: Image.Image) -> Image.Image:
    """Convert an image to RGB. Transparent pixels become white."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def _as_bytes(image: Image.Image) -> tuple[Image.Image, str]:
    """Return an image of at most 8 bits a channel, and a note if its values were scaled. Pillow would clip them."""
    if image.mode != "F" and not image.mode.startswith("I"):
        return image, ""
    deep = image.convert("I") if image.mode.startswith("I;") else image
    low, high = deep.getextrema()
    fractions = deep.mode == "F" and 0 <= low <= high <= 1
    if not (math.isfinite(low) and math.isfinite(high)) or (0 <= low <= high <= 255 and not fractions):
        return deep.convert("L"), ""  # The values are bytes in a larger type.
    if fractions:
        low, high = 0, 1
    elif deep.mode == "I" and 0 <= low <= high <= 65535:
        low, high = 0, 65535
    scale = 255 / ((high - low) or 1)
    deep = deep.convert("F").point(lambda value: value * scale - low * scale).convert("L")
    return deep, f", {low:g} is black and {high:g} white"


class _Cell:
    """Hold what one cell has handed out so far.

    It keeps pixels and not references, so that the cell may continue to draw.
    """

    def __init__(self, limits: dict, silent: bool, folders: dict[str, int], known: dict | None = None):
        self._limits, self._silent, self._folders = limits, silent, folders
        # Label, width, height; RGB bytes; a hash of the picture, which for a file is that of what was saved.
        self.found: list[tuple[list, bytes, int]] = []
        self._written: dict[str, tuple[tuple, int]] = {}  # path -> state of the file, hash of the picture
        self.skipped = 0
        self.saved: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()  # figure -> paths it was saved to
        self.has_shown = False  # True if a figure was shown.
        files = {} if silent else _image_files(folders)
        self.files = (known or {}) if files is None else files

    def take(self, label: str, make, unlike: int = 0, picture: int | None = None) -> None:
        """Add the image that ``make`` returns, or count it. Skip it if it equals one of the first ``unlike`` ones.

        Args:
            label: says where the image comes from.
            make: returns it.
            unlike: number of images found earlier that it may equal.
            picture: a hash of the image, if it was saved with losses.
        """
        if self._silent or (picture is not None and self._has(picture, unlike)):
            return
        if len(self.found) >= self._limits["images"]:
            self.skipped += 1
            return
        try:
            image, note = self._fitted(make())
            data = image.tobytes()
            if not data or len(data) != 3 * image.width * image.height:
                raise ValueError("the image is empty")
            if not self._has(hash(data), unlike):
                key = hash(data) if picture is None else picture
                self.found.append(([label + note, image.width, image.height], data, key))
        except Exception as error:
            self.skipped += 1
            with contextlib.suppress(Exception):  # The cell may have replaced print.
                print(f"{label}: {type(error).__name__}: {str(error)[:200]}")

    def _has(self, picture: int, first: int) -> bool:
        return any(picture == other for _, _, other in self.found[:first])

    def written(self, file, make) -> None:
        """Remember which picture a file shows, because the file's own pixels may differ from it (JPEG)."""
        if self._silent or len(self._written) >= MAX_WRITTEN:
            return
        with contextlib.suppress(Exception):  # Whatever is wrong with the image, saving it has worked.
            path = os.path.realpath(os.fsdecode(getattr(file, "name", file)))
            if path.lower().endswith(SUFFIXES):
                state = _identity(os.lstat(path))[1]
                self._written[path] = (state, hash(self._fitted(make())[0].tobytes()))

    def _fitted(self, image: Image.Image) -> tuple[Image.Image, str]:
        """Convert an image to RGB of at most ``limits["image_pixels"]``."""
        if image.width == 0 or image.height == 0:
            raise ValueError("the image is empty")
        image, note = _as_bytes(image)
        limit = self._limits["image_pixels"]
        scale = (limit / (image.width * image.height)) ** 0.5
        if scale < 1:
            size = (max(1, int(image.width * scale)), max(1, int(image.height * scale)))
            if size[0] * size[1] > limit:  # The image is one pixel wide or high.
                raise ValueError("too long and thin")
            image = as_rgb(image).resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
        return as_rgb(image), note

    def figure(self, figure, unlike: int = 0) -> None:
        """Take a figure, unless the cell has saved it unchanged to a file that is shown."""
        if figure.stale or not any(map(self._is_new, self.saved.get(figure, ()))):
            self.take("figure", lambda: render(figure), unlike)

    def _is_new(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            folders = [folder for folder in self._folders if os.path.commonpath((folder, path)) == folder]
            depths = [os.path.relpath(path, folder).count(os.sep) - self._folders[folder] for folder in folders]
            status = os.lstat(path)
            key, state = _identity(status)
            shown = stat.S_ISREG(status.st_mode) and path.lower().endswith(SUFFIXES) and min(depths, default=1) <= 0
            return shown and self.files.get(key, (None,))[0] != state
        return False

    def figures(self, showing: bool = False) -> list:
        """Take and close all open figures.

        Skip an empty figure after others have been shown, since the cell did not draw it.
        """
        plt = _pyplot()
        figures = [plt.figure(number) for number in plt.get_fignums()] if plt else []
        for figure in figures:
            if not self.has_shown or len(figure.get_children()) > 1:  # The background is one child.
                self.figure(figure)
        if plt:
            plt.close("all")
        self.has_shown = self.has_shown or showing
        return figures

    def new_files(self) -> None:
        """Take the saved files in the order of saving."""
        if self._silent:
            return
        files = _image_files(self._folders) or {}
        new = [entry for key, entry in files.items() if self.files.get(key, (None,))[0] != entry[0]]
        shown = len(self.found)
        for state, path in sorted(new):
            written, picture = self._written.get(path, (None, None))
            label = f"file {os.path.basename(path)[:60]}"
            self.take(label, lambda path=path: Image.open(path), shown, picture if written == state else None)

    def value(self, value, done: list) -> None:
        """Take the value of the last line: one or several images or figures.

        A figure in ``done``, or an image that equals one already shown, is skipped.
        """
        before = len(self.found)
        for item in value if type(value) in (list, tuple) else [value]:
            if _is_figure(item):
                if not any(item is figure for figure in done):
                    self.figure(item, before)
            else:
                self.take("value", lambda item=item: _opened(item), before)


_cell = _Cell({"images": 0}, True, {})


def current() -> _Cell:
    """Return the cell that is running."""
    return _cell


def _identity(status: os.stat_result) -> tuple[tuple, tuple]:
    """Return which file it is, regardless of its path, and its state."""
    return (status.st_dev, status.st_ino), (status.st_mtime_ns, status.st_size)


def _image_files(folders: dict[str, int]) -> dict[tuple, tuple] | None:
    """Return the image files in directories and below, to a depth, as identity -> (state, path).

    Return None if the directories cannot be read now because the cell has too many files open.
    """
    found, todo, left = {}, list(folders.items()), MAX_FILES
    while todo and left > 0:
        folder, depth = todo.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    left -= 1
                    if left < 0:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        if depth > 0:
                            todo.append((entry.path, depth - 1))
                    elif entry.name.lower().endswith(SUFFIXES) and entry.is_file(follow_symlinks=False):
                        key, state = _identity(entry.stat(follow_symlinks=False))
                        found[key] = (state, entry.path)
        except OSError as error:
            if error.errno == errno.EMFILE:
                return None
    return found


def start_cell(limits: dict, silent: bool, home: str) -> None:
    """Remember the files that exist, so that only what a cell adds is shown.

    Args:
        limits: ``images`` of a cell and ``image_pixels`` of each.
        silent: True if nothing of this cell will be shown.
        home: the directory in which the interpreter was started.
    """
    global _cell
    # Without isolation, directories in /tmp may belong to other users.
    _cell = _Cell(limits, silent, {"/tmp": MAX_DEPTH if home == "/work" else 0, home: MAX_DEPTH}, _cell.files)


def collect(value) -> tuple[list, list[bytes], int]:
    """Return the cell's images and close its figures.

    The images are what it has shown, new files, open figures, and the value of its last line.

    Returns:
        [label, width, height] and RGB bytes of each image, and the number of images left out or unreadable.
    """
    cell = _cell
    cell.new_files()
    figures = cell.figures()
    if is_picture(value):
        cell.value(value, figures)
    found = cell.found[: cell._limits["images"]]  # Threads of the cell may have raced.
    return [meta for meta, _, _ in found], [data for _, data, _ in found], cell.skipped


class Shown:
    """Define an object that a notebook shows as an image."""

    def picture(self) -> Image.Image:
        """Return the image."""
        raise NotImplementedError


def _opened(value) -> Image.Image:
    return value.picture() if isinstance(value, Shown) else value


def display(*values, **kwargs) -> None:
    """Implement ``display`` of a notebook: show images, figures and arrays of pixels, and print everything else."""
    for value in values:
        if _is_pixels(value):
            value = Image.fromarray(value)
        if not is_picture(value):
            print(repr(value))
            continue
        for item in value if type(value) in (list, tuple) else [value]:
            if _is_figure(item):
                item.show()
            else:
                _cell.take("image shown", lambda item=item: _opened(item))


def is_picture(value) -> bool:
    """Return True if the value of a cell's last line is shown as one or several images and not as text."""
    if type(value) in (list, tuple) and value:
        return all(isinstance(item, (Image.Image, Shown)) or _is_figure(item) for item in value)
    return isinstance(value, (Image.Image, Shown)) or _is_figure(value)


def _is_pixels(value) -> bool:
    """Return True for an array of bytes that has the shape of an image and is not a small table of numbers."""
    if type(value).__name__ != "ndarray" or value.dtype != "uint8" or value.ndim not in (2, 3):
        return False
    return min(value.shape[:2]) >= 16 and (value.ndim == 2 or value.shape[2] in (3, 4))


def is_drawing(value, depth: int = 3) -> bool:
    """Return True if a value is a return value of matplotlib, or lists of them. Its text would clutter the figure."""
    artist, container = sys.modules.get("matplotlib.artist"), sys.modules.get("matplotlib.container")
    if artist is None or container is None:
        return False
    # Some kinds are not subclasses of Container.
    kinds = [kind for kind in vars(container).values() if isinstance(kind, type)]
    if isinstance(value, (artist.Artist, *(kind for kind in kinds if kind.__module__ == container.__name__))):
        return True
    # plt.subplots returns such an array.
    if type(value).__name__ == "ndarray" and value.dtype == object and value.size:
        value = list(value.flat)
    return (
        type(value) in (list, tuple) and 0 < len(value) and depth > 0 and all(is_drawing(v, depth - 1) for v in value)
    )


def _is_figure(value) -> bool:
    module = sys.modules.get("matplotlib.figure")  # matplotlib may be absent.
    return module is not None and isinstance(value, module.Figure)


def _pyplot():
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return None
    return plt


def render(figure) -> Image.Image:
    """Draw a figure of matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.frombuffer("RGBA", canvas.get_width_height(physical=True), canvas.buffer_rgba())
