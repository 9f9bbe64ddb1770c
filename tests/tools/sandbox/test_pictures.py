# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Images on their way into a cell and out of it. The pixel at (x, y) of a test image is (x, y, 7)."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.tools.sandbox.support import Trajectory, call, load, message, picture, pool_of, say


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


CHECKSUM = "import numpy as np\ni = images[{}]\n(i.mode, i.size, [int(c.sum()) for c in np.asarray(i, dtype=int).T])"


def checksum(image):
    return repr((image.mode, image.size, [int(c.sum()) for c in np.asarray(image, dtype=int).T]))


@pytest.mark.parametrize("form", ["pil", "png", "jpeg", "path", "gray", "palette"])
def test_a_cell_sees_the_pixels_of_the_original(tool, tmp_path, form):
    original = picture(100, 60)
    source, seen = {
        "pil": lambda: (original, original),
        "png": lambda: (encoded(original, "PNG"), original),
        "jpeg": lambda: (data := encoded(original, "JPEG"), Image.open(io.BytesIO(data))),
        "path": lambda: (original.save(path := tmp_path / "image.png"), (str(path), original))[1],
        "gray": lambda: (original.convert("L"), original.convert("L").convert("RGB")),
        "palette": lambda: (p := encoded(original.quantize(), "PNG"), Image.open(io.BytesIO(p)).convert("RGB")),
    }[form]()
    trajectory = Trajectory(message(source))
    assert say(tool, CHECKSUM.format(0), trajectory) == checksum(seen)
    assert say(tool, "len(images), images[-1] is images[0], open(image_paths[0], 'rb').read(0)", trajectory) == (
        "(1, True, b'')"
    )


def test_new_images_appear_at_the_next_call(tool):
    first, second = picture(40, 40), picture(64, 32)
    trajectory = Trajectory(message(first))
    assert say(tool, "len(images)", trajectory) == "1"
    assert "IndexError" in say(tool, "images[1]", trajectory)
    trajectory.messages.append(message(second, role="tool"))
    assert say(tool, CHECKSUM.format(1), trajectory) == checksum(second)
    fork = Trajectory(*trajectory.messages)
    assert say(tool, "[i.size for i in images]", fork) == "[(40, 40), (64, 32)]"


PLOT = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1), dpi=100)\nplt.plot([1, 2])\n"
SQUARE = "from PIL import Image\nim = Image.new('RGB', (64, 64), (1, 2, 3))\n"


