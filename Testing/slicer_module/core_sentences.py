"""The sentences that the core says to users: found in its sources, and written where translators' tools look.

usage: python Testing/slicer_module/core_sentences.py     (after a sentence was added or changed)

Taken are the arguments of errors, flags and remarks, and the stages of a run, constants and f-strings alike
(what stands in braces becomes {0}, {1} ...), of everything that the panel can show.
"""

from __future__ import annotations

import ast
import functools
import pathlib
import subprocess
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARGET = ROOT / "HippoSeg" / "HippoSegSlicer" / "coresentences.py"
#: Folders of the library whose sentences only the command line says.
COMMAND_LINE = ("commands", "evaluation", "training")
ERRORS = ("HippoSegError", "InputError", "NotFoundError", "ModelError", "OutputError", "DeviceError")
ERRORS += ("TrainingError", "DependencyError", "Cancelled")
BEGIN, END = "    return (\n", "    )\n"


def sources() -> list[pathlib.Path]:
    """The files whose sentences the panel shows."""
    library = [p for p in (ROOT / "HippoSegLib").rglob("*.py") if p.parts[-2] not in COMMAND_LINE]
    return sorted([*library, *(p for p in TARGET.parent.glob("*.py") if p != TARGET)])


def template(node: ast.AST) -> str | None:
    """The text of a constant or an f-string, with {0}, {1} ... for its values; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if not isinstance(node, ast.JoinedStr):
        return None
    parts, count = [], 0
    for value in node.values:
        if isinstance(value, ast.Constant):
            parts.append(value.value)
        else:
            parts.append(f"{{{count}}}")
            count += 1
    return "".join(parts)


@functools.cache
def said(path: pathlib.Path) -> list[tuple[str, str]]:
    """(code, sentence) of a file; the code is "" where none is given."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for function in [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.Module)]:
        named: dict[str, list[ast.AST]] = {}
        for node in ast.walk(function):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named.setdefault(node.targets[0].id, []).append(node.value)
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                for code, argument in arguments(node):
                    values = named.get(argument.id, []) if isinstance(argument, ast.Name) else [argument]
                    found += [(code, text) for value in values if (text := template(value))]
    # One word is a name or a code.
    return [(code, text) for code, text in found if " " in text and is_sentence(text)]


def arguments(call: ast.Call) -> list[tuple[str, ast.AST]]:
    """(code, argument) of what a call says."""
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    texts = [a.value if isinstance(a, ast.Constant) else "" for a in call.args]
    if name in ERRORS:
        code = texts[2] if len(texts) > 2 else ""
        return [(str(code), argument) for argument in call.args[:2]]
    if name in ("Flag", "Remark") and len(call.args) > 1:
        return [(str(texts[0]), call.args[1])]
    if name == "Loss":
        return [(str(texts[0]), argument) for argument in call.args[1:3]]
    if name in ("stage", "progress"):
        return [("", argument) for argument in call.args[:1]]
    return []


def is_sentence(text: str) -> bool:
    """Whether a text has words of its own beside its values."""
    words = "".join(part.split("}")[-1] for part in text.split("{"))
    return sum(map(str.isalpha, words)) >= 8


def sentences() -> list[str]:
    """All sentences, in the order of the alphabet."""
    return sorted({text for path in sources() for _code, text in said(path)})


def literal(text: str) -> str:
    """A call of the translation function on a text, in lines that are not too long."""
    lines = textwrap.wrap(text, 80, drop_whitespace=False, break_on_hyphens=False)
    return "        _(\n" + "".join(f"            {line!r}\n" for line in lines) + "        ),\n"


if __name__ == "__main__":
    old = TARGET.read_text(encoding="utf-8")
    head, rest = old.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    new = head + BEGIN + "".join(map(literal, sentences())) + END + tail
    TARGET.write_text(new, encoding="utf-8", newline="\n")
    for command in (["check", "--fix", "-q"], ["format", "-q"]):
        subprocess.run([sys.executable, "-m", "ruff", *command, str(TARGET)], cwd=ROOT, check=False)
    print(f"{TARGET.name}: {len(sentences())} sentences")
