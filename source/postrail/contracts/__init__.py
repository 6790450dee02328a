"""Pydantic models of every event and API body: the one source of `schemas/`."""
