output "uri" {
  description = "Where anchors lie: s3://bucket/prefix, as `postrail ledger verify --anchor` takes it."
  value       = local.uri
}

output "function" {
  description = "The function anchor_ledger."
  value       = module.anchor_ledger.function
}
