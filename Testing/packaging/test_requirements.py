"""What the pip package asks for, what the demo installs, and what the code says it needs, fit together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from HippoSegLib.dependencies import PACKAGES

ROOT = Path(__file__).resolve().parents[2]
tomllib = pytest.importorskip("tomllib")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
GROUPS = PROJECT["optional-dependencies"]


def name(requirement: str) -> str:
    return re.match(r"[A-Za-z0-9_.-]+", requirement).group().lower().replace("_", "-")


def names(requirements) -> set[str]:
    return {name(one) for one in requirements}


def pinned(file: str) -> dict[str, str]:
    """Name -> version of the pins in a file; the last where there are several."""
    lines = (ROOT / "requirements" / file).read_text(encoding="utf-8").splitlines()
    pins = [line.partition(";")[0].strip().split("==") for line in lines if line and not line.startswith("#")]
    return {name(package): version for package, version in pins}


#: What scikit-image brings along.
WITH_IT = {"imageio", "lazy-loader", "networkx", "packaging", "tifffile"}


def test_the_core_asks_for_what_slicer_brings_and_the_method_s_packages_alone():
    slicer = {"numpy", "scipy", "simpleitk", "pillow", "pydicom"}
    assert names(PROJECT["dependencies"]) == slicer | {"scikit-image", "pywavelets"}


def test_the_demo_installs_the_core_and_no_more():
    assert set(pinned("run.txt")) == names(PROJECT["dependencies"]) | {"setuptools"} | WITH_IT


def test_what_may_be_missing_is_in_the_group_that_its_package_names():
    for package in PACKAGES:
        assert package.requirement in GROUPS[package.group], package.module
    groups = GROUPS["torch"] + GROUPS["method"] + GROUPS["report"]
    assert names(groups) == {name(p.requirement) for p in PACKAGES}


def test_all_that_is_optional_is_pinned_for_the_tests():
    wanted = names(one for group in GROUPS.values() for one in group) - {"hipposeg"}
    assert wanted <= set(pinned("test.txt")) | set(pinned("run.txt"))


def test_the_oldest_versions_are_the_lower_bounds():
    asked = [one for group in (PROJECT["dependencies"], *GROUPS.values()) for one in group]
    bounds = {name(one): one.partition(">=")[2] for one in asked if ">=" in one}
    pins = pinned("oldest.txt")
    assert set(pins) == set(bounds)
    for package, version in pins.items():
        assert version.startswith(bounds[package]), package
