"""From a volume node to what the core takes: voxels, geometry, and places given in the views.

The volume's own IJK-to-RAS matrix decides where it lies. A parent transform is not applied to the
image: the result is put under the same transform and so moves with the volume. One that mirrors or
bends the head would make sides or volumes wrong, and is refused.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from HippoSegLib.errors import InputError

#: RAS (Slicer) to LPS (the core, SimpleITK).
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
#: How far a linear transform's determinant may be from 1 before volumes seen in the world differ.
SCALE_TOLERANCE = 1e-3


def checkVolume(volumeNode) -> list[str]:
    """Check that a volume can be segmented; returns remarks in words.

    Raises:
        InputError: No volume, no image, colours, a mirroring or bending parent transform, or sheared axes.
    """
    if volumeNode is None:
        raise InputError("No volume is chosen.", "Choose a T1 volume of the head.")
    image = volumeNode.GetImageData()
    if image is None or min(image.GetDimensions()) < 1:
        raise InputError("The volume holds no image.", "Load it again, or choose another volume.")
    if volumeNode.IsA("vtkMRMLLabelMapVolumeNode"):
        raise InputError("The volume is a label map, not a scan.", "Choose the T1 volume itself.")
    if image.GetNumberOfScalarComponents() != 1:
        raise InputError("The volume holds colours or vectors.", "Choose a grey-value T1 volume.")
    directions = directionMatrix(volumeNode)
    if np.abs(directions.T @ directions - np.eye(3)).max() > 1e-3:
        raise InputError(
            "The volume's axes are not at right angles.", "Resample it with the Crop Volume module first."
        )
    return _checkParentTransform(volumeNode)


def _checkParentTransform(volumeNode) -> list[str]:
    transformNode = volumeNode.GetParentTransformNode()
    if transformNode is None:
        return []
    if not transformNode.IsTransformToWorldLinear():
        raise InputError(
            "The volume is under a non-linear transform.",
            "Harden it first (Data module: right-click the transform icon of the volume, Harden transform).",
        )
    determinant = np.linalg.det(_toWorld(volumeNode)[:3, :3])
    if abs(determinant) < 1e-9:
        raise InputError("The volume's transform flattens it.", "Remove or correct the transform.")
    if determinant < 0:
        raise InputError(
            "The volume's transform mirrors the head: left and right would be exchanged.",
            "Remove or correct the transform.",
        )
    if abs(determinant - 1) > SCALE_TOLERANCE:
        return [
            "The volume's transform changes its size: volumes are those of the scan itself, "
            f"not of the transformed one (factor {determinant:.3f})."
        ]
    return []


def voxels(volumeNode) -> np.ndarray:
    """Return the volume's array (z, y, x), its own memory: copy before changing it."""
    return slicer.util.arrayFromVolume(volumeNode)


def directionMatrix(volumeNode) -> np.ndarray:
    """(3, 3) unit vectors of the i, j and k axes in RAS, as columns."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASDirectionMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)[:3, :3]


def geometry(volumeNode) -> dict:
    """Spacing mm, origin (LPS mm) and direction of the volume, as the worker expects them."""
    direction = RAS_TO_LPS @ directionMatrix(volumeNode)
    return {
        "spacing": [float(value) for value in volumeNode.GetSpacing()],
        "origin": [float(value) for value in RAS_TO_LPS @ np.array(volumeNode.GetOrigin())],
        "direction": [float(value) for value in direction.ravel()],
    }


def voxelVolume(volumeNode) -> float:
    """Volume of a voxel in mm³: |det| of the IJK-to-RAS matrix, without parent transforms."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return float(abs(np.linalg.det(slicer.util.arrayFromVTKMatrix(matrix)[:3, :3])))


def _toWorld(node) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    if node.GetParentTransformNode() is not None:
        node.GetParentTransformNode().GetMatrixTransformToWorld(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def worldToLocal(volumeNode, position) -> np.ndarray:
    """World RAS mm -> LPS mm in the volume's own frame (under a linear parent transform)."""
    local = np.linalg.inv(_toWorld(volumeNode)) @ np.append(np.asarray(position, float), 1.0)
    return RAS_TO_LPS @ local[:3]


def localToWorld(volumeNode, positionLps) -> np.ndarray:
    """LPS mm in the volume's own frame -> world RAS mm."""
    return (_toWorld(volumeNode) @ np.append(RAS_TO_LPS @ np.asarray(positionLps, float), 1.0))[:3]


def placeOptions(places: dict, volumeNode) -> dict:
    """Options ``points`` and ``boxes`` of the segmentation, LPS mm in the volume's own frame.

    Args:
        places: Side -> point list, region of interest or None; points not placed yet are left out.
    """
    options: dict[str, dict] = {"points": {}, "boxes": {}}
    for side, node in places.items():
        if node is None:
            continue
        if node.IsA("vtkMRMLMarkupsROINode"):
            corners = boxCorners(node, volumeNode)
            if corners is not None:
                options["boxes"][side] = corners
        elif isPlaced(node):
            world = [0.0, 0.0, 0.0]
            node.GetNthControlPointPositionWorld(0, world)
            options["points"][side] = worldToLocal(volumeNode, world).tolist()
    return {key: value for key, value in options.items() if value}


def isPlaced(node) -> bool:
    """Whether a place says where: its first point is set."""
    return (
        node is not None
        and node.GetNumberOfControlPoints() > 0
        and node.GetNthControlPointPositionStatus(0) == slicer.vtkMRMLMarkupsNode.PositionDefined
    )


def boxCorners(roiNode, volumeNode) -> list[list[float]] | None:
    """(lower, upper) LPS mm, in the volume's frame, of the box around a region of interest; None if empty."""
    size = np.array(roiNode.GetSize())
    if min(size) <= 0:
        return None
    matrix = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToWorldMatrix())
    signs = np.array([[i, j, k] for i in (-0.5, 0.5) for j in (-0.5, 0.5) for k in (-0.5, 0.5)])
    corners = [matrix[:3, :3] @ (sign * size) + matrix[:3, 3] for sign in signs]
    local = np.array([worldToLocal(volumeNode, corner) for corner in corners])
    return [local.min(axis=0).tolist(), local.max(axis=0).tolist()]
