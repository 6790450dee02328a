output "cluster" {
  description = "The database: its id, where its writer and its readers answer, and how it is measured."
  value = {
    id              = aws_rds_cluster.this.id
    arn             = aws_rds_cluster.this.arn
    resource_id     = aws_rds_cluster.this.cluster_resource_id
    endpoint        = aws_rds_cluster.this.endpoint
    reader_endpoint = aws_rds_cluster.this.reader_endpoint
    port            = aws_rds_cluster.this.port
    dbname          = aws_rds_cluster.this.database_name
    log_group       = aws_cloudwatch_log_group.this.name
    instances       = [for instance in aws_rds_cluster_instance.this : instance.identifier]
  }

  # Before it has an instance nobody answers there.
  depends_on = [aws_rds_cluster_instance.this]
}

output "owner_secret_arn" {
  description = "ARN of the secret in which RDS keeps the owner's name and password."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}
