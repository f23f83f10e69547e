"""Fréchet and kernel distances between two sets of images, from their features.

The features determine the name. From the pooled features of Inception (`inception_features`) the
Fréchet distance is FID and the kernel distance KID. From any others, such as those of geojax's
digit classifier, they are not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from .._arrays import Numbers, as_alike, as_floating, as_one_dtype
from .._linalg import dot, matmul


def gaussian_frechet_distance(
    mean_a: Numbers,
    covariance_a: Numbers,
    mean_b: Numbers,
    covariance_b: Numbers,
) -> Float[Array, ""]:
    """The squared 2-Wasserstein distance of two Gaussians (Dowson & Landau 1982).

    It is `|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2))`. Singular covariances are allowed:
    eigenvalues below the rounding error are left out. From the features themselves
    [`geojax.evaluation.frechet_distance`][] is more exact, above all in float32.

    **Arguments:**

    - `mean_a`, `mean_b`: shape `(d,)`.
    - `covariance_a`, `covariance_b`: shape `(d, d)`.

    **Raises:**

    - `ValueError`: when the shapes do not fit.

    >>> import jax.numpy as jnp
    >>> from geojax.evaluation import gaussian_frechet_distance
    >>> m, c = jnp.zeros(2), jnp.eye(2)
    >>> print(gaussian_frechet_distance(m, c, m + 1, 4 * c))
    4.0
    """
    means = as_alike("d", mean_a=mean_a, mean_b=mean_b)
    covariances = as_alike("d d", covariance_a=covariance_a, covariance_b=covariance_b)
    if covariances[0].shape != 2 * means[0].shape:
        raise ValueError(
            f"covariance_a and covariance_b must have shape {2 * means[0].shape}, as the means "
            f"have {means[0].shape}, got {covariances[0].shape}."
        )
    mean_a, covariance_a, mean_b, covariance_b = as_one_dtype(
        mean_a=means[0], covariance_a=covariances[0], mean_b=means[1], covariance_b=covariances[1]
    )
    roots = _square_root(covariance_a), _square_root(covariance_b)
    return jnp.sum((mean_a - mean_b) ** 2) + _bures_distance(*roots)


def frechet_distance(a: Numbers, b: Numbers) -> Float[Array, ""]:
    """The Fréchet distance of two sets of features, as Gaussians of their means and covariances.

    It is in squared units of the features. With fewer than about 10 d features the estimate is
    biased upwards: compare only sets of one size.

    **Arguments:**

    - `a`, `b`: shapes (n, d) and (m, d), n and m at least 2.

    **Raises:**

    - `ValueError`: on too few features or two widths.

    Source: Heusel et al. 2017, with covariances over n - 1.

    >>> import jax, jax.numpy as jnp
    >>> from geojax.evaluation import frechet_distance
    >>> a = jax.random.normal(jax.random.key(0), (500, 3))
    >>> print(f"{frechet_distance(a, a + 1):.2f}")
    3.00
    """
    a, b = _checked(a, b)
    # Relative to a common point, because the means of features far from 0 have few digits.
    centre = jax.lax.stop_gradient(jnp.mean(a, axis=0))[None]
    (mean_a, factor_a), (mean_b, factor_b) = _centred(a - centre), _centred(b - centre)
    return jnp.sum((mean_a - mean_b) ** 2) + _bures_distance(factor_a, factor_b)


def _centred(x):
    """The mean, and a matrix R such that `R^T R` is the covariance."""
    mean = jnp.mean(x, axis=0)
    return mean, (x - mean[None]) / (len(x) - 1) ** 0.5


def _square_root(covariance):
    """A matrix R such that `R^T R` is the covariance, without eigenvalues below rounding."""
    values, vectors = jnp.linalg.eigh(covariance)
    least = len(values) * jnp.finfo(values.dtype).eps * jnp.max(values)
    real = values > least
    roots = jnp.where(real, jnp.sqrt(jnp.where(real, values, jnp.ones_like(values))), 0.0)
    return roots[:, None] * vectors.T


@jax.custom_jvp
def _bures_distance(a, b):
    """`tr(A + B - 2 (A B)^(1/2))` of the covariances `A = a^T a` and `B = b^T b`.

    That is the least `|a - Q b|^2` over orthogonal Q, which is never negative and loses no digits
    where the sets agree. The trace of the root is the nuclear norm of `a b^T`.
    """
    return _best_rotation(_reduced(a)[1], _reduced(b)[1])[0]


@_bures_distance.defjvp
def _bures_distance_jvp(primals, tangents):
    """The derivative with a fixed best rotation (envelope theorem).

    Derivatives of QR and SVD would be singular.
    """
    (q_a, r_a), (q_b, r_b) = map(_reduced, primals)
    value, rotation = _best_rotation(r_a, r_b)
    images = matmul(rotation, r_b), matmul(rotation.T, r_a)
    slope = jnp.zeros_like(value)
    for x, q, image, tangent in zip(primals, (q_a, q_b), images, tangents, strict=True):
        nearest = image if q is None else matmul(q, image)
        slope = slope + 2 * jnp.sum((x - nearest) * tangent)
    return value, slope


def _reduced(x):
    """Q and R of `x = Q R`; Q is None if there are no more rows than columns."""
    return jnp.linalg.qr(x) if len(x) > x.shape[1] else (None, x)


def _best_rotation(a, b):
    """The least `|a - Q b|^2` with rows of zeros added to the shorter, and Q without these rows."""
    size = max(len(a), len(b))
    long_a, long_b = (jnp.pad(x, ((0, size - len(x)), (0, 0))) for x in (a, b))
    left, _, right = jnp.linalg.svd(matmul(long_a, long_b.T))
    rotation = matmul(left, right)
    value = jnp.sum((long_a - matmul(rotation, long_b)) ** 2)
    return value, rotation[: len(a), : len(b)]


class KernelDistance(NamedTuple):
    """The result of `kernel_distance`.

    **Arguments:**

    - `value`: the mean over the subsets. For one distribution it is about 0, and as often below as
      above.
    - `deviation`: the standard deviation over the subsets, which is often reported with KID.
    - `standard_error`: of `value`, for independent points. Subsets of one set of n share points, so
      it does not fall to zero with their number. Drawn without repetition, subsets have a variance
      proportional to `1 / subset_size - 1 / n`, and the mean one proportional to `1 / n`. Hence
      `deviation max(1 / subsets, subset_size / (n - subset_size))^(1/2)`.
    """

    value: Float[Array, ""]
    deviation: Float[Array, ""]
    standard_error: Float[Array, ""]


def kernel_distance(
    a: Numbers,
    b: Numbers,
    *,
    key: Key[Array, ""],
    num_subsets: int = 100,
    subset_size: int | None = None,
) -> KernelDistance:
    """The squared maximum mean discrepancy under `(x . y / d + 1)^3`, unbiased, over subsets.

    It is KID when the features are those of Inception.

    **Arguments:**

    - `a`, `b`: shapes (n, d) and (m, d).
    - `key`: draws the subsets, each without repetition.
    - `num_subsets`: at least 2.
    - `subset_size`: at most half of the smaller set, so that subsets differ; default 1000 or that
      half.

    **Returns:**

    A [`geojax.evaluation.KernelDistance`][].

    **Raises:**

    - `ValueError`: when there are too few features, their widths differ or a number is out of
      range.

    Source: Bińkowski et al. 2018.

    >>> import jax
    >>> from geojax.evaluation import kernel_distance
    >>> keys = jax.random.split(jax.random.key(0))
    >>> a, b = (jax.random.normal(k, (200, 4)) for k in keys)
    >>> found = kernel_distance(a, b, key=keys[0])
    >>> bool(abs(found.value) < 3 * found.standard_error)
    True
    """
    a, b = _checked(a, b)
    half = min(len(a), len(b)) // 2
    size = min(1000, half) if subset_size is None else subset_size
    if not 2 <= size <= half:
        raise ValueError(
            f"subset_size must lie between 2 and half of the smaller set, {half}, got {size}."
        )
    if num_subsets < 2:
        raise ValueError(f"num_subsets must be at least 2, got {num_subsets}.")

    def one(key):
        keys = jax.random.split(key)
        subsets = [
            x[jax.random.permutation(k, len(x))[:size]] for k, x in zip(keys, (a, b), strict=True)
        ]
        return unbiased_discrepancy(*subsets)

    values = jax.lax.map(one, jax.random.split(key, num_subsets))
    deviation = jnp.std(values, ddof=1)
    share = max(1 / num_subsets, size / (min(len(a), len(b)) - size))
    return KernelDistance(jnp.mean(values), deviation, deviation * share**0.5)


def unbiased_discrepancy(a: Numbers, b: Numbers) -> Float[Array, ""]:
    """The unbiased estimate of the squared discrepancy under `(x . y / d + 1)^3`.

    It uses all pairs of different points (Gretton et al. 2012, equation 3).
    """
    a, b = _checked(a, b)
    d = a.shape[1]
    # With features c + u the kernel is (k + p(u) + p(v) + u.v / d)^3, where c is the mean of all.
    # Terms in u alone or in v alone cancel in the discrepancy. They are left out here, because
    # kernels of features far from 0 have few digits.
    centre = (jnp.mean(a, axis=0) + jnp.mean(b, axis=0)) / 2
    constant = dot(centre, centre) / d + 1

    def kernel(u, v):
        q = matmul(u, v.T) / d
        p_u, p_v = matmul(u, centre)[:, None] / d, matmul(v, centre)[None] / d
        both, product = p_u + p_v, p_u * p_v
        squares = 2 * product + (2 * both + q) * q
        cubes = 3 * product * both + (3 * both**2 + (3 * both + q) * q) * q
        return 3 * constant**2 * q + 3 * constant * squares + cubes

    def others(u):
        k = kernel(u, u)
        return (jnp.sum(k) - jnp.trace(k)) / (len(u) * (len(u) - 1))

    a, b = a - centre[None], b - centre[None]
    return others(a) + others(b) - 2 * jnp.mean(kernel(a, b))


def _checked(a, b) -> tuple[Array, Array]:
    a, b = as_one_dtype(a=as_floating("a", a, "n d"), b=as_floating("b", b, "m d"))
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"a and b must have one width, got {a.shape[1]} and {b.shape[1]}.")
    if min(len(a), len(b)) < 2:
        raise ValueError(f"a and b must hold at least 2 features, got {len(a)} and {len(b)}.")
    return a, b
