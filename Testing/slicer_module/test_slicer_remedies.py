"""The panel names its own controls where an error has a remedy there."""

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree

from panelbed import ROOT, add_volume

MODULE = ROOT / "HippoSeg"


def test_what_is_not_found_is_to_be_clicked(panel, steer):
    panel.parameters.inputVolume = add_volume("T1")
    steer("not-found")
    panel.segment()
    text = panel.ui.messageLabel.text
    assert "No hippocampus was found" in text and "“Point: left”" in text and "Mark them" not in text
    assert "--" not in text


def test_an_error_without_a_control_keeps_its_own_remedy(testbed):
    from HippoSegSlicer.remedies import remedyFor

    assert remedyFor("constant", "Give a T1.") == "Give a T1."
    assert "It shows" in remedyFor("crop", "Say so.")


def test_every_control_that_is_named_exists():
    shown = {
        (element.text or "").rstrip(":")
        for element in ElementTree.parse(MODULE / "Resources/UI/HippoSeg.ui").iter("string")
    }
    tree = ast.parse((MODULE / "HippoSegSlicer/remedies.py").read_text(encoding="utf-8"))
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    named = {name for word in words if isinstance(word, str) for name in re.findall("“(.+?)”", word)}
    assert named and named <= shown


def test_the_page_for_people_with_slicer_names_what_is_there():
    """Every word in quotation marks is on a control, or said by the module."""
    page = (ROOT / "Testing" / "slicer_module" / "IN_SLICER.md").read_text(encoding="utf-8")
    sources = [*MODULE.rglob("*.py"), MODULE / "Resources/UI/HippoSeg.ui"]
    sources.append(ROOT / "Testing" / "slicer_module" / "run_in_slicer.py")
    texts = " ".join(path.read_text(encoding="utf-8") for path in sources)
    texts = re.sub(r"[‘’“”]", "", texts).replace("&quot;", "").replace("&gt;", ">")
    ours = {
        "Install (20 MB)": "Install ({size})",
        "Done in … s, read by hipposeg alone.": "Done in {seconds} s",
    }
    quoted = [re.sub(r"\s+", " ", name) for name in re.findall(r'"([^"]+)"', page) if "$" not in name]
    missing = [name for name in quoted if ours.get(name, name) not in texts]
    assert len(quoted) > 10 and not missing
