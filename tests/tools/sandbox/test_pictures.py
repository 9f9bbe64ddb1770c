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
"""Images on their way into a cell and out of it. The pixel at (x, y) of a test image is (x, y, 7)."""

import io

import numpy as np
import pytest
from PIL import Image

from tests.tools.sandbox.support import Trajectory, call, load, pool_of, say


def picture(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 7)], axis=-1).astype(np.uint8))


def encoded(image, kind):
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def message(*images, role="user"):
    return {"role": role, "content": [{"type": "image", "image": image} for image in images]}


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
