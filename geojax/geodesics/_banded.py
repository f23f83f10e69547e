"""Banded symmetric matrices of D x D blocks: assembly from point-wise parts, and factorisation.

Groups of block rows form the rows of a block-tridiagonal matrix. One pass computes its Cholesky
factor: O(N D^3) time, O(N D^2) memory.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._linalg import einsum, matmul
from ._bsplines import BSplines, intervals

_ROWS = 12  # scalar rows in a step of the pass, at least


class LocalHessians(NamedTuple):
    """The second derivatives of `w <v, v>_g(x) / 2` at each point: by x twice, by v and x, and by v
    twice.
    """

    xx: Float[Array, "q d d"]
    vx: Float[Array, "q d d"]
    vv: Float[Array, "q d d"]


class Tridiagonal(NamedTuple):
    """The blocks on the diagonal, and those to the right of them (the last one is not used)."""

    diagonal: Float[Array, "m b b"]
    right: Float[Array, "m b b"]


class Factor(NamedTuple):
    """The factor U of `U^T U`: the transposed lower triangles of its diagonal, and its right
    blocks.
    """

    lower: Float[Array, "m b b"]
    right: Float[Array, "m b b"]

    @property
    def defined(self) -> Bool[Array, ""]:
        """Whether the matrix is positive definite."""
        return jnp.all(jnp.isfinite(self.lower))


def assemble(local: LocalHessians, functions: BSplines, num_segments: int) -> Tridiagonal:
    """The matrix of the inner coefficients, padded with ones on the diagonal."""
    bands = _bands(local, functions, num_segments)
    n, d, degree = num_segments - 1, local.xx.shape[1], functions.degree
    group = max(degree, min(n, -(-_ROWS // d)))
    count = -(-n // group)
    rows = np.arange(count)[:, None, None] * group
    here, there = np.arange(group)[:, None], np.arange(group)[None, :]

    def block(first, second):
        """The blocks (first, second) of the matrix; zero outside the band."""
        low, high = np.broadcast_arrays(np.minimum(first, second), np.maximum(first, second))
        inside = (high - low <= degree) & (high < n)
        index = np.where(inside, high - low, 0), np.where(inside, low, 0)
        found = jnp.where(inside[..., None, None], bands[index], jnp.zeros((), bands.dtype))
        flipped = np.broadcast_to(first > second, inside.shape)[..., None, None]
        return jnp.where(flipped, jnp.swapaxes(found, -1, -2), found)

    def square(blocks):
        return jnp.swapaxes(blocks, 2, 3).reshape(count, group * d, group * d)

    ones = np.zeros((count * group, d))
    ones[n:] = 1
    padding = jax.vmap(jnp.diag)(jnp.asarray(ones.reshape(count, -1), bands.dtype))
    diagonal = square(block(rows + here, rows + there)) + padding
    return Tridiagonal(diagonal, square(block(rows + here, rows + group + there)))


def _bands(local: LocalHessians, functions: BSplines, num_segments: int):
    """`bands[r, k]` is the block of the inner coefficients k and k + r.

    The shape is (degree + 1, N - 1, D, D). Blocks beyond the last coefficient are zero.
    """
    n, d, degree = num_segments, local.xx.shape[1], functions.degree
    pairs = list(itertools.combinations_with_replacement(range(degree + 1), 2))
    first, second = (np.asarray(side) for side in zip(*pairs, strict=True))
    a, b = functions.values.T, functions.slopes.T
    factors = [a[first] * a[second], b[first] * a[second], a[first] * b[second]]
    factors = jnp.stack([*factors, b[first] * b[second]])
    parts = jnp.stack([local.xx, local.vx, jnp.swapaxes(local.vx, 1, 2), local.vv])
    blocks = einsum(
        "kpsq,ksqi->psi",
        factors.reshape(4, len(pairs), n, -1),
        parts.reshape(4, n, -1, d * d),
    ).reshape(len(pairs), n, d, d)
    # The segments at either end share an interval of the knots.
    starts = intervals(degree, n)
    ends = [np.flatnonzero(starts == value) for value in np.unique(starts)[[0, -1]]]
    if starts[0] == starts[-1]:
        blocks = jnp.sum(blocks, axis=1, keepdims=True)
    elif len(ends[0]) > 1:
        left, right = (jnp.sum(blocks[:, end], axis=1, keepdims=True) for end in ends)
        blocks = jnp.concatenate([left, blocks[:, 2:-2], right], axis=1)

    def band(r):
        of = [pairs.index((m, m + r)) for m in range(degree + 1 - r)]
        spread = [jnp.pad(blocks[p], [(m, degree - m), (0, 0), (0, 0)]) for m, p in enumerate(of)]
        return jnp.sum(jnp.stack(spread), axis=0)[1:-1]

    return jnp.stack([band(r) for r in range(degree + 1)])


def factorise(matrix: Tridiagonal) -> Factor:
    """The Cholesky factor; NaN where the matrix is not positive definite."""

    def step(before, row):
        diagonal, right = row
        lower = jnp.linalg.cholesky(diagonal - matmul(before.T, before))
        right = jax.scipy.linalg.solve_triangular(lower, right, lower=True)
        return right, (lower, right)

    start = jnp.zeros_like(matrix.right[0])
    return Factor(*jax.lax.scan(step, start, tuple(matrix))[1])


def solve(factor: Factor, right: Float[Array, "inner d"]) -> Float[Array, "inner d"]:
    """The solution for one vector of coefficients."""
    count, size = factor.lower.shape[:2]
    flat = right.reshape(-1)
    rows = jnp.pad(flat, (0, count * size - len(flat))).reshape(count, size)
    triangular = jax.scipy.linalg.solve_triangular

    def forward(before, row):
        lower, coupling, b = row
        y = triangular(lower, b - before, lower=True)
        return matmul(coupling.T, y), y

    def backward(after, row):
        lower, coupling, y = row
        x = triangular(lower, y - matmul(coupling, after), lower=True, trans=1)
        return x, x

    zero = jnp.zeros_like(rows[0])
    _, ys = jax.lax.scan(forward, zero, (*factor, rows))
    _, xs = jax.lax.scan(backward, zero, (*factor, ys), reverse=True)
    return xs.reshape(-1)[: len(flat)].reshape(right.shape)
