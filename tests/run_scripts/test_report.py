# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""The report's page: what is read of a directory, and what a browser shows of it."""

import json
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from run_scripts.report.__main__ import main, step_list
from run_scripts.report.entries import ReportError, choose_steps, compact, read_evaluation, read_training
from run_scripts.report.images import ImageFiles
from run_scripts.report.page import Heading, write_page
from run_scripts.report.transcript import Transcript, of_dump
from tests.run_scripts.chromium import PROGRAM, Chromium
from tests.run_scripts.report_runs import (
    HOSTILE,
    OPEN,
    PLACEHOLDER,
    answer,
    call,
    evaluation,
    prompt,
    sample,
    seen,
    training_run,
)

# -------------------------------------------------------------------- the text


def text_of(turns):
    """Return the text of all blocks, with an image's placeholders put back."""
    blocks = [block for turn in turns for block in turn["b"]]
    return "".join(
        PLACEHOLDER if block["k"] == "image" else "".join(piece[0] for piece in block.get("p", ())) for block in blocks
    )


def blocks_of(turns, kind):
    return [block for turn in turns for block in turn["b"] if block["k"] == kind]


PARTS = [
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<answer>",
    "</answer>",
    "<|im_end|>\n",
    "<|im_start|>user\n",
]
PARTS += [PLACEHOLDER, TOOL := seen([0, 0, 1, 1]), call([0, 0, 1, 1]), "\n", "a", HOSTILE, '{"name": "x"}']


@given(st.lists(st.sampled_from(PARTS)), st.lists(st.integers(0, 30)), st.booleans())
def test_no_text_is_lost_and_every_character_has_its_loss(parts, lengths, thinking):
    output = "".join(parts)
    spans, at = [], 0
    for skipped, trained in zip(lengths[::2], lengths[1::2], strict=False):
        spans.append([at + skipped, at + skipped + trained])
        at += skipped + trained
    spans = [[a, b] for a, b in spans if b <= len(output) and a < b]
    row = {"input": prompt() if thinking else prompt()[:-8], "output": output, "loss_spans": spans}
    turns = of_dump(row, lambda number: ())
    assert text_of(turns) == row["input"] + output
    told = turns[sum(turn["by"] not in ("model", "tool") for turn in turns) :]
    for block in (block for turn in told if turn["by"] == "model" for block in turn["b"]):
        assert all(piece[0] and piece[1] in (0, 1) for piece in block.get("p", ()))
    if PLACEHOLDER not in output and TOOL not in output:
        shaded = "".join(
            piece[0] if piece[1] else "·" * len(piece[0]) for t in told for b in t["b"] for piece in b["p"]
        )
        trained = {i for a, b in spans for i in range(a, b)}
        assert shaded == "".join(c if i in trained else "·" for i, c in enumerate(output))


def test_the_parts_of_a_trajectory():
    transcript = Transcript()
    transcript.prompt(prompt())
    transcript.model([(OPEN + call([1, 2, 300, 400]), None)])
    transcript.tool(seen("[1, 2, 300, 400]"))
    transcript.model([("Now I see.</think>It is <answer>red</answer><|im_end|>", None)])
    turns = transcript.turns
    assert [turn["by"] for turn in turns] == ["system", "user", "assistant", "model", "tool", "model"]
    assert [block["n"] for block in blocks_of(turns, "image")] == [0, 1]
    assert blocks_of(turns, "image")[1]["region"] == [0, 1, 2, 300, 400]
    (found,) = blocks_of(turns, "call")
    assert found["name"] == "image_zoom_in" and found["box"] == [0, 1, 2, 300, 400]
    assert json.loads(found["arguments"])["label"] == "cell"
    assert ["".join(p[0] for p in block["p"]) for block in blocks_of(turns, "think")] == [
        "I look closer.\n",
        "Now I see.",
    ]
    assert blocks_of(turns, "answer") == [{"k": "answer", "p": [["red"]]}]


