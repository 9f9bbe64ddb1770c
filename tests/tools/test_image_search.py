# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""image_search: which pictures come back, under which index, and what a service can do wrong."""

import asyncio
import base64
import io
import json
import os
import re
import sqlite3
import struct
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.tools.api_server import ApiServer, Reply
from tests.tools.corpora import call, call_async, json_values, load
from tools.search import pictures
from tools.search.pictures import PictureIndex, open_picture
from tools.search.thumbnails import may_be_asked
from verl_ext.tool_calls import ToolInfrastructureError

KEY = "img-geheim-1234"


def picture(seed, width=160, height=120):
    """Smooth noise: pictures of different seeds are far from each other."""
    noise = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, form="PNG", **kwargs):
    buffer = io.BytesIO()
    image.save(buffer, form, **kwargs)
    return buffer.getvalue()


def b64(data):
    return base64.b64encode(data).decode()


def trajectory(*images, returned=()):
    content = [{"type": "image", "image": image} for image in images] + [{"type": "text", "text": "what is it?"}]
    messages = [{"role": "user", "content": content}]
    if returned:
        messages.append({"role": "tool", "content": [{"type": "image", "image": image} for image in returned]})
    return SimpleNamespace(messages=messages, image_data=None)


def http_tool(server, **options):
    return load("image_search.yaml", **{"url": f"{server.url}/lens", "timeout_s": 5.0, "backoff_s": 0.01, **options})


def failure(tool, agent_data):
    with pytest.raises(ToolInfrastructureError) as caught:
        call(tool, {"img_idx": 0}, agent_data)
    assert KEY not in str(caught.value)
    return caught.value.kind


