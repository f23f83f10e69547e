"""Conversion between geojax's call of a network, (x, t, args) of one point, and torch inputs."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from .._timesteps import as_timestep
from ._graph import dtype_of


class Example(NamedTuple):
    """The dtype and shape of one tensor that the module was converted with."""

    dtype: str
    shape: tuple[int, ...]


class Border(eqx.Module):
    """The inputs of a module. Shapes are fixed; a missing batch axis of one is added.

    - `positional`, `keywords`: the structure of the inputs, with an index in `examples` for each
      tensor.
    - `timesteps`: the number of steps in which the module counts its time; None for t itself.
    """

    positional: tuple[Any, ...] = eqx.field(static=True)
    keywords: tuple[tuple[str, Any], ...] = eqx.field(static=True)
    examples: tuple[Example, ...] = eqx.field(static=True)
    timesteps: int | None = eqx.field(static=True)

    def inputs_of(self, x: Any, t: Any, args: Any) -> tuple[list[Array], bool]:
        """The tensors of the module, flat, and whether `x` came without its batch axis.

        `ValueError` names a wrong input, its shape and the right one.
        """
        count = len(self.positional)
        time = t if self.timesteps is None else as_timestep(t, self.timesteps)
        timed = [] if count < 2 else [("t", time)]
        keywords = args if isinstance(args, dict) else {}
        others = () if args is None or keywords else args if isinstance(args, tuple) else (args,)
        positional = [("x", x), *timed, *(("args", a) for a in others)]
        if len(positional) != count or set(keywords) != {name for name, _ in self.keywords}:
            raise ValueError(self._wanted(len(others), sorted(keywords)))
        named = [(f"args[{name!r}]", keywords[name]) for name, _ in self.keywords]
        first = self.positional[0]
        point = isinstance(first, int) and jnp.ndim(x) < len(self.examples[first].shape)
        return self._placed([*positional, *named]), point

    def flat(self, inputs: Sequence[Any], keywords: dict[str, Any]) -> list[Array]:
        """The tensors of a call in torch's own signature, flat."""
        if len(inputs) != len(self.positional) or set(keywords) != {n for n, _ in self.keywords}:
            raise ValueError(
                f"the module was converted with {len(self.positional)} inputs and the keywords "
                f"{[n for n, _ in self.keywords]}, got {len(inputs)} and {sorted(keywords)}."
            )
        positional = [(f"inputs[{k}]", value) for k, value in enumerate(inputs)]
        return self._placed([*positional, *((name, keywords[name]) for name, _ in self.keywords)])

    def _placed(self, given: list[tuple[str, Any]]) -> list[Array]:
        """The tensors of the inputs, given with their names for messages, keywords last."""
        found: list[Any] = [None] * len(self.examples)
        structures = [*self.positional, *(wanted for _, wanted in self.keywords)]
        for (name, value), wanted in zip(given, structures, strict=True):
            self._place(name, value, wanted, found)
        return found

    def _place(self, name: str, value: Any, wanted: Any, found: list) -> None:
        if isinstance(wanted, int):
            found[wanted] = self._as_example(name, value, self.examples[wanted])
        elif wanted[0] == "tuple":
            for k, part in enumerate(wanted[1:]):
                self._place(f"{name}[{k}]", value[k], part, found)
        elif wanted[0] == "dict":
            for key, part in wanted[1:]:
                self._place(f"{name}[{key!r}]", value[key], part, found)
        # Anything else is a constant of the graph.

    def _as_example(self, name: str, value: Any, example: Example) -> Array:
        array = jnp.asarray(value)
        shape = tuple(example.shape)
        if array.shape != shape and (1, *array.shape) != shape:
            inner = f" or {shape[1:]}" if shape[:1] == (1,) else ""
            raise ValueError(
                f"{name} has the shape {array.shape}, but the module was converted for "
                f"{shape}{inner}. Pass x first, then t, for one point; use jax.vmap for a batch. "
                "For another size convert the module again with an example of it."
            )
        return as_torch(array.reshape(shape), example.dtype)

    def _wanted(self, given: int, keywords: list[str]) -> str:
        names = [name for name, _ in self.keywords]
        wanted = (
            f"args must be a dictionary with {names}"
            if names
            else f"args must hold {max(len(self.positional) - 2, 0)} inputs"
        )
        shapes = [tuple(e.shape) for e in self.examples]
        return (
            f"the module was converted with examples of the shapes {shapes}; besides x and t "
            f"{wanted}, got {keywords or given}. None is for a module of x and t alone, several "
            "inputs are a tuple."
        )


def as_torch(array: Array, dtype: str) -> Array:
    """The array in the dtype of the example; a float is rounded if that is an integer type."""
    wanted = dtype_of(dtype)
    if jnp.issubdtype(wanted, jnp.integer) and jnp.issubdtype(array.dtype, jnp.floating):
        array = jnp.round(array)
    return array.astype(wanted)


def without_batch(output: Any) -> Any:
    """Each array without its first axis."""
    return jax.tree.map(lambda a: a[0], output)
