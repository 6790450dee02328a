output "key_arns" {
  description = "Key ARNs by class of data: anchors, audit, batch, cards, edge, events, functions, ledger, logs, parked, switch, tables."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}
