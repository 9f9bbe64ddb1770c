# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""image_zoom_in: which pixels, of which image, and what the model is told when it got the arguments wrong.

Test images hold their own coordinates: the pixel at (x, y) is (x % 256, y % 256, 16 * (x // 256) + y // 256).
"""

import asyncio
import base64
import io
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from verl.tools.tool_registry import load_all_tools

from tools.image_zoom_in import _pixels
from tools.images import MAX_ASPECT_RATIO, encoded_image, open_image, smart_resize
from verl_ext.tool_calls import ToolInfrastructureError

TOOLS = Path(__file__).parents[2] / "tools"


def coordinates(width, height):
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([x % 256, y % 256, 16 * (x // 256) + y // 256], axis=-1).astype(np.uint8))


def corner(image):
    """Coordinates in the original of a crop's upper left pixel."""
    r, g, b = image.getpixel((0, 0))
    return r + 256 * (b // 16), g + 256 * (b % 16)


def load(name="image_zoom_in.yaml", **options):
    (tool,) = load_all_tools(str(TOOLS / name), None)
    return type(tool)({**tool.config, **options}, tool.tool_schema)


@pytest.fixture(scope="module")
def tool():
    return load(min_pixels=1024)


def user(*images):
    content = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": "what is it?"}]
    return {"role": "user", "content": content}


def answer(image):
    content = [{"type": "image", "image": image}, {"type": "text", "text": "Image 1: the region"}]
    return {"role": "tool", "content": content}


def trajectory(*messages, image_data=None):
    return SimpleNamespace(messages=[{"role": "system", "content": "look"}, *messages], image_data=image_data)


def call(tool, parameters, agent_data=None, **create_kwargs):
    async def run():
        instance, _ = await tool.create(create_kwargs=create_kwargs)
        try:
            return await tool.execute(instance, parameters, agent_data=agent_data)
        finally:
            await tool.release(instance)

    response, reward, metrics = asyncio.run(run())
    assert reward == 0.0
    return response, metrics


def zoom(tool, box, agent_data, img_idx=0):
    response, metrics = call(tool, {"bbox_2d": box, "label": "cup", "img_idx": img_idx}, agent_data)
    assert metrics["ok"], response.text
    (image,) = response.image
    assert image.mode == "RGB" and image.size == (metrics["width"], metrics["height"])
    return image, response.text


# ---------------------------------------------------------------- pixels


def test_crop_holds_the_pixels_of_the_original(tool):
    original = coordinates(2000, 1600)
    small = original.resize((320, 256))  # what the model was shown
    image, text = zoom(tool, [200, 300, 264, 340], trajectory(user(original), image_data=[small]))
    assert image.size == (128, 64)
    assert np.array_equal(image, original.crop((400, 480, 528, 544)))
    assert text == "Image 1: the region [200, 300, 264, 340] of image 0."


@pytest.mark.parametrize(
    "box, region",
    [
        ([500, 500, 501, 501], (484, 484, 516, 516)),  # tiny: grown around its centre
        ([0, 0, 2, 2], (0, 0, 32, 32)),  # at the borders it is shifted to stay inside
        ([999, 999, 1000, 1000], (968, 968, 1000, 1000)),
        ([999, 0, 1000, 1], (968, 0, 1000, 32)),
        ([500.2, 500.2, 500.3, 500.3], (484, 484, 516, 516)),
        ([500, 100, 501, 164], (484, 100, 516, 164)),  # only the short side grows
        ([-50, -1e300, 64, 64], (0, 0, 64, 64)),  # partly outside: clamped
        ([936, 936, 5000, 10**18], (936, 936, 1000, 1000)),
    ],
)
def test_region(tool, box, region):
    original = coordinates(1000, 1000)
    image, _ = zoom(tool, box, trajectory(user(original)))
    assert np.array_equal(image, original.crop(region))


def test_image_smaller_than_min_side(tool):
    image, _ = zoom(tool, [0, 0, 10, 10], trajectory(user(coordinates(20, 20))))
    assert image.size == (32, 32)


def test_result_is_resized_to_the_limits():
    tool = load()
    page = trajectory(user(coordinates(4000, 4000)))
    assert zoom(tool, [0, 0, 25, 25], page)[0].size == (512, 512)  # 256 visual tokens, as in Qwen-Agent
    assert zoom(load(min_pixels=65_536), [0, 0, 25, 25], page)[0].size == (256, 256)
    assert zoom(tool, [0, 0, 1000, 1000], page)[0].size == (2880, 2880)
    assert zoom(load("image_zoom_in_tiny.yaml"), [0, 0, 500, 500], page)[0].size == (128, 128)


# ---------------------------------------------------------------- forms of a box

W, H = 4000, 3000
FORMS = [
    ("[250, 500, 500, 1000]", (1000, 1500, 2000, 3000)),
    ("(250, 500), (500, 1000)", (1000, 1500, 2000, 3000)),
    (" 250,500 500,1000 ", (1000, 1500, 2000, 3000)),
    (["250", "500", "500.0", 1000], (1000, 1500, 2000, 3000)),
    ([0.25, 0.5, 0.5, 1.0], (1000, 1500, 2000, 3000)),
    ("[0.25, 0.5, 0.5, 1.0]", (1000, 1500, 2000, 3000)),
    ([0, 0, 1, 1], (0, 0, 4000, 3000)),
    ([0.5, 0.5, 1.005, 1.0], (2000, 1500, 4000, 3000)),
    ([1500, 1200, 2500, 2000], (1500, 1200, 2500, 2000)),  # in pixels
    (["1501", "1203", "2503", "2007"], (1501, 1203, 2503, 2007)),
    ([0, 0, 4000, 3000], (0, 0, 4000, 3000)),
    ([10, 20, 1500, 800], (10, 20, 1500, 800)),
    ([1001, 1001, 1050, 1050], (1001, 1001, 1050, 1050)),  # in thousandths it would be outside
    ([500, 500, 1004, 1003], (2000, 1500, 4000, 3000)),  # a rounding error beyond 1000
    ([500, 500, 9000, 9000], (2000, 1500, 4000, 3000)),  # neither: clamped
]


@pytest.fixture(scope="module")
def large():
    return coordinates(W, H)


@pytest.mark.parametrize("box, region", FORMS)
@pytest.mark.parametrize("seen", [None, (W, H), (4000, 2976)])
def test_forms_of_a_box(tool, large, box, region, seen):
    chat = trajectory(user(large), image_data=seen and [Image.new("RGB", seen)])
    image, text = zoom(load(min_pixels=1024, max_pixels=2**24), box, chat)
    assert np.array_equal(image, large.crop(region).resize(image.size, Image.Resampling.BICUBIC))
    shown = json.loads(re.search(r"\[.*?\]", text)[0])
    assert shown == pytest.approx([1000 * v / side for v, side in zip(region, (W, H, W, H), strict=True)], abs=0.01)


@pytest.mark.parametrize(
    "box, seen",
    [
        ([900, 900, 1100, 1100], None),  # beyond the image, or small and in pixels
        ([0, 0, 1050, 700], None),
        ([1100, 700, 1250, 900], (1280, 960)),  # pixels of which copy?
        (["1100", 700, 1250, 900], (1280, 960)),
    ],
)
def test_a_box_with_two_meanings_is_refused(tool, large, box, seen):
    chat = trajectory(user(large), image_data=seen and [Image.new("RGB", seen)])
    response, metrics = call(tool, {"bbox_2d": box, "label": "cup", "img_idx": 0}, chat)
    assert metrics == {"ok": False, "error": "bbox_2d"} and "\n" not in response.text
    assert response.text == "Error: bbox_2d must be relative, from 0 to 1000 on both axes, and not in pixels."


def test_pixels_that_only_one_copy_has_are_read(tool, large):
    chat = trajectory(user(large), image_data=[Image.new("RGB", (1280, 960))])
    image, _ = zoom(tool, [1300, 1000, 2580, 1992], chat)  # beyond the copy
    assert np.array_equal(image, large.crop((1300, 1000, 2580, 1992)).resize(image.size, Image.Resampling.BICUBIC))


@pytest.mark.parametrize(
    "box, says",
    [
        ([500, 500, 501, 501], "the region [484, 484, 516, 516] of image 0, grown from [500, 500, 501, 501]."),
        ([0, 0, 2, 500], "the region [0, 0, 32, 500] of image 0, grown from [0, 0, 2, 500]."),
        ([999, 0, 1000, 1], "the region [968, 0, 1000, 32] of image 0, grown from [999, 0, 1000, 1]."),
        ([100.5, 200, 300, 400], "the region [100.5, 200, 300, 400] of image 0."),
        ([0.1, 0.2, 0.3, 0.4], "the region [100, 200, 300, 400] of image 0."),
        ([-50, 0, 500, 500], "the region [0, 0, 500, 500] of image 0."),
        ([0.5, 0.5, 0.501, 0.501], "the region [484, 484, 516, 516] of image 0, grown from [500, 500, 501, 501]."),
    ],
)
def test_the_answer_names_what_is_shown(tool, box, says):
    assert zoom(tool, box, trajectory(user(coordinates(1000, 1000))))[1] == f"Image 1: {says}"


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 3000), st.integers(1, 3000), st.lists(st.integers(0, 1000), min_size=4, max_size=4))
def test_the_box_that_is_named_is_the_region_that_is_shown(width, height, corners):
    x1, y1, x2, y2 = corners
    if x1 >= x2 or y1 >= y2 or max(corners) <= 1:
        return
    (left, right, low, high) = _pixels(x1, x2, width, 32)
    assert 0 <= left < right <= width and right - left >= min(32, width)
    assert left <= low * width / 1000 + 0.16 and right >= high * width / 1000 - 0.16  # rounded to a tenth
    assert abs(low * width / 1000 - left) < 1.16 and abs(high * width / 1000 - right) < 1.16
    assert (low, high) == (x1, x2) or right - left == min(32, width)


# ---------------------------------------------------------------- which image


def test_index_counts_every_image_of_the_conversation(tool):
    first, second = coordinates(400, 300), coordinates(640, 640).rotate(180)
    crop = first.crop((100, 100, 228, 228))
    chat = trajectory(user(first, second), {"role": "assistant", "content": "hm"}, answer(crop), image_data=[crop])
    image, text = zoom(tool, [0, 0, 100, 100], chat, img_idx=1)
    assert np.array_equal(image, second.crop((0, 0, 64, 64)))
    assert text == "Image 3: the region [0, 0, 100, 100] of image 1."
    image, text = zoom(tool, [250, 250, 500, 500], chat, img_idx=2)  # into an image that a tool returned
    assert corner(image) == (132, 132) and image.size == (32, 32)
    assert text.startswith("Image 3") and text.endswith("image 2.")


def as_bytes(image, **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **kwargs)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["pil", "bytes", "bytes+image", "path", "file", "data", "nested", "image_url"])
def test_forms_of_an_image(tool, tmp_path, form):
    original = coordinates(128, 128)
    data = as_bytes(original)
    path = tmp_path / "image.png"
    path.write_bytes(data)
    address = "data:image/png;base64," + base64.b64encode(data).decode()
    element = {
        "pil": {"image": original},
        "bytes": {"bytes": data, "path": None},
        "bytes+image": {"bytes": data, "image": Image.open(io.BytesIO(data))},  # what verl makes of a parquet row
        "path": {"image": str(path)},
        "file": {"image": f"file://{path}"},
        "data": {"image": address},
        "nested": {"image": {"bytes": None, "path": str(path)}},
        "image_url": {"type": "image_url", "image_url": {"url": address}},
    }[form]
    chat = trajectory({"role": "user", "content": [{"type": "image", **element}]})
    assert np.array_equal(zoom(tool, [250, 250, 750, 750], chat)[0], original.crop((32, 32, 96, 96)))


