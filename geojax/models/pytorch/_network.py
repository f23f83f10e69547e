"""A torch module as an Equinox one."""

from typing import Any

import equinox as eqx
from jaxtyping import Array

from ._border import Border, without_batch
from ._export import Exported
from ._graph import Graph


class TorchNetwork(eqx.Module):
    """A torch module, converted by `from_torch`; torch is not needed to call it.

    - ``weights``: its parameters and buffers by their names in torch; arrays to differentiate,
      train or replace.
    - ``graph``: its operations.
    """

    weights: dict[str, Array]
    graph: Graph = eqx.field(static=True)
    border: Border
    structure: Any = eqx.field(static=True)

    def __call__(self, x: Any, t: Any = None, args: Any = None) -> Array:
        """The prediction at one point, as `geojax.NoisePrediction` calls it.

        - ``x``: of the shape of the first example, with its batch axis of one or without: then
          what is returned has none either. A batch is for `jax.vmap`.
        - ``t``: the time in [0, 1], a scalar; not given to a module of one input.
        - ``args``: the module's further inputs: one array, a tuple of several, a dictionary of
          keywords. Each with its batch axis of one or without.

        **Raises:** `ValueError` when a shape is not that of its example, or the module returns
        several tensors (see `apply`).
        """
        inputs, point = self.border.inputs_of(x, t, args)
        outputs = self._evaluate(inputs)
        if len(outputs) != 1:
            raise ValueError(
                f"the module returns {len(outputs)} tensors, a prediction is one. Wrap it in a "
                "torch.nn.Module whose `forward` returns that one, or call `apply`."
            )
        return without_batch(outputs[0]) if point else outputs[0]

    def apply(self, *inputs: Any, **keywords: Any) -> Any:
        """What the module returns for its own inputs, batch axes and all, in its own structure.

        Outputs of diffusers are dictionaries. **Raises:** `ValueError` when the inputs are not
        those of the examples.
        """
        return _unflat(self.structure, self._evaluate(self.border.flat(inputs, keywords)))

    # Compiled on its own: a program that holds the network several times traces it once.
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
    """A torch module as an Equinox module, with its derivatives, compilation and batching by JAX.

    The module is exported to a graph of core ATen operations (`torch.export`), in evaluation mode,
    and the graph is evaluated by jax.numpy: forward and reverse derivatives, `jax.vmap` and second
    derivatives are those of JAX. Detached tensors have none, as in torch.

    **Arguments:**

    - ``module``: a `torch.nn.Module` whose ``forward`` takes x, then the time, then conditions.
    - ``example_inputs``: tensors as it takes them, with a batch axis of one. Their shapes and
      dtypes are those of the network: convert once for each size. An example of integers makes the
      input integral: give the time as a floating one, if the module takes it.
    - ``keywords``: further inputs by keyword.
    - ``timesteps``: for a module that counts its time in steps 0 ... T - 1 give T: it is called at
      the step ``t T - 1``, t in [0, 1]. Without, it is given t itself.

    **Returns:** a network to call as ``(x, t, args)``, for `geojax.NoisePrediction` and the like.

    **Raises:** `ImportError` without torch; `ValueError` when ``module`` is no torch module, or
    `torch.export` cannot express it; `NotImplementedError` that names an operation that is not
    translated, and the part of the module that it stands in.

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
