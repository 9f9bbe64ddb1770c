# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Bad rows, resumption, bounded memory, manifest and contact sheet."""

import base64
import hashlib
import io
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_prep.core import build, images, run
from data_prep.core.images import PIL_LIMIT
from data_prep.core.lock import sole_writer

REPO = Path(__file__).resolve().parents[2]


@pytest.fixture
def bad(tmp_path, sources, jpeg):
    """MathVision with one row of every fault among good ones."""
    rows = sources.mathvision_rows(4)[7:]
    thin = jpeg(500, 2)
    faults = [
        {"decoded_image": sources.cell(jpeg(200, 150)[:-200])},
        {"decoded_image": sources.cell(b"no image")},
        {"answer": "  "},
        {"answer": None},
        {"decoded_image": sources.cell(jpeg(300, 200))},
        {"decoded_image": sources.cell(thin)},
        {"options": ["x", "y"], "answer": "z"},
    ]
    rows += [{**rows[0], "id": f"bad{i}", **fault} for i, fault in enumerate(faults)]
    rows.append({**rows[1], "question": "again"})
    return sources.mathvision(tmp_path, rows)


def entry(folder, part="test"):
    return json.loads((folder / "manifest.json").read_text())["parts"][part]


def test_bad_rows_are_dropped_and_counted(bad, tmp_path, prepare, table):
    assert prepare("mathvision", bad, "--split", "test", "--max-image-pixels", "50000") == 0
    part = entry(tmp_path / "out")
    assert part["dropped"] == {
        "answer is no option": 1,
        "aspect ratio over 200": 1,
        "corrupt image": 2,
        "duplicate id": 1,
        "empty answer": 2,
        "image over the pixel limit": 1,
    }
    assert part["dropped_ids"]["corrupt image"] == ["bad0", "bad1"] and part["dropped_ids"]["duplicate id"] == ["9"]
    rows = table(tmp_path / "out/test.parquet")
    assert (part["rows_in"], part["rows_out"], len(rows)) == (12, 4, 4)
    # the source row's number, so that it does not depend on what was dropped
    assert [row["extra_info"]["index"] for row in rows] == [0, 1, 2, 3]
    assert part["sha256"] == hashlib.sha256((tmp_path / "out/test.parquet").read_bytes()).hexdigest()
    assert part["options"]["max_image_pixels"] == 50000 and part["options"]["fingerprint"]


@pytest.mark.parametrize(
    "options, limits",
    [
        ([], (2_000_000, 65_536)),
        (["--prompt-max-pixels", "500000"], (500_000, 65_536)),
        (["--prompt-max-pixels", "0", "--prompt-min-pixels", "0"], (None, None)),
    ],
)
def test_rows_say_how_large_an_image_is_shown(tmp_path, sources, prepare, table, options, limits):
    source = sources.mathvision(tmp_path, sources.mathvision_rows(4)[7:])
    assert prepare("mathvision", source, "--split", "test", *options) == 0
    images = [image for row in table(tmp_path / "out/test.parquet") for image in row["images"]]
    assert images and {(image["max_pixels"], image["min_pixels"]) for image in images} == {limits}
    assert entry(tmp_path / "out")["options"]["prompt_max_pixels"] == limits[0]


def test_stop_names_the_row_and_leaves_no_file(bad, tmp_path, prepare, capsys):
    assert prepare("mathvision", bad, "--split", "test", "--on-error", "stop") == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert re.search(r"mathvision, part test, row 4 \(id bad0\): corrupt image: image 0: OSError", message)
    assert not list((tmp_path / "out").rglob("*.parquet*"))


