"""A score from a log-density, whatever is given."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from geojax.scores import Shell, from_log_density


@pytest.mark.parametrize("shape", [(3,), (1, 4, 4)], ids=str)
def test_score_is_the_gradient_and_the_log_density_is_kept(shape):
    score = from_log_density(lambda x, args: -args * jnp.sum(x**4))
    x = jnp.asarray(np.random.default_rng(0).normal(size=shape))
    np.testing.assert_allclose(score(x, 0.5), -2 * x**3, rtol=1e-12)
    assert float(score.log_density(x, 0.5)) == pytest.approx(-0.5 * float(np.sum(x**4)), 1e-12)


def test_args_are_none_unless_given():
    score = from_log_density(lambda x, args: jnp.sum(x) if args is None else jnp.sum(args * x))
    np.testing.assert_array_equal(score(jnp.zeros(2)), [1, 1])
    np.testing.assert_array_equal(score(jnp.zeros(2), 3.0), [3, 3])
    assert score.log_density(jnp.ones(2)) == 2


def test_a_density_with_a_closed_form_agrees():
    shell = Shell(1.0, 0.3, 2)
    score, x = from_log_density(shell.log_density), jnp.asarray([0.5, -0.2, 0.7])
    np.testing.assert_allclose(score(x), shell(x), rtol=1e-12)


def test_it_is_a_pytree_whose_parameters_can_be_differentiated():
    class Quadratic(eqx.Module):
        precision: jax.Array

        def __call__(self, x, args):
            return -self.precision * jnp.sum(x**2) / 2

    score = from_log_density(Quadratic(jnp.asarray(2.0)))
    x = jnp.asarray([1.0, 3.0])
    gradient = eqx.filter_grad(lambda score: jnp.sum(score(x)))(score)
    assert float(gradient.function.precision) == -4.0


def test_a_function_of_the_point_alone_is_refused():
    with pytest.raises(ValueError, match=r"\(x, args\) -> scalar.*lambda x, args: f\(x\)"):
        from_log_density(lambda x: -jnp.sum(x**2))