def test_fallbacks_when_the_prompt_holds_no_image(tool):
    given, crop = coordinates(256, 256), coordinates(64, 64).rotate(180)
    everything = [0, 0, 1000, 1000]
    arguments = {"bbox_2d": everything, "label": "", "img_idx": 0}
    chat = trajectory({"role": "user", "content": "what is it?"}, answer(crop), image_data=[crop, crop])
    response, _ = call(tool, arguments, chat, images=[given])
    assert np.array_equal(response.image[0], given) and response.text.startswith("Image 2:")
    response, _ = call(tool, {**arguments, "img_idx": 1}, chat, images=[given])
    assert np.array_equal(response.image[0], crop)
    assert np.array_equal(zoom(tool, everything, trajectory(image_data=[given]))[0], given)
    assert np.array_equal(zoom(tool, everything, trajectory(image_data=given))[0], given)
    response, _ = call(tool, arguments, None, images=[given])
    assert np.array_equal(response.image[0], given)
    response, _ = call(tool, arguments, trajectory(user(crop)), images=[given])  # the conversation comes first
    assert np.array_equal(response.image[0], crop)


def test_nothing_is_kept_after_release(tool):
    call(tool, {"bbox_2d": [0, 0, 1, 1], "label": "", "img_idx": 0}, images=[coordinates(64, 64)])
    assert not tool._create_kwargs


