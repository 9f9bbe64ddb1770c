# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""`python -m tools`: what it prints, where images go, and its exit status."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.tools.sample_tools import SCHEMA
from tools.__main__ import main

ROOT = Path(__file__).parents[2]


def write(folder, *classes, name="tools.yaml", **config):
    """A YAML of tools from `sample_tools`."""
    tools = []
    for i, class_name in enumerate(classes):
        schema = {**SCHEMA, "function": {**SCHEMA["function"], "name": "sample" if i == 0 else f"sample{i}"}}
        entry = {"class_name": f"tests.tools.sample_tools.{class_name}", "config": {"type": "native", **config}}
        tools.append({**entry, "tool_schema": schema})
    path = folder / name
    path.write_text(yaml.safe_dump({"tools": tools}))
    return f"--config={path}"


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    Image.effect_noise((200, 100), 50).convert("RGB").save(path)
    return f"--image={path}"


@pytest.fixture
def cli(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)

    def run(*argv):
        try:
            status = main([str(arg) for arg in argv])
        except SystemExit as error:  # argparse
            status = error.code
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return status, out, err

    return run


def zoom(img_idx=0, **change):
    return json.dumps({"bbox_2d": [0, 0, 500, 1000], "label": "x", "img_idx": img_idx, **change})


# ---------------------------------------------------------------- run


def test_run(cli, picture, tmp_path):
    status, out, err = cli("run", "image_zoom_in_tiny", picture, zoom())
    text, image, seconds = out.splitlines()  # and not the schema, which verl prints
    assert (status, err) == (0, "")
    assert text == "Image 1: the region [0, 0, 500, 1000] of image 0."
    assert image == "[image 1: tool_output/image_zoom_in_1.png, 128x128 px]" and seconds.endswith(" s]")
    assert Image.open(tmp_path / "tool_output" / "image_zoom_in_1.png").size == (128, 128)


def test_calls_are_one_trajectory(cli, picture, tmp_path):
    argv = (
        "run",
        "image_zoom_in_tiny",
        picture,
        f"--output={tmp_path / 'a' / 'b'}",
        zoom(0),
        zoom(1),
        zoom(3),
        zoom(2),
    )
    status, out, err = cli(*argv)
    assert status == 1  # and the trajectory goes on after a mistake
    assert err == "python -m tools: call 3: the model's mistake: img_idx\n"
    texts = [line for line in out.splitlines() if not line.startswith("[")]
    assert [text.split(":")[0] for text in texts] == ["Image 1", "Image 2", "Error", "Image 3"]
    assert texts[1].endswith("of image 1.") and texts[2] == "Error: img_idx must be an integer from 0 to 2."
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == [
        f"image_zoom_in_{i}.png" for i in (1, 2, 3)
    ]


def test_past_calls_and_options(cli, tmp_path):
    config = write(tmp_path, "SampleTool", size=5)
    status, out, err = cli("run", "sample", config, *['{"do": "count"}'] * 3)
    assert (status, err) == (0, "")
    assert [line for line in out.splitlines() if "before" in line] == [f"{i} before, size 5" for i in range(3)]
    assert "0 before, size 7" in cli("run", "sample", config, "--set", "size=7", '{"do": "count"}')[1]
    assert "cut to a limit" in cli("run", "sample", config, '{"do": "long"}')[1]


def test_arguments_from_standard_input(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO('{"do": \n "count"}'))
    status, out, _ = cli("run", "sample", write(tmp_path, "SampleTool"), "-")
    assert status == 0 and out.startswith("0 before")


def test_a_tool_of_verls_own(cli, tmp_path):
    status, out, _ = cli("run", "sample", write(tmp_path, "PlainTool"), "{}")
    assert status == 0 and out.startswith("plain\n")


@pytest.mark.parametrize(
    "calls, status, said",
    [
        (['{"do": "x"}'], 1, "the model's mistake: do"),
        (["[1]"], 1, "the model's mistake: arguments"),
        (['{"do": "fail"}'], 2, "our side failed (http): the backend is down"),
        (['{"do": "bug"}'], 2, "our side failed (bug): sample: KeyError: 'oops'"),
        (
            ['{"do": "x"}', '{"do": "fail"}', '{"do": "count"}'],
            2,
            "call 2: our side failed (http): the backend is down",
        ),
    ],
)
def test_status(cli, tmp_path, calls, status, said):
    got, out, err = cli("run", "sample", write(tmp_path, "SampleTool"), *calls)
    assert got == status and err.splitlines()[-1] == f"python -m tools: {said}"
    assert "before" not in out  # nothing is called after an infrastructure failure


