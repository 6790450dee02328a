# The edge's key. The API refuses what comes without it, once `edge.guarded` says so.
#
# It is made by hand and put in by hand, once as a secret for the functions and once into the store at the edge, as
# docs/decisions/0019-edge-in-front-of-the-apis.md tells: no plan, state or code ever holds it. During a change both the current
# and the previous version of the secret are taken.

resource "aws_secretsmanager_secret" "key" {
  #checkov:skip=CKV2_AWS_57:the store at the edge signs requests in a way that no function's SDK brings along; ADR 0019 has the commands

  name                    = "${local.name}-key"
  description             = "What the edge shows to the APIs: 32 letters or more, the same as edge-key in the store at the edge."
  kms_key_id              = var.key_kms_arn
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

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
