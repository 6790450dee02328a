output "key_arns" {
  description = "Key ARNs by class of data: anchors, batch, events, tables, parked, ledger."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}
