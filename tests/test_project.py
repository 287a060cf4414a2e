"""Claims about the project files: the bounds of setup.cfg are the two sets that are tested."""

from __future__ import annotations

import configparser
import os
import subprocess
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]


def requirements_of_setup_cfg(extras: tuple[str, ...]) -> list[Requirement]:
    config = configparser.RawConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n")
    for extra in extras:
        lines += config["options.extras_require"][extra].split("\n")
    found = [Requirement(line) for line in lines if line.strip() and not line.strip().startswith("#")]
    return [r for r in found if r.name != "tfrec_div"]


def pinned(name: str) -> dict[str, Version]:
    versions = {}
    for line in (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            (specifier,) = requirement.specifier
            assert specifier.operator == "==", line
            versions[canonicalize_name(requirement.name)] = Version(specifier.version)
    return versions


NEEDED = requirements_of_setup_cfg(("hub", "test", "dev"))


@pytest.mark.parametrize("requirement", NEEDED, ids=lambda r: r.name)
def test_the_locked_version_is_of_the_newest_series_allowed(requirement):
    version = pinned("locked.txt")[canonicalize_name(requirement.name)]
    assert version in requirement.specifier
    ends = [Version(s.version) for s in requirement.specifier if s.operator == "<"]
    for end in ends:
        newer = (version.major + 1,) if len(end.release) == 1 else (version.major, version.minor + 1)
        assert end.release == newer


@pytest.mark.parametrize("requirement", requirements_of_setup_cfg(("hub", "test")), ids=lambda r: r.name)
def test_the_lowest_set_is_the_lower_bounds(requirement):
    (start,) = [Version(s.version) for s in requirement.specifier if s.operator in (">=", "==")]
    assert pinned("lowest.txt")[canonicalize_name(requirement.name)] == start


@pytest.mark.parametrize("name", ["locked.txt", "lowest.txt"])
def test_no_pinned_set_brings_pytorch(name):
    assert not pinned(name).keys() & {"torch", "torchvision", "sentence-transformers"}


def test_continuous_integration_is_executable_and_calls_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert "make test" in script.read_text(encoding="utf-8")
    assert subprocess.run(["bash", "-n", str(script)]).returncode == 0
