"""Made-up but plausible accounts and authorizations: the same seed always gives the same content."""