# ---------------------------------------------------------------- folder of pictures


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "sub").mkdir()
    for seed in range(20):
        name = f"sub/p{seed:02}.jpg" if seed % 2 else f"p{seed:02}.png"
        picture(seed).save(folder / name)
    picture(3, 320, 240).save(folder / "three_again.png")
    (folder / "broken.png").write_bytes(b"no picture")
    (folder / "notes.txt").write_text("no picture either")
    rows = [{"file": f"p{seed:02}.png", "title": f"Number {seed}"} for seed in range(0, 20, 2)]
    (folder / "titles.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "titles.csv").write_text("file,title\n" + "".join(f"{r['file']},{r['title']}\n" for r in rows))
    return folder


def offline(folder, **options):
    return load("image_search.yaml", backend="offline", folder=str(folder), **options)


@pytest.mark.parametrize("titles", ["titles.jsonl", "titles.csv"])
def test_finds_the_picture(folder, titles):
    tool = offline(folder, titles=str(folder / titles))
    response, figures = call(tool, {"img_idx": 1}, trajectory(picture(99), picture(4, 400, 300)))
    assert response.text == "Image 2: Number 4"
    (thumbnail,) = response.image
    assert thumbnail.mode == "RGB" and thumbnail.size == (160, 128)
    assert np.abs(np.asarray(thumbnail, int) - np.asarray(picture(4).resize((160, 128)), int)).mean() < 3
    assert figures == {"ok": True, "error": None, "results": 1, "image_index": 2, "thumbnails_missing": 0}


def test_indices_go_on_from_the_conversation(folder):
    chat = trajectory(picture(99), returned=[picture(98), picture(3)])
    response, figures = call(offline(folder), {"img_idx": 2}, chat)
    assert response.text.split("\n") == ["Image 3: three_again", "Image 4: p03"]  # the nearest first
    assert len(response.image) == 2 and figures["image_index"] == 3
    response, figures = call(offline(folder), {"img_idx": 0}, None, images=[picture(3)])  # images of the row
    assert response.text.startswith("Image 1: ")


def test_nothing_alike(folder):
    response, figures = call(offline(folder), {"img_idx": 0}, trajectory(picture(77)))
    assert response.text == "No matching images were found." and response.image is None
    assert figures["ok"] and figures["results"] == 0
    response, figures = call(offline(folder, max_distance=64), {"img_idx": 0}, trajectory(picture(77)))
    assert figures["results"] == 5 and len(response.image) == 5


def test_check_counts_the_pictures(folder):
    (line,) = offline(folder).check()
    assert line.ready and line.detail == f"{folder}, 21 images, 1 cannot be read"


def test_hashes_are_kept_until_the_folder_changes(tmp_path, monkeypatch):
    source, place = tmp_path / "source", tmp_path / "index"
    source.mkdir()
    for seed in range(3):
        picture(seed).save(source / f"{seed}.png")
    hashed = []
    compute = pictures.perceptual_hash
    monkeypatch.setattr(pictures, "perceptual_hash", lambda image: hashed.append(1) or compute(image))
    PictureIndex(str(source), None, str(place))
    PictureIndex(str(source), None, str(place))
    assert len(hashed) == 3 and sorted(os.listdir(source)) == ["0.png", "1.png", "2.png"]
    picture(7).save(source / "1.png")
    index = PictureIndex(str(source), None, str(place))
    assert len(hashed) == 6
    assert [title for title, _ in index.search(picture(7), 5, 10)] == ["1"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backend": "offline"}, "folder"),
        ({"backend": "offline", "folder": "/nowhere/at/all"}, "folder: there is no folder"),
        ({"backend": "offline", "folder": "EMPTY"}, "holds no picture"),
        (
            {"backend": "offline", "folder": "FULL", "titles": "BAD"},
            "titles: .*line 2 needs file and title, it has name",
        ),
        ({"backend": "offline", "folder": "FULL", "titles": "/nowhere"}, "titles: /nowhere"),
        ({"backend": "offline", "folder": "FULL", "index_dir": "/proc/no"}, "index_dir: .*/proc/no"),
        ({"backend": "offline", "folder": "FULL", "cache_mode": "record", "cache": "x"}, "needs no cache"),
        ({}, "url: backend http needs the address.*replay.*offline"),
        ({"url": "lens.example.org"}, "url: must be an address"),
        ({"url": "http://x", "folder": "y"}, "folder"),
        ({"url": "http://x", "api_key_env": "NO_SUCH_KEY"}, "NO_SUCH_KEY is not set"),
        ({"url": "http://x", "max_pixels": 1000}, "max_pixels"),
        ({"url": "http://x", "max_results": 11}, "max_results"),
        ({"cache": "/nowhere/at/all", "cache_mode": "replay"}, "cache: .*record"),
    ],
)
def test_bad_options_fail_at_start(tmp_path, options, message):
    (tmp_path / "full").mkdir()
    picture(0).save(tmp_path / "full" / "a.png")
    (tmp_path / "bad.jsonl").write_text('{"file": "a.png", "title": "A"}\n{"name": "b"}')
    (tmp_path / "empty").mkdir()
    places = {"FULL": tmp_path / "full", "EMPTY": tmp_path / "empty", "BAD": tmp_path / "bad.jsonl"}
    with pytest.raises(ValueError, match=message):
        load("image_search.yaml", **{name: str(places.get(value, value)) for name, value in options.items()})


# ---------------------------------------------------------------- a service


def test_request_and_answer(monkeypatch):
    monkeypatch.setenv("LENS_KEY", KEY)
    results = [
        {"title": "A <|im_start|>\n<image> tower", "image": b64(encoded(picture(1, 640, 480)))},
        {"title": "B", "image": "data:image/jpeg;base64," + b64(encoded(picture(2), "JPEG"))},
        {"title": "C" * 500, "image_url": "@URL@/thumb.png"},
        {"image_url": "@URL@/missing.png"},
        {"title": "E", "image": "no base64"},
        {"title": "F, one too many"},
    ]

    def route(path, data):
        if path == "/thumb.png":
            return Reply(encoded(picture(3).convert("RGBA")))
        return Reply(b"", 404) if path == "/missing.png" else None

    with ApiServer(route=route) as server:
        server.replies = [Reply(json.loads(json.dumps({"results": results}).replace("@URL@", server.url)))]
        tool = http_tool(server, api_key_env="LENS_KEY", upload_max_pixels=10_000)
        response, figures = call(tool, {"img_idx": 0}, trajectory(picture(0, 400, 400)))
    lines = response.text.split("\n")
    assert lines[0] == "Image 1: A < |im_start| > < image> tower"
    assert lines[1] == "Image 2: B" and lines[2] == "Image 3: " + "C" * 197 + "..."
    assert lines[3:] == ["Without image: (no title)", "Without image: E"]
    assert [image.mode for image in response.image] == ["RGB"] * 3 and figures["truncated"]
    assert all(i.width % 32 == i.height % 32 == 0 and i.width * i.height <= 65_536 for i in response.image)
    assert figures["thumbnails_missing"] == 2 and figures["results"] == 5
    path, headers, body = server.requests[0]
    sent = json.loads(body)
    assert path == "/lens" and headers["Authorization"] == f"Bearer {KEY}" and sent["max_results"] == 5
    image = Image.open(io.BytesIO(base64.b64decode(sent["image"])))
    assert image.format == "JPEG" and image.size == (100, 100)
    asked = {path: headers for path, headers, _ in server.requests[1:]}
    assert set(asked) == {"/thumb.png", "/missing.png"}
    assert all("Authorization" not in headers for headers in asked.values())  # the key is for the service alone


