"""Types that may not read back what they write: unions, enums of tuples, serializers, excluded fields, keys.

The check reads the core schema that pydantic made of a type
(https://docs.pydantic.dev/latest/api/pydantic_core_schema/). Only what is listed here is certain.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

_CERTAIN = frozenset(
    {"any", "none", "bool", "int", "float", "str", "date", "time", "datetime", "timedelta", "uuid", "decimal"}
    | {"list", "set", "frozenset", "tuple", "dict", "nullable", "default", "literal", "enum"}
    | {"model", "model-fields", "model-field", "typed-dict", "typed-dict-field"}
    | {"dataclass", "dataclass-args", "dataclass-field", "definitions", "definition-ref"}
)
"""The types of schemas that read what they write."""
_KEYS = frozenset({"any", "str", "int", "date", "datetime", "uuid"})
"""Those of the keys of a mapping."""
_NO_SCHEMAS = frozenset({"metadata", "default", "cls", "config"})
"""Parts of a schema that hold other things than schemas."""
_SIMPLE = (str, int, bool, type(None))


def is_certain(schema: Any) -> bool:
    """Return True if every value that a type writes can be read back.

    Args:
        schema: The core schema of the type, or a part of it.
    """
    if isinstance(schema, list | tuple):
        return all(is_certain(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    kind = schema.get("type")
    if isinstance(kind, str):
        if kind not in _CERTAIN or "serialization" in schema or schema.get("serialization_exclude"):
            return False
        if kind == "literal":
            return all(type(value) in _SIMPLE for value in schema["expected"])
        if kind == "enum":
            return all(isinstance(member, Enum) and type(member.value) in _SIMPLE for member in schema["members"])
        if kind == "dict" and schema.get("keys_schema", {"type": "any"}).get("type") not in _KEYS:
            return False
        if schema.get("custom_init") or schema.get("post_init"):
            return False
    return all(is_certain(part) for name, part in schema.items() if name not in _NO_SCHEMAS)
