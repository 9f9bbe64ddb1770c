# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Recordings stay what they were: one service each, readable by anybody, with the failures of the recorded run."""

import asyncio
import errno
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.tools.api_server import ApiServer, Reply, tavily_answer
from tests.tools.corpora import call, call_async, load
from tests.tools.test_image_search import encoded, http_tool, picture, trajectory
from tools.search import pictures
from tools.search.pictures import PictureIndex
from verl_ext.service.cache import AnswerCache
from verl_ext.service.rate import RateLimit
from verl_ext.tool_calls import ToolInfrastructureError


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("TAVILY_API_KEY", "geheim")


def test_a_folder_holds_one_services_answers(tmp_path, key):
    options = {"cache": str(tmp_path), "cache_mode": "record"}
    with ApiServer([Reply(tavily_answer())]) as one, ApiServer([Reply(tavily_answer())]) as other:
        call(load("tavily-search.yaml", base_url=one.url, **options), {"query": "a"})
        with pytest.raises(ValueError, match=f"holds answers of {one.url}, not of {other.url}"):
            load("tavily-search.yaml", base_url=other.url, **options)
        http_tool(other, **options)  # another tool, another service
    for named in ({}, {"base_url": one.url}):
        replay = load("tavily-search.yaml", **options | {"cache_mode": "replay"}, **named)
        assert "Page 0" in call(replay, {"query": "a"})[0].text
    with pytest.raises(ValueError, match="not of http://other"):
        load("tavily-search.yaml", base_url="http://other", **options | {"cache_mode": "replay"})


def test_other_field_names_at_replay_are_a_failure_of_ours(tmp_path):
    options = {"cache": str(tmp_path), "cache_mode": "record"}
    with ApiServer([Reply({"results": [{"title": "A"}]})]) as server:
        call(http_tool(server, **options), {"img_idx": 0}, trajectory(picture(0)))
    replay = load("image_search.yaml", cache=str(tmp_path), cache_mode="replay", results_field="items")
    with pytest.raises(ToolInfrastructureError, match="results_field items") as caught:
        call(replay, {"img_idx": 0}, trajectory(picture(0)))
    assert caught.value.kind == "cache"


@pytest.mark.parametrize("bad", [Reply(b"<html>temporarily blocked</html>"), Reply(b"", 503)], ids=["garbage", "503"])
def test_a_thumbnail_that_failed_stays_so_in_a_recording(tmp_path, bad):
    """The recorded run has not shown it, so its replay must not."""
    thumbnail, asked = encoded(picture(1)), []

    def route(path, _):
        if path != "/thumb":
            return Reply({"results": [{"title": "T", "image_url": f"{server.url}/thumb"}]})
        asked.append(path)
        return bad if len(asked) <= 2 else Reply(thumbnail)

    with ApiServer(route=route) as server:
        once = {"attempts": 2, "backoff_s": 0.01}
        tool = http_tool(server, cache=str(tmp_path), cache_mode="record", **once)
        recorded = [call(tool, {"img_idx": 0}, trajectory(picture(0)))[0] for _ in range(2)]
        assert len(asked) == 2  # garbage is asked for again
        # without a recording the next call gets it
        assert call(http_tool(server, **once), {"img_idx": 0}, trajectory(picture(0)))[0].text == "Image 1: T"
    replay = load("image_search.yaml", cache=str(tmp_path), cache_mode="replay")
    replayed = call(replay, {"img_idx": 0}, trajectory(picture(0)))[0]
    assert [answer.text for answer in (*recorded, replayed)] == ["Without image: T"] * 3


