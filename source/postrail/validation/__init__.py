"""Checks a deployed graph against what its deployment says must be there, and cleans up behind marked payments."""
