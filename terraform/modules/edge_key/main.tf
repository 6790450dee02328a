# The edge's key, as the functions have it: they refuse what comes without it, once `edge.guarded` says so.
#
# It is made by hand and put in by hand, once here and once into the store at the edge, as
# docs/decisions/0019-edge-in-front-of-the-apis.md tells. During a change both the current and the previous version are taken.
#
# Apart from the edge, which must know the APIs, while their functions must know this.

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57:the store at the edge signs requests in a way that no function's SDK brings along; ADR 0019 has the commands

  name                    = "${var.platform.name_prefix}-edge-key"
  description             = "What the edge shows to the APIs: 32 letters or more, the same as edge-key in the store at the edge."
  kms_key_id              = var.edge_key_arn
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}
