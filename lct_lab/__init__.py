"""Gradient scale laws of the learnable cosine transform."""
