"""Cardholders at terminals: single payments, scripts and scenarios."""
