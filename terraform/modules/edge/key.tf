# The edge's key, as the edge has it. Its other half is the secret of module `edge_key`. No plan, state or code ever holds it:
# docs/decisions/0019-edge-in-front-of-the-apis.md tells how it is put in.

resource "aws_cloudfront_key_value_store" "this" {
  name    = local.name
  comment = "edge-key: what the edge shows to the APIs."
}

resource "aws_cloudfront_function" "show_key" {
  name                         = local.name
  comment                      = "Shows the APIs that a request came by the edge."
  runtime                      = "cloudfront-js-2.0"
  publish                      = true
  code                         = file("${path.module}/show_key.js")
  key_value_store_associations = [aws_cloudfront_key_value_store.this.arn]
}
