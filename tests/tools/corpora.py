# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Two small corpora, and how the tests of tools load and call a tool."""

import asyncio
import json
from pathlib import Path
from tempfile import NamedTemporaryFile

import yaml
from hypothesis import strategies as st
from verl.tools.tool_registry import get_tool_class, load_all_tools

TOOLS = Path(__file__).parents[2] / "tools"
ANIMALS = "otter badger heron lynx marten osprey adder newt vole shrew stoat weasel bittern curlew plover".split()
PLACES = "river forest meadow lake".split()


def animals():
    """60 documents, one for each animal and place."""
    return [
        {
            "id": f"{animal}-{place}",
            "title": f"{animal.title()} of the {place}",
            "url": f"https://example.org/{animal}/{place}",
            "text": f"The {animal} lives near the {place}. " + f"It is seen at the {place} " * (i % 3 + 1),
        }
        for i, animal in enumerate(ANIMALS)
        for place in PLACES
    ]


def wikipedia():
    """In the form of the usual dump, with other scripts and an empty text."""
    texts = {
        "Eiffel Tower": "It is in Paris.",
        "\u5bcc\u58eb\u5c71": "\u65e5\u672c\u306e\u5c71\u3067\u3059\u3002",
        "Nothing": "",
    }
    return [{"id": str(i), "contents": f'"{title}"\n{text}'} for i, (title, text) in enumerate(texts.items())]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def load(name, **options):
    """The tool of a YAML in tools/, with other options; as verl makes it."""
    (entry,) = yaml.safe_load((TOOLS / name).read_text())["tools"]
    entry["config"].update(options)
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"tools": [entry]}, file, sort_keys=False)
        file.flush()
        (tool,) = load_all_tools(file.name, None)
    assert isinstance(tool, get_tool_class(entry["class_name"]))
    return tool


async def call_async(tool, parameters, agent_data=None, **create_kwargs):
    instance, _ = await tool.create(create_kwargs=create_kwargs)
    try:
        response, _, metrics = await tool.execute(instance, parameters, agent_data=agent_data)
    finally:
        await tool.release(instance)
    return response, metrics


def call(tool, parameters, agent_data=None, **create_kwargs):
    return asyncio.run(call_async(tool, parameters, agent_data, **create_kwargs))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=5) | st.dictionaries(st.text(max_size=4), children, max_size=3),
    max_leaves=8,
)
