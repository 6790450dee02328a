"""Measurements of speed, for people and for programs that compare runs. Nothing of the product depends on them."""
