output "secret_arn" {
  description = "ARN of the secret, which is made without a value."
  value       = aws_secretsmanager_secret.this.arn
}

output "access" {
  description = "What a function needs to check the key: settings and rights."
  value = {
    environment = { POSTRAIL_EDGE_SECRET_ARN = aws_secretsmanager_secret.this.arn }
    statements = [
      {
        sid       = "ReadEdgeKey"
        actions   = ["secretsmanager:GetSecretValue"]
        resources = [aws_secretsmanager_secret.this.arn]
        condition = {}
      },
      {
        sid       = "UseEdgeKey"
        actions   = ["kms:Decrypt"]
        resources = [var.edge_key_arn]
        condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.platform.region}.amazonaws.com" } }
      },
    ]
  }
}
