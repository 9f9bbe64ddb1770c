# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Change libraries once in the zygote: nothing is found of a screen, of other processes or of fonts elsewhere."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
import warnings

import errorhints
import fontchoice
import ipythonapi
import onlyfiles
import onlythreads
import pictures
from PIL import Image

OTHER_FOLDERS = ("/tmp/output", "/tmp/outputs", "/tmp/data")


def prepare() -> None:
    """Change all libraries that are there."""
    onlyfiles.prepare()
    onlythreads.prepare()
    ipythonapi.prepare()
    _prepare_pillow()
    _prepare_matplotlib()
    _prepare_opencv()
    _prepare_sklearn()
    warnings.formatwarning = _warning
    for number in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF):
        signal.signal(number, _time_is_up)


def make_folders() -> None:
    """Create directories of other sandboxes that models know, in the own /tmp of a new interpreter."""
    for name in OTHER_FOLDERS if os.getcwd() == "/work" else ():
        os.makedirs(name, exist_ok=True)


def _time_is_up(number, frame):
    """Report a cell's own timer that has no handler. The kernel would drop the signal."""
    raise TimeoutError(f"{signal.Signals(number).name}: the time that the code has set is up")


def _warning(message, category, filename, lineno, line=None) -> str:
    """Return a warning as one line. Only lines of cells are named, because the model cannot change others."""
    where = f"line {lineno}: " if filename.startswith("<cell ") else ""
    return f"{where}{category.__name__}: {message}\n"


def _prepare_sklearn() -> None:
    """Let it look for the libraries of linear algebra now, because interpreters have no /proc."""
    if "sklearn" in sys.modules:
        with contextlib.suppress(ImportError):
            from sklearn.utils.parallel import _get_threadpool_controller

            _get_threadpool_controller()


def _prepare_pillow() -> None:
    """Let show() and save() leave a trace."""
    Image.init()  # Otherwise every interpreter would import the formats again.
    Image.Image.show = lambda self, *args, **kwargs: pictures.current().take("image shown", lambda: self)
    Image.MAX_IMAGE_PIXELS = None  # A large image of the conversation is not an attack, and memory is limited anyway.
    save = Image.Image.save

    @functools.wraps(save)
    def remembering(self, fp, *args, **kwargs):
        save(self, fp, *args, **kwargs)
        pictures.current().written(fp, lambda: self)

    Image.Image.save = remembering


def _prepare_opencv() -> None:
    """Let OpenCV show windows as images, and say which file it does not find. It starts no threads."""
    cv2 = sys.modules.get("cv2")
    if cv2 is None:
        return
    cv2.setNumThreads(1)
    with contextlib.suppress(AttributeError):  # Some builds have no log.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    imread, imwrite = cv2.imread, cv2.imwrite

    def as_image(array) -> Image.Image:
        if array.ndim == 3 and array.shape[2] in (3, 4):
            array = cv2.cvtColor(array, cv2.COLOR_BGR2RGB if array.shape[2] == 3 else cv2.COLOR_BGRA2RGBA)
        return Image.fromarray(array)

    @functools.wraps(imread)
    def reading(filename, *args, **kwargs):
        image = imread(filename, *args, **kwargs)
        if image is None:
            why = "no image" if os.path.exists(filename) else "not there"
            print(f"cv2.imread returns None: {filename!r} is {why}; {errorhints.images()}")
        return image

    @functools.wraps(imwrite)
    def remembering(filename, img, *args, **kwargs):
        done = imwrite(filename, img, *args, **kwargs)
        pictures.current().written(filename, lambda: as_image(img))
        return done

    cv2.imread, cv2.imwrite = reading, remembering
    cv2.imshow = lambda winname, mat: pictures.current().take("image shown", lambda: as_image(mat))
    cv2.waitKey = cv2.waitKeyEx = cv2.pollKey = lambda *args: -1
    cv2.namedWindow = cv2.destroyWindow = cv2.destroyAllWindows = lambda *args: None


def _prepare_matplotlib() -> None:
    """Let show() and savefig() of figures leave a trace."""
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
    fontchoice.prepare()