@pytest.mark.parametrize(
    "code, says, sizes",
    [
        (PLOT + "plt.show()", "Image 0: figure.", [(192, 96)]),
        (PLOT, "Image 0: figure.", [(192, 96)]),
        (PLOT + "plt.savefig('a.png', dpi=160)", "Image 0: file a.png.", [(320, 160)]),
        (PLOT + "plt.gcf()", "Image 0: figure.", [(192, 96)]),
        (PLOT + PLOT, "Image 0: figure.\nImage 1: figure.", [(192, 96)] * 2),
        (SQUARE + "im", "Image 0: value.", [(64, 64)]),
        (SQUARE + "im.show()", "Image 0: image shown.", [(64, 64)]),
        (SQUARE + "im.show()\nim", "Image 0: image shown.", [(64, 64)]),
        (SQUARE + "im.save('b.jpg'); print('saved')", "saved\nImage 0: file b.jpg.", [(64, 64)]),
        (SQUARE + "im.save('/tmp/c.webp')", "Image 0: file c.webp.", [(64, 64)]),
        (SQUARE + "im.save('d.data', 'PNG')", "(no output)", []),
        (SQUARE + "im.resize((3000, 3000))", "Image 0: value.", [(1024, 1024)]),
        (SQUARE + "im.resize((5, 5))", "Image 0: value.", [(32, 32)]),
        (SQUARE + "for _ in range(6): im.show()", "Image 3: image shown.\n(2 more images not shown)", [(64, 64)] * 4),
        (SQUARE + "im.convert('RGBA')", "Image 0: value.", [(64, 64)]),
        ("images", "<0 images: >", []),
        (SQUARE + "[im, im.rotate(90)]", "Image 0: value.\nImage 1: value.", [(64, 64)] * 2),
        (SQUARE + "display(im, 5)", "5\nImage 0: image shown.", [(64, 64)]),
        (
            SQUARE + "im.save('x.png'); im.save('e.ppm'); im.save('f.jp2')",
            "file e.ppm.\nImage 2: file f.jp2.",
            [(64, 64)] * 3,
        ),
        (SQUARE + "import os; os.makedirs('a/b'); im.save('a/b/c.png')", "Image 0: file c.png.", [(64, 64)]),
        ("plt.show()\n".join([PLOT] * 3), "Image 2: figure.", [(192, 96)] * 3),
        ("plt.show()\n".join([PLOT] * 7), "Image 3: figure.\n(3 more images not shown)", [(192, 96)] * 4),
        *(
            (PLOT + f"plt.show(); {end}", "Image 0: figure.", [(192, 96)])
            for end in ("plt.close()", "plt.close('all')", "plt.clf()", "plt.figure()", "None")
        ),
        (PLOT + "plt.gcf().show(); plt.show()", "Image 0: figure.", [(192, 96)]),
        (PLOT + "plt.pause(0.001); plt.plot([3]); plt.pause(0.001)", "Image 0: figure.", [(192, 96)]),
        *(
            (PLOT + f"import io, os; plt.savefig({file})", "Image 0: figure.", [(192, 96)])
            for file in ("'a.pdf'", "'a.svg'", "io.BytesIO()", "'a.data', format='png'")
        ),
        *(
            (PLOT + f"import os; os.mkdir('d'); plt.savefig('{file}'); {end}", "Image 0: file a.png.", [(192, 96)])
            for file in ("a.png", "a", "d/a.png", "/tmp/a.png")
            for end in ("None", "plt.show()", "plt.close()")
        ),
        (PLOT + "plt.savefig('a.png'); os = __import__('os'); os.remove('a.png')", "Image 0: figure.", [(192, 96)]),
        (PLOT + "plt.savefig('a.png'); plt.plot([3]); plt.show()", "figure.\nImage 1: file a.png.", [(192, 96)] * 2),
        (PLOT + "plt.plot([5])", "Image 0: figure.", [(192, 96)]),
        (PLOT + "plt.subplots(2, 2, figsize=(2, 1))[1]", "Image 1: figure.", [(192, 96)] * 2),
    ],
)
def test_what_a_cell_draws_is_handed_back(tool, code, says, sizes):
    response, metrics = call(tool, code, Trajectory())
    assert response.text.endswith(says)
    assert [image.size for image in response.image or []] == sizes
    assert metrics["images"] == len(sizes)


def test_pixels_come_back_as_they_were_made(tool):
    response, _ = call(tool, "images[0].rotate(180)", Trajectory(message(picture(96, 64))))
    assert response.text == "Image 1: value."  # counts on from the conversation's
    assert np.array_equal(response.image[0], picture(96, 64).rotate(180))
    response, _ = call(tool, "from PIL import Image\nImage.new('RGBA', (64, 64))", Trajectory())
    assert response.image[0].getpixel((0, 0)) == (255, 255, 255)


def test_only_what_is_new_is_shown(tool):
    trajectory = Trajectory()
    assert "file a.png" in say(tool, SQUARE + "im.save('a.png')", trajectory)
    assert say(tool, "1", trajectory) == "1"
    assert "file a.png" in say(tool, "im.rotate(90).save('a.png')", trajectory)


EMPTY = "(1 more image not shown)"


@pytest.mark.parametrize(
    "code",
    [
        "images[0].crop((50, 50, 50, 80))",
        "images[0].crop((50, 50, 50, 80)).show()",
        "display(images[0].crop((50, 50, 50, 80)))",
        "import matplotlib.pyplot as plt\nplt.figure(figsize=(0.001, 0.001)); plt.show()",
        "import matplotlib.pyplot as plt\nplt.figure(figsize=(0.001, 0.001))",
    ],
)
def test_an_empty_image_is_a_line_of_text(tool, code):
    trajectory = Trajectory(message(picture(96, 64)))
    say(tool, "k = 1", trajectory)
    assert say(tool, code, trajectory).endswith("ValueError: the image is empty\n" + EMPTY)
    assert say(tool, "k", trajectory) == "1"


def test_what_is_shown_is_how_it_was_at_that_time(tool):
    draw = "im.show(); im.paste((9, 9, 9), (0, 0, 64, 64)); im"
    response, _ = call(tool, SQUARE + draw, Trajectory())
    assert response.text == "Image 0: image shown.\nImage 1: value."
    assert [image.getpixel((5, 5)) for image in response.image] == [(1, 2, 3), (9, 9, 9)]


