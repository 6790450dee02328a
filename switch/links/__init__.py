"""Connections between peers of the switch: framed, multiplexed, signed on, echoed, reconnected."""
