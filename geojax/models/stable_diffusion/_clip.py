"""CLIP's text encoder (`CLIPTextModel`), as Stable Diffusion 1.x and 2.x use it."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ..._arrays import Numbers, as_integers, wide
from ..diffusers._attention import attend
from ..diffusers._config import choice, number, positive, read_fields
from ..diffusers._layers import Embedding, LayerNorm, Linear

_WHERE = "text_encoder/config.json"
_ACTIVATIONS = {
    "quick_gelu": lambda x: x * jax.nn.sigmoid(1.702 * x),
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
}
_USED = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
}
_FIXED = {"model_type": ["clip_text_model"]}
# Fields of training, of the projection that Stable Diffusion does not use, and notes.
_IGNORED = (
    "architectures",
    "attention_dropout",
    "bos_token_id",
    "chunk_size_feed_forward",
    "dropout",
    "dtype",
    "eos_token_id",
    "id2label",
    "initializer_factor",
    "initializer_range",
    "label2id",
    "output_attentions",
    "output_hidden_states",
    "pad_token_id",
    "projection_dim",
    "return_dict",
    "torch_dtype",
    "transformers_version",
)


class _Embeddings(eqx.Module):
    token_embedding: Embedding
    position_embedding: Embedding


class _SelfAttention(eqx.Module):
    q_proj: Linear
    k_proj: Linear
    v_proj: Linear
    out_proj: Linear
    heads: int = eqx.field(static=True)

    def __init__(self, width: int, heads: int):
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (
            Linear(width, width) for _ in range(4)
        )
        self.heads = heads

    def __call__(self, x):
        q, k, v = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        return self.out_proj(attend(q, k, v, self.heads, is_causal=True))


class _MLP(eqx.Module):
    fc1: Linear
    fc2: Linear
    activation: str = eqx.field(static=True)

    def __call__(self, x):
        return self.fc2(_ACTIVATIONS[self.activation](self.fc1(x)))


class _Layer(eqx.Module):
    layer_norm1: LayerNorm
    self_attn: _SelfAttention
    layer_norm2: LayerNorm
    mlp: _MLP

    def __call__(self, x):
        x = x + self.self_attn(self.layer_norm1(x))
        return x + self.mlp(self.layer_norm2(x))


class _Encoder(eqx.Module):
    layers: list[_Layer]


class TextEncoder(eqx.Module):
    """CLIP's text encoder, called as `encoder(tokens)`.

    It returns the states of the last layer after the final norm, shape `(tokens, width)`. `tokens`
    are at most 77 integers. The arithmetic has the dtype of the weights; the result is float32 or
    wider. The weights are zero until [`geojax.models.stable_diffusion.load`][] fills them. Stable
    Diffusion 2.x uses the last layer but one; its checkpoints do not contain the last one.

    **Arguments:**

    - `config`: the fields of the checkpoint's `text_encoder/config.json`.

    **Raises:**

    - `ValueError`: on an unsupported config, with the name of the field; when called, on too many
      tokens.

    >>> import jax.numpy as jnp
    >>> from geojax.models.stable_diffusion import TextEncoder
    >>> encoder = TextEncoder({"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1})
    >>> encoder(jnp.asarray([7, 1, 2, 8])).shape
    (4, 8)
    """

    embeddings: _Embeddings
    encoder: _Encoder
    final_layer_norm: LayerNorm
    width: int = eqx.field(static=True)

    def __init__(self, config: Mapping[str, Any]):
        fields = read_fields(config, _WHERE, used=_USED, fixed=_FIXED, ignored=_IGNORED)
        vocabulary, width, inner, layers, heads, length = (
            positive(_WHERE, name, fields[name])
            for name in (
                "vocab_size",
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
                "max_position_embeddings",
            )
        )
        activation = choice(_WHERE, "hidden_act", fields["hidden_act"], _ACTIVATIONS)
        eps = number(_WHERE, "layer_norm_eps", fields["layer_norm_eps"])
        if width % heads:
            raise ValueError(
                f"{_WHERE}: num_attention_heads = {heads} does not divide hidden_size = {width}."
            )
        self.embeddings = _Embeddings(Embedding(vocabulary, width), Embedding(length, width))
        self.encoder = _Encoder(
            [
                _Layer(
                    LayerNorm(width, eps),
                    _SelfAttention(width, heads),
                    LayerNorm(width, eps),
                    _MLP(Linear(width, inner), Linear(inner, width), activation),
                )
                for _ in range(layers)
            ]
        )
        self.final_layer_norm, self.width = LayerNorm(width, eps), width

    def __call__(self, tokens: Numbers) -> Float[Array, "tokens width"]:
        tokens = as_integers("tokens", tokens, "tokens")
        longest = len(self.embeddings.position_embedding.weight)
        if len(tokens) > longest:
            raise ValueError(f"tokens must be at most {longest}, got {len(tokens)}.")
        return self._forward(tokens)

    @eqx.filter_jit
    def _forward(self, tokens):
        # A token out of the vocabulary gives NaN. Indexing alone would take the nearest one.
        table = self.embeddings.token_embedding.weight
        x = table.at[tokens].get(mode="fill", fill_value=jnp.nan)
        x = x + self.embeddings.position_embedding.weight[: len(tokens)]
        for layer in self.encoder.layers:
            x = layer(x)
        return wide(self.final_layer_norm(x))
