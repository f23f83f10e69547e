"""Principal components: the few directions in which latents vary."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..._arrays import Numbers, as_floating
from ..._linalg import matmul


class PrincipalComponents(eqx.Module):
    """A projection onto the first principal components, with one common unit of length.

    It is an isometry of the subspace up to that unit, so distances keep their proportions.

    **Arguments:**

    - `mean`: shape `(latent,)`.
    - `directions`: orthonormal rows, shape `(components, latent)`.
    - `unit`: the length that becomes 1.

    >>> import jax.numpy as jnp
    >>> from geojax.models.latent import principal_components
    >>> found = principal_components(jnp.array([[0.0, 1.0], [4.0, 1.0], [2.0, 1.5], [2.0, 0.5]]), 1)
    >>> found.project(found.lift(jnp.array([0.5]))).shape
    (1,)
    """

    mean: Float[Array, " latent"]
    directions: Float[Array, "components latent"]
    unit: Float[Array, ""]

    def project(self, z: Numbers) -> Float[Array, " components"]:
        """The components of a latent, shape `(components,)`."""
        z = as_floating("z", z, str(len(self.mean)))
        directions, mean, unit = (a.astype(z.dtype) for a in self._parts())
        return matmul(directions, z - mean) / unit

    def lift(self, point: Numbers) -> Float[Array, " latent"]:
        """The latent with these components and no others, shape `(latent,)`."""
        point = as_floating("point", point, str(len(self.directions)))
        directions, mean, unit = (a.astype(point.dtype) for a in self._parts())
        return mean + unit * matmul(point, directions)

    def _parts(self):
        return self.directions, self.mean, self.unit


def principal_components(latents: Numbers, num_components: int) -> PrincipalComponents:
    """The components of the largest variance, in units of the root mean square coordinate.

    **Arguments:**

    - `latents`: shape `(images, latent)`.
    - `num_components`: at most the number of images and of latent coordinates.

    **Returns:**

    A [`geojax.models.latent.PrincipalComponents`][].

    **Raises:**

    - `ValueError`: when there are fewer latents or coordinates than components, or all latents are
      equal.
    """
    latents = as_floating("latents", latents, "pictures latent")
    most = min(latents.shape)
    if not 1 <= num_components <= most:
        raise ValueError(
            f"num_components must be in 1 ... {most}, the number of pictures or of latent "
            f"coordinates, got {num_components}."
        )
    values = np.asarray(latents, np.float64)
    mean = values.mean(axis=0)
    _, _, rows = np.linalg.svd(values - mean, full_matrices=False)
    directions = rows[:num_components]
    # The sign of a component is arbitrary; make its largest entry positive on every machine.
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], axis=1)
    directions = directions * np.sign(largest)
    unit = np.sqrt(np.mean(((values - mean) @ directions.T) ** 2))
    if not unit > 0:
        raise ValueError("latents are all equal: there is no direction in which they differ.")
    arrays = (jnp.asarray(a, latents.dtype) for a in (mean, directions, unit))
    return PrincipalComponents(*arrays)
