"""Makes the pictures of panel and views under Resources/Screenshots, on the test bed and labelled so.

usage: python Testing/slicer_module/screenshots.py [FOLDER]
Also writes the sample's thumbnail for the Sample Data module, HippoSeg/Resources/Icons/HippoSegSample.png.
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE / "testbed"), str(ROOT / "HippoSeg"), str(ROOT)]

import application  # noqa: E402
import numpy as np  # noqa: E402
from PIL import Image, ImageDraw, ImageFont  # noqa: E402

LABEL = "Rendered by HippoSeg's test bed (slicer-core), not by the 3D Slicer application"
THUMBNAIL = ROOT / "HippoSeg" / "Resources" / "Icons" / "HippoSegSample.png"


def labelled(picture: Image.Image) -> Image.Image:
    """The picture with a line below that says what made it, wrapped to its width."""
    font = ImageFont.load_default(size=13)
    words, lines = LABEL.split(), [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > picture.width - 16:
            lines.append(word)
        else:
            lines[-1] = longer
    result = Image.new("RGB", (picture.width, picture.height + 18 * len(lines) + 8), (40, 40, 40))
    result.paste(picture, (0, 0))
    pen = ImageDraw.Draw(result)
    for number, line in enumerate(lines):
        pen.text((8, picture.height + 4 + 18 * number), line, fill=(230, 230, 230), font=font)
    return result


def save(picture: Image.Image, path: pathlib.Path, colors: int = 255) -> None:
    """Write a small PNG; few colours are enough for a panel (0: all of them)."""
    picture = labelled(picture)
    if colors:
        picture = picture.quantize(colors, dither=Image.Dither.NONE)
    picture.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size // 1024} KiB")


def of_widget(widget) -> Image.Image:
    """A picture of a widget as it is now."""
    image = application.grab(widget).convertToFormat(application.qt.QImage.Format_RGB888)
    data = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    pixels = data[:, : 3 * image.width()].reshape(image.height(), image.width(), 3)
    # Without the empty rest at the bottom.
    filled = np.flatnonzero((pixels != pixels[-1, 0]).any(axis=(1, 2)))
    return Image.fromarray(pixels[: filled[-1] + 16])


def of_views(volume, node) -> Image.Image:
    """Axial slice, 3D view, coronal and sagittal slice of a result, in two rows."""
    import rendering

    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    middle = np.array(bounds).reshape(3, 2).mean(axis=1)
    # Off the middle plane, so that the sagittal slice passes through a hippocampus.
    left = np.array(node.GetSegmentCenterRAS("HippoSeg_17"))
    center = [middle[0], left[1], left[2]]
    views = [
        rendering.SliceView("Red", "Axial", volume, center),
        rendering.ThreeDView(bounds),
        rendering.SliceView("Green", "Coronal", volume, center),
        rendering.SliceView("Yellow", "Sagittal", volume, left),
    ]
    arrays = [view.array() for view in views]
    gap = np.zeros((arrays[0].shape[0], 4, 3), np.uint8)
    rows = [np.hstack([arrays[i], gap, arrays[i + 1]]) for i in (0, 2)]
    return Image.fromarray(np.vstack([rows[0], np.zeros((4, rows[0].shape[1], 3), np.uint8), rows[1]]))


class FirstUse:
    """An installer on a machine where everything is missing."""

    def missing(self, modules):
        from HippoSegLib.dependencies import PACKAGES

        return [package for package in PACKAGES if package.module in modules]


def main(folder: pathlib.Path) -> None:  # noqa: PLR0915 - one state of the panel after the other
    """Go through the panel's states with the shipped model and sample."""
    app = application.start()
    import slicer
    from HippoSegSlicer.logic import Logic
    from HippoSegSlicer.sampledata import NODE_NAME, sampleFile
    from panelbed import Answers, NothingMissing, PanelUnderTest

    folder.mkdir(parents=True, exist_ok=True)
    logic = Logic()
    first = PanelUnderTest(application, logic, Answers(), FirstUse())
    first.parameters.inputVolume = slicer.util.loadVolume(str(sampleFile()), {"name": NODE_NAME})
    save(of_widget(first.window), folder / "panel-first-use.png")
    first.close()
    slicer.mrmlScene.Clear(0)

    panel = PanelUnderTest(application, logic, Answers(), NothingMissing(), Logic())
    save(of_widget(panel.window), folder / "panel-empty.png")
    volume = slicer.util.loadVolume(str(sampleFile()), {"name": NODE_NAME})
    panel.parameters.inputVolume = volume
    panel.panel.enter()
    save(of_widget(panel.window), folder / "panel-ready.png")
    panel.ui.advancedButton.collapsed = False
    application.waitFor(lambda: "Automatic" in panel.ui.deviceLabel.text)
    save(of_widget(panel.window), folder / "panel-advanced.png")
    panel.ui.advancedButton.collapsed = True

    running: list[Image.Image] = []

    def on_progress(job, stage, fraction):
        if stage.startswith("Segmenting"):
            running.append(of_widget(panel.window))

    logic.progress.connect(on_progress)
    panel.click("segmentButton")
    panel.wait(240)
    assert panel.result is not None, panel.ui.messageLabel.text
    save(running[-1], folder / "panel-running.png")
    save(of_widget(panel.window), folder / "panel-done.png")
    save(compared(panel), folder / "panel-compared.png")
    panel.click("noReferenceButton")
    save(many(panel), folder / "panel-many.png")

    panel.ui.resultsButton.collapsed = True
    panel.open("tuneSection")

    def on_tuning(job, stage, fraction):
        running.append(of_widget(panel.window))

    panel.training.progress.connect(on_tuning)
    panel.click("tuneCheckButton")  # of the one case that is in the scene
    panel.wait_for_training(240)
    assert panel.ui.tuneTable.plainText, panel.ui.tuneMessageLabel.text
    save(running[-1], folder / "panel-fine-tuning.png")
    save(of_widget(panel.window), folder / "panel-fine-tuning-checked.png")
    panel.ui.tuneSection.collapsed = True
    panel.ui.resultsButton.collapsed = False

    save(of_views(volume, panel.result), folder / "result.png", colors=0)
    thumbnail(volume, panel.result)

    panel.open("preprocessingButton")
    panel.click("claheCheckBox")
    panel.click("waveletCheckBox")
    panel.ui.resultsButton.collapsed = True
    app.processEvents()
    save(of_widget(panel.window), folder / "panel-preprocessing.png")
    panel.click("resetButton")
    panel.ui.preprocessingButton.collapsed = True

    noise = np.random.default_rng(0).normal(100, 10, (64, 64, 64)).astype(np.float32)
    panel.parameters.inputVolume = slicer.util.addVolumeFromArray(
        noise, np.diag([-3.0, -3, 3, 1]), "not a head"
    )
    panel.click("segmentButton")
    panel.wait(240)
    assert panel.result is None
    app.processEvents()
    save(of_widget(panel.window), folder / "panel-not-found.png")
    panel.close()
    logic.close()