def test_the_folder_a_cell_is_in_changes_nothing(tool):
    trajectory = Trajectory(message(picture(96, 64)))
    assert say(tool, SQUARE + "import os; os.chdir('/tmp'); im.save('b.png')", trajectory) == "Image 1: file b.png."
    for folder in ("/work", "/tmp", "/"):
        assert say(tool, f"os.chdir('{folder}')", trajectory) == "(no output)"
    assert say(tool, "os.rename('/tmp/b.png', '/tmp/c.png')", trajectory) == "(no output)"
    assert say(tool, "os.link('/tmp/c.png', '/tmp/d.png'); im.save('/tmp/d.png')", trajectory).count("Image") == 1


@pytest.mark.parametrize(
    "make, pixel, note",
    [
        ("np.full((64, 64), 25700, 'uint16')", 100, ", 0 is black and 65535 white"),
        ("np.full((64, 64), 200, 'uint16')", 200, ""),
        ("np.full((64, 64), 0.6, 'float32')", 153, ", 0 is black and 1 white"),
        ("np.full((64, 64), 77, 'float32')", 77, ""),
        ("np.full((64, 64), np.nan, 'float32')", 0, ""),
        ("np.arange(-32, 32, dtype='int32').repeat(64).reshape(64, 64)", 20, ", -32 is black and 31 white"),
    ],
)
def test_deep_images_are_scaled_not_cut_off(tool, make, pixel, note):
    code = f"import numpy as np\nfrom PIL import Image\nImage.fromarray({make})"
    response, _ = call(tool, code, Trajectory())
    assert response.text == f"Image 0: value{note}."
    assert response.image[0].getpixel((5, 5)) == (pixel,) * 3


def test_images_and_their_paths_are_there_in_every_cell(tool):
    trajectory = Trajectory(message(picture(96, 64), picture(32, 32)))
    for code in ("images = image_paths = 7", "del images, image_paths", "image_paths.clear()"):
        say(tool, code, trajectory)
        assert say(tool, "len(images), image_paths", trajectory) == "(2, ['/work/image_0.png', '/work/image_1.png'])"
    say(tool, "images[0].paste((9, 9, 9), (0, 0, 96, 64))", trajectory)
    assert say(tool, "images[0].getpixel((0, 0))", trajectory) == "(9, 9, 9)"


@pytest.mark.parametrize(
    "obstacle",
    [
        "os.makedirs('image_0.png/deep'); open('image_0.png/file', 'w')",
        "os.mkfifo('image_0.png')",
        "os.symlink('/work/other', 'image_0.png')",
        "open('image_0.png', 'w').write('x'); os.chmod('image_0.png', 0)",
    ],
)
def test_what_is_in_the_way_of_an_image_is_removed(tool, obstacle):
    trajectory = Trajectory()
    say(tool, f"import os; {obstacle}; None", trajectory)
    trajectory.messages.append(message(picture(96, 64)))
    assert say(tool, "images[0].size, open(image_paths[0], 'rb').read(4)[1:]", trajectory) == "((96, 64), b'PNG')"


def test_too_many_open_files_hide_no_image_for_long(tool):
    trajectory = Trajectory()
    fill = "held = []\ntry:\n    while True: held.append(open('/dev/null'))\nexcept OSError: pass"
    say(tool, fill, trajectory)
    trajectory.messages.append(message(picture(96, 64)))
    assert "Too many open files" in say(tool, "images[0].size", trajectory)
    say(tool, "for file in held: file.close()", trajectory)
    assert say(tool, "open(image_paths[0], 'rb').read(4)[1:]", trajectory) == "b'PNG'"


def test_limits_on_images():
    tool = load(max_images=1, max_pixels=4096, max_pixels_per_trajectory=6000)
    trajectory = Trajectory()
    response, metrics = call(tool, SQUARE + "im.show(); im.show()", trajectory)
    assert [image.size for image in response.image] == [(64, 64)] and metrics["truncated"]
    trajectory.messages.append(message(*response.image, role="tool"))
    response, _ = call(tool, "im", trajectory)
    assert [image.size for image in response.image] == [(32, 32)]  # what is left
    trajectory.messages.append(message(*response.image, role="tool"))
    response, _ = call(tool, "im", trajectory)
    assert response.image is None and response.text == "(1 more image not shown)"
    pool_of(tool).close()


def test_without_matplotlib():
    tool = load(packages=["pillow"], spares=0)
    assert say(tool, "6 * 7", Trajectory()) == "42"
    assert "Image 0" in say(tool, SQUARE + "im", Trajectory())
    assert "ModuleNotFoundError" in say(tool, "import matplotlib", Trajectory())
    pool_of(tool).close()
