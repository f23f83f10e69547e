"""Tiny networks of diffusers with random weights, by family: the module and what it takes."""

import torch


def _images(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


TIME = torch.tensor([400.0])
TEXT = _images(1, 7, 16)


def _conditioned_unet(d, **options):
    small = {"sample_size": 8, "block_out_channels": (32, 64), "layers_per_block": 1}
    return d.UNet2DConditionModel(**small, cross_attention_dim=16, norm_num_groups=8, **options)


def sd15(d):
    return _conditioned_unet(
        d,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,
    ), (_images(1, 4, 8, 8), TIME, TEXT)


def sdxl(d):
    module = _conditioned_unet(
        d,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 12,
        transformer_layers_per_block=(1, 2),
        use_linear_projection=True,
    )
    added = {"text_embeds": _images(1, 12), "time_ids": _images(1, 6)}
    return module, (_images(1, 4, 8, 8), TIME, TEXT), {"added_cond_kwargs": added}


def dit(d):
    return d.DiTTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        sample_size=8,
        patch_size=2,
        num_embeds_ada_norm=10,
        norm_num_groups=4,
    ), (_images(1, 4, 8, 8), torch.tensor([400]), torch.tensor([3]))


def pixart(d):
    module = d.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        sample_size=8,
        patch_size=2,
        cross_attention_dim=16,
        caption_channels=16,
        norm_num_groups=1,
    )
    added = {"resolution": None, "aspect_ratio": None}
    return module, (_images(1, 4, 8, 8), TEXT, TIME), {"added_cond_kwargs": added}


def sd3(d):
    return d.SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        caption_projection_dim=16,
        pooled_projection_dim=12,
        out_channels=4,
        pos_embed_max_size=8,
    ), (_images(1, 4, 8, 8), TEXT, _images(1, 12), TIME)


def flux(d):
    module = d.FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=12,
        axes_dims_rope=(4, 4, 8),
        guidance_embeds=False,
    )
    places = _images(16, 3).round(), torch.zeros(7, 3)
    return module, (_images(1, 16, 4), TEXT, _images(1, 12), torch.tensor([0.4]), *places)


def ddpm(d):
    return d.UNet2DModel(
        sample_size=16,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=8,
        downsample_padding=0,
        flip_sin_to_cos=False,
        freq_shift=1,
    ), (_images(1, 3, 16, 16), TIME)


def cascade(d):
    module = d.models.unets.StableCascadeUNet(
        in_channels=4,
        out_channels=4,
        timestep_ratio_embedding_dim=8,
        conditioning_dim=16,
        block_out_channels=(16, 16),
        num_attention_heads=(0, 2),
        down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1),
        down_blocks_repeat_mappers=(1, 1),
        up_blocks_repeat_mappers=(1, 1),
        block_types_per_layer=(
            ("SDCascadeResBlock", "SDCascadeTimestepBlock"),
            ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock"),
        ),
        clip_text_in_channels=16,
        clip_text_pooled_in_channels=12,
        clip_image_in_channels=8,
        switch_level=(False,),
    )
    return module, (_images(1, 4, 8, 8), torch.tensor([0.4]), _images(1, 1, 12), TEXT)


def kl_autoencoder(d):
    return d.AutoencoderKL(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        latent_channels=4,
    ), (_images(1, 3, 16, 16),)


def tiny_decoder(d):
    module = d.AutoencoderTiny(
        encoder_block_out_channels=(16, 16),
        decoder_block_out_channels=(16, 16),
        num_encoder_blocks=(1, 2),
        num_decoder_blocks=(2, 1),
    )
    return module.decoder, (_images(1, 4, 8, 8),)


def vq(d):
    return d.VQModel(
        block_out_channels=(16, 32),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8,
        latent_channels=3,
        num_vq_embeddings=16,
    ), (_images(1, 3, 16, 16),)


FAMILIES = {
    "Stable Diffusion 1.x U-Net": sd15,
    "SDXL U-Net": sdxl,
    "DiT": dit,
    "PixArt": pixart,
    "Stable Diffusion 3": sd3,
    "Flux": flux,
    "DDPM U-Net": ddpm,
    "Stable Cascade": cascade,
    "KL autoencoder": kl_autoencoder,
    "tiny autoencoder": tiny_decoder,
    "VQ autoencoder": vq,
}


def build(name):
    """The module, its positional inputs and its keywords."""
    import diffusers

    torch.manual_seed(0)
    module, inputs, *keywords = FAMILIES[name](diffusers)
    module.eval()
    for parameter in module.parameters():
        if parameter.ndim == 1:  # which torch starts from zeros and ones
            parameter.data.add_(0.1 * torch.randn_like(parameter))
    return module, inputs, keywords[0] if keywords else {}
