"""A DICOM segmentation of ours in Slicer: by its own reader, and as its DICOM module loads it, by dcmqi.

The DICOM module itself needs the application; what it does with a segmentation (extension
QuantitativeReporting: dcmqi's `segimage2itkimage`, then a labelmap per segment) is done here step by step.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("highdicom", reason="highdicom writes the objects")
sys.path.append(str(Path(__file__).resolve().parents[1] / "core" / "dicom_objects"))

from dicomresults import multi_frame, oblique, result_of
from panelbed import masks

from HippoSegLib.dicom_objects.source import source_series
from HippoSegLib.dicom_objects.writing import write_objects
from HippoSegLib.io.images import read_scan


@pytest.fixture(params=[oblique, multi_frame], ids=lambda kind: kind.__name__)
def written(request, tmp_path):
    """Series, labels and segmentation."""
    folder = request.param(tmp_path / "s")
    scan = read_scan(folder)
    result = result_of(scan.image)
    source = source_series(scan.slices, scan.image)
    path = tmp_path / "seg.dcm"
    write_objects(result.labels, result.measurements.as_row(), result.provenance, source, [path])
    return folder, result.labels, path


def test_slicer_s_own_reader_takes_the_frames(scene, written):
    """vtkITK with GDCM, as any DICOM file is loaded: one frame after the other. It asks a segmentation for no
    geometry (its spacing is 1); where the frames lie is shown below."""
    import slicer

    _, labels, path = written
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), "seg", 0)
    frames = slicer.util.arrayFromVolume(node) > 0
    array = sitk.GetArrayFromImage(labels)
    planes = [array[z] == value for value in (17, 53) for z in range(len(array)) if (array[z] == value).any()]
    # Along the normal or against it: a segment's frames are in order.
    forward, backward = np.array(planes), np.array([*planes[3::-1], *planes[:3:-1]])
    assert np.array_equal(frames, forward) or np.array_equal(frames, backward)


def test_it_lies_on_the_scan_in_the_scene(scene, written, tmp_path):
    import slicer

    folder, labels, path = written
    program = shutil.which("segimage2itkimage", path=str(Path(sys.executable).parent))
    if program is None:
        pytest.skip("dcmqi is not installed")
    command = [program, "--inputDICOM", path, "--outputDirectory", tmp_path, "-t", "nrrd"]
    subprocess.run(command, check=True, capture_output=True)
    scan = min(folder.iterdir())
    if len(list(folder.iterdir())) == 1:  # a multi-frame file in no order, which GDCM does not put in order
        scan = tmp_path / "scan.nrrd"
        sitk.WriteImage(labels, str(scan))
    volume = slicer.modules.volumes.logic().AddArchetypeVolume(str(scan), "T1", 0)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "seg")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    described = json.loads((tmp_path / "meta.json").read_text())["segmentAttributes"]
    for number, (segment,) in enumerate(described, start=1):
        labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", segment["SegmentLabel"])
        storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
        storage.SetFileName(str(tmp_path / f"{number}.nrrd"))
        assert storage.ReadData(labelmap)
        assert slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labelmap, node)
    found = masks(node, volume)
    size = slicer.util.arrayFromVolume(volume).shape
    for name, value in (("Left hippocampus", 17), ("Right hippocampus", 53)):
        expected = sitk.GetArrayFromImage(labels) == value
        world = [labels.TransformIndexToPhysicalPoint(i[::-1].tolist()) for i in np.argwhere(expected)]
        (mask,) = (one for label, one in found.items() if label.startswith(name))
        assert mask.shape == size and mask.sum() == expected.sum() > 0
        matrix = slicer.util.arrayFromVTKMatrix(ijk_to_ras(volume))
        ras = np.column_stack([np.argwhere(mask)[:, ::-1], np.ones(mask.sum())]) @ matrix.T
        theirs = np.array(sorted((ras[:, :3] * (-1, -1, 1)).round(2).tolist()))
        np.testing.assert_allclose(theirs, np.array(sorted(np.round(world, 2).tolist())), atol=0.02)


def ijk_to_ras(volume):
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix
