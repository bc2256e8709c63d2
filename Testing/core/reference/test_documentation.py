"""The page on references: its recipe for the IXI heads works, and it names every code there is."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from simulated import people, write_table

from HippoSegLib.cli import main
from HippoSegLib.reference import read_reference
from HippoSegLib.reference.words import columns

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "Documentation" / "reference.md").read_text(encoding="utf-8")


def test_the_recipe_for_the_ixi_heads(tmp_path, capsys):
    """On simulated participants with IXI's names and columns."""
    sites = ("Guys", "HH", "IOP")
    controls = [
        replace(one, name=f"IXI{number:03}-{sites[number % 2]}-{1000 + number}")
        for number, one in enumerate(people(60), start=2)
    ]
    (tmp_path / "IXI-T1").mkdir()
    lines = ['IXI_ID,"SEX_ID (1=m, 2=f)",HEIGHT,DOB,AGE']
    for number, one in enumerate(controls, start=2):
        (tmp_path / "IXI-T1" / f"{one.name}-T1.nii.gz").write_bytes(b"")
        age = "" if number == 4 else f"{one.person.age:.8f}"
        lines.append(f"{number},{1 if one.person.sex == 'male' else 2},170,1970-01-01,{age}")
    (tmp_path / "IXI.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    nothing = {one.name: "" for one in controls}
    names = {one.name: f"{one.name}-T1" for one in controls}
    write_table(tmp_path / "hippocampus.csv", controls, subject=nothing, scan=names)
    (command,) = re.findall(r"hipposeg (reference build ixi/.*)", PAGE)
    words = command.replace("ixi/", f"{tmp_path}/").replace("particip", f"{tmp_path}/particip")
    words = words.replace(f"--{tmp_path}/", "--")
    assert main(words.replace("ixi-hh.json", f"{tmp_path}/ixi-hh.json").split()) == 0
    reference = read_reference(tmp_path / "ixi-hh.json")
    at_hh = [one for one in controls if "-HH-" in one.name]
    assert reference.count == len(at_hh) and reference.scanner == {"site": ("HH",)}
    assert reference.men == sum(one.person.sex == "male" for one in at_hh)
    assert reference.left_out == {"not_a_control": 60 - len(at_hh)}
    assert reference.selection == "site=HH"
    assert "30 controls" in capsys.readouterr().out


def test_the_page_names_every_code_and_column():
    sources = [ROOT / "HippoSegLib" / "reference" / f"{name}.py" for name in ("judging", "fitting", "change")]
    codes = set()
    for path in sources:
        text = path.read_text(encoding="utf-8")
        codes |= set(re.findall(r'Remark\(\s*"([a-z_]+)"', text))
        codes |= set(re.findall(r'\("(other_[a-z]+)", "', text))
    assert {"few_controls", "other_protocol", "scanner_unknown"} <= codes
    missing = {code for code in codes - {"repeatability", "scans_left_out"} if f"`{code}`" not in PAGE}
    assert not missing
    for column in columns():
        stem = re.sub(r"^(right|total|asymmetry)_|_(mm3|percent)$", "", column)
        assert stem.split("_low")[0].split("_high")[0] in PAGE, column
