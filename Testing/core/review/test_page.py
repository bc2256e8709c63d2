"""The review page without a browser: what stands in it, and that no text breaks out of its place."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import re
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic import make_folder

from HippoSegLib.batch.folder import OutputFolder
from HippoSegLib.batch.record import ScanRecord
from HippoSegLib.batch.verdicts import Verdict, result_id, verdict_bytes
from HippoSegLib.cli import main
from HippoSegLib.errors import DependencyError, InputError, OutputError
from HippoSegLib.flags import Flag
from HippoSegLib.reference.values import Judged, Judgement, Person
from HippoSegLib.review import page as page_module
from HippoSegLib.review.page import SCRIPTS, write_page

pytest.importorskip("jinja2", reason="the review page needs Jinja2")


class Parsed(HTMLParser):
    """Tags with their attributes, and the text of each script and style."""

    def __init__(self, path: Path):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: dict[str, str] = {}
        self._inside = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style", "title"):
            self._inside = dict(attrs).get("id") or tag

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.texts[self._inside] = self.texts.get(self._inside, "") + data

    @property
    def data(self) -> dict:
        return json.loads(self.texts["data"])


def test_the_data_equal_the_records(tmp_path):
    make_folder(tmp_path, 40)
    data = Parsed(write_page(tmp_path)).data
    names = [column["name"] for column in data["columns"]]
    assert len(data["scans"]) == 40
    for scan in data["scans"]:
        entry = json.loads((tmp_path / f"{scan['scan']}_hippocampus.json").read_text(encoding="utf-8"))
        values = {name: value for name, value in zip(names, scan["values"], strict=True) if value is not None}
        expected = {name: value for name, value in entry["measurements"].items() if value is not None}
        if expected:
            expected["asymmetry_percent"] = 100 * expected.pop("asymmetry_index")
            expected["intracranial_ml"] = expected.pop("intracranial_mm3") / 1000
            expected |= {f"{side}_agreement": value for side, value in entry["agreement"].items()}
        assert values == pytest.approx(expected, rel=1e-6)
        assert scan["status"] == entry["status"] and scan["flags"] == entry["flag_details"]
        assert scan["failure"] == (entry["error"] and [entry["error"]["code"], entry["error"]["message"]])
        picture = entry["files"].get("picture", {}).get("name")
        assert scan["picture"] == picture and (picture is None or (tmp_path / picture).is_file())
        assert scan["facts"]["subject"] == entry["source"]["subject"]
        assert scan["facts"]["path"] == f"{scan['scan']}.nii.gz"  # relative, as in the table
        assert scan["seconds"] == entry.get("seconds_total")


def changed(record: ScanRecord, **values) -> ScanRecord:
    changes = {name: values.pop(name) for name in ("flags", "status") if name in values}
    return replace(record, measurements={**record.measurements, **values}, **changes)


def test_the_worst_come_first(tmp_path):
    names = ["fine", "failing", "a", "b", "unsure", "noted", "apart"]
    records = make_folder(tmp_path, names)
    base = records["fine"]
    warning, note = Flag("quality", "Check it.", "left"), Flag("input", "Note.", None, "info")
    good = {"left_quality": 0.9, "right_quality": 0.9}
    for name, record in {
        "fine": changed(base, flags=(), **good),
        "a": changed(base, flags=(warning,), status="review", left_quality=0.5, right_quality=0.9),
        "b": changed(base, flags=(warning,), status="review", left_quality=0.4, right_quality=0.9),
        "noted": changed(base, flags=(note,), **good),
        "unsure": changed(base, flags=(), left_quality=0.9, right_quality=0.7),
        "apart": replace(
            changed(base, flags=(), **good),
            provenance={**base.provenance, "agreement": {"left": 0.6, "right": 0.97}},
        ),
    }.items():
        text = replace(record, scan=name).to_json()
        (tmp_path / f"{name}_hippocampus.json").write_text(text, encoding="utf-8")
    failed = records["unsure"]  # the fifth of the synthetic ones
    assert failed.status == "failed"
    text = replace(failed, scan="failing").to_json()
    (tmp_path / "failing_hippocampus.json").write_text(text, encoding="utf-8")
    found = [scan["scan"] for scan in Parsed(write_page(tmp_path)).data["scans"]]
    assert found == ["failing", "b", "a", "noted", "apart", "unsure", "fine"]


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such file names")
def test_no_text_breaks_out_of_its_place(tmp_path):
    plain = tmp_path / "plain"
    evil = tmp_path / "</title><script>hacked()<!--"
    names = [
        "</script><script>hacked()<",
        "\"'><img src=x onerror=hacked()>",
        "{{ 7 * 7 }}<!--<script>",
        "\u202egnp.eman\u2028",
    ]
    names = [name.replace("/", "\u2215") for name in names]
    make_folder(plain, 4)
    evil = evil.with_name(evil.name.replace("/", "\u2215"))
    records = make_folder(evil, names)
    message = "</script><script>hacked()</script><!--<script>"
    record = replace(records[names[0]], flags=(Flag("quality", message, "left"),), status="review")
    (evil / f"{names[0]}_hippocampus.json").write_text(record.to_json(), encoding="utf-8")
    comment = "</script><b onclick=hacked()>&amp;"
    (evil / "review.csv").write_bytes(verdict_bytes({names[1]: Verdict("fail", comment)}))
    mine, other = Parsed(write_page(evil)), Parsed(write_page(plain))
    assert Counter(tag for tag, _ in mine.tags) == Counter(tag for tag, _ in other.tags)
    assert [attributes.keys() for _, attributes in mine.tags] == [a.keys() for _, a in other.tags]
    assert {scan["scan"] for scan in mine.data["scans"]} == set(names)
    assert message in {flag["message"] for scan in mine.data["scans"] for flag in scan["flags"]}
    assert mine.data["verdicts"][names[1]]["comment"] == comment
    assert mine.texts["title"] == f"Review: {evil.name}"
    assert "<script>hacked" not in (evil / "index.html").read_text(encoding="utf-8")


def test_it_loads_nothing_and_runs_only_its_own_script(tmp_path):
    make_folder(tmp_path, 3)
    parsed = Parsed(write_page(tmp_path))
    assert not [a for _, a in parsed.tags if {"src", "srcset"} & a.keys()]
    assert [a["href"] for tag, a in parsed.tags if tag == "link"] == ["data:,"]
    assert not [name for _, a in parsed.tags for name in a if name.startswith("on") or name == "style"]
    addresses = re.findall(r"(?:https?:)?//[\w.]+", "".join(re.findall(r'"[^"]*"', parsed.texts["script"])))
    assert set(addresses) <= {"http://www.w3.org"}  # the name of SVG, which nobody loads
    (policy,) = (a["content"] for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "connect-src" not in rules
    assert not {"http:", "https:", "*"} & set(rules["img-src"].split())
    for name in ("script", "style"):
        digest = hashlib.sha256(parsed.texts[name].encode("utf-8")).digest()
        assert rules[f"{name}-src"] == f"'sha256-{base64.b64encode(digest).decode()}'"


def test_every_part_of_the_script_is_in_it():
    assets = Path(page_module.__file__).parent / "assets"
    assert sorted(SCRIPTS) == sorted(path.stem for path in assets.glob("*.js"))


def test_verdicts_are_in_the_page(tmp_path):
    records = make_folder(tmp_path, 3)
    (scan, record), *_ = records.items()
    verdict = Verdict("fail", "cut", "2026-11-26T08:00:00Z", result_id(record), {"Rater": "Kim"})
    (tmp_path / "review.csv").write_bytes(verdict_bytes({scan: verdict}))
    data = Parsed(write_page(tmp_path)).data
    assert data["verdicts"] == {
        scan: {
            "verdict": "fail",
            "comment": "cut",
            "when": verdict.when,
            "result": verdict.result,
            "beside": {"Rater": "Kim"},
        }
    }
    assert verdict.result in {one["result"] for one in data["scans"]}


def test_a_damaged_review_is_said_and_stays(tmp_path):
    make_folder(tmp_path, 2)
    (tmp_path / "review.csv").write_bytes(b"scan,verdict\nsub-00000_T1w,perhaps\n")
    page = write_page(tmp_path)
    assert "row 2" in Parsed(page).data["review_problem"]
    assert 'role="alert">! review.csv was not read' in page.read_text(encoding="utf-8")
    assert (tmp_path / "review.csv").read_bytes() == b"scan,verdict\nsub-00000_T1w,perhaps\n"


def test_records_that_cannot_be_read_have_a_card(tmp_path):
    make_folder(tmp_path, 2)
    (tmp_path / "broken_hippocampus.json").write_bytes(b"{")
    (tmp_path / "other_hippocampus.json").write_text('{"schema": "another program"}', encoding="utf-8")
    scans = {scan["scan"]: scan for scan in Parsed(write_page(tmp_path)).data["scans"]}
    assert set(scans) == {"sub-00000_T1w", "sub-00001_T1w", "broken"}
    assert scans["broken"]["failure"][0] == "record_damaged"


def test_another_index_stays_and_an_own_one_keeps_its_name(tmp_path):
    make_folder(tmp_path, 2)
    page = tmp_path / "index.html"
    page.write_text("<html>Mine</html>", encoding="utf-8")
    with pytest.raises(OutputError) as caught:
        write_page(tmp_path)
    assert caught.value.code == "not_ours" and page.read_text(encoding="utf-8") == "<html>Mine</html>"
    page.unlink()
    first = Parsed(write_page(tmp_path)).data
    make_folder(tmp_path, 5)
    second = Parsed(write_page(tmp_path)).data
    assert second["id"] == first["id"] and len(second["scans"]) == 5
    left = {path.name for path in tmp_path.iterdir() if not path.name.startswith("sub-")}
    assert left == {"index.html"}


def test_a_page_that_cannot_be_made_leaves_the_old_one(tmp_path, monkeypatch):
    make_folder(tmp_path, 2)
    old = write_page(tmp_path).read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OutputError):
        write_page(tmp_path)
    assert (tmp_path / "index.html").read_bytes() == old


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no results"):
        write_page(tmp_path)
    with pytest.raises(OutputError):
        write_page(tmp_path / "nowhere")
    make_folder(tmp_path, 1)
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(DependencyError, match="hipposeg\\[report\\]|Jinja2"):
        write_page(tmp_path)


def test_the_command_writes_it_and_links_reports(tmp_path, capsys):
    make_folder(tmp_path, 2)
    (tmp_path / "sub-00001_T1w_report.html").write_text("x", encoding="utf-8")
    assert main(["review", str(tmp_path)]) == 0
    page = tmp_path / "index.html"
    assert capsys.readouterr().out == f"Review page: {page}\n"
    reports = {scan["scan"]: scan["report"] for scan in Parsed(page).data["scans"]}
    assert reports == {"sub-00000_T1w": None, "sub-00001_T1w": "sub-00001_T1w_report.html"}
    assert main(["review", str(tmp_path / "nowhere")]) == 6


def test_the_command_takes_verdicts_over_into_the_table(tmp_path, capsys):
    out, saved = tmp_path / "out", tmp_path / "review (1).csv"
    scan = "sub-00001_T1w"
    record = make_folder(out, 3)[scan]
    OutputFolder(out).update_table()
    saved.write_bytes(
        verdict_bytes({scan: Verdict("fail", "cut", "2026-11-26T08:00:00Z", result_id(record))})
    )
    assert main(["review", str(out), "--verdicts", str(saved)]) == 0
    assert capsys.readouterr().out.startswith("1 new or changed verdict in review.csv.")
    with open(out / "hippocampus.csv", newline="", encoding="utf-8-sig") as file:
        said = {row["scan"]: row["review"] for row in csv.DictReader(file)}
    assert said == {"sub-00000_T1w": "", scan: "fail", "sub-00002_T1w": ""}
    assert Parsed(out / "index.html").data["verdicts"][scan]["comment"] == "cut"


def test_a_bids_derivative_has_its_pictures_in_their_folders(tmp_path):
    from HippoSegLib.bids.layout import BIDS

    scans = ["sub-01_ses-a_T1w", "sub-02_T1w"]
    for scan, record in make_folder(tmp_path / "flat", scans).items():
        name = f"{scan}{BIDS.endings['picture']}"
        files = record.files | {"picture": replace(record.files["picture"], name=name)}
        path = BIDS.record_path(tmp_path / "out", scan)
        path.parent.mkdir(parents=True)
        path.write_text(replace(record, files=files).to_json(), encoding="utf-8")
        path.with_name(f"{scan}_report.html").touch()
    cards = {scan["scan"]: scan for scan in Parsed(write_page(tmp_path / "out")).data["scans"]}
    assert {scan: card["picture"] for scan, card in cards.items()} == {
        "sub-01_ses-a_T1w": "sub-01/figures/sub-01_ses-a_T1w_seg-hipposeg_dseg.png",
        "sub-02_T1w": "sub-02/figures/sub-02_T1w_seg-hipposeg_dseg.png",
    }
    assert cards["sub-01_ses-a_T1w"]["report"] == "sub-01/ses-a/anat/sub-01_ses-a_T1w_report.html"


def test_a_comparison_with_a_reference_is_in_it(tmp_path):
    judged = Judged(2600.0, 2.5, 0.8, 6.1, -2.0, 3200.0, 2600.0, 3800.0)
    judgement = Judgement(60, Person(62.0, "female"), {"left": judged}, reference="abc")
    record = make_folder(tmp_path, 2)["sub-00000_T1w"]
    record = replace(record, provenance={**record.provenance, "reference": judgement.to_dict()})
    (tmp_path / "sub-00000_T1w_hippocampus.json").write_text(record.to_json(), encoding="utf-8")
    data = Parsed(write_page(tmp_path)).data
    names = [column["name"] for column in data["columns"]]
    scans = {scan["scan"]: scan for scan in data["scans"]}
    values = dict(zip(names, scans["sub-00000_T1w"]["values"], strict=True))
    assert (values["left_percentile"], values["left_z"]) == (2.5, -2.0) and "right_z" not in names
    (line,) = scans["sub-00000_T1w"]["comparison"]
    assert "percentile (95 % interval: below 1 to 6)" in line
    assert scans["sub-00001_T1w"]["comparison"] == []


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_all_text_can_be_read(scheme):
    assets = Path(page_module.__file__).parent / "assets"
    blocks = re.findall(r":root \{(.*?)\}", (assets / "page.css").read_text(encoding="utf-8"), re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme]))
    for text in ("text", "faint", "accent", "ok", "warn", "bad"):
        for ground in ("ground", "panel", "warn-ground"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