def test_loss_to_one_cause_stops_the_run_unless_asked_for(tmp_path, sources, prepare, monkeypatch, table, capsys):
    """20 rows, 5 without a readable image; as many as one likes may be left out for being duplicates."""
    rows = sources.mathvision_rows(20)[7:]
    rows = [{**row, "decoded_image": sources.cell(b"x")} if i >= 15 else row for i, row in enumerate(rows)]
    source = sources.mathvision(tmp_path, rows)
    options = ("--split", "test", "--shard-rows", "8")
    assert prepare("mathvision", source, *options) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "mathvision/test: 5 of 20 rows dropped: corrupt image. The first, id 23: image 0: " in message
    assert "--max-dropped 0.2" in message and not list((tmp_path / "out").glob("*.parquet"))
    # nothing is done again
    monkeypatch.setattr(run, "build_shard", lambda *a: pytest.fail("built again"))
    assert prepare("mathvision", source, *options, "--max-dropped", "1") == 0
    assert len(table(tmp_path / "out/test.parquet")) == 15
    monkeypatch.undo()
    assert prepare("mathvision", source, *options, "--max-dropped", "0.25", output="other") == 0
    # of few rows, one is a large share
    assert prepare("mathvision", source, *options, "--limit", "19", "--max-dropped", "0", output="few") == 0

    rows = [{**row, "id": str(i % 4)} for i, row in enumerate(sources.mathvision_rows(24)[7:])]
    assert prepare("mathvision", sources.mathvision(tmp_path / "again", rows), *options, output="four") == 0
    assert entry(tmp_path / "four")["dropped"] == {"duplicate id": 20}


def test_bomb_is_refused_before_it_is_decoded(jpeg, monkeypatch):
    data = jpeg(2000, 1000)
    assert images.check_image(data, 2_000_000) == (2000, 1000)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    with pytest.raises(images.BadImage, match="2000 x 1000 px, limit 1999999") as error:
        images.check_image(data, 1_999_999)
    assert error.value.reason == "image over the pixel limit"


