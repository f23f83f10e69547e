"""Calls of torch from a compiled program, for modules that cannot be exported."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

from ._border import Border, Example, without_batch
from ._export import border_of, checked_module, dtype_name, filled, structure_of
from ._graph import dtype_of


class _Function:
    """A function of tensors that torch can differentiate, and its derivative products.

    - `call`: tensors to tensors.
    - `inputs`, `outputs`: dtype and shape of each.
    - `linear`: the number of leading inputs in which it is linear.
    - `transposed`: the transpose in those inputs.

    The products are functions of the same kind, so derivatives of any order exist.
    """

    def __init__(self, torch, call, inputs, outputs, *, linear=0, transposed=None, graph=False):
        self.torch, self.call = torch, call
        self.inputs: tuple[Example, ...] = tuple(inputs)
        self.outputs: tuple[Example, ...] = tuple(outputs)
        self.linear = linear
        self._transposed: Callable[[], _Function] | None = transposed
        self.graph = graph  # whether torch must record a graph
        self.floats = [k for k, e in enumerate(self.inputs) if "float" in e.dtype]

    @property
    def transposed(self) -> "_Function":
        assert self._transposed is not None
        return self._transposed()

    @functools.cached_property
    def reverse(self) -> "_Function":
        """The vector-Jacobian product, a function of cotangents and inputs.

        It returns the cotangents times the derivative by each floating input.
        """
        count = len(self.outputs)

        def call(*tensors):
            return self._reverse(tensors[:count], tensors[count:])

        return self._product(call, self.outputs, self._floating(), lambda: self.tangent)

    @functools.cached_property
    def tangent(self) -> "_Function":
        """The Jacobian-vector product, a function of tangents of the floating inputs, and inputs.

        It takes two reverse passes: the reverse product is linear in its cotangents, and its
        derivative by them is the forward product. The forward mode of torch fails on many modules.
        """
        torch, count = self.torch, len(self.floats)

        def call(*tensors):
            given, inputs = tensors[:count], tensors[count:]
            weights = [torch.zeros_like(y).requires_grad_() for y in self.call(*inputs)]
            pairs = zip(self._reverse(weights, inputs), given, strict=True)
            total = sum(((f * v).sum() for f, v in pairs), start=torch.zeros(()))
            return _gradient(torch, [total], weights, [torch.ones_like(total)])

        return self._product(call, self._floating(), self.outputs, lambda: self.reverse)

    def _product(self, call, first, outputs, transposed) -> "_Function":
        return _Function(
            self.torch,
            call,
            (*first, *self.inputs),
            outputs,
            linear=len(first),
            transposed=transposed,
            graph=True,
        )

    def _floating(self) -> list[Example]:
        return [self.inputs[k] for k in self.floats]

    def _reverse(self, cotangents, inputs) -> list:
        wanted = [inputs[k].requires_grad_() for k in self.floats]
        return _gradient(self.torch, self.call(*inputs), wanted, cotangents)

    @property
    def batched(self) -> bool:
        """Whether every tensor has a batch axis of one; torch then takes a whole batch at once."""
        return all(e.shape[:1] == (1,) for e in (*self.inputs, *self.outputs))

    def on_host(self, *arrays: Any) -> list[np.ndarray]:
        """The outputs as NumPy arrays, at every index of the batch axes of `arrays`.

        These axes precede the arrays' own. If every tensor has a batch axis, they are merged into
        it for one call of torch. Otherwise torch is called for each index.
        """
        batch = np.shape(arrays[0])[: np.ndim(arrays[0]) - len(self.inputs[0].shape)]
        flat = [
            self._tensor(np.asarray(a).reshape((-1, *e.shape)), e)
            for a, e in zip(arrays, self.inputs, strict=True)
        ]
        with self._mode():
            if self.batched:
                found = self.call(*(t[:, 0].clone() for t in flat))
            else:
                lanes = [self.call(*(t[k].clone() for t in flat)) for k in range(len(flat[0]))]
                found = [self.torch.stack(list(values)) for values in zip(*lanes, strict=True)]
        return [
            self._array(tensor).reshape((*batch, *e.shape)).astype(dtype_of(e.dtype))
            for tensor, e in zip(found, self.outputs, strict=True)
        ]

    @contextlib.contextmanager
    def _mode(self) -> Iterator[None]:
        """The mode in which torch records a graph for derivatives, or none."""
        attention = self.torch.nn.attention
        if not self.graph:
            with self.torch.no_grad():
                yield
        else:  # other attention kernels have no second derivative
            with self.torch.enable_grad(), attention.sdpa_kernel(attention.SDPBackend.MATH):
                yield

    def _tensor(self, array: np.ndarray, example: Example) -> Any:
        half = example.dtype == "bfloat16"  # torch cannot convert it from NumPy
        array = np.array(array, np.float32 if half else None)
        return self.torch.from_numpy(array).to(getattr(self.torch, example.dtype))

    def _array(self, tensor: Any) -> np.ndarray:
        tensor = tensor.detach()
        return (tensor.float() if tensor.dtype == self.torch.bfloat16 else tensor).numpy()


def _gradient(torch: Any, outputs, wanted, cotangents) -> list:
    """The reverse products of torch; zeros for inputs that no output depends on."""
    pairs = [(y, c) for y, c in zip(outputs, cotangents, strict=True) if y.requires_grad]
    if not pairs or not wanted:
        return [torch.zeros_like(w) for w in wanted]
    ys, given = zip(*pairs, strict=True)
    found = torch.autograd.grad(ys, wanted, given, create_graph=True, allow_unused=True)
    return [torch.zeros_like(w) if f is None else f for f, w in zip(found, wanted, strict=True)]


def _function_of(torch: Any, module: Any, inputs: tuple, keywords: dict, border: Border, tensors):
    """The module as a function of flat tensors; errors as for `torch_callback`."""

    def call(*tensors):
        given = iter(tensors)
        positional = [filled(torch, v, given) for v in inputs]
        named = {k: filled(torch, v, given) for k, v in keywords.items()}
        found: list[Any] = []
        structure_of(torch, module(*positional, **named), found)
        if len(found) != 1:
            raise ValueError(
                f"the module returns {len(found)} tensors, but a prediction is one. Wrap it in a "
                "torch.nn.Module whose `forward` returns one tensor."
            )
        return found

    with torch.no_grad():
        (output,) = call(*(t.clone() for t in tensors))
    like = Example(dtype_name(output.dtype), tuple(output.shape))
    return _Function(torch, call, border.examples, [like])


# A function that torch evaluates. All arrays have the same batch axes before their own.
_called_p = Primitive("torch_callback")
_called_p.multiple_results = True


def _like(operand, function: _Function) -> list[jax.ShapeDtypeStruct]:
    batch = operand.shape[: operand.ndim - len(function.inputs[0].shape)]
    return [jax.ShapeDtypeStruct((*batch, *e.shape), dtype_of(e.dtype)) for e in function.outputs]


def _abstract(*operands, function: _Function) -> list:
    like = _like(operands[0], function)
    return [operands[0].update(shape=a.shape, dtype=a.dtype, weak_type=False) for a in like]


def _called(*operands, function: _Function) -> list[Array]:
    return jax.pure_callback(function.on_host, _like(operands[0], function), *operands)


def _batched(operands, axes, *, function: _Function):
    size = next(x.shape[a] for x, a in zip(operands, axes, strict=True) if a is not None)
    moved = [
        jnp.broadcast_to(x, (size, *x.shape)) if axis is None else jnp.moveaxis(x, axis, 0)
        for x, axis in zip(operands, axes, strict=True)
    ]
    results = _called_p.bind(*moved, function=function)
    return results, [0] * len(results)


def _differentiated(primals, tangents, *, function: _Function):
    values = _called_p.bind(*primals, function=function)
    given, by_inputs = tangents[: function.linear], tangents[function.linear :]
    if function.linear and all(isinstance(t, ad.Zero) for t in by_inputs):
        given = map(ad.instantiate_zeros, given)
        return values, _called_p.bind(*given, *primals[function.linear :], function=function)
    rates = [ad.instantiate_zeros(tangents[k]) for k in function.floats]
    return values, _called_p.bind(*rates, *primals, function=function.tangent)


def _transposed(cotangents, *operands, function: _Function):
    inputs = operands[function.linear :]
    given = map(ad.instantiate_zeros, cotangents)
    found = _called_p.bind(*given, *inputs, function=function.transposed)
    # Known operands, such as a zero tangent, need no cotangent.
    unknown = [ad.is_undefined_primal(v) for v in operands[: function.linear]]
    kept = [f if wanted else None for f, wanted in zip(found, unknown, strict=True)]
    return [*kept, *[None] * len(inputs)]


_called_p.def_impl(_called)
_called_p.def_abstract_eval(_abstract)
mlir.register_lowering(_called_p, mlir.lower_fun(_called, multiple_results=True))
batching.primitive_batchers[_called_p] = _batched
ad.primitive_jvps[_called_p] = _differentiated
ad.primitive_transposes[_called_p] = _transposed


class TorchCallback(eqx.Module):
    """A torch module that torch itself evaluates, on the host.

    [`geojax.models.torch_callback`][] makes it; call it as `(x, t, args)`.
    """

    border: Border
    function: _Function = eqx.field(static=True)

    def __call__(self, x: Any, t: Any = None, args: Any = None) -> Array:
        """The prediction at one point; arguments and errors as for `TorchNetwork`."""
        inputs, point = self.border.inputs_of(x, t, args)
        (output,) = _called_p.bind(*inputs, function=self.function)
        return without_batch(output) if point else output


def torch_callback(
    module: Any,
    *example_inputs: Any,
    keywords: dict[str, Any] | None = None,
    timesteps: int | None = None,
) -> TorchCallback:
    """A torch module as a network that torch evaluates, called from JAX's programs.

    Use it for modules that [`geojax.models.from_torch`][] cannot convert: control flow that depends
    on the data, unknown operations. Every call goes through the host: arrays are copied from the
    device to NumPy and back, and torch runs on the CPU. `jax.jit` and `jax.vmap` work. A batch is
    one call of torch if every input and the output have a batch axis, else one call a point.
    Derivatives by x, t and `args` exist in both modes, of any order that torch has; there are none
    by the module's weights. A forward-mode product takes two reverse passes of torch. Solves that
    only evaluate the score need no derivative.

    **Arguments:**

    - `module`, `example_inputs`, `keywords`, `timesteps`: as for `from_torch`. The module must be
      on the CPU and in evaluation mode. Its weights are used as they are at the time of a call.

    **Returns:**

    A network to call as `(x, t, args)`, for [`geojax.NoisePrediction`][] and others.

    **Raises:**

    - `ImportError`: without torch.
    - `ValueError`: when `module` is not a torch module, is in training mode, or returns several
      tensors.

    >>> import jax, jax.numpy as jnp, torch, geojax
    >>> class Cut(torch.nn.Module):  # a branch on the data, which cannot be converted
    ...     def forward(self, x, t):
    ...         return x if x.abs().max() < 10 else 0 * x
    >>> network = geojax.models.torch_callback(Cut().eval(), torch.zeros(1, 2), torch.zeros(1))
    >>> jax.jacfwd(network)(jnp.array([1.0, 20.0]), 0.5).tolist()
    [[0.0, 0.0], [0.0, 0.0]]
    """
    torch = checked_module(module, example_inputs, timesteps)
    if any(part.training for part in module.modules()):
        raise ValueError(
            "module is in training mode, where its output depends on more than its inputs "
            "(dropout, batch norms): call module.eval() first."
        )
    keywords = keywords or {}
    border, tensors = border_of(torch, example_inputs, keywords, timesteps)
    function = _function_of(torch, module, example_inputs, keywords, border, tensors)
    return TorchCallback(border, function)
