output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.state.id
}

output "backend" {
  description = "What belongs into environments/ENV.s3.tfbackend; put the environment's name into `key`."
  value       = <<-EOT
    bucket       = "${aws_s3_bucket.state.id}"
    key          = "postrail/ENV/terraform.tfstate"
    region       = "${var.region}"
    encrypt      = true
    kms_key_id   = "${aws_kms_key.state.arn}"
    use_lockfile = true
  EOT
}
