"""From a torch module to its graph. Only this file and `_callback.py` need torch."""

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from ._border import Border, Example
from ._graph import Graph, Node

# Arguments about the storage of a tensor.
_STORAGE = {"device", "layout", "pin_memory", "memory_format", "non_blocking"}
_KEPT = ("scaled_dot_product_attention", "linear", "detach")  # not decomposed


def import_torch() -> Any:
    """torch, or an `ImportError` with the remedy."""
    try:
        import torch
    except ImportError:
        raise ImportError(
            "torch is needed to convert a torch module and is not installed: "
            'python -m pip install "geojax-diffusion[torch]". The converted network needs none.'
        ) from None
    return torch


class Exported:
    """The graph of a module, its weights, and the structure of its inputs and outputs."""

    def __init__(
        self,
        module: Any,
        inputs: Sequence[Any],
        keywords: Mapping[str, Any],
        timesteps: int | None,
    ):
        torch = checked_module(module, inputs, timesteps)
        self.border, tensors = border_of(torch, inputs, keywords, timesteps)
        structures: list[Any] = []
        flat = _flat_module(torch, module, (inputs, keywords), structures)
        program = _program(torch, module, flat, tensors)
        self.structure = structures[-1]
        self.weights = _weights(program)
        self.graph = _graph(torch, program)


def checked_module(module: Any, inputs: Sequence[Any], timesteps: int | None) -> Any:
    """torch; raises as `from_torch` on a wrong argument."""
    torch = import_torch()
    if not isinstance(module, torch.nn.Module):
        raise ValueError(
            f"module must be a torch.nn.Module, got {type(module).__name__}. Wrap a function or a "
            "method in one, whose `forward` calls it."
        )
    if not inputs:
        raise ValueError(
            "example_inputs must be given, as the module takes them: "
            "from_torch(module, torch.zeros(1, 3, 32, 32), torch.zeros(1))."
        )
    if timesteps is not None and (not isinstance(timesteps, int) or timesteps < 1):
        raise ValueError(f"timesteps must be a positive integer or None, got {timesteps!r}.")
    return torch


def border_of(
    torch: Any, inputs: Sequence[Any], keywords: Mapping[str, Any], timesteps: int | None
) -> tuple[Border, list[Any]]:
    """The inputs of a module, from examples, and their tensors, flat."""
    tensors: list[Any] = []
    positional = tuple(structure_of(torch, value, tensors) for value in inputs)
    named = tuple((name, structure_of(torch, v, tensors)) for name, v in keywords.items())
    examples = tuple(Example(dtype_name(t.dtype), tuple(t.shape)) for t in tensors)
    return Border(positional, named, examples, timesteps), tensors


class _NoTensor(ValueError):
    """An input or output that cannot be converted."""