def test_an_image_as_a_file_keeps_the_bytes_it_came_in():
    data = as_bytes(coordinates(64, 64))
    assert encoded_image({"bytes": data}) == (".png", data)
    shared = Image.open(io.BytesIO(data))  # lazy, and in the hands of other sessions, too
    assert encoded_image({"image": shared}) == (".png", data)
    assert np.array_equal(open_image(shared), coordinates(64, 64))  # which can still decode it
    suffix, encoded = encoded_image(coordinates(64, 64))
    assert suffix == ".png" and np.array_equal(Image.open(io.BytesIO(encoded)), coordinates(64, 64))
    with pytest.raises(ToolInfrastructureError, match="cannot read an image"):
        encoded_image(b"no image")


def test_modes_become_rgb_on_white():
    assert open_image(Image.new("RGBA", (2, 2), (255, 0, 0, 0))).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(Image.new("LA", (2, 2), (0, 255))).getpixel((0, 0)) == (0, 0, 0)
    for mode in ("1", "L", "P", "CMYK", "I;16", "F"):
        assert open_image(Image.new(mode, (2, 2))).mode == "RGB"


def test_exif_orientation_is_ignored_as_verl_ignores_it(tool):
    original = coordinates(256, 128)
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    chat = trajectory({"role": "user", "content": [{"type": "image", "bytes": as_bytes(original, exif=exif)}]})
    assert np.array_equal(zoom(tool, [0, 0, 1000, 1000], chat)[0], original)


