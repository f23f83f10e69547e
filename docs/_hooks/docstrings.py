"""Docstrings as Markdown, and signatures of classes whose constructor follows from their fields."""

import importlib
import inspect
import re
from typing import Any

import griffe

_EXAMPLE = re.compile(r"^>>> .*?(?=^\s*$|\Z)", flags=re.DOTALL | re.MULTILINE)
_CODE = re.compile(r"(`+.*?`+)", flags=re.DOTALL)


def as_markdown(text: str) -> str:
    """The text of a docstring with its examples as fenced blocks.

    In the source a list follows its heading without an empty line, is continued by two spaces, and
    a bracket as in <u, v> has no escape. Markdown needs an empty line, four spaces and an escape.
    """
    parts, end = [], 0
    for example in _EXAMPLE.finditer(text):
        parts += [_prose(text[end : example.start()]), f"```pycon\n{example[0].rstrip()}\n```\n"]
        end = example.end()
    return "".join([*parts, _prose(text[end:])])


def _prose(text: str) -> str:
    text = re.sub(r"(?<=\S)\n(?=- )", _empty_line, text)
    text = re.sub(r"^(?:  )+(?=\S)", lambda match: match[0] * 2, text, flags=re.MULTILINE)
    code_or_not = _CODE.split(text)
    return "".join(
        part if part.startswith("`") else part.replace("<", "&lt;") for part in code_or_not
    )


def _empty_line(match: re.Match[str]) -> str:
    line = match.string[: match.start()].rpartition("\n")[2]
    return "\n" if line.startswith(("- ", "  ")) else "\n\n"


class Docstrings(griffe.Extension):
    """Converts every docstring of the package before it is rendered."""

    def on_instance(self, *, obj: griffe.Object, **options: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg: griffe.Module, **options: Any) -> None:
        bare = [cls for cls in _classes(pkg) if "__init__" not in cls.all_members]
        for cls in bare:  # all are found before the first gets one, because subclasses inherit it
            found = getattr(importlib.import_module(cls.module.path), cls.name)
            if hasattr(found, "__dataclass_fields__"):
                cls.set_member("__init__", _constructor(cls, inspect.signature(found)))


def _classes(module: griffe.Module) -> list[griffe.Class]:
    """The classes that a package defines."""
    own = [member for member in module.members.values() if not member.is_alias]
    found = [member for member in own if isinstance(member, griffe.Class)]
    inside = [_classes(member) for member in own if isinstance(member, griffe.Module)]
    return found + [cls for classes in inside for cls in classes]


def _constructor(cls: griffe.Class, signature: inspect.Signature) -> griffe.Function:
    """A signature with names, order and defaults of Python, and annotations of the source."""
    parameters = [griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)]
    for name, parameter in signature.parameters.items():
        field = cls.all_members.get(name)
        default = None if parameter.default is parameter.empty else repr(parameter.default)
        parameters.append(
            griffe.Parameter(
                name,
                annotation=getattr(field, "annotation", None),
                kind=griffe.ParameterKind(parameter.kind.description),
                default=default,
            )
        )
    return griffe.Function("__init__", parameters=griffe.Parameters(*parameters), parent=cls)
