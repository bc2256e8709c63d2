"""Load the module from a path on the test bed and segment its sample by a click.

usage: python Testing/slicer_module/run_module.py PATH/TO/HippoSeg.py
"""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "testbed"))

import application


def main(path: str) -> None:
    app = application.start()
    _python, _instance, widget, _panel = application.loadModule(path)
    import slicer
    from HippoSegSlicer.sampledata import SAMPLE_NAME

    import HippoSegLib

    print("library:", HippoSegLib.__file__)
    app.startupCompleted.emit()
    sample = sys.modules["SampleData"].SampleDataLogic().downloadSample(SAMPLE_NAME)
    widget.panel.parameters().inputVolume = sample
    widget.enter()
    application.click(widget.ui.segmentButton)
    application.waitFor(lambda: not widget.logic.jobs.isBusy, 240)
    node = widget.panel.results.segmentationNode
    assert node is not None, widget.ui.messageLabel.text
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    print("segmented the sample:", widget.ui.messageLabel.text)
    widget.cleanup()
    slicer.mrmlScene.Clear(0)


if __name__ == "__main__":
    main(sys.argv[1])
