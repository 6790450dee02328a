"""The `postrail` command: everything a person does by hand with the payment graph."""
