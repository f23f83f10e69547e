"""The error of the predicted noise, by the network and by the exact scores of the training set."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from digits import LEVELS, NULL, NUM_DIGITS, Digits

from geojax.scores import Empirical


def noise_errors(score, digits: Digits) -> list[dict[str, float]]:
    """The mean squared error, per pixel, of the predicted noise; predicting 0 has error 1.

    All predictors see the same noised digits.
    """
    eps = np.asarray(jax.random.normal(jax.random.key(21), digits.test.shape))
    own = digits.train[:NUM_DIGITS]
    nulls = jnp.full_like(digits.labels, NULL)
    data = digits.train.reshape(len(digits.train), -1)
    linear = LinearPredictor(data)
    rows = []
    for t in LEVELS:
        alpha, sigma = (float(f(t)) for f in (score.schedule.alpha, score.schedule.sigma))
        x_test, x_own = alpha * digits.test + sigma * eps, alpha * own + sigma * eps
        predictions = {
            "network_label": network_noise(score, x_test, t, digits.labels),
            "network_null": network_noise(score, x_test, t, nulls),
            "class_training_set": exact_noise_by_class(digits, x_test, alpha, sigma),
            "training_set": exact_noise(data, x_test, alpha, sigma),
            "training_set_on_its_own_digits": exact_noise(data, x_own, alpha, sigma),
            "linear": linear(x_test, alpha, sigma),
        }
        rows.append({f"error_{k}": float(np.mean((p - eps) ** 2)) for k, p in predictions.items()})
    check_exact_noise(score.schedule, digits, eps[0])
    return rows


def network_noise(score, xs, t: float, labels) -> np.ndarray:
    return np.asarray(_network_noise(score, jnp.asarray(xs), jnp.asarray(t), labels))


@eqx.filter_jit
def _network_noise(score, xs, t, labels):
    one = lambda pair: score.predicted_noise(pair[0], t, pair[1])  # noqa: E731
    return jax.lax.map(one, (xs, labels), batch_size=50)


def exact_noise(data: np.ndarray, xs: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """The noise predicted by the exact score of a data set, for many points by matrix products.

    `geojax.scores.Empirical` takes differences instead. It keeps more digits and has derivatives,
    but takes a hundred times as long. `check_exact_noise` compares the two.
    """
    x = xs.reshape(len(xs), -1)
    logits = (alpha * (x @ data.T) - alpha**2 / 2 * np.sum(data**2, axis=1)) / sigma**2
    weights = np.exp(logits - np.max(logits, axis=1, keepdims=True))
    mean = (weights @ data) / np.sum(weights, axis=1, keepdims=True)
    return ((x - alpha * mean) / sigma).reshape(xs.shape)


def exact_noise_by_class(digits: Digits, xs: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
    """`exact_noise` of the training digits that have the label of the digit."""
    noise, labels = np.empty_like(xs), np.asarray(digits.labels)
    for label in range(10):
        data = digits.train[digits.train_labels == label]
        here = labels == label
        noise[here] = exact_noise(data.reshape(len(data), -1), xs[here], alpha, sigma)
    return noise


def check_exact_noise(schedule, digits: Digits, eps: np.ndarray) -> None:
    t = 0.2
    alpha, sigma = float(schedule.alpha(t)), float(schedule.sigma(t))
    x = alpha * digits.test[0] + sigma * eps
    empirical = Empirical(digits.train, schedule, chunk_size=4096)
    reference = np.asarray(empirical.predicted_noise(jnp.asarray(x), t))
    data = digits.train.reshape(len(digits.train), -1)
    np.testing.assert_allclose(exact_noise(data, x[None], alpha, sigma)[0], reference, atol=2e-2)


class LinearPredictor:
    """The best predictor linear in x: the exact score of the Gaussian with the data's moments."""

    def __init__(self, data: np.ndarray):
        self.mean = data.mean(axis=0)
        centred = data - self.mean
        self.variances, self.axes = np.linalg.eigh(centred.T @ centred / len(data))

    def __call__(self, xs: np.ndarray, alpha: float, sigma: float) -> np.ndarray:
        x = (xs.reshape(len(xs), -1) - alpha * self.mean) @ self.axes
        gains = sigma / (alpha**2 * np.maximum(self.variances, 0) + sigma**2)
        return ((x * gains) @ self.axes.T).reshape(xs.shape)
