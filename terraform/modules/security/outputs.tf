output "key_arns" {
  description = "Key ARNs by class of data: anchors, batch, cards, events, logs, tables, parked, ledger, switch."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}