def settled(panel) -> Image.Image:
    """A picture of the panel once its layout has come to rest."""
    import slicer

    for _round in range(20):
        slicer.app.processEvents()
    panel.window.resize(504, 1100)
    for _round in range(20):
        slicer.app.processEvents()
    return of_widget(panel.window)


def compared(panel) -> Image.Image:
    """The result of the sample beside a reference of simulated controls."""
    sys.path.append(str(ROOT / "Testing" / "core" / "reference"))
    from simulated import people

    from HippoSegLib.reference import identity_of
    from HippoSegLib.reference.fitting import fit_reference

    made_by = identity_of(json.loads(panel.result.GetAttribute("HippoSeg.Provenance")))
    reference, _far = fit_reference(people(120), made_by)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "simulated controls.json")
        path.write_text(reference.to_json(), encoding="utf-8")
        panel.questions.reference = str(path)
        panel.click("referenceButton")
        panel.ui.ageSpinBox.value = 62
        panel.ui.sexComboBox.setCurrentIndex(1)
        return settled(panel)


def many(panel) -> Image.Image:
    """Three copies of the sample, one of them cut short, segmented from the section "Many scans"."""
    from HippoSegSlicer.sampledata import sampleFile

    panel.ui.resultsButton.collapsed = True
    panel.open("manySection")
    sample = pathlib.Path(sampleFile()).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        study, results = pathlib.Path(folder, "study"), pathlib.Path(folder, "results")
        study.mkdir()
        for name, data in (("sub-01", sample), ("sub-02", sample), ("sub-03", sample[:100000])):
            (study / f"{name}_T1w.nii.gz").write_bytes(data)
        panel.questions.scans, panel.questions.results = str(study), str(results)
        panel.click("manyFolderButton")
        panel.click("manyOutputButton")
        panel.click("manyButton")
        panel.wait_for_training(240)
        picture = settled(panel)
    panel.ui.manySection.collapsed = True
    panel.ui.resultsButton.collapsed = False
    return picture


def thumbnail(volume, node) -> None:
    """An axial slice of the sample with its hippocampi, 260 x 280."""
    import rendering

    center = [0.0, *np.array(node.GetSegmentCenterRAS("HippoSeg_17"))[1:]]
    view = rendering.SliceView("Thumbnail", "Axial", volume, center, fieldOfView=190.0, size=280)
    Image.fromarray(view.array()[:, 10:270]).quantize(128).save(THUMBNAIL, optimize=True)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "Resources" / "Screenshots")
