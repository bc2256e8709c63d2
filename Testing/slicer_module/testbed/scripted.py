"""Stands in for the Python modules of Slicer that slicer-core does not ship.

Where the environment variable SLICER_SOURCE names a checkout of Slicer's sources, Slicer's own base classes
and translation are taken from there in place of the stand-ins.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import types
import unittest
import urllib.request

import qt
import slicer


class ScriptedLoadableModule:
    """Base of module classes."""

    def __init__(self, parent):
        self.parent = parent
        self.moduleName = type(self).__name__
        path = self.resourcePath(f"Icons/{self.moduleName}.png")
        if os.path.isfile(path):
            parent.icon = qt.QIcon(path)
        slicer.selfTests = getattr(slicer, "selfTests", {})
        slicer.selfTests[self.moduleName] = self.runTest

    def resourcePath(self, name: str) -> str:
        return os.path.join(os.path.dirname(self.parent.path), "Resources", name)

    def runTest(self, msec=100, **options):
        test = getattr(sys.modules[self.__module__], self.moduleName + "Test")()
        test.messageDelay = msec
        test.runTest(**options)


class ScriptedLoadableModuleWidget:
    """Base of widget classes."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Widget")
        self.parent, self.layout = parent, parent.layout()
        slicer.app.moduleManager().connect(
            "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
        )

    def resourcePath(self, name: str) -> str:
        return os.path.join(os.path.dirname(slicer.util.modulePath(self.moduleName)), "Resources", name)

    def setup(self):
        pass

    def cleanup(self):
        pass

    def _onModuleAboutToBeUnloaded(self, moduleName):
        if moduleName == self.moduleName:
            self.cleanup()
            slicer.app.moduleManager().disconnect(
                "moduleAboutToBeUnloaded(QString)", self._onModuleAboutToBeUnloaded
            )

    def onReload(self):
        slicer.util.reloadScriptedModule(self.moduleName)


class ScriptedLoadableModuleLogic:
    """Base of logic classes."""

    def __init__(self, parent=None):
        self.moduleName = type(self).__name__.removesuffix("Logic")

    def getParameterNode(self):
        node = slicer.mrmlScene.GetSingletonNode(self.moduleName, "vtkMRMLScriptedModuleNode")
        if node is None:
            node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
            node.UnRegister(None)
            node.SetSingletonTag(self.moduleName)
            node.SetModuleName(self.moduleName)
            node.SetName(slicer.mrmlScene.GenerateUniqueName(self.moduleName))
            node = slicer.mrmlScene.AddNode(node)
        return node


class ScriptedLoadableModuleTest(unittest.TestCase):
    """Base of self-tests."""

    def delayDisplay(self, message, requestedDelay=None, msec=None):
        print(message)


class SampleDataLogic:
    """The part of the Sample Data module's logic that other modules call, and its download."""

    sources: dict[str, list[dict]] = {}

    @classmethod
    def registerCustomSampleDataSource(cls, category="Custom", **source):
        cls.sources.setdefault(category, []).append(source)

    def downloadSample(self, sampleName: str):
        source = next(s for all_ in self.sources.values() for s in all_ if s["sampleName"] == sampleName)
        folder = slicer.mrmlScene.GetCacheManager().GetRemoteCacheDirectory()
        path = os.path.join(folder, source["fileNames"])
        urllib.request.urlretrieve(source["uris"], path)
        kind, expected = source["checksums"].split(":")
        with open(path, "rb") as file:
            if hashlib.new(kind.lower(), file.read()).hexdigest() != expected:
                raise ValueError("Checksum verification failed")
        return slicer.util.loadVolume(path, {"name": source["nodeNames"]})


def install() -> None:
    """Let the modules be imported by the names they have in Slicer."""
    sources = os.environ.get("SLICER_SOURCE")
    for name, standIn in (("i18n", _untranslated), ("ScriptedLoadableModule", _bases)):
        one = standIn() if sources is None else _slicersOwn(sources, name)
        sys.modules[f"slicer.{name}"] = one
        setattr(slicer, name, one)
    sampleData = types.ModuleType("SampleData")
    sampleData.SampleDataLogic = SampleDataLogic
    sys.modules["SampleData"] = sampleData


def _bases() -> types.ModuleType:
    module = types.ModuleType("slicer.ScriptedLoadableModule")
    for one in (
        ScriptedLoadableModule,
        ScriptedLoadableModuleWidget,
        ScriptedLoadableModuleLogic,
        ScriptedLoadableModuleTest,
    ):
        setattr(module, one.__name__, one)
    return module


def _untranslated() -> types.ModuleType:
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda context, text: text
    return i18n


def _slicersOwn(sources: str, name: str) -> types.ModuleType:
    path = os.path.join(sources, "Base", "Python", "slicer", f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"slicer.{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
