"""CLIP's tokenizer, by transformers, from the files of the checkpoint."""

import dataclasses
import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np

_LAYOUTS = (("tokenizer.json",), ("vocab.json", "merges.txt"))


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """CLIP's tokenizer, called as `tokenizer(text)`: `length` token numbers, padded.

    A text that is too long is truncated with a warning.

    **Arguments:**

    - `folder`: with `tokenizer.json`, or `vocab.json` and `merges.txt`.
    - `length`: the number of tokens.

    **Raises:**

    - `FileNotFoundError`: without these files.
    - `ValueError`: when called without transformers, or on files that it cannot read.
    """

    folder: Path
    length: int = 77

    def __post_init__(self):
        if not any(all((self.folder / n).is_file() for n in names) for names in _LAYOUTS):
            wanted = ", or ".join(" and ".join(names) for names in _LAYOUTS)
            raise FileNotFoundError(f"no tokenizer in {self.folder}: it needs {wanted}.")

    def __call__(self, text: str) -> np.ndarray:
        # Padded here, to distinguish a text that is too long from one that just fits.
        tokenizer = _read(self.folder)
        begin, *words, end = tokenizer(text, truncation=False)["input_ids"]
        room = self.length - 2
        if len(words) > room:
            warnings.warn(
                f"the prompt has {len(words)} tokens, the model takes {room}: the rest is removed. "
                f"It begins {text[:40]!r}.",
                stacklevel=2,
            )
        tokens = [begin, *words[:room], end]
        padding = [tokenizer.pad_token_id] * (self.length - len(tokens))
        return np.asarray(tokens + padding, np.int32)


@functools.cache
def _read(folder: Path) -> Any:
    try:
        from transformers import CLIPTokenizer  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError(
            "a prompt needs the tokenizer of transformers, which is not installed: "
            'python -m pip install "transformers>=5".'
        ) from None
    try:
        # Longer than any text, so that this module truncates and warns.
        return CLIPTokenizer.from_pretrained(
            str(folder), local_files_only=True, model_max_length=10**9
        )
    except Exception as error:  # tokenizers raises a bare Exception
        raise ValueError(f"{folder} is not a readable tokenizer: {error}") from None
