"""The HTTP API: one table of routes that serves requests, writes OpenAPI, and names the routes for Terraform."""
