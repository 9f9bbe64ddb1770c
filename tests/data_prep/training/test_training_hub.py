# Copyright 2026 The AXPO-on-verl Authors
# SPDX-License-Identifier: Apache-2.0
"""Parts whose rows are one file of a repository, downloaded into a copy of the Hub's cache: links to blobs."""

import fnmatch
import json
from types import SimpleNamespace

import pytest

from data_prep.__main__ import main
from data_prep.core.load import load_part
from data_prep.errors import DataError
from data_prep.registry import REGISTRY, load_dataset_spec

PARTS = [(name, part) for name in REGISTRY for part, at in load_dataset_spec(name).parts.items() if at.data_file]


@pytest.fixture
def hub(tmp_path, benchmark_root, training_root, monkeypatch):
    """``downloaded`` lists the files that were asked for."""
    import datasets
    import huggingface_hub

    downloaded = []
    local = datasets.load_dataset

    def snapshot_download(hub_id, *, repo_type, revision, allow_patterns):
        assert repo_type == "dataset"
        owner, name = hub_id.split("/")
        store = tmp_path / ".cache" / f"datasets--{owner}--{name}"
        source = next(root / name for root in (benchmark_root, training_root) if (root / name).is_dir())
        for file in sorted(path for path in source.rglob("*") if path.is_file()):
            path = str(file.relative_to(source))
            if allow_patterns is not None and not any(fnmatch.fnmatch(path, p) for p in allow_patterns):
                continue
            downloaded.append(path)
            blob, link = store / "blobs" / f"{len(downloaded):064x}", store / "snapshots" / revision / path
            blob.parent.mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(file.read_bytes())
            link.unlink(missing_ok=True)
            link.symlink_to(blob)
        (store / "snapshots" / revision).mkdir(parents=True, exist_ok=True)
        return str(store / "snapshots" / revision)

    def load_dataset(path, *args, **options):
        assert "/" not in path, f"{path}: all files of the repository as one split"
        return local(path, *args, **options)

    class Api:
        def dataset_info(self, hub_id, revision):
            return SimpleNamespace(sha="c0ffee")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return SimpleNamespace(downloaded=downloaded)


def prepare_from_hub(tmp_path, name, *options):
    return main([name, "--output", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache"), *options])


@pytest.mark.parametrize("name,part", PARTS)
def test_the_hub_gives_what_a_clone_gives(hub, tmp_path, benchmark_root, training_root, name, part):
    dataset = load_dataset_spec(name)
    place, cache = dataset.parts[part], str(tmp_path / "cache")
    loaded = load_part(dataset, part, place, cache_dir=cache)
    assert (loaded.source, loaded.revision) == (place.hub_id, "c0ffee")
    assert place.data_file in hub.downloaded and (len(hub.downloaded) == 1) != place.loose
    root = benchmark_root if name in ("visualprobe", "hrbench_4k", "hrbench_8k") else training_root
    clone = load_part(dataset, part, place, source=str(root), cache_dir=cache)
    assert loaded.data.to_list() == clone.data.to_list() and len(loaded.data)


def test_deepeyes_parts_are_three_files(hub, tmp_path, table):
    assert prepare_from_hub(tmp_path, "deepeyes", "--sheet-rows", "0") == 0
    questions = {
        path.stem: [row["extra_info"]["question"].splitlines()[0] for row in table(path)]
        for path in (tmp_path / "out").glob("*.parquet")
    }
    assert questions["chart"] == ["How many bars?"] and questions["reasoning"] == ["Find x."]
    assert len(questions["visual_search"]) == 2


@pytest.mark.parametrize("name,part,rows", [("visualprobe", "hard", 2), ("visualprobe_train", "train", 2)])
def test_images_behind_links_to_blobs_are_found_and_others_are_not(hub, tmp_path, table, name, part, rows):
    assert prepare_from_hub(tmp_path, name, "--split", part) == 0
    assert len(table(tmp_path / f"out/{part}.parquet")) == rows
    dropped = json.loads((tmp_path / "out/manifest.json").read_text())["parts"][part]["dropped"]
    assert dropped["missing image"] == 1  # its path leaves the snapshot


@pytest.mark.parametrize("name", ["virl39k", "pyvision_image"])
def test_images_in_archives_are_asked_for(hub, tmp_path, capsys, name):
    assert prepare_from_hub(tmp_path, name) == 1
    assert len(hub.downloaded) == 1
    message = capsys.readouterr().err
    assert "download the whole repository, unpack its archives, and name the folder with --source" in message


def test_a_repository_without_the_file_is_named(hub, tmp_path):
    dataset = load_dataset_spec("fvqa")
    with pytest.raises(DataError, match="fvqa, part train: lmms-lab/FVQA at c0ffee has no moved.parquet"):
        load_part(dataset, "train", SimpleNamespace(**{**vars(dataset.parts["train"]), "data_file": "moved.parquet"}))
