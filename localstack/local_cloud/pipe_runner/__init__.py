"""Plays EventBridge Pipes where an emulator stores their definition but does not run them.

The definition comes from Terraform's `pipes` output, in the shape that DescribePipe answers with, so the runner has
no configuration of its own: what a real account would run is what is played here.
"""
