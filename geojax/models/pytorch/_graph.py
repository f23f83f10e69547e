"""The graph of a torch module, of core ATen operations, and its evaluation by jax.numpy."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._elementwise import ELEMENTWISE
from ._layers import LAYERS
from ._reductions import REDUCTIONS
from ._shapes import SHAPES

OPERATIONS = {**ELEMENTWISE, **SHAPES, **REDUCTIONS, **LAYERS}
_FORMAT = 1  # of `to_json`


class Node(NamedTuple):
    """One operation.

    - `name`: of its value.
    - `operation`: an ATen operation, such as "add.Tensor".
    - `args`, `kwargs`: its arguments. The value of another node is `{"node": name}`, a dtype
      `{"dtype": name}`, a float that JSON cannot represent `{"float": text}`.
    - `results`: dtype and shape of each returned tensor; None for other values.
    - `module`: the torch module that contains it, for messages.
    """

    name: str
    operation: str
    args: list
    kwargs: dict[str, Any]
    results: list
    module: str


class Graph:
    """The operations between inputs, weights and outputs, in order. Equal by content."""

    inputs: tuple[str, ...]  # nodes of the module's inputs, flat
    weights: dict[str, str]  # node -> name of a weight, buffer or constant
    nodes: tuple[Node, ...]
    outputs: tuple[Any, ...]  # as `Node.args`, flat

    def __init__(
        self,
        inputs: Sequence[str],
        weights: Mapping[str, str],
        nodes: Sequence[Node],
        outputs: Sequence[Any],
    ):
        self.inputs, self.weights = tuple(inputs), dict(weights)
        self.nodes, self.outputs = tuple(nodes), tuple(outputs)
        self._digest = hashlib.sha256(json.dumps(self.to_json()).encode()).hexdigest()
        check_known(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self._digest == other._digest

    def __hash__(self) -> int:
        return hash(self._digest)

    def __repr__(self) -> str:
        return f"Graph({len(self.nodes)} operations)"

    def to_json(self) -> dict[str, Any]:
        """The graph in a form that JSON can represent."""
        return {
            "format": _FORMAT,
            "inputs": list(self.inputs),
            "weights": self.weights,
            "nodes": [list(node) for node in self.nodes],
            "outputs": list(self.outputs),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Graph":
        """The graph that `to_json` wrote; `ValueError` on any other content."""
        if content.get("format") != _FORMAT:
            raise ValueError(
                f"a graph of format {content.get('format')!r}, this version of geojax reads "
                f"{_FORMAT}: convert the module again with `from_torch`."
            )
        try:
            nodes = [Node(*node) for node in content["nodes"]]
            return cls(content["inputs"], content["weights"], nodes, content["outputs"])
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not the graph of a torch module: {error!r}") from None

    def __call__(self, weights: Mapping[str, Array], inputs: Sequence[Array]) -> list[Array]:
        """The outputs, flat."""
        values: dict[str, Any] = dict(zip(self.inputs, inputs, strict=True))
        values |= {node: weights[name] for node, name in self.weights.items()}
        # Every result is cast to the dtype that torch recorded. So JAX's own promotion must be
        # allowed here, but does not determine any result.
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            for node in self.nodes:
                values[node.name] = _evaluated(node, values)
            return [_value(output, values) for output in self.outputs]


def _evaluated(node: Node, values: Mapping[str, Any]) -> Any:
    args = _value(node.args, values)
    kwargs = {key: _value(argument, values) for key, argument in node.kwargs.items()}
    where = f"{node.operation} in {node.module}"
    try:
        found = OPERATIONS[node.operation](*args, **kwargs)
    except NotImplementedError as error:
        raise NotImplementedError(f"{where}: {error}.") from None
    single = not isinstance(found, list | tuple)
    results = [
        value if kind is None or value is None else _as_recorded(where, value, *kind)
        for value, kind in zip([found] if single else found, node.results, strict=True)
    ]
    return results[0] if single else results


def _as_recorded(where: str, value: Any, dtype: str, shape: Sequence[int]) -> Array:
    """The value in the dtype that torch recorded; its shape must be the recorded one."""
    value = jnp.asarray(value)
    if value.shape != tuple(shape):
        raise RuntimeError(
            f"{where} has the shape {value.shape} here and {tuple(shape)} in torch: an error of "
            "geojax, please report it."
        )
    return value.astype(dtype_of(dtype))


def dtype_of(name: str) -> Any:
    """A dtype of JAX, of 64 bits only where they are enabled."""
    return jax.dtypes.canonicalize_dtype(jnp.dtype(name))


def _value(argument: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(argument, list | tuple):
        return [_value(a, values) for a in argument]
    if not isinstance(argument, dict):
        return argument
    if "node" in argument:
        return values[argument["node"]]
    if "dtype" in argument:
        return dtype_of(argument["dtype"])
    return float(argument["float"])


def check_known(nodes: Sequence[Node]) -> None:
    """Raise `NotImplementedError` with the operations that geojax does not translate."""
    unknown: dict[str, str] = {}
    for node in nodes:
        if node.operation not in OPERATIONS:
            unknown.setdefault(node.operation, node.module)
    if unknown:
        listed = ", ".join(f"{name} (in {module})" for name, module in unknown.items())
        raise NotImplementedError(
            f"the module uses torch operations that from_torch does not translate: {listed}. "
            "Write that part of the module with other operations, or use "
            "geojax.models.torch_callback, which calls torch itself."
        )
