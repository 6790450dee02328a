output "addresses" {
  description = "Where callers find each API."
  value = { for name, distribution in aws_cloudfront_distribution.this : name => (
    "https://${try(var.settings.domains[name].name, distribution.domain_name)}"
  ) }
}

output "aliases" {
  description = "What the names of own domains must point to, by API."
  value       = { for name, distribution in aws_cloudfront_distribution.this : name => { domain_name = distribution.domain_name, zone_id = distribution.hosted_zone_id } }
}

output "key" {
  description = "Where the edge's key is to be put, once as a secret and once in the store at the edge, and what a function needs to check it."
  value = {
    secret_arn  = aws_secretsmanager_secret.key.arn
    store_arn   = aws_cloudfront_key_value_store.this.arn
    environment = { POSTRAIL_EDGE_SECRET_ARN = aws_secretsmanager_secret.key.arn }
    statements = [
      {
        sid       = "ReadEdgeKey"
        actions   = ["secretsmanager:GetSecretValue"]
        resources = [aws_secretsmanager_secret.key.arn]
        condition = {}
      },
      {
        sid       = "UseEdgeKey"
        actions   = ["kms:Decrypt"]
        resources = [var.key_kms_arn]
        condition = { StringLike = { "kms:ViaService" = "secretsmanager.*.amazonaws.com" } }
      },
    ]
  }
}
