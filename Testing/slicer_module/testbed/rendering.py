"""Slice views and a 3D view, drawn offscreen by Slicer's real displayable managers."""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


class _View:
    """A renderer with a window of its own, never shown."""

    def __init__(self, width: int, height: int):
        self.renderer, self.window = vtk.vtkRenderer(), vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(1)
        self.window.ShowWindowOff()
        self.window.SetMultiSamples(0)
        self.window.AddRenderer(self.renderer)
        self.window.SetSize(width, height)
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self.window)
        self._interactor.Initialize()

    def _manage(self, factory, names, node) -> None:
        factory.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        for name in names:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self.renderer)
        self._group.Initialize(factory, self.renderer)
        self._group.SetMRMLDisplayableNode(node)

    def array(self) -> np.ndarray:
        """The picture, (height, width, 3) uint8."""
        self.window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.SetInputBufferTypeToRGB()
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        width, height, _depth = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, 3)[::-1].copy()


class SliceView(_View):
    """A slice view, as Slicer's red, green and yellow ones.

    Args:
        name: Red, Green or Yellow.
        orientation: Axial, Coronal or Sagittal.
        volumeNode: Shown in the background.
        center: World RAS mm in the middle of the view.
        fieldOfView: Width shown, mm.
        interactive: Takes mouse events, as :meth:`click` sends them, with Slicer's own markups widgets.
    """

    def __init__(self, name, orientation, volumeNode, center, fieldOfView=120.0, size=420, interactive=False):
        super().__init__(size, size)
        application = slicer.app.applicationLogic()
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application)
        self._logic.SetMRMLScene(slicer.mrmlScene)
        application.GetSliceLogics().AddItem(self._logic)
        node = self._logic.AddSliceNode(name)
        node.SetOrientation(orientation)
        # In Slicer the view itself draws the slice; here a 2D image does. It comes before the displayable
        # managers, or their translucent fills would blend with black.
        mapper = vtk.vtkImageMapper()
        mapper.SetColorWindow(255)
        mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self.renderer.AddViewProp(actor)
        managers = (*SLICE_MANAGERS, *(["vtkMRMLMarkupsDisplayableManager"] if interactive else []))
        self._manage(slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(), managers, node)
        if interactive:
            self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
            self._style = slicer.vtkMRMLSliceViewInteractorStyle()
            self._style.SetDisplayableManagers(self._group)
            self._style.SetInteractor(self._interactor)
            self._style.SetSliceLogic(self._logic)
        self._logic.GetSliceCompositeNode().SetBackgroundVolumeID(volumeNode.GetID())
        self._logic.ResizeSliceNode(size, size)
        self._logic.FitSliceToBackground()
        node.SetFieldOfView(fieldOfView, fieldOfView, node.GetFieldOfView()[2])
        node.JumpSliceByCentering(*center)
        node.SetOrientationMarkerType(slicer.vtkMRMLAbstractViewNode.OrientationMarkerTypeAxes)
        node.SetRulerType(slicer.vtkMRMLAbstractViewNode.RulerTypeThin)
        self._logic.UpdatePipeline()
        mapper.SetInputConnection(self._logic.GetImageDataConnection())
        self.renderer.ResetCamera()

    def click(self, x: int, y: int) -> None:
        """Press and release the left mouse button at a pixel, from the lower left corner."""
        self._interactor.SetEventInformation(x, y, 0, 0, "\0", 0, None)
        for event in ("Enter", "MouseMove", "LeftButtonPress", "LeftButtonRelease"):
            self._interactor.InvokeEvent(f"{event}Event")


class ThreeDView(_View):
    """A 3D view, aimed at a box.

    Args:
        bounds: World RAS mm (x, x, y, y, z, z) of what is to be seen.
        direction: World RAS direction from what is seen to the eye.
    """

    def __init__(self, bounds, direction=(0.35, 1.0, 0.55), size=420):
        super().__init__(size, size)
        node = slicer.vtkMRMLViewNode()
        node.SetName("View1")
        node.SetSingletonTag("1")
        node = slicer.mrmlScene.AddNode(node)
        camera = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCameraNode")
        camera.SetLayoutName("1")
        self._manage(slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(), THREE_D_MANAGERS, node)
        node.SetBoxVisible(False)
        node.SetAxisLabelsVisible(False)
        node.SetOrientationMarkerType(slicer.vtkMRMLAbstractViewNode.OrientationMarkerTypeAxes)
        self.renderer.SetBackground(0.76, 0.76, 0.91)
        self.renderer.SetBackground2(0.45, 0.47, 0.75)
        self.renderer.GradientBackgroundOn()
        eye = self.renderer.GetActiveCamera()
        center = np.array(bounds).reshape(3, 2).mean(axis=1)
        eye.SetFocalPoint(*center)
        eye.SetPosition(*(center + 200 * np.array(direction)))
        eye.SetViewUp(0, 0, 1)
        self.renderer.ResetCamera(bounds)
        eye.Zoom(1.05)
