# Secrets are made empty. Whoever holds the keys puts them in, by `aws secretsmanager put-secret-value`, so that no key ever
# is in a plan or a state. A party can read its own and nobody else's.

resource "aws_secretsmanager_secret" "keys" {
  #checkov:skip=CKV2_AWS_57:keys are agreed with the other party, which no function of ours can do

  for_each = local.parties

  name                    = "${local.name}-${each.key}-keys"
  description             = "Keys of ${each.value.kind} ${each.key}, by the names that the ecosystem uses: a JSON object."
  kms_key_id              = var.switch_key_arn
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret" "tls" {
  #checkov:skip=CKV2_AWS_57:certificates are issued by the network's authority, which no function of ours can do

  for_each = local.certified

  name                    = "${local.name}-${each.key}-tls"
  description             = "Certificates of ${each.value.kind} ${each.key}: a JSON object of PEM texts by the paths that the ecosystem names."
  kms_key_id              = var.switch_key_arn
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}
