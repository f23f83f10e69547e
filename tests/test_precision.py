"""Contractions ask for the highest precision: no GPU may compute a verdict in TF32."""

import ast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import geojax
from geojax import evaluation
from geojax._linalg import dot, norm, safe_sqrt
from geojax.metrics import StereographicSphere
from geojax.models import DigitClassifier
from tests.metrics.fields import banded, decoder, matrix, whirl
from tests.programs import imprecise_products
from tests.source import MODULES, tree_of

# Every function of JAX that multiplies matrices and takes the device's default precision.
PRODUCTS = {
    *("dot", "vdot", "inner", "matmul", "einsum", "tensordot", "matvec", "vecmat", "vecdot"),
    *("convolve", "correlate", "cov", "corrcoef", "multi_dot", "matrix_power", "dot_general"),
}
# Networks run in what they run in, and the module itself.
FREE = ("_linalg.py", "models/")
SHAPE = (2, 2)
OPTIONS = {"num_segments": 4, "max_steps": 3, "throw": False}


def default_products(tree: ast.Module) -> list[int]:
    """The lines that multiply matrices by JAX, or by `@`, at the default precision."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.MatMult):
            lines.append(node.lineno)
        elif isinstance(node, ast.Attribute) and _root(node) != "np":
            of_jax = _root(node) in ("jnp", "jax", "lax")
            if node.attr == "dot" or (of_jax and node.attr in PRODUCTS):
                lines.append(node.lineno)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            named = {keyword.arg for keyword in node.keywords}
            if node.func.attr.startswith("conv_") and "precision" not in named:
                lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "jax":
            lines += [node.lineno for alias in node.names if alias.name in PRODUCTS]
    return lines


def _root(node: ast.Attribute) -> str | None:
    """The first name of a dotted one."""
    root = node.value
    while isinstance(root, ast.Attribute):
        root = root.value
    return root.id if isinstance(root, ast.Name) else None


def test_source_multiplies_through_one_module():
    found = {
        name: lines
        for name, path in MODULES.items()
        if not name.startswith(FREE) and (lines := default_products(tree_of(path)))
    }
    assert not found, f"use geojax/_linalg.py for the products in these lines: {found}"


def test_the_lint_sees_each_way_to_multiply():
    source = "jnp.vdot(a, b)\na @ b\njax.lax.dot_general(a, b)\na.dot(b)\na @= b\nnp.dot(a, b)\n"
    source += "jax.lax.conv_general_dilated(a, b)\nfrom jax.numpy import einsum\n"
    assert sorted(default_products(ast.parse(source))) == [1, 2, 3, 4, 5, 7, 8]


CLASSIFIER = DigitClassifier(widths=(4, 4), num_features=4, key=jax.random.key(0))


def distance_of(metric, solver=None):
    return lambda x, y: geojax.geodesic(metric, x, y, solver=solver, **OPTIONS).energy


PROGRAMS = {
    "dense": distance_of(geojax.DenseMetric(matrix)),
    "dense by GEORCE": distance_of(geojax.DenseMetric(matrix), geojax.Georce()),
    "operator": distance_of(geojax.OperatorMetric(banded)),
    "decoder": distance_of(geojax.PullbackMetric(decoder)),
    "sphere": StereographicSphere(1.0).distance,
    "smoothed": distance_of(geojax.SmoothedSteinScoreMetric(whirl, jnp.ones((2, *SHAPE)), 0.1)),
    "shape operator": lambda x, v: geojax.sectional_curvature(
        geojax.DenseMetric(matrix), x, v, jnp.roll(v, 1)
    ),
    "k-medoids": lambda x, v: geojax.k_medoids(jnp.abs(x - v), 1, key=jax.random.key(0)).cost,
    "frechet": evaluation.frechet_distance,
    "kernel": lambda x, y: (
        evaluation.kernel_distance(
            *(jnp.tile(a, (2, 1)) for a in (x, y)), key=jax.random.key(0)
        ).value
    ),
    "ssim": lambda x, y: evaluation.ssim(*(jnp.tile(a, (1, 8, 8)) for a in (x, y))),
    "classifier": lambda x, y: CLASSIFIER(jnp.resize(x + y, (1, 28, 28))),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_multiply_precisely(name):
    points = jnp.linspace(0, 1, 4).reshape(SHAPE), jnp.linspace(1, 3, 4).reshape(SHAPE)
    assert not imprecise_products(jax.make_jaxpr(PROGRAMS[name])(*points).jaxpr)


def test_an_imprecise_product_is_seen():
    program = jax.make_jaxpr(jax.jit(lambda x: jnp.matmul(x, x)))(jnp.ones(SHAPE))
    assert len(imprecise_products(program.jaxpr)) == 1


@pytest.mark.slow
def test_norms_and_roots_at_zero():
    zero, x = jnp.zeros(3), jnp.array([3.0, 0.0, 4.0])
    assert norm(x) == 5 and norm(zero) == 0
    np.testing.assert_array_equal(jax.grad(norm)(zero), zero)
    np.testing.assert_allclose(jax.grad(norm)(x), x / 5)
    np.testing.assert_allclose(jax.hessian(norm)(x), (np.eye(3) - np.outer(x, x) / 25) / 5)
    tiny, huge = (jnp.array([3.0, 4.0], jnp.float32) * s for s in (1e-30, 1e30))
    np.testing.assert_allclose([norm(tiny), norm(huge)], [5e-30, 5e30], rtol=1e-6)
    assert norm(jnp.array([jnp.inf, 1.0])) == jnp.inf and jnp.isnan(norm(jnp.array([jnp.nan])))
    assert jax.vmap(jax.grad(safe_sqrt))(jnp.array([0.0, 4.0])).tolist() == [0, 0.25]
    assert jnp.isnan(safe_sqrt(jnp.array(-1.0)))
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        dot(zero, jnp.zeros(4))
