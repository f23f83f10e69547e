"""The tokenizer: both layouts of files, padding, and the full vocabulary where it is at hand."""

import gzip
import json

import numpy as np
import pytest

from geojax.models.stable_diffusion import Tokenizer

from .checkpoints import WORDS, write_tokenizer

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path):
    write_tokenizer(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


def test_tokens(folder):
    vocabulary = json.loads((folder / "vocab.json").read_text())
    tokens = Tokenizer(folder)("A cat")
    words = [vocabulary[w] for w in ("a</w>", "c", "a", "t</w>")]
    expected = [WORDS - 2, *words, WORDS - 1] + [vocabulary["!"]] * 71
    assert tokens.tolist() == expected
    assert tokens.dtype == np.int32


def test_both_layouts_agree(folder, tmp_path):
    expected = Tokenizer(folder)("a dog, in snow")
    transformers.CLIPTokenizer.from_pretrained(str(folder)).save_pretrained(tmp_path / "new")
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / "new" / name).unlink(missing_ok=True)
    assert (tmp_path / "new" / "tokenizer.json").is_file()
    np.testing.assert_array_equal(Tokenizer(tmp_path / "new")("a dog, in snow"), expected)


def test_a_text_that_is_too_long(folder):
    with pytest.warns(UserWarning, match="the prompt has 90 tokens, the model takes 75"):
        tokens = Tokenizer(folder)("x" * 90)
    assert len(tokens) == 77 and tokens[-1] == WORDS - 1


def test_files_that_are_no_tokenizer(folder):
    (folder / "vocab.json").write_text("{")
    with pytest.raises(ValueError, match="is not a readable tokenizer"):
        Tokenizer(folder)("a")


def test_full_vocabulary(data_file, folder):
    """The numbers of these words are known from CLIP's own tokenizer."""
    merges = gzip.decompress(data_file("clip_bpe/bpe_simple_vocab_16e6.txt.gz").read_bytes())
    merges = merges.decode().split("\n")[1 : 49152 - 256 - 2 + 1]
    letters = list(json.loads((folder / "vocab.json").read_text()))[:-2]
    words = [*letters, *("".join(m.split()) for m in merges), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges))
    (folder / "special_tokens_map.json").unlink()
    tokens = Tokenizer(folder)("a photo of a cat").tolist()
    assert tokens[:8] == [49406, 320, 1125, 539, 320, 2368, 49407, 49407]
