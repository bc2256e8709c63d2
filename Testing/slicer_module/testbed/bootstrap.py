"""Give slicer-core what the application has: `slicer.mrmlScene` and `slicer.modules.<name>.logic()`."""

from __future__ import annotations

import sys
import tempfile
import types

import slicer
import slicer.util
import vtk


class Module:
    """Stands for qSlicerAbstractCoreModule."""

    def __init__(self, name: str, logic=None, path: str = ""):
        self.name, self.path, self._logic = name, path, logic

    def logic(self):
        return self._logic


def bootstrap():
    """Make the scene and the logics; returns (scene, application logic)."""
    scene = slicer.vtkMRMLScene()
    # Without a cache folder, .mrb files cannot be read.
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(tempfile.mkdtemp(prefix="slicer-cache-"))
    cache.SetMRMLScene(scene)
    dataIO = slicer.vtkDataIOManager()
    dataIO.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(dataIO)
    application = slicer.vtkSlicerApplicationLogic()
    application.SetMRMLScene(scene)
    application.SetSliceLogics(vtk.vtkCollection())
    application.SetViewLogics(vtk.vtkCollection())
    colors = application.GetColorLogic()
    colors.SetMRMLScene(scene)
    colors.AddDefaultColorNodes()
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    slicer.mrmlScene = scene
    # Module logics hold the application logic weakly: dropped, the next call would crash.
    slicer._keep = (scene, application, cache, dataIO)
    slicer.modules = sys.modules["slicer.modules"] = types.ModuleType("slicer.modules")
    application.SetModuleLogic("Colors", colors)
    # Slicer's terminology files are not part of slicer-core; its complaints about that are not ours.
    vtk.vtkObject.GlobalWarningDisplayOff()
    for name, logic in (
        ("Volumes", slicer.vtkSlicerVolumesLogic()),
        ("Terminologies", slicer.vtkSlicerTerminologiesModuleLogic()),
        ("Segmentations", slicer.vtkSlicerSegmentationsModuleLogic()),
        ("SubjectHierarchy", slicer.vtkSlicerSubjectHierarchyModuleLogic()),
        ("Transforms", slicer.vtkSlicerTransformLogic()),
        ("Tables", slicer.vtkSlicerTablesLogic()),
        ("Data", slicer.vtkSlicerDataModuleLogic()),
        ("Markups", slicer.vtkSlicerMarkupsLogic()),
        ("Sequences", slicer.vtkSlicerSequencesLogic()),
    ):
        logic.SetMRMLApplicationLogic(application)
        logic.SetMRMLScene(scene)
        application.SetModuleLogic(name, logic)  # logics look each other up there
        setattr(slicer.modules, name.lower(), Module(name, logic))
    vtk.vtkObject.GlobalWarningDisplayOn()
    return scene, application