def structure_of(torch: Any, value: Any, tensors: list) -> Any:
    """The structure of a value, whose tensors are appended to `tensors`.

    A tensor becomes its index in `tensors`. Lists and mappings, with the outputs of diffusers,
    become `("tuple", *parts)` and `("dict", *pairs)`. Other values become ("constant", value).
    `ValueError` on anything else.
    """
    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return len(tensors) - 1
    if isinstance(value, Mapping):
        return ("dict", *((k, structure_of(torch, v, tensors)) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return ("tuple", *(structure_of(torch, v, tensors) for v in value))
    if value is None or isinstance(value, bool | int | float | str):
        return ("constant", value)
    raise _NoTensor(
        f"the module takes or returns a {type(value).__name__}, and only tensors and tuples and "
        "dictionaries of them are translated. Wrap it in a torch.nn.Module whose `forward` does."
    )


def filled(torch: Any, value: Any, tensors: Iterator[Any]) -> Any:
    """`value` with each tensor replaced by the next of `tensors`."""
    if isinstance(value, torch.Tensor):
        return next(tensors)
    if isinstance(value, Mapping):
        return {k: filled(torch, v, tensors) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(torch, v, tensors) for v in value)
    return value


def _flat_module(torch: Any, module: Any, examples: tuple[Any, Any], structures: list) -> Any:
    """The module as a function of flat tensors; each call appends the output's structure."""

    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module

        def forward(self, *tensors):
            given = iter(tensors)
            inputs = [filled(torch, v, given) for v in examples[0]]
            keywords = {k: filled(torch, v, given) for k, v in examples[1].items()}
            found: list[Any] = []
            structures.append(structure_of(torch, self.module(*inputs, **keywords), found))
            return tuple(found)

    return Flat()


def _program(torch: Any, module: Any, flat: Any, tensors: list) -> Any:
    """The exported program of core ATen operations, in evaluation mode."""
    training = [part for part in module.modules() if part.training]
    table = torch.export.default_decompositions()
    for name in _KEPT:
        table.pop(getattr(torch.ops.aten, name).default, None)
    module.eval()
    flat.training = False
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about its own code
            return torch.export.export(flat, tuple(tensors)).run_decompositions(table)
    except _NoTensor:
        raise
    except Exception as error:  # torch raises many types
        first = str(error).strip().splitlines()
        raise ValueError(
            f"torch.export cannot express {type(module).__name__}: {first[0] if first else error} "
            "Call the module once with the example inputs: if that works, it has control flow that "
            "depends on data. Use geojax.models.torch_callback, which calls torch itself."
        ) from error
    finally:
        for part in training:
            part.training = True


def dtype_name(dtype: Any) -> str:
    name = str(dtype).removeprefix("torch.")
    if name.startswith("complex") or name.startswith("float8"):
        raise NotImplementedError(f"tensors of {name} are not translated.")
    return name


def to_jax(tensor: Any) -> Array:
    """The entries of a tensor as an array, in its dtype."""
    tensor = tensor.detach().cpu()
    name = dtype_name(tensor.dtype)
    if name == "bfloat16":  # NumPy has no such type
        return jnp.asarray(tensor.float().numpy()).astype(jnp.bfloat16)
    return jnp.asarray(tensor.numpy())


def _named(program: Any) -> dict[str, str]:
    """The nodes of parameters, buffers and constants, with their names."""
    signature = program.graph_signature
    return {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }


def _weights(program: Any) -> dict[str, Array]:
    """Parameters, buffers and constants by their names in the graph."""
    named = _named(program)
    state, constants = program.state_dict, program.constants
    return {
        _weight(name): to_jax(state[name] if name in state else constants[name])
        for name in dict.fromkeys(named.values())
    }


def _weight(name: str) -> str:
    return name.removeprefix("module.")


def _graph(torch: Any, program: Any) -> Graph:
    signature = program.graph_signature
    if signature.buffers_to_mutate or signature.user_inputs_to_mutate:
        changed = [*signature.buffers_to_mutate.values(), *signature.user_inputs_to_mutate.values()]
        raise ValueError(
            f"the module writes to {', '.join(map(_weight, changed))} while it is evaluated. A "
            "network is a function: return the value instead, or copy before writing."
        )
    nodes, outputs = [], []
    for node in program.graph.nodes:
        if node.op == "call_function":
            nodes.append(_node(torch, node))
        elif node.op == "output":
            outputs = [_argument(torch, value) for value in node.args[0]]
    weights = {node: _weight(name) for node, name in _named(program).items()}
    return Graph(list(signature.user_inputs), weights, nodes, outputs)


def _node(torch: Any, node: Any) -> Node:
    name = getattr(node.target, "__name__", str(node.target))
    target = str(node.target).removeprefix("aten.") if "aten." in str(node.target) else name
    try:
        args = _argument(torch, node.args)
        kwargs = {k: _argument(torch, v) for k, v in node.kwargs.items() if k not in _STORAGE}
    except NotImplementedError as error:
        raise NotImplementedError(f"{target} in {_place(node)}: {error}") from None
    value = node.meta.get("val")
    values = value if isinstance(value, list | tuple) else [value]
    results = [
        [dtype_name(v.dtype), [_length(n) for n in v.shape]]
        if isinstance(v, torch.Tensor)
        else None
        for v in values
    ]
    return Node(node.name, target, args, kwargs, results, _place(node))


def _place(node: Any) -> str:
    """The innermost module of a node: "down_blocks.0.resnets.0.conv1 (Conv2d)"."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    if not stack:
        return "the module"
    path, kind = stack[-1]
    kind = kind if isinstance(kind, str) else kind.__qualname__
    return f"{_weight(path) or 'the module'} ({kind.rpartition('.')[2]})"


def _length(value: Any) -> int:
    if not isinstance(value, int):
        raise ValueError(
            f"a shape depends on the data ({value}), which a compiled program cannot have. Use "
            "geojax.models.torch_callback, which calls torch itself."
        )
    return value


def _argument(torch: Any, value: Any) -> Any:
    """An argument of a node in the JSON form of `Node`."""
    if isinstance(value, torch.fx.Node):
        return {"node": value.name}
    if isinstance(value, list | tuple):
        return [_argument(torch, v) for v in value]
    if isinstance(value, torch.dtype):
        return {"dtype": dtype_name(value)}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.device | torch.layout | torch.memory_format):
        return None
    if isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool):
        return _length(value)
    raise NotImplementedError(f"an argument of type {type(value).__name__} is not translated.")