@pytest.mark.parametrize(
    "argv, said",
    [
        (["run", "nothing", "{}"], "there is no tool 'nothing'; there are "),
        (["run", "../conftest", "{}"], "there is no tool"),
        (["run", "image_zoom_in", "{"], "the arguments are no JSON"),
        (["run", "image_zoom_in", "--image=nowhere.png", "{}"], "--image nowhere.png: cannot read an image"),
        (["run", "image_zoom_in", "--config=nowhere.yaml", "{}"], "nowhere.yaml: No such file"),
        (["run", "image_zoom_in", "--set=factor", "{}"], "--set factor: must be OPTION=VALUE"),
        (["run", "image_zoom_in", "--set=factor=[", "{}"], "--set factor=[: the value is no YAML"),
        (["run", "image_zoom_in", "--set=factor=0", "{}"], "image_zoom_in: factor: "),
        (["run", "image_zoom_in", "--set=faktor=3", "{}"], "image_zoom_in: unknown option faktor; known: "),
    ],
)
def test_bad_usage_is_one_line(cli, argv, said):
    status, out, err = cli(*argv)
    assert (status, out) == (2, "") and len(err.splitlines()) == 1 and said in err


def test_argparse_errors(cli):
    assert cli("run")[0] == cli()[0] == cli("fly")[0] == cli("run", "image_zoom_in")[0] == 2
    status, out, _ = cli("run", "--help")
    assert status == 0 and "exit status: 0" in out


@pytest.mark.parametrize("text", ["", "tools: 3", "tools: [{}]", "[", "tools:\n  - class_name: x"])
def test_a_file_that_is_no_tool_yaml(cli, tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    for argv in (["run", "sample", f"--config={path}", "{}"], ["check", "--config", path]):
        status, _, err = cli(*argv)
        assert status == 2 and "bad.yaml is no YAML of tools" in err


def test_which_tool_of_a_file(cli, tmp_path):
    config = write(tmp_path, "SampleTool", "PlainTool")
    assert cli("run", "sample1", config, "{}")[1].startswith("plain")
    status, _, err = cli("run", "other", config, "{}")
    assert status == 2 and "has no tool 'other'; it has sample, sample1" in err


# ---------------------------------------------------------------- check and list


def test_check(cli, tmp_path):
    config = write(tmp_path, "SampleTool", "HalfReadyTool", "KeyedTool", "PlainTool", "NoSuchTool")
    status, out, err = cli("check", "--config", config.removeprefix("--config="))
    assert status == 1 and err == ""
    rows = [line.split(maxsplit=3) for line in out.splitlines()]
    assert [(name, ready, detail) for name, _, ready, detail in rows] == [
        ("sample", "ready", "nothing to set up"),
        ("sample1", "ready", "program: at /bin/true"),
        ("sample1", "missing", "font: install a font"),
        ("sample2", "missing", "sample2: set SAMPLE_KEY to your key"),
        ("sample3", "ready", "nothing to check"),
        ("sample4", "missing", rows[-1][3]),
    ]
    assert rows[-1][3].startswith("AttributeError") and {row[1] for row in rows} == {"(tools.yaml)"}


def test_check_all_ready(cli, tmp_path):
    config = write(tmp_path, "SampleTool", name="sample.yaml").removeprefix("--config=")
    assert cli("check", "--config", config) == (0, "sample  ready    nothing to set up\n", "")


def test_list(cli):
    status, out, _ = cli("list")
    assert status == 0
    assert {line.split()[0] for line in out.splitlines()} == {path.stem for path in (ROOT / "tools").glob("*.yaml")}
    assert all(len(line) < 120 for line in out.splitlines())


def test_every_tool_of_ours_is_checked(cli):
    status, out, err = cli("check")  # whether all are ready depends on the machine
    assert status in (0, 1) and err == ""
    assert {path.stem for path in (ROOT / "tools").glob("*.yaml")} <= {
        line.split("(")[-1].split(".yaml")[0] if ".yaml)" in line else line.split()[0] for line in out.splitlines()
    }


def test_by_hand_in_a_bare_environment(tmp_path, picture):
    command = [sys.executable, "-m", "tools", "run", "image_zoom_in_tiny", picture, f"--output={tmp_path}", zoom()]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Image 1: ") and (tmp_path / "image_zoom_in_1.png").exists()


def test_list_imports_nothing_heavy():
    code = "import sys, tools.__main__ as cli; cli.main(['list']); print({'verl', 'torch', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()", done.stderr
