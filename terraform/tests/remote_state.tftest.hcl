# The bucket for Terraform's state.

# Planned only: what may not be destroyed cannot be taken away after a test.
mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

run "a_state_is_encrypted_versioned_and_private" {
  command = plan

  module {
    source = "./remote_state"
  }

  assert {
    condition     = aws_s3_bucket.state.bucket == "postrail-terraform-state-111122223333"
    error_message = "Bucket names are unique in the whole world, hence the account."
  }

  assert {
    condition     = alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && rule.apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.state.arn])
    error_message = "Under a key of its own."
  }

  assert {
    condition     = aws_kms_key.state.enable_key_rotation && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "The key is rotated, and a spoilt state can be brought back."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.state.block_public_acls && aws_s3_bucket_public_access_block.state.block_public_policy && aws_s3_bucket_public_access_block.state.ignore_public_acls && aws_s3_bucket_public_access_block.state.restrict_public_buckets
    error_message = "Nobody outside the account reads it."
  }

  assert {
    condition     = strcontains(aws_s3_bucket_policy.state.policy, "aws:SecureTransport")
    error_message = "Over TLS only."
  }

  assert {
    condition     = alltrue([for line in ["encrypt      = true", "use_lockfile = true", "postrail/ENV/terraform.tfstate"] : strcontains(output.backend, line)])
    error_message = "What goes into the environment's backend file encrypts, and keeps two deployments apart."
  }
}