@pytest.mark.parametrize(
    "text, size, box",
    [
        (call([0.1, 0.2, 0.3, 0.4]), (400, 200), [0, 100, 200, 300, 400]),  # relative to 1
        (call([1200, 100, 1600, 200]), (2000, 400), [0, 600, 250, 800, 500]),  # pixels
        (call("[0, 0, 10, 10]"), (400, 200), [0, 0, 0, 10, 10]),
        (call([10, 10, 0, 0]), (400, 200), None),
        (call([0, 0, 10, 10]).replace('"img_idx": 0', '"img_idx": 7'), (400, 200), None),
        ("no json</tool_call>", (400, 200), None),
        ('["a list"]</tool_call>', (400, 200), None),
        ('{"name": "image_zoom_in", "arguments": [1]}</tool_call>', (400, 200), None),
        ('{"name": "python", "arguments": {"code": "1"}}</tool_call>', (400, 200), None),
    ],
)
def test_boxes_are_where_the_tool_reads_them(text, size, box):
    transcript = Transcript(lambda number: [size])
    transcript.prompt(prompt())
    transcript.model([("</think><tool_call>" + text, None)])
    (found,) = blocks_of(transcript.turns, "call")
    assert found.get("box") == (pytest.approx(box) if box else None)


@given(st.text() | st.just(HOSTILE) | st.just("\ud800</script>\u2028"))
def test_what_is_written_into_scripts_is_harmless_and_the_same(text):
    written = compact({"t": text})
    assert written.isascii() and "<" not in written and "\n" not in written
    assert json.loads(written) == {"t": text}


# --------------------------------------------------------------- the directories

AXPO = "axpo $x <img src=x onerror='window.hacked=1'>"  # a model's name


@pytest.fixture(scope="module")
def run(tmp_path_factory, embedded_data):
    folder = tmp_path_factory.mktemp("run") / "axpo"
    return folder, training_run(folder, embedded_data)


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluations")
    return [evaluation(folder / name[:4], name, right=name == AXPO) for name in ("grpo", AXPO)]


def test_loss_and_forks_of_a_run(run, tmp_path):
    folder, shaded = run
    entries = list(read_training(folder, 0, ImageFiles(tmp_path), [1], []))
    assert len(entries) == len(shaded) == 7
    for entry in entries:
        body = json.loads(entry.body)
        if body["facts"] and entry.number != 0:
            pieces = [p for t in body["t"] for b in t["b"] for p in b.get("p", ())]
            text = "".join(piece[0] if piece[1] else "·" * len(piece[0]) for piece in pieces)
            assert text.replace("·", "") == shaded[f"q_{entry.number}_0"].replace("·", "")
    roles = {(entry.number, entry.role, entry.verdict, entry.calls) for entry in entries if " 2" in entry.question}
    assert roles == {(0, 0, 1, 0), (1, 3, 0, 1), (2, 1, 0, 1), (4, 2, 1, 1), (5, 2, 0, 1), (6, 2, 0, 1)}
    bodies = {entry.number: json.loads(entry.body) for entry in entries if " 2" in entry.question}
    assert bodies[1]["fork"] == {"tokens": len(OPEN), "turn": 1, "text": "I look closer.\n</think>\n<tool_call>"}
    assert (bodies[1]["recovery"], bodies[1]["confidence"], bodies[4]["source"]) == ("1", "0.25", 1)
    for number in (1, 4):
        blocks = [block for turn in bodies[number]["t"] for block in turn["b"]]
        place = [block["k"] for block in blocks].index("fork")
        before = "".join(piece[0] for block in blocks[:place] for piece in block["p"])
        assert before == OPEN
    assert "[500, 500, 750, 1000]" in bodies[4]["brief"] and bodies[0]["brief"] == "red"