# the modules may lie where that user cannot look: they are loaded before
READER = """
import asyncio, concurrent.futures.thread, encodings.idna, os, sys
import verl_ext.service.cache
os.setgid(65534); os.setuid(65534)
from verl_ext.service.cache import AnswerCache
cache = AnswerCache("tool", sys.argv[1], "replay")
print(len(cache), asyncio.run(cache.answer("api", {"i": 1}, None)).decode())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_somebody_elses_recording_can_be_replayed():
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        os.chmod(folder, 0o755)
        recorder = AnswerCache("tool", folder, "record", "http://service")

        async def ask():
            return b"good"

        asyncio.run(recorder.answer("api", {"i": 1}, ask))
        recorder._cache.close()
        before = sorted(os.listdir(folder))
        done = subprocess.run([sys.executable, "-c", READER, folder], capture_output=True, text=True, timeout=60)
        assert done.stdout.split() == ["1", "good"], done.stderr
        assert sorted(os.listdir(folder)) == before


def test_those_who_wait_for_a_failing_request_fail_with_it(tmp_path, key):
    async def many(tool):
        return await asyncio.gather(*(call_async(tool, {"query": "a"}) for _ in range(5)), return_exceptions=True)

    with ApiServer([Reply(b"", 500, delay=0.5)]) as server:
        options = {"attempts": 2, "backoff_s": 0.0, "timeout_s": 4.0}
        tool = load("tavily-search.yaml", base_url=server.url, cache=str(tmp_path), cache_mode="record", **options)
        started = time.monotonic()
        errors = asyncio.run(many(tool))
        assert [error.kind for error in errors] == ["http_500"] * 5 and time.monotonic() - started < 2.5
        assert len(server.requests) == 2


def test_the_last_to_wait_ends_the_request(tmp_path):
    async def main():
        cache, state = AnswerCache("tool", str(tmp_path), "record"), []

        async def ask():
            try:
                await asyncio.sleep(30)
            finally:
                state.append("ended")

        callers = [asyncio.create_task(cache.answer("api", {}, ask)) for _ in range(2)]
        await asyncio.sleep(0.2)
        callers[0].cancel()
        await asyncio.sleep(0.05)
        assert state == []
        callers[1].cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert state == ["ended"]

        async def good():
            return b"good"

        assert await cache.answer("api", {}, good) == b"good"

    asyncio.run(main())


def test_two_tools_may_name_one_file_of_rate_limits(tmp_path):
    async def main():
        many, few = RateLimit("many", str(tmp_path / "rate"), 5), RateLimit("few", str(tmp_path / "rate"), 1)
        for _ in range(5):
            await many.acquire(1)
        await few.acquire(1)
        with pytest.raises(ToolInfrastructureError):
            await many.acquire(0.1)

    asyncio.run(main())


# ---------------------------------------------------------------- folders of pictures


def make_folder(folder, seed):
    folder.mkdir()
    for i in range(3):
        picture(seed + i).save(folder / f"{i}.bmp")
        os.utime(folder / f"{i}.bmp", (1, 1))
    return folder


def test_folders_that_look_alike_do_not_share_hashes(tmp_path):
    one, other = make_folder(tmp_path / "a", 10), make_folder(tmp_path / "b", 20)
    indices = [PictureIndex(str(folder), index_dir=str(tmp_path / "index")) for folder in (one, other)]
    for folder, index in zip((one, other), indices, strict=True):
        with Image.open(folder / "1.bmp") as image:
            assert index.search(image, 1, 0) == [("1", folder / "1.bmp")]


def test_an_error_that_passes_is_not_kept(tmp_path, monkeypatch):
    folder, read = make_folder(tmp_path / "a", 10), pictures.Path.read_bytes

    def exhausted(path):
        if path.suffix == ".bmp":
            raise OSError(errno.EMFILE, "Too many open files")
        return read(path)

    with monkeypatch.context() as patch:
        patch.setattr(pictures.Path, "read_bytes", exhausted)
        with pytest.raises(ValueError, match="0.bmp: Too many open files"):
            PictureIndex(str(folder))
    assert len(PictureIndex(str(folder))) == 3


def test_links_to_nowhere_marks_and_capitals(tmp_path, caplog):
    folder = make_folder(tmp_path / "a", 10)
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "T.CSV").write_text("\ufefffile,title\n0.bmp,Zero\nno.bmp,None\n", encoding="utf-8")
    index = PictureIndex(str(folder), str(tmp_path / "T.CSV"))
    assert len(index) == 3 and np.array_equal(index.names, ["0.bmp", "1.bmp", "2.bmp"])
    assert "link to nowhere" in caplog.text and "1 titles of" in caplog.text
    with Image.open(folder / "0.bmp") as image:
        assert index.search(image, 1, 0)[0][0] == "Zero"


def test_a_folder_without_a_readable_picture(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="none of the 1 pictures"):
        PictureIndex(str(tmp_path))


# ---------------------------------------------------------------- the command line


def cli(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "tools", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def test_the_command_reads_yaml_as_verl_does(tmp_path):
    import yaml

    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "a comet"}) + "\n")
    (entry,) = yaml.safe_load(open("tools/tavily-search.yaml"))["tools"]
    file = tmp_path / "mine.yaml"
    config = "{type: native, backend: bm25, corpus: '${oc.env:CORPUS}/c.jsonl', timeout_s: 3e1}"
    entry.pop("config")
    file.write_text(yaml.safe_dump({"tools": [entry]}).replace("- class_name", f"- config: {config}\n  class_name"))
    done = cli("check", "--config", file, CORPUS=str(tmp_path))
    assert done.returncode == 0 and "1 documents" in done.stdout, done.stdout + done.stderr
    file.write_text(yaml.safe_dump({"tools": [entry]}))
    done = cli("check", "--config", file)
    assert done.returncode == 2 and "'config' is missing" in done.stderr and "Traceback" not in done.stderr


def test_arguments_nested_without_end():
    done = cli("run", "image_zoom_in", "[" * 100_000)
    assert done.returncode == 2 and "no JSON" in done.stderr and "Traceback" not in done.stderr


def test_output_that_is_a_file(tmp_path):
    picture(0).save(tmp_path / "x.png")
    done = cli("run", "image_zoom_in", "--image", tmp_path / "x.png", "--output", tmp_path / "x.png", "{}")
    assert done.returncode == 2 and "is no folder" in done.stderr and "Traceback" not in done.stderr