# ---------------------------------------------------------------- errors

GOOD = {"bbox_2d": [0, 0, 500, 500], "label": "cup", "img_idx": 0}
NAN, INF = math.nan, math.inf
ERRORS = [
    ("bbox_2d", {}, "four numbers from 0 to 1000"),
    ("bbox_2d", {"bbox_2d": None}, "four numbers"),
    ("bbox_2d", {"bbox_2d": "[0, 0, 500]"}, "four numbers"),
    ("bbox_2d", {"bbox_2d": "[0, 0, 500, cup]"}, "four numbers"),
    ("bbox_2d", {"bbox_2d": "[0, 0, 500, 1e3]"}, "four numbers"),
    ("bbox_2d", {"bbox_2d": "[0, 0, 500, \u0665]"}, "four numbers"),
    ("bbox_2d", {"bbox_2d": "[500, 0, 100, 500]"}, "x1 < x2"),
    ("bbox_2d", {"bbox_2d": "x" * 2**20}, "four numbers"),
    ("bbox_2d", {"bbox_2d": []}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [0, 0, 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [[0, 0, 500, 500]]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [0, 0, "5OO", 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [0, 0, "nan", 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [0, 0, "9" * 400, 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [False, 0, 500, True]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [NAN, 0, 500, 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [0, 0, INF, 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [0, 0, 10**400, 500]}, "four numbers"),
    ("bbox_2d", {"bbox_2d": {"x1": 0}}, "four numbers"),
    ("bbox_2d", {"bbox_2d": [500, 0, 100, 500]}, "x1 < x2"),
    ("bbox_2d", {"bbox_2d": [0, 500, 500, 500]}, "y1 < y2"),
    ("bbox_2d", {"bbox_2d": [-9, 0, 0, 500]}, "outside"),
    ("bbox_2d", {"bbox_2d": [1000, 0, 1200, 500]}, "outside"),
    ("bbox_2d", {"bbox_2d": [1200, 1300, 1500, 1600]}, "outside"),
    ("label", {"label": None}, "string"),
    ("label", {"label": 3}, "string"),
    ("label", {"label": "x" * 2**20}, "at most 1000 characters"),
    ("img_idx", {"img_idx": None}, "0, the only image"),
    ("img_idx", {"img_idx": 1}, "0, the only image"),
    ("img_idx", {"img_idx": -1}, "0, the only image"),
    ("img_idx", {"img_idx": 0.5}, "0, the only image"),
    ("img_idx", {"img_idx": True}, "0, the only image"),
    ("img_idx", {"img_idx": "1"}, "0, the only image"),
    ("img_idx", {"img_idx": "zero"}, "0, the only image"),
    ("img_idx", {"img_idx": NAN}, "0, the only image"),
    ("img_idx", {"img_idx": 10**400}, "0, the only image"),
]


@pytest.mark.parametrize("name, change, says", ERRORS)
def test_mistakes_of_the_model(tool, name, change, says):
    parameters = {**GOOD, **change} if change else {}
    response, metrics = call(tool, parameters, trajectory(user(coordinates(64, 64))))
    assert response.text.startswith(f"Error: {name} ") and says in response.text and len(response.text) < 300
    assert response.image is None and metrics == {"ok": False, "error": name}


@pytest.mark.parametrize("name", GOOD)
def test_missing_argument(tool, name):
    parameters = {key: value for key, value in GOOD.items() if key != name}
    assert call(tool, parameters, trajectory(user(coordinates(64, 64))))[1] == {"ok": False, "error": name}


def test_error_says_which_images_there_are(tool):
    image = coordinates(64, 64)
    response, _ = call(tool, {**GOOD, "img_idx": 3}, trajectory(user(image, image), answer(image)))
    assert response.text == "Error: img_idx must be an integer from 0 to 2."
    assert "no image" in call(tool, GOOD, trajectory())[0].text
    assert call(tool, {**GOOD, "img_idx": 0.0}, trajectory(user(image)))[1]["ok"]


def test_long_and_thin_region(tool):
    response, metrics = call(tool, {**GOOD, "bbox_2d": [0, 0, 1000, 1]}, trajectory(user(coordinates(8000, 33))))
    assert metrics["error"] == "bbox_2d" and "long and thin" in response.text


@pytest.mark.parametrize(
    "source",
    [b"no image", "/nowhere/image.png", as_bytes(coordinates(64, 64))[:90], 7, None, "data:image/png;base64,?"],
)
def test_a_broken_image_is_no_mistake_of_the_model(tool, source):
    with pytest.raises(ToolInfrastructureError, match="cannot read an image"):
        call(tool, GOOD, trajectory(user(source)))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)
boxes = st.lists(st.integers(-200, 1200) | st.floats(-200, 1200) | json_values, min_size=3, max_size=5) | json_values


@settings(deadline=None, max_examples=300)
@given(
    st.fixed_dictionaries(
        {},
        optional={"bbox_2d": boxes, "label": st.just("cup") | json_values, "img_idx": st.integers(-1, 2) | json_values},
    )
    | json_values
)
def test_never_raises_whatever_the_model_writes(fuzz_tool, parameters):
    response, metrics = call(fuzz_tool, parameters, trajectory(user(FUZZ_IMAGE)))
    assert len(response.text) < 300
    if metrics["ok"]:
        (image,) = response.image
        assert image.width % 32 == image.height % 32 == 0 and image.width * image.height <= 16384
    else:
        assert response.image is None and metrics["error"] in ("arguments", "bbox_2d", "label", "img_idx")
        assert response.text.startswith(f"Error: {metrics['error']} ")


FUZZ_IMAGE = coordinates(300, 200)


@pytest.fixture(scope="module")
def fuzz_tool():
    return load("image_zoom_in_tiny.yaml")


# ---------------------------------------------------------------- pixels of a trajectory

REFUSAL = "Error: image_zoom_in cannot show more: no pixels are left. Answer from what you have seen."
EVERYTHING = {"bbox_2d": [0, 0, 1000, 1000], "label": "", "img_idx": 0}


def area(image):
    return image.width * image.height


def budgeted(budget, low=1024, high=65_536):
    return load(min_pixels=low, max_pixels=high, max_pixels_per_trajectory=budget)


def test_results_shrink_with_the_budget_and_then_none_is_left():
    tool, chat = budgeted(100_000), trajectory(user(coordinates(512, 512)))
    areas = []
    while (made := call(tool, EVERYTHING, chat))[1]["ok"]:
        (image,) = made[0].image
        areas.append(area(image))
        assert image.width == image.height  # smaller, not cut
        chat.messages.append(answer(image))
    assert areas[0] == 65_536 and areas == sorted(areas, reverse=True) and 100_000 - 1024 < sum(areas) <= 100_000
    assert made[0].text == REFUSAL and made[0].image is None and made[1] == {"ok": False, "error": "image_zoom_in"}


def test_no_budget_is_no_limit():
    chat = trajectory(user(coordinates(512, 512)), *[answer(coordinates(2880, 2880))] * 50)
    assert area(zoom(load(), EVERYTHING["bbox_2d"], chat)[0]) == 512 * 512


def test_images_of_the_prompt_are_free_and_other_tools_are_not():
    picture = coordinates(256, 256)
    assert call(budgeted(65_536), EVERYTHING, trajectory(user(picture, picture)))[1]["ok"]
    other = {"role": "tool", "content": [{"type": "image", "image": picture}]}  # whichever tool made it
    assert call(budgeted(65_536), EVERYTHING, trajectory(user(picture), other))[0].text == REFUSAL


def test_at_a_fork_the_messages_tell():
    """A continuation's `agent_data` is new; what its prefix has seen stands in the messages."""
    tool, picture = budgeted(100_000), coordinates(256, 256)
    source = trajectory(user(picture))
    first, _ = zoom(tool, [0, 0, 1000, 1000], source)
    source.messages.append(answer(first))
    forks = [trajectory(user(picture), answer(first)) for _ in range(3)]
    after = [zoom(tool, [0, 0, 1000, 1000], chat)[0].size for chat in (source, *forks)]
    assert len(set(after)) == 1 and area(first) + after[0][0] * after[0][1] <= 100_000
    before = trajectory(user(picture))  # forked at the first call
    assert zoom(tool, [0, 0, 1000, 1000], before)[0].size == first.size


@pytest.mark.parametrize("box", [[0, 0, 1000, 1000], [0, 0, 400, 700]])
def test_calls_side_by_side_share_the_budget(box):
    tool, chat = budgeted(150_000), trajectory(user(coordinates(512, 512)))

    async def turn(calls):
        arguments = {**EVERYTHING, "bbox_2d": box}
        return await asyncio.gather(*(tool.execute(str(i), arguments, agent_data=chat) for i in range(calls)))

    made = [response for response, _, _ in asyncio.run(turn(9))]
    shown = [response.image[0] for response in made if response.image]
    assert 150_000 - 1024 < sum(map(area, shown)) <= 150_000
    assert all(response.text == REFUSAL for response in made if not response.image)
    chat.messages += map(answer, shown)  # now the messages tell, nothing counts twice
    assert call(tool, EVERYTHING, chat)[0].text == REFUSAL
    del chat.messages[-len(shown) + 1 :]
    assert call(tool, EVERYTHING, chat)[1]["ok"]


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1024, 40_000),
    st.lists(st.tuples(st.integers(1, 3), st.lists(st.integers(0, 1000), min_size=4, max_size=4)), max_size=8),
)
def test_the_budget_always_holds(budget, turns):
    tool, chat = budgeted(budget, high=16_384), trajectory(user(FUZZ_IMAGE))
    total = 0
    for calls, box in turns:

        async def turn(calls=calls, box=box):
            arguments = {**EVERYTHING, "bbox_2d": box}
            return await asyncio.gather(*(tool.execute(str(i), arguments, agent_data=chat) for i in range(calls)))

        for response, _, _ in asyncio.run(turn()):
            total += sum(map(area, response.image or []))
            chat.messages.append(answer(response.image[0]) if response.image else {"role": "tool", "content": "no"})
        assert total <= budget


# ---------------------------------------------------------------- size rule


@settings(deadline=None)
@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.sampled_from([28, 32]),
    st.integers(1, 2**20),
    st.integers(1024, 2**23),
)
def test_smart_resize_properties(width, height, factor, low, high):
    if max(width, height) > MAX_ASPECT_RATIO * min(width, height):
        return
    w, h = smart_resize(width, height, factor, min(low, high), high)
    assert w % factor == h % factor == 0 and min(w, h) >= factor
    assert w * h <= high and max(w, h) <= MAX_ASPECT_RATIO * min(w, h)


@settings(deadline=None)
@given(st.integers(32, 4000), st.integers(32, 4000))
def test_smart_resize_agrees_with_qwen(width, height):
    qwen = pytest.importorskip("qwen_vl_utils", exc_type=Exception)
    if max(width, height) > 20 * min(width, height):
        return
    h, w = qwen.smart_resize(height, width, factor=32, min_pixels=65_536, max_pixels=4_194_304)
    ours = smart_resize(width, height, 32, 65_536, 4_194_304)
    if ours != (w, h):  # theirs rounds 256.00000000000006 up to the next multiple, ours does not
        assert ours[0] * ours[1] >= 65_536 and 0 <= w - ours[0] <= 32 and 0 <= h - ours[1] <= 32


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize("name", ["image_zoom_in.yaml", "image_zoom_in_tiny.yaml"])
def test_yaml_loads_through_verl(name):
    (tool,) = load_all_tools(str(TOOLS / name), None)
    schema = tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
    assert tool.name == "image_zoom_in"
    assert list(schema["function"]["parameters"]["properties"]) == ["bbox_2d", "label", "img_idx"]
    assert schema["function"]["parameters"]["required"] == ["bbox_2d", "label", "img_idx"]
    assert len(json.dumps(schema)) < (300 if "tiny" in name else 600)  # it is part of every prompt


def test_the_smallest_result_follows_a_lower_limit():
    assert load().options.min_pixels == 256 * 32 * 32
    assert load(max_pixels=98_304).options.min_pixels == 98_304
    with pytest.raises(ValueError, match=r"max_pixels \(98304\) must be at least min_pixels \(98305\)"):
        load(max_pixels=98_304, min_pixels=98_305)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"min_size": 3}, "min_size"),
        ({"factor": 0}, "factor"),
        ({"min_side": "32"}, "min_side"),
        ({"max_pixels": True}, "max_pixels"),
        ({"min_pixels": 2000, "max_pixels": 1999}, "max_pixels"),
        ({"min_pixels": 1, "max_pixels": 1023}, "max_pixels"),
        ({"max_pixels_per_trajectory": 0}, "max_pixels_per_trajectory"),
        ({"max_pixels_per_trajectory": 1e6}, "max_pixels_per_trajectory"),
        (
            {"max_pixels_per_trajectory": 65_535},
            r"^image_zoom_in: max_pixels_per_trajectory \(65535\) must be at least min_pixels",
        ),
    ],
)
def test_bad_options_fail_at_start(options, message):
    with pytest.raises(ValueError, match=message):
        load(**options)
