"""The rule for arrays at the border: what is converted, to what, and what is refused by name."""

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from geojax._arrays import as_alike, as_floating, as_images, as_integers

FLOATS = (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, np.float32)
INTEGERS = (np.int8, np.uint8, np.int32, np.uint64, np.bool_)


def test_numbers_keep_their_values():
    for dtype in (*FLOATS, np.float64, *INTEGERS):
        given = np.asarray([0, 1], dtype)
        wanted = jnp.float32 if dtype in FLOATS else jnp.float64
        for value in (given, jnp.asarray(given)):
            found = as_floating("x", value, "shape")
            assert isinstance(found, jax.Array)
            assert (found.dtype, found.tolist()) == (wanted, [0.0, 1.0]), dtype
    assert as_floating("x", 2).tolist() == 2.0
    assert as_floating("x", [[1, 2], (3, 4.5)]).tolist() == [[1, 2], [3, 4.5]]
    assert as_floating("x", [jnp.ones(2), jnp.zeros(2)], "points *shape").shape == (2, 2)
    bad = as_floating("x", [np.nan, np.inf])
    assert np.isnan(bad[0]) and np.isposinf(bad[1])


def test_arrays_have_the_requested_dtype():
    assert as_floating("ts", [0, 1], dtype=jnp.float32).dtype == jnp.float32
    assert as_floating("ts", np.zeros(2), dtype=np.float16).dtype == jnp.float32


def test_large_integers_are_not_cut_down_to_32_bits():
    with jax.enable_x64(False):
        found = as_floating("x", np.asarray([2**40]))
        assert (found.dtype, float(found[0])) == (jnp.float32, 2.0**40)
        assert as_floating("x", np.zeros(2)).dtype == jnp.float32


@pytest.mark.parametrize(
    ("dtypes", "wanted"),
    [
        (("int32", "float32"), jnp.float32),
        (("float16", "bfloat16"), jnp.float32),
        (("float16", "float64"), jnp.float64),
        (("float32", "float64"), jnp.float64),
        (("uint8", "int32"), jnp.float64),
    ],
)
def test_arrays_that_belong_together(dtypes, wanted):
    first, second = (jnp.asarray(np.asarray([1, 2]), dtype) for dtype in dtypes)
    found = as_alike(x0=first, x1=second)
    assert [x.dtype for x in found] == [wanted, wanted]
    assert [x.tolist() for x in found] == [[1, 2], [1, 2]]


def test_under_transformations():
    """The same rule for what is traced, and a derivative through the conversion."""

    def sum_of(x0, x1):
        x0, x1 = as_alike(x0=x0, x1=x1)
        return jnp.sum(x0 * x1)

    pixels = np.asarray([200, 100], np.uint8)
    assert float(jax.jit(sum_of)(pixels, pixels)) == 50_000
    slope = jax.grad(sum_of, argnums=1)(pixels, np.ones(2, np.float32))
    assert slope.dtype == jnp.float32 and slope.tolist() == [200, 100]
    assert jax.vmap(sum_of)(np.ones((3, 2), np.float16), np.ones((3, 2), int)).tolist() == [2, 2, 2]
    jax.vmap(lambda x: as_images("h w", x=x))(np.full((1, 2, 2), 99.0))  # cannot be looked at


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: as_floating("x", np.asarray([1j])),
            "x must be real, got complex128. Take x.re",
        ),
        (lambda: as_floating("x", jax.random.key(0)), "x must be an array of numbers, got"),
        (lambda: as_floating("x", "12"), "x must be an array of numbers, got str"),
        (lambda: as_floating("x", None), "x must be an array of numbers, got NoneType"),
        (lambda: as_floating("x", [[1.0], [1.0, 2.0]]), "x must be an array of numbers, got list"),
        (lambda: as_floating("x", []), r"x must not be empty, got shape \(0,\)"),
        (
            lambda: as_floating("x", np.ones((0, 2)), "n d"),
            r"\(n, d\) and not be empty, got",
        ),
        (lambda: as_floating("ts", 0.5, "times"), r"ts must have shape \(times,\), got \(\)"),
        (lambda: as_floating("x", np.ones((2, 2)), "d"), "For several use jax.vmap"),
        (lambda: as_floating("x", 1.0, "points *shape"), r"\(points, \*shape\), got \(\)"),
        (lambda: as_floating("x", np.ones((4, 2, 2)), "3 h w"), r"\(3, h, w\), got \(4, 2,"),
        (
            lambda: as_alike(x=np.ones(2), y=[1, 2, 3]),
            r"x and y must have one shape, got \(2,",
        ),
        (lambda: as_alike(x=[1.0], y=[1j]), "y must be real"),
        (lambda: as_integers("labels", [1.0]), "labels must be integers, got float64"),
        (lambda: as_images("h w", x=np.ones((2, 2), int)), r"got int64.* x / 127.5 - 1"),
        (lambda: as_images("h w", x=np.full((2, 2), 255.0)), r"values up to 255.* x / 127.5 - 1"),
        (
            lambda: as_images("3 h w", x=np.ones((9, 8, 3))),
            r"its channels first, shape \(3, h, w\), got \(9, 8, 3\): jnp.moveaxis\(x, -1, -3\)",
        ),
    ],
)
def test_refusals_name_the_argument_and_the_remedy(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_images_in_their_range():
    x, y = as_images("h w", x=np.full((2, 2), -1.5), y=np.full((2, 2), np.nan, np.float16))
    assert x.dtype == y.dtype == jnp.float64
    assert as_images("h w", x=np.ones((2, 2), bool))[0].tolist() == [[1, 1], [1, 1]]
