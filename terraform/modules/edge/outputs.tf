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

output "key_store_arn" {
  description = "ARN of the store at the edge into which its key is put, as edge-key."
  value       = aws_cloudfront_key_value_store.this.arn
}
