"""A torch module as an Equinox module."""

from typing import Any

import equinox as eqx
from jaxtyping import Array

from ._border import Border, without_batch
from ._export import Exported
from ._graph import Graph


class TorchNetwork(eqx.Module):
    """A torch module, converted by `from_torch`; it runs without torch.

    **Arguments:**

    - `weights`: its parameters and buffers by their names in torch. They are arrays that can be
      differentiated, trained or replaced.
    - `graph`: its operations.
    - `border`, `structure`: its inputs and outputs.
    """

    weights: dict[str, Array]
    graph: Graph = eqx.field(static=True)
    border: Border
    structure: Any = eqx.field(static=True)

    def __call__(self, x: Any, t: Any = None, args: Any = None) -> Array:
        """The prediction at one point.

        **Arguments:**

        - `x`: of the shape of the first example, with or without its batch axis of one. Without it
          the result has none either. For a batch use `jax.vmap`.
        - `t`: the time in [0, 1], a scalar; not passed to a module of one input.
        - `args`: further inputs of the module: one array, a tuple of several, or a dictionary of
          keywords, each with or without its batch axis of one.

        **Raises:**

        - `ValueError`: when a shape is not that of its example, or the module returns several
          tensors (see `apply`).
        """
        inputs, point = self.border.inputs_of(x, t, args)
        outputs = self._evaluate(inputs)
        if len(outputs) != 1:
            raise ValueError(
                f"the module returns {len(outputs)} tensors, but a prediction is one. Wrap it in a "
                "torch.nn.Module whose `forward` returns one tensor, or call `apply`."
            )
        return without_batch(outputs[0]) if point else outputs[0]

    def apply(self, *inputs: Any, **keywords: Any) -> Any:
        """The output of the module for its own inputs, with batch axes, in its own structure.

        Outputs of diffusers are dictionaries.

        **Raises:**

        - `ValueError`: when the inputs do not match the examples.
        """
        return _unflat(self.structure, self._evaluate(self.border.flat(inputs, keywords)))

    # Compiled separately, so that a program that uses the network several times traces it once.
    @eqx.filter_jit
    def _evaluate(self, inputs: list[Array]) -> list[Array]:
        return self.graph(self.weights, inputs)


def _unflat(structure: Any, outputs: list[Array]) -> Any:
    if isinstance(structure, int):
        return outputs[structure]
    kind, *parts = structure
    if kind == "dict":
        return {key: _unflat(part, outputs) for key, part in parts}
    return tuple(_unflat(part, outputs) for part in parts) if kind == "tuple" else parts[0]


def from_torch(
    module: Any,
    *example_inputs: Any,
    keywords: dict[str, Any] | None = None,
    timesteps: int | None = None,
) -> TorchNetwork:
    """Convert a torch module to an Equinox module.

    The module is exported to a graph of core ATen operations (`torch.export`) in evaluation mode,
    and jax.numpy evaluates the graph. Forward and reverse derivatives, second derivatives,
    compilation and `jax.vmap` are those of JAX. Detached tensors have no derivative, as in torch.

    **Arguments:**

    - `module`: a `torch.nn.Module` whose `forward` takes x, then the time, then conditions.
    - `example_inputs`: tensors as the module takes them, with a batch axis of one. Their shapes and
      dtypes are fixed in the network: convert once for each size. An integer example makes that
      input integral; give the time as a float if the module takes one.
    - `keywords`: further inputs by keyword.
    - `timesteps`: T for a module that counts its time in steps 0 ... T - 1. It is then called at
      the step `t T - 1`, t in [0, 1]. Without it the module receives t itself.

    **Returns:**

    A network to call as `(x, t, args)`, for [`geojax.NoisePrediction`][] and others.

    **Raises:**

    - `ImportError`: without torch.
    - `ValueError`: when `module` is not a torch module, or `torch.export` cannot express it.
    - `NotImplementedError`: names an operation that is not translated, and the part of the module
      that contains it.

    >>> import jax, jax.numpy as jnp, torch, geojax
    >>> class Half(torch.nn.Module):
    ...     def forward(self, x, t):  # x: (batch, 2), t: (batch,)
    ...         return x / 2
    >>> network = geojax.models.from_torch(Half(), torch.zeros(1, 2), torch.zeros(1))
    >>> score = geojax.NoisePrediction(network, geojax.VE(0.5, 2.0))
    >>> jax.vmap(score.at(0.0))(jnp.ones((3, 2))).shape
    (3, 2)
    """
    found = Exported(module, example_inputs, keywords or {}, timesteps)
    return TorchNetwork(found.weights, found.graph, found.border, found.structure)
