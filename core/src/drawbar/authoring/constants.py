"""Constants of the graph: the dicts of `map`, and the defaults of `wait_for`, in JSON form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drawbar.errors import GraphError
from drawbar.values.json_form import Misfit, plain
from drawbar.values.refs import Ref


def template_of(template: Any, node: str) -> Any:
    """Return a map's dict with its constants in JSON form.

    Args:
        template: The dict, of constants and references.
        node: Id of the node, for errors.

    Raises:
        GraphError: It is not a dict, or a constant has no JSON form.
    """
    where = f"map {node!r}"
    if not isinstance(template, Mapping):
        raise GraphError(f"{where}: expected a function or a dict, got {template!r}", node=node)

    def walk(item: Any) -> Any:
        if isinstance(item, Ref):
            return item
        if isinstance(item, Mapping):
            return {str(key): walk(inner) for key, inner in item.items()}
        if isinstance(item, list | tuple):
            return [walk(inner) for inner in item]
        return constant_of(item, where, node)

    return walk(template)


def constant_of(value: Any, where: str, node: str) -> Any:
    """Return a constant of the graph in JSON form.

    Args:
        value: The constant.
        where: Its place, for errors.
        node: Id of the node, for errors.

    Raises:
        GraphError: It has no JSON form.
    """
    try:
        return plain(value)
    except Misfit as error:
        raise GraphError(f"{where}: {error}", node=node) from None
