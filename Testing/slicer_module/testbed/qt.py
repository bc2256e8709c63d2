"""Stands in for Slicer's `qt`: PySide6 with PythonQt's manners.

- Qt properties are Python attributes (`button.enabled = False`, `label.text`) and hide the getter of
  the same name: `label.text()` fails as it does in Slicer; `setText()` and the like stay.
- `obj.name` is the object name; `obj.className()` and `obj.delete()` exist.
- `obj.connect("clicked(bool)", f)` and `obj.disconnect(…)` take Qt signatures as text.
- An attribute that is neither a property nor declared by a Python class is refused.
"""

from __future__ import annotations

import functools
import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6 import QtCore, QtGui, QtWidgets

_MODULES = (QtCore, QtGui, QtWidgets)
for _module in _MODULES:
    for _name in dir(_module):
        if _name.startswith("Q") or _name in ("Qt", "Signal", "Slot", "Property"):
            globals()[_name] = getattr(_module, _name)

#: Custom widget classes that .ui files may name.
customWidgets: dict[str, type] = {}
#: PySide6's loader sets children as attributes of the root widget; allowed only then.
isLoading = [False]


def registerCustomWidget(widgetClass: type) -> type:
    """Let .ui files name a widget class; usable as a decorator."""
    customWidgets[widgetClass.__name__] = widgetClass
    return widgetClass


class _QtProperty:
    """A Qt property as attribute; on the class, what was there before stays reachable."""

    def __init__(self, owner, name: str, isWritable: bool):
        self.name, self.isWritable, self.original = name, isWritable, getattr(owner, name, None)

    def __get__(self, obj, owner=None):
        return self.original if obj is None else QtCore.QObject.property(obj, self.name)

    def __set__(self, obj, value):
        if not self.isWritable:
            raise AttributeError(f"Property '{self.name}' of {type(obj).__name__} object is not writable")
        found = obj.metaObject().property(obj.metaObject().indexOfProperty(self.name))
        if not found.write(obj, value):
            raise AttributeError(
                f"Property '{self.name}' of type '{found.typeName()}' does not accept {value!r}"
            )


def _qtClasses() -> list[type]:
    found = (getattr(module, name) for module in _MODULES for name in dir(module))
    return [c for c in found if isinstance(c, type) and issubclass(c, QtCore.QObject)]


def _patchProperties(qtClass: type) -> None:
    meta = qtClass.staticMetaObject
    for index in range(meta.propertyOffset(), meta.propertyCount()):
        found = meta.property(index)
        if found.name() != "objectName":
            setattr(qtClass, found.name(), _QtProperty(qtClass, found.name(), found.isWritable()))


_classes = list(dict.fromkeys(_qtClasses()))
for _class in _classes:
    _patchProperties(_class)

_Object = QtCore.QObject
_connectStatic, _disconnectStatic = _Object.connect, _Object.disconnect


def _signal(obj, text: str):
    """The signal that a signature in text names."""
    signal = getattr(obj, text.split("(")[0], None)
    if signal is None or not hasattr(signal, "connect"):
        raise ValueError(f"QObject::connect: no signal {text} in {type(obj).__name__}")
    arguments = text[text.index("(") + 1 : text.rindex(")")].strip() if "(" in text else ""
    if arguments and "vtk" not in arguments:
        types = tuple(argument.strip() for argument in arguments.split(","))
        try:
            return signal[types if len(types) > 1 else types[0]]
        except Exception:
            return signal
    return signal


def _connect(obj, *arguments, **options):
    if len(arguments) == 2 and isinstance(arguments[0], str) and callable(arguments[1]):
        _signal(obj, arguments[0]).connect(arguments[1])
        return True
    if arguments and isinstance(arguments[0], _Object):  # PySide6's own code calls it like this
        return _connectStatic(*arguments, **options)
    return _connectStatic(obj, *arguments, **options)


def _disconnect(obj, *arguments, **options):
    if len(arguments) == 2 and isinstance(arguments[0], str) and callable(arguments[1]):
        try:
            _signal(obj, arguments[0]).disconnect(arguments[1])
        except (RuntimeError, TypeError):
            return False
        return True
    return _disconnectStatic(obj, *arguments, **options)


# PySide6's attribute lookup hands out the built-in connect and disconnect, so the lookup is wrapped.
_OURS = {"connect": _connect, "disconnect": _disconnect}


def _withOurs(original):
    def lookup(self, name):
        ours = _OURS.get(name)
        return functools.partial(ours, self) if ours is not None else original(self, name)

    return lookup


def _isCpp(owner: type) -> bool:
    return owner.__module__.startswith(("PySide6", "Shiboken")) or owner.__name__ in customWidgets


def _setAttribute(self, name: str, value) -> None:
    owner = type(self)
    mustExist = (
        not isLoading[0]
        and not isinstance(value, QtCore.SignalInstance)
        and not name.startswith("_")
        and _isCpp(owner)
    )
    if mustExist:
        raw = next((c.__dict__[name] for c in owner.__mro__ if name in c.__dict__), None)
        isProperty = raw is not None and (hasattr(type(raw), "__set__") or isinstance(raw, QtCore.Property))
        if not isProperty and getattr(owner, name, None) is not None:
            raise AttributeError(f"Slot '{name}' can not be overwritten on {owner.__name__} object")
        if not isProperty and QtCore.QObject.property(self, name) is not None:
            self.setProperty(name, value)
            return
        if not isProperty:
            raise AttributeError(
                f"'{name}' does not exist on {owner.__name__} and creating new attributes on C++ objects "
                "is not allowed"
            )
    # The types' own slot wrappers refuse Python subclasses, so the attribute is assigned by hand.
    for one in owner.__mro__:
        found = one.__dict__.get(name)
        if isinstance(found, QtCore.Property):
            found.fset(self, value)
            return
        if found is not None and hasattr(type(found), "__set__"):
            found.__set__(self, value)
            return
    self.__dict__[name] = value


for _class in _classes:
    if "__getattribute__" in _class.__dict__ or _class is _Object:
        _class.__getattribute__ = _withOurs(_class.__getattribute__)
    if "__setattr__" in _class.__dict__ or _class is _Object:
        _class.__setattr__ = _setAttribute

getObjectName = _Object.objectName
_Object.className = lambda self: self.metaObject().className()
_Object.delete = lambda self: self.deleteLater()
_Object.objectName = property(lambda self: getObjectName(self), lambda self, value: self.setObjectName(value))
_Object.name = _Object.objectName
for _class in (QtWidgets.QDialog, QtWidgets.QMenu, QtCore.QEventLoop):
    if not hasattr(_class, "exec_"):
        _class.exec_ = lambda self, *arguments: self.exec(*arguments)

from uiloader import QUiLoader  # noqa: E402, F401  (Slicer's qt has it too)