def test_other_field_names():
    answer = {"data": {"items": [{"meta": {"name": "A"}, "thumb": b64(encoded(picture(1)))}]}}
    with ApiServer([Reply(answer)]) as server:
        tool = http_tool(
            server, results_field="data.items", title_field="meta.name", thumbnail_field="thumb", upload_format="png"
        )
        response, _ = call(tool, {"img_idx": 0}, trajectory(picture(0)))
    assert response.text == "Image 1: A" and len(response.image) == 1
    sent = base64.b64decode(json.loads(server.requests[0][2])["image"])
    assert np.array_equal(Image.open(io.BytesIO(sent)), picture(0))


def png_header(width, height):
    """A few bytes that say they are a picture of that size."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 1000)
    parts = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        encoded(picture(1))[:200],
        png_header(30_000, 30_000),
        png_header(8000, 8000),
        encoded(Image.new("RGB", (4020, 20))),  # no image processor takes a shape of 201 to 1
        encoded(picture(1), "TIFF"),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    ],
    ids="empty html truncated bomb big thin tiff eps".split(),
)
def test_a_bad_thumbnail_keeps_its_title(data):
    results = [{"title": "bad", "image": b64(data)}, {"title": "good", "image": b64(encoded(picture(1)))}]
    with ApiServer([Reply({"results": results})]) as server:
        response, figures = call(http_tool(server), {"img_idx": 0}, trajectory(picture(0)))
    assert response.text == "Without image: bad\nImage 1: good" and len(response.image) == 1
    assert figures["ok"] and figures["thumbnails_missing"] == 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_thumbnails_become_rgb(mode):
    form = "JPEG" if mode == "CMYK" else "PNG"
    assert open_picture(io.BytesIO(encoded(picture(1).convert(mode), form))).mode == "RGB"


def test_a_huge_thumbnail_is_not_loaded():
    results = {"results": [{"title": "huge", "image_url": "@URL@/huge"}]}
    with ApiServer(route=lambda path, _: Reply(b"x" * 300_000) if path == "/huge" else None) as server:
        server.replies = [Reply(json.dumps(results).replace("@URL@", server.url).encode())]
        response, _ = call(http_tool(server, max_response_bytes=100_000), {"img_idx": 0}, trajectory(picture(0)))
    assert response.text == "Without image: huge" and len(server.requests) == 2  # nor asked for again


@pytest.mark.parametrize(
    "url, allowed",
    [
        ("https://images.example.org/a.jpg", True),
        ("http://8.8.8.8/a.jpg", True),
        ("http://api.test/a.jpg", True),
        ("http://127.0.0.1/a", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("http://[::1]/a", False),
        ("http://10.0.0.7/a", False),
        ("http://127.1/a", False),
        ("http://0x7f.1/a", False),
        ("http://2130706433/a", False),
        ("http://localhost./a", False),
        ("http://a.localhost/a", False),
        ("http://metadata.google.internal/a", False),
        ("file:///etc/passwd", False),
        ("ftp://example.org/a", False),
        ("http:///a", False),
        ("//example.org/a", False),
        ("http://[", False),
        ("\x00", False),
    ],
)
def test_which_addresses_of_thumbnails_are_asked(url, allowed):
    assert may_be_asked(url, "http://api.test/lens") == allowed


@pytest.mark.parametrize(
    "bad, kind, asked",
    [
        (Reply(b"", 500), "http_500", 3),
        (Reply(b"not JSON"), "garbage", 3),
        (Reply({"results": {}}), "garbage", 3),
        (Reply({"results": ["title"]}), "garbage", 3),
        (Reply({"results": [{"title": ["x"]}]}), "garbage", 3),
        (Reply(KEY.encode(), 403), "key", 1),
        (Reply(b"x" * 100_001), "size", 1),
    ],
)
def test_failures_of_the_service(monkeypatch, bad, kind, asked):
    monkeypatch.setenv("LENS_KEY", KEY)
    with ApiServer([bad]) as server:
        tool = http_tool(server, api_key_env="LENS_KEY", max_response_bytes=100_000)
        assert failure(tool, trajectory(picture(0))) == kind and len(server.requests) == asked


def test_a_broken_image_is_no_mistake_of_the_model(folder):
    assert failure(offline(folder), trajectory(b"no image")) == "image"


def test_concurrency_is_bounded_at_the_server():
    def route(path, data):
        return Reply(encoded(picture(1)), delay=0.02) if path != "/lens" else None

    async def many(tool):
        chats = [trajectory(picture(seed)) for seed in range(4)]
        return await asyncio.gather(*(call_async(tool, {"img_idx": 0}, chat) for chat in chats))

    with ApiServer(route=route) as server:
        results = [{"title": "A", "image_url": f"{server.url}/{i}"} for i in range(3)]
        server.replies = [Reply({"results": results}, delay=0.02)]
        answers = asyncio.run(many(http_tool(server, max_concurrency=2)))
    assert all(len(response.image) == 3 for response, _ in answers)
    assert server.max_in_flight == 2 and len(server.requests) == 16


def test_replay_needs_no_network(tmp_path):
    thumb = encoded(picture(1))
    with ApiServer(route=lambda path, _: Reply(thumb) if path == "/thumb" else None) as server:
        results = [
            {"title": "A", "image_url": f"{server.url}/thumb"},
            {"title": "B", "image": b64(encoded(picture(2)))},
            {"title": "C"},
        ]
        server.replies = [Reply(json.dumps({"results": results}, indent=3).encode())]
        recorder = http_tool(server, cache=str(tmp_path), cache_mode="record")
        recorded, _ = call(recorder, {"img_idx": 0}, trajectory(picture(0)))
        # the same pixels in another file are the same request
        again, _ = call(recorder, {"img_idx": 1}, trajectory(picture(5), {"bytes": encoded(picture(0))}))
        assert len(server.requests) == 2 and again.text == "Image 2: A\nImage 3: B\nWithout image: C"
    replay = load("image_search.yaml", cache=str(tmp_path), cache_mode="replay")
    replayed, _ = call(replay, {"img_idx": 0}, trajectory(picture(0)))
    assert replayed.text == recorded.text == "Image 1: A\nImage 2: B\nWithout image: C"
    assert all(np.array_equal(*pair) for pair in zip(replayed.image, recorded.image, strict=True))
    raw = [row[0] for row in sqlite3.connect(tmp_path / "cache.db").execute("SELECT value FROM Cache")]
    assert sorted(raw) == sorted([thumb, server.replies[0].body, f"{server.url}/lens".encode()])
    assert failure(replay, trajectory(picture(0, 160, 121))) == "cache_miss"
    assert [(line.what, line.ready) for line in replay.check()] == [("cache", True)]


# ---------------------------------------------------------------- pixels


def test_limits_of_pixels(folder):
    tool = offline(folder, max_distance=64, max_pixels=4096)
    response, _ = call(tool, {"img_idx": 0}, trajectory(picture(0)))
    assert len(response.image) == 5 and all(i.width * i.height <= 4096 for i in response.image)
    tool = offline(folder, max_distance=64, max_pixels_per_trajectory=20_000)
    chat = trajectory(picture(0), returned=[picture(1, 100, 100)])
    response, _ = call(tool, {"img_idx": 0}, chat)
    assert len(response.image) == 5 and 5000 < sum(i.width * i.height for i in response.image) <= 10_000
    chat = trajectory(picture(0), returned=[picture(1, 120, 150)])  # 2000 left: room for one
    response, figures = call(tool, {"img_idx": 0}, chat)
    assert len(response.image) == 1 and figures["thumbnails_missing"] == 4
    chat = trajectory(picture(0), returned=[picture(1, 160, 120)])
    response, figures = call(tool, {"img_idx": 0}, chat)
    assert figures["error"] == "image_search" and "no pixels are left" in response.text


def test_calls_side_by_side_share_the_pixels(folder):
    tool = offline(folder, max_distance=64, max_pixels_per_trajectory=20_000)
    chat = trajectory(picture(0))

    async def both():
        return await asyncio.gather(*(call_async(tool, {"img_idx": 0}, chat) for _ in range(2)))

    shown = [image for response, _ in asyncio.run(both()) for image in response.image or []]
    assert shown and sum(i.width * i.height for i in shown) <= 20_000


def test_what_was_reserved_and_not_used_is_there_again(folder):
    tool = offline(folder, max_pixels_per_trajectory=40_000)
    chat = trajectory(picture(0), picture(99))
    call(tool, {"img_idx": 1}, chat)  # finds nothing
    response, _ = call(tool, {"img_idx": 0}, chat)  # of the same turn
    assert len(response.image) == 1
    assert chat.promised_pixels == (1, response.image[0].width * response.image[0].height)


# ---------------------------------------------------------------- the model's mistakes


@pytest.mark.parametrize("value", [None, 2, -1, 0.5, True, "2", "a", [0], float("nan"), 10**400])
def test_mistakes_of_the_model(folder, value):
    response, figures = call(offline(folder), {"img_idx": value}, trajectory(picture(0), picture(1)))
    assert response.text == "Error: img_idx must be an integer from 0 to 1."
    assert figures == {"ok": False, "error": "img_idx"} and response.image is None


REFUSED = Reply({"detail": {"error": "The image is too small."}}, 400)


@pytest.mark.parametrize(
    "reply, refused",
    [
        (REFUSED, True),
        (Reply({"detail": [{"loc": ["body", "image"], "msg": "Value error"}]}, 422), True),
        (Reply({"error": "Image format is not supported"}, 415), False),  # the tool chose the format
        (Reply({"error": "Image must be base64"}, 400), False),
        (Reply({"error": "Images quota has been used"}, 400), False),
        (Reply({"error": "bad request"}, 400), False),
        (Reply({"error": "The image is too small."}, 403), False),
        (Reply(b"", 400), False),
    ],
)
def test_an_image_that_the_service_refuses(reply, refused):
    with ApiServer([reply]) as server:
        if refused:
            response, figures = call(http_tool(server), {"img_idx": 0}, trajectory(picture(0)))
            assert response.text == "Error: img_idx was refused by the search service. Choose another image."
            assert figures == {"ok": False, "error": "img_idx"}
        else:
            assert failure(http_tool(server), trajectory(picture(0))) in (f"http_{reply.status}", "key")
        assert len(server.requests) == 1


@pytest.fixture(scope="module")
def fuzz_tool(folder):
    return offline(folder)


@settings(deadline=None, max_examples=60)
@given(st.fixed_dictionaries({}, optional={"img_idx": st.integers(-1, 3) | json_values}) | json_values)
def test_never_raises_whatever_the_model_writes(fuzz_tool, parameters):
    response, figures = call(fuzz_tool, parameters, trajectory(picture(0), picture(77)))
    if figures["ok"]:
        assert re.fullmatch(r"Image 2: p00|No matching images were found\.", response.text)
    else:
        assert figures["error"] in ("arguments", "img_idx") and len(response.text) < 300
        assert response.text.startswith(f"Error: {figures['error']} ") and "\n" not in response.text


def test_yaml_and_schema(folder):
    tool = offline(folder)
    schema = tool.tool_schema.model_dump(exclude_unset=True, exclude_none=True)
    assert tool.name == "image_search" and len(json.dumps(schema)) < 500  # it is part of every prompt
    assert list(schema["function"]["parameters"]["properties"]) == ["img_idx"]
    assert schema["function"]["parameters"]["required"] == ["img_idx"]