def test_entries_of_an_evaluation(evaluations, tmp_path):
    entries = list(read_evaluation(evaluations[0], 0, ImageFiles(tmp_path)))
    assert len(entries) == 6  # A torn last line is no sample.
    assert sorted((e.question, e.number, e.verdict, e.calls) for e in entries if e.group == "vstar") == [
        ("test/10", 0, 1, 0),
        ("test/10", 1, 1, 0),
        ("test/2", 0, 0, 1),
        ("test/2", 1, 0, 1),
    ]
    assert [entry.question for entry in sorted(entries, key=lambda e: e.order) if entry.group == "vstar"] == [
        *["test/2"] * 2,
        *["test/10"] * 2,
    ]
    assert sorted(e.verdict for e in entries if e.group == "hostile") == [0, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aaaa.png", "bbbb.png"]


def test_a_sample_that_failed_and_was_made_later_is_there_once(tmp_path):
    failed = sample("q", 0, [], [], False, status="infrastructure", score=None, error="503")
    partly = sample("q", 0, [("model", answer("red"))], [], True, score=1.5, details={"acc": 0.0})
    lines = [failed, partly, failed]
    (tmp_path / "samples").mkdir()
    text = "".join(json.dumps({"benchmark": "math_vr", **line}) + "\n" for line in lines)
    (tmp_path / "samples" / "math_vr.jsonl").write_text(text)
    (entry,) = read_evaluation(tmp_path, 0, ImageFiles(tmp_path / "images"))
    assert entry.verdict == 0  # Points for steps are no right answer.


def test_images_lie_beside_the_page(tmp_path):
    files = ImageFiles(tmp_path / "page")
    Image.new("RGB", (4, 4)).save(tmp_path / "outside.png")
    (tmp_path / "run").mkdir()
    assert files.link(tmp_path / "run", "../outside.png") is None and files.link(tmp_path / "run", "no.png") is None
    large = tmp_path / "large.png"
    Image.effect_noise((3000, 1000), 100).save(large)
    name = files.write(large.read_bytes())
    assert files.sizes[name] == (3000, 1000)
    assert Image.open(tmp_path / "page" / name).size == (2048, 683)


def test_which_steps_are_shown(run, tmp_path, monkeypatch):
    assert step_list("1,5,10-12") == [1, 5, 10, 11, 12]
    assert choose_steps(run[0], None) == [1, 2, 3] and choose_steps(run[0], [3, 1]) == [1, 3]
    monkeypatch.setattr("run_scripts.report.entries.MAX_ENTRIES", 10)
    assert choose_steps(run[0], None) == [1, 3]
    with pytest.raises(ReportError, match="--steps: .* has no step 9, only 1 to 3"):
        choose_steps(run[0], [1, 9])


def test_directories_that_cannot_be_shown(run, evaluations, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "has neither samples/*.jsonl nor rollouts/<step>.jsonl" in capsys.readouterr().err
    assert main([str(run[0]), "--against", str(evaluations[0])]) == 2
    assert "--against: an evaluation cannot be compared with a training run" in capsys.readouterr().err


def test_only_a_page_is_replaced(evaluations, tmp_path, capsys):
    before = sorted(evaluations[0].rglob("*"))
    assert main([str(evaluations[0]), "--output", str(evaluations[0])]) == 2
    assert "holds something that is no page; name a new directory" in capsys.readouterr().err
    assert sorted(evaluations[0].rglob("*")) == before
    for directory in evaluations:
        assert main([str(directory), "--output", str(tmp_path / "page")]) == 0
    assert "Page.index" in (tmp_path / "page" / "data" / "index.js").read_text()


# ------------------------------------------------------------------- the browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if PROGRAM is None:
        pytest.skip("no browser; as root: apt-get install chromium")
    chromium = Chromium(tmp_path_factory.mktemp("profile"))
    chromium.look(1400, 900)
    yield chromium
    chromium.close()


@pytest.fixture(scope="module")
def evaluation_page(evaluations, tmp_path_factory):
    output = tmp_path_factory.mktemp("page")
    assert main([str(evaluations[0]), "--against", str(evaluations[1]), "--output", str(output)]) == 0
    return output / "index.html"


@pytest.fixture(scope="module")
def training_page(run, tmp_path_factory):
    output = tmp_path_factory.mktemp("page")
    assert main([str(run[0]), "--output", str(output)]) == 0
    return output / "index.html"


def open_page(browser, page):
    browser.problems.clear()
    browser.open(page, "document.body && document.body.dataset.ready && document.querySelector('.trajectory')")


def choose(browser, **values):
    """Set filters as a user does, and return the names and verdicts of the rows that are left."""
    for name, value in values.items():
        browser.run(f"document.forms[0].elements[{name!r}].value = {json.dumps(value)}")
    browser.run("document.forms[0].dispatchEvent(new Event('input', {bubbles: true}))")
    return browser.run(
        "[...document.querySelectorAll('.row')].map((row) => row.innerText.replace(/\\s+/g, ' ').trim())"
    )


def detail(browser):
    return browser.run("document.getElementById('detail').textContent")


def test_filters(browser, evaluation_page):
    open_page(browser, evaluation_page)
    assert len(choose(browser)) == 12
    groups = browser.run("[...document.forms[0].elements.g.options].map((option) => option.text)")
    vstar = str(groups.index("vstar") - 1)
    assert choose(browser, m="0", g=vstar, c="1") == ["✗ test/2 A#0 · 1 call", "✗ test/2 A#1 · 1 call"]
    assert choose(browser, m="", v="1") == ["✓ test/2 B#1 · 1 call"]
    assert choose(browser, g="", c="", v="2") and all("⚠" in row for row in choose(browser))
    assert choose(browser, v="", search="TEST/1", m="1") == [
        "✓ vstar test/10 B#0 · no tool",
        "✓ vstar test/10 B#1 · no tool",
    ]
    assert choose(browser, search="nothing like that") == []
    assert "No trajectory matches" in detail(browser)
    assert choose(browser, search="", differ="2", m="") == [
        f"{'✓' if name == 'B#1' else '✗'} vstar test/2 {name} · 1 call" for name in ("A#0", "A#1", "B#0", "B#1")
    ]
    assert browser.problems == []


def test_two_models_side_by_side(browser, evaluation_page):
    open_page(browser, evaluation_page)
    choose(browser, search="test/2", m="0")
    browser.wait("document.querySelectorAll('.columns > section').length === 2")
    heads = browser.run("[...document.querySelectorAll('.columns h3')].map((head) => head.textContent)")
    assert heads == ["grpo", AXPO]
    browser.press("j")  # sample 1; the other model's sample 1 stands beside it
    verdicts = "[...document.querySelectorAll('.facts > b')].map((fact) => fact.textContent)"
    browser.wait(f"String({verdicts}) === '✗ wrong,✓ right'")
    browser.run("document.querySelectorAll('.columns section')[1].querySelector('.chips button').click()")
    browser.wait(f"String({verdicts}) === '✗ wrong,✗ wrong'")
    assert browser.run("document.querySelector('.row.picked').innerText").startswith("✗")
    browser.press("k")
    browser.wait("document.querySelector('.row.picked .small').textContent.startsWith('A#0')")
    assert browser.problems == []


def test_a_call_is_drawn_on_its_image(browser, evaluation_page):
    open_page(browser, evaluation_page)
    choose(browser, search="test/2", m="0")
    browser.wait(
        "[...document.querySelectorAll('.columns section:first-child img')].filter((i) => i.complete).length === 2"
    )
    places = browser.run(
        "(() => { const frame = document.querySelector('.frame'), box = frame.querySelector('.box');"
        "const [a, b] = [frame.querySelector('img').getBoundingClientRect(), box.getBoundingClientRect()];"
        "return [(b.left - a.left) / a.width, (b.top - a.top) / a.height, b.width / a.width, b.height / a.height]; })()"
    )
    assert places == pytest.approx([0.1, 0.1, 0.1, 0.2], abs=0.01)
    told = detail(browser)
    assert "1. image_zoom_in  ok, 0.25 s" in told and "bbox_2d: [100,100,200,300]" in told
    assert not browser.run("document.querySelector('.think').open") and "I look closer." in told
    assert browser.problems == []


def test_numbers_are_those_of_the_metrics(browser, evaluation_page):
    open_page(browser, evaluation_page)
    rows = browser.run(
        "[...document.querySelectorAll('.tables tr')].map((row) => row.innerText.replace(/\\s+/g, ' ').trim())"
    )
    assert rows[:4] == [
        "questions samples Pass@1 Pass@2 tool use failures",
        "vstar 2 4 50.0 (25.0 to 75.0) 50.0 (25.0 to 75.0) 50.0 3",
        "hostile <img src=x> 2 4 50.0 (25.0 to 75.0) 50.0 (25.0 to 75.0) 50.0",
        "mean of 2 62.5",
    ]
    assert browser.run("document.querySelectorAll('.pictures svg').length") == 3
    assert "<b>grpo</b>" in browser.run("document.querySelector('.settings').textContent")


@pytest.mark.parametrize("page", ["evaluation_page", "training_page"])
def test_hostile_text_is_text(browser, page, request):
    of_evaluation = page == "evaluation_page"
    open_page(browser, request.getfixturevalue(page))
    choose(browser, g="", v="0", search="script" if of_evaluation else " 3")
    browser.wait("document.getElementById('detail').textContent.includes('window.hacked')")
    told = detail(browser)
    shown = re.sub("[\u202e]", "\ufffd", HOSTILE.replace("\x1b", "␛").replace("\x00", "␀"))
    assert told.replace("\n", "").count(shown.partition("<|im_end|>")[0]) >= 3
    assert "␛[31mred␛[0m ␀ \u2028 \ufffdreversed \U0001f600" in told
    assert browser.run("document.querySelectorAll('#detail script, #list script, img[src=x]').length") == 0
    browser.run("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert browser.run("window.hacked === undefined") and browser.problems == []
    if of_evaluation:
        assert "\ufffd</script>" in told  # the lone surrogate


def test_a_tree_of_training(browser, training_page):
    open_page(browser, training_page)
    assert choose(browser, g="0", r="1", search=" 2") == [
        "✗ axpo/embedded_colour 2 ↳ recovered #1 · 1 call",
        "✗ axpo/embedded_colour 2 ↳ source #2 · 1 call",
    ]
    browser.wait("document.querySelector('.tree')")
    told = browser.run("document.querySelector('.tree').innerText")
    assert "rollout 0" in told and "source 1" in told and "prefix's reward 1" in told and "advantage 0.75" in told
    assert f"frozen prefix: {len(OPEN)} tokens, turn 1, confidence 0.25" in told
    below = browser.run(
        "[...document.querySelector('.tree ul').querySelectorAll('button')].map((node) => node.textContent)"
    )
    assert [re.match(r"[✓✗]continuation \d", node)[0] for node in below] == ["✓continuation 4", "✗continuation 5"]

    def shading(kind):
        return browser.run(
            f"[...document.querySelectorAll('.turn.model .{kind}')].map((part) => part.textContent).join('')"
        )

    assert "I look closer." in shading("l1") and "bbox_2d" in shading("l0") and "blue" in shading("l0")
    browser.run("document.querySelector('.tree ul button').click()")
    browser.wait("document.querySelector('.facts').textContent.includes('right')")
    assert "I look closer." in shading("l0") and "bbox_2d" in shading("l1") and "red" in shading("l1")
    assert browser.run("document.querySelectorAll('.fork').length") == 1
    assert choose(browser, g="0", r="2", search="")[0].startswith("✓")
    assert browser.problems == []


def test_a_crop_is_cut_out_of_the_image_of_the_data(browser, training_page):
    open_page(browser, training_page)
    choose(browser, g="0", r="2")
    browser.wait("document.querySelector('.frame svg')")
    view = browser.run("document.querySelector('.frame svg').getAttribute('viewBox')")
    width = browser.run("document.querySelector('.frame img').naturalWidth")
    assert width > 0 and [float(n) for n in view.split()] == [width / 2, width / 2, width / 4, width / 2]
    assert browser.problems == []


def test_gap_curves_and_steps(browser, training_page):
    open_page(browser, training_page)
    steps = browser.run("[...document.forms[0].elements.g.options].map((option) => option.text)")
    assert steps == ["all", "1", "2", "3"] and browser.run("document.forms[0].elements.g.value") == "2"  # the last one
    assert "rollouts that call the tool" in browser.run("document.querySelector('.pictures svg').textContent")
    assert "0.20" in browser.run("document.querySelector('.tables').textContent")


@pytest.mark.parametrize("page", ["evaluation_page", "training_page"])
def test_nothing_is_wider_than_a_phone(browser, page, request):
    open_page(browser, request.getfixturevalue(page))
    try:
        browser.look(390, 844, dark=True)
        assert browser.run("document.documentElement.scrollWidth") <= 390
        assert browser.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 29)"
    finally:
        browser.look(1400, 900)


def test_twenty_thousand_trajectories(browser, evaluations, tmp_path):
    read = read_evaluation(evaluations[0], 0, ImageFiles(tmp_path / "images"))
    entry = next(found for found in read if found.verdict == 1)
    entries = [
        replace(
            entry, group=f"b{i // 2000}", question=f"test/{i % 2000 // 4}", number=i % 4, verdict=int(i % 2000 % 3 == 0)
        )
        for i in range(20_000)
    ]
    write_page(tmp_path, Heading("evaluation", ["large"], [], [], []), entries)
    open_page(browser, tmp_path / "index.html")
    assert browser.run("document.querySelectorAll('.row').length") < 100  # of 20,000: the list is virtual
    assert browser.run("document.getElementById('rows').style.height") == f"{20000 * 28}px"
    seconds = "(() => { const start = performance.now(); document.forms[0].elements.v.value = '1';"
    seconds += "document.forms[0].dispatchEvent(new Event('input')); return performance.now() - start; })()"
    assert browser.run(seconds) < 1000  # ms; some 10 on an idle core
    assert browser.run("document.getElementById('count').textContent") == "6,670 of 20,000"
    browser.run("document.getElementById('list').scrollTop = 1e9")
    browser.wait("document.querySelector('#rows .row:last-child').innerText.includes('test/499')")
    browser.run("document.querySelector('#rows .row:last-child').click()")
    browser.wait("document.querySelector('#detail h2').textContent === 'b9 · test/499'")
    assert browser.problems == []