def test_images_beyond_pils_own_limit_pass_if_asked(jpeg, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(io.BytesIO(jpeg(64, 48)))
    assert images.check_image(jpeg(64, 48), PIL_LIMIT) == (64, 48)
    assert Image.MAX_IMAGE_PIXELS == 100


def test_base64_faults():
    assert images.base64_bytes("data:image/png;base64, YWJj\n") == b"abc"
    with pytest.raises(images.BadImage, match="not base64"):
        images.base64_bytes("a*b")


SMALL_SHARDS = ("--split", "test", "--shard-rows", "3")


def test_interrupted_run_goes_on_and_ends_byte_identical(tmp_path, sources, prepare, monkeypatch, capsys):
    source = sources.mathvision(tmp_path, sources.mathvision_rows(5))
    assert prepare("mathvision", source, *SMALL_SHARDS, output="whole") == 0
    real, built = build.build_shard, []

    def counted(dataset, part, loaded, span, *rest):
        if len(built) == 2 and "stop" in built[0]:
            rest[-1].with_name(rest[-1].name + ".partial").write_bytes(b"half a shard")
            raise KeyboardInterrupt
        built.append(f"{built_in}{span.start}")
        return real(dataset, part, loaded, span, *rest)

    monkeypatch.setattr(run, "build_shard", counted)
    built_in = "stop"
    with pytest.raises(KeyboardInterrupt):
        prepare("mathvision", source, *SMALL_SHARDS)
    assert not list((tmp_path / "out").glob("*.parquet"))
    built, built_in = [], "go"
    assert prepare("mathvision", source, *SMALL_SHARDS) == 0
    assert built == ["go6", "go9"] and "going on after 2 finished shards (6 rows)" in capsys.readouterr().err
    whole, resumed = (tmp_path / name for name in ("whole", "out"))
    assert (whole / "test.parquet").read_bytes() == (resumed / "test.parquet").read_bytes()
    assert (whole / "contact_sheet.html").read_bytes() == (resumed / "contact_sheet.html").read_bytes()
    assert entry(whole) == entry(resumed) and not (resumed / ".shards").exists()
    # a finished part is kept, unless the options have changed or the file has
    built = []
    assert prepare("mathvision", source, *SMALL_SHARDS) == 0
    assert built == [] and "already made" in capsys.readouterr().err
    (resumed / "test.parquet").write_bytes(b"damaged")
    assert prepare("mathvision", source, *SMALL_SHARDS) == 0
    assert len(built) == 4 and (whole / "test.parquet").read_bytes() == (resumed / "test.parquet").read_bytes()


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_run_leaves_no_process_and_goes_on(tmp_path, sources, prepare, jpeg, workers):
    """SIGKILL in the middle of the shards: what the kernel does when memory runs out."""
    rows = sources.mathvision_rows(80)
    for row in rows:
        row["decoded_image"] = sources.cell(jpeg(900, 700))
    source = sources.mathvision(tmp_path, rows)
    options = ["--split", "test", "--shard-rows", "1"]
    assert prepare("mathvision", source, *options, output="whole") == 0

    command = [sys.executable, "-m", "data_prep", "mathvision", "--output", tmp_path / "out", "--source", source]
    command += ["--cache-dir", tmp_path / "cache", "--workers", workers, *options]
    killed = subprocess.Popen([str(part) for part in command], cwd=REPO, stderr=subprocess.DEVNULL)
    shards = tmp_path / "out" / ".shards"
    while len(list(shards.rglob("shard-*.json"))) < 10 and killed.poll() is None:
        time.sleep(0.001)
    workers_of_it = psutil.Process(killed.pid).children(recursive=True) if killed.poll() is None else []
    killed.kill()
    assert killed.wait() == -signal.SIGKILL, "it ended before it could be killed"
    assert len(workers_of_it) >= (workers if workers > 1 else 0)
    assert not psutil.wait_procs(workers_of_it, timeout=10)[1]
    assert not list((tmp_path / "out").glob("*.parquet"))

    assert prepare("mathvision", source, *options, "--workers", str(workers)) == 0
    assert (tmp_path / "out" / "test.parquet").read_bytes() == (tmp_path / "whole" / "test.parquet").read_bytes()


def test_second_run_into_a_folder_is_refused(tmp_path, sources, prepare, capsys):
    source = sources.mathvision(tmp_path, sources.mathvision_rows(1))
    with sole_writer(tmp_path / "out"):
        assert prepare("mathvision", source, *SMALL_SHARDS) == 1
    assert "another run is writing to" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*.parquet"))
    assert prepare("mathvision", source, *SMALL_SHARDS) == 0


def test_changed_options_start_anew_and_say_so(tmp_path, sources, prepare, monkeypatch, capsys):
    source = sources.mathvision(tmp_path, sources.mathvision_rows(5))
    real = build.build_shard

    def broken(dataset, part, loaded, span, *rest):
        if span.start:
            raise KeyboardInterrupt
        return real(dataset, part, loaded, span, *rest)

    monkeypatch.setattr(run, "build_shard", broken)
    with pytest.raises(KeyboardInterrupt):
        prepare("mathvision", source, *SMALL_SHARDS)
    monkeypatch.setattr(run, "build_shard", real)
    assert prepare("mathvision", source, *SMALL_SHARDS, "--tools", "image_zoom_in") == 0
    error = capsys.readouterr().err
    assert "unfinished shards are from other options (tools: None -> ['image_zoom_in']); starting anew" in error
    assert entry(tmp_path / "out")["options"]["tools"] == ["image_zoom_in"]
    tools = {
        tuple(row["extra_info"]["tool_selection"]) for row in pq.read_table(tmp_path / "out/test.parquet").to_pylist()
    }
    assert tools == {("image_zoom_in",)}


def test_workers_change_nothing(tmp_path, sources, prepare):
    source = sources.mathvision(tmp_path, sources.mathvision_rows(2))
    for output, workers in (("one", "1"), ("two", "2")):
        options = ("--split", "test", "--shard-rows", "5", "--workers", workers)
        assert prepare("mathvision", source, *options, output=output) == 0
    assert (tmp_path / "one/test.parquet").read_bytes() == (tmp_path / "two/test.parquet").read_bytes()


def test_folder_of_another_dataset_is_refused(tmp_path, sources, prepare, benchmark_root, capsys):
    assert prepare("vstar", benchmark_root) == 0
    assert prepare("hr_mmsearch", benchmark_root) == 1
    assert "holds 'vstar'" in capsys.readouterr().err


MEASURE = """
import sys, threading, time
from data_prep.__main__ import main
import datasets, pyarrow.dataset, PIL.Image, data_prep.core.run
def anonymous():  # KiB; pages of memory-mapped files do not count, the system takes them back when it needs to
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon"))
def watch():
    while True:
        peak[0] = max(peak[0], anonymous())
        time.sleep(0.005)
before = anonymous()
peak = [before]
threading.Thread(target=watch, daemon=True).start()
assert main(sys.argv[1:]) == 0
print(peak[0] - before)
"""


def test_memory_is_a_fraction_of_the_data(tmp_path, sources, jpeg):
    """Half a gigabyte in one row group of base64 strings; a page of it is the least that can be read."""
    import numpy as np
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (700, 1000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=0)
    rows = sources.hrbench_rows(50, base64.b64encode(buffer.getvalue()).decode())
    rows = pa.Table.from_pylist(rows)
    file = tmp_path / "hrbench_8k.parquet"
    pq.write_table(rows, file, row_group_size=len(rows), use_dictionary=False, compression="none", write_batch_size=8)
    size = file.stat().st_size
    arguments = ["hrbench_8k", "--output", str(tmp_path / "out"), "--source", str(file), "--sheet-rows", "2"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *arguments, "--cache-dir", str(tmp_path / "cache")],
        cwd=REPO,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    print(f"{size >> 20} MiB of data, {int(done.stdout) >> 10} MiB of memory")
    assert int(done.stdout) * 1024 < size, f"{done.stdout} KiB for {size} bytes"


def test_contact_sheet_is_whole_and_escaped(tmp_path, sources, prepare):
    rows = sources.mathvision_rows(20)
    rows[8]["question"] = "<script>alert(1)</script> & <b>bold</b>? <image1>"
    source = sources.mathvision(tmp_path, rows[7:])
    options = ("--split", "test", "--system", "Be <i>brief</i>.", "--seed", "3")
    assert prepare("mathvision", source, *options, "--sheet-rows", "100") == 0
    page = (tmp_path / "out/contact_sheet.html").read_text()
    assert "<script" not in page and "&lt;script&gt;alert(1)&lt;/script&gt; &amp;" in page
    assert "Be &lt;i&gt;brief&lt;/i&gt;." in page and "image 0: 64 x 48 px, JPEG" in page and "python" in page
    assert page.count("<article>") == 20 and page.count("data:image/jpeg;base64,") == 20
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert prepare("mathvision", source, *options) == 0
    assert (tmp_path / "out/contact_sheet.html").read_text().count("<article>") == 12


@pytest.mark.parametrize(
    "options, named",
    [
        (["--limit", "0"], "--limit"),
        (["--prompt-max-pixels", "-1"], "--prompt-max-pixels"),
        (["--prompt-max-pixels", "65535"], "--prompt-max-pixels"),  # below --prompt-min-pixels
        (["--workers", "0"], "--workers"),
        (["--shard-rows", "-1"], "--shard-rows"),
        (["--max-dropped", "1.5"], "--max-dropped"),
        (["--max-dropped", "nan"], "--max-dropped"),
        (["--tools", "hammer"], "--tools"),
        (["--tools", ""], "--tools"),
        (["--split", "train"], "--split"),
        (["--split", ","], "--split"),
        (["--source", "no/such/path"], "--source"),
        (["--source", "/no-such-file.parquet"], "--source"),
    ],
)
def test_bad_options_are_named(tmp_path, capsys, options, named):
    from data_prep.__main__ import main

    with pytest.raises(SystemExit) as stop:
        main(["vstar", "--output", str(tmp_path / "out"), *options])
    assert stop.value.code == 2 and named in capsys.readouterr().err.splitlines()[-1]
