"""Open-loop load: payments leave by the clock, whatever becomes of the others; each is followed to its end."""
