"""Models in the folder layout of diffusers, without torch (see README.md in this folder)."""
