"""A file says what made it, and a fingerprint changes with the code and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spyral_core import closure, lineage
from spyral_core.catalog import STAGES
from spyral_core.errors import ConfigurationError


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's package in the working directory: `mine.method` imports `mine.helper`."""
    package = tmp_path / "mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "method.py").write_text(
        "from mine.helper import half\n\ndef process(event, constants):\n    return half\n"
    )
    (package / "helper.py").write_text("import os\n\nhalf = 0.5\n")
    monkeypatch.chdir(tmp_path)
    closure._read.cache_clear()
    return package


def fingerprint_of_own() -> str:
    closure._read.cache_clear()
    return lineage.fingerprint(STAGES["cluster"], "mine.method:process")


def test_own_code_is_part_of_the_fingerprint(own: Path) -> None:
    assert fingerprint_of_own() != lineage.fingerprint(STAGES["cluster"])


@pytest.mark.parametrize("file", ["method.py", "helper.py"])
def test_a_change_of_own_code_is_seen_in_whatever_it_imports(own: Path, file: str) -> None:
    before = fingerprint_of_own()
    (own / file).write_text((own / file).read_text() + "\nmore = 1\n")
    assert fingerprint_of_own() != before


def test_words_and_layout_of_own_code_are_not_seen(own: Path) -> None:
    before = fingerprint_of_own()
    text = (own / "helper.py").read_text()
    (own / "helper.py").write_text('"""Words."""\n# more words\n' + text.replace(" = ", "  =  "))
    assert fingerprint_of_own() == before


def test_own_code_that_is_not_there_is_a_fault_of_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match=r"phases\.cluster: 'no_such_package\.method:process'"):
        lineage.fingerprint(STAGES["cluster"], "no_such_package.method:process")


def test_the_closure_follows_imports_inside_the_package_and_leaves_out_the_configuration() -> None:
    found = closure.closure("spyral_core.runner")
    assert {"spyral_core.runner", "spyral_core.store", "spyral_core.errors"} <= set(found)
    assert not any(name.startswith("spyral_core.config") for name in found)
    assert all(path.is_relative_to(closure.PACKAGE) for path in found.values())


def test_imports_anywhere_in_a_file_are_followed(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    file.write_text(
        "import a\n"
        "if a:\n    import b\nelse:\n    import c\n"
        "try:\n    import d\nexcept ImportError:\n    import e\nfinally:\n    import f\n"
        "class One:\n    def two(self):\n        for _ in b:\n            from g import h\n"
        "match a:\n    case 1:\n        import i\n"
    )
    assert closure._imports(file) == {*"abcdefgi", "g.h"}


def test_the_digest_of_the_package_changes_with_any_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "inner" / "__pycache__").mkdir(parents=True)
    files = [tmp_path / "__init__.py", tmp_path / "inner" / "one.py", tmp_path / "inner" / "__pycache__" / "cached.py"]
    for file in files:
        file.write_text("one = 1\n")
    monkeypatch.setattr(closure, "PACKAGE", tmp_path)
    seen = [closure.package_digest()]
    for file in files:
        file.write_text("one = 2\n")
        seen.append(closure.package_digest())
    assert len(set(seen)) == 3
    assert seen[-1] == seen[-2]


def test_stages_have_fingerprints_of_their_own() -> None:
    found = {name: lineage.fingerprint(stage) for name, stage in STAGES.items()}
    assert len(set(found.values())) == len(found)


def test_columns_are_part_of_the_fingerprint() -> None:
    stage = STAGES["estimate"]
    table = stage.tables[0]
    narrower = replace(table, columns=table.columns[:-1])
    assert lineage.fingerprint(stage) != lineage.fingerprint(replace(stage, tables=(narrower,)))


def parameters(gas: str) -> dict[str, Any]:
    return {"solver": {"gas": gas, "ic_min_val": 1.0}, "phases": {"solve": None}, "max_rejected_share": 0.5}


def test_the_same_work_at_another_place_has_the_same_lineage(tmp_path: Path) -> None:
    found = []
    for place in ("here", "there"):
        gas = tmp_path / place / "gas.json"
        gas.parent.mkdir()
        gas.write_text("{}")
        found.append(lineage.build(STAGES["solve"], 7, parameters(str(gas)), {"gas": gas}))
    assert found[0] == found[1]
    text = json.dumps(found[0])
    assert str(tmp_path) not in text
    assert "gas.json" in text


def test_content_of_inputs_is_part_of_the_lineage(tmp_path: Path) -> None:
    gas = tmp_path / "gas.json"
    digests = []
    for content in ("{}", "{ }"):
        gas.write_text(content)
        digests.append(lineage.digest(lineage.build(STAGES["solve"], 7, parameters(str(gas)), {"gas": gas})))
    assert digests[0] != digests[1]


@pytest.mark.parametrize("size", [2**20, lineage.WHOLE_UP_TO])
def test_every_byte_of_a_file_that_is_not_large_counts(tmp_path: Path, size: int) -> None:
    file = tmp_path / "gas.json"
    content = bytearray(size)
    described = set()
    for place in (0, size // 3, size - 1):
        content[place] ^= 1
        file.write_bytes(content)
        described.add(lineage.describe(file)["sha256"])
    assert len(described) == 3


@pytest.mark.parametrize("size", [lineage.WHOLE_UP_TO + 1, 65 * 2**20 + 7])
def test_of_large_files_both_ends_and_every_long_stretch_count(tmp_path: Path, size: int) -> None:
    file = tmp_path / "run.h5"
    with file.open("wb") as handle:
        handle.truncate(size)
    before = lineage.describe(file)
    stretch = -(-(size - lineage.BLOCK_BYTES) // (lineage.BLOCKS - 1)) - lineage.BLOCK_BYTES + 1
    stretch = max(stretch, 1)
    for place in (0, size // 7, size // 2, size - stretch, size - 1):
        file.unlink()
        with file.open("wb") as handle:
            handle.truncate(size)
            handle.seek(place)
            handle.write(b"x" * min(stretch, size - place))
            handle.truncate(size)
        changed = lineage.describe(file)
        assert changed["size"] == before["size"]
        assert changed["sha256"] != before["sha256"], place
