# The inbox: files come in under incoming/, what was not posted goes out under results/.
# Bucket names are unique in the whole world, hence the account in the name.
resource "aws_s3_bucket" "inbox" {
  #checkov:skip=CKV_AWS_18:who touches which object is in the audit trail; access logs would tell the same again, at best effort
  #checkov:skip=CKV_AWS_144:its sender still has the file; whether data may leave the region is for the operator to say

  bucket        = "${var.platform.name_prefix}-batch-inbox-${var.platform.account_id}"
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "inbox" {
  bucket                  = aws_s3_bucket.inbox.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "inbox" {
  bucket = aws_s3_bucket.inbox.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "inbox" {
  bucket = aws_s3_bucket.inbox.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "inbox" {
  bucket = aws_s3_bucket.inbox.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.batch_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "inbox" {
  bucket = aws_s3_bucket.inbox.id

  rule {
    id     = "retention"
    status = "Enabled"

    filter {}

    expiration {
      days = var.settings.retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.inbox]
}

resource "aws_s3_bucket_policy" "inbox" {
  count = var.platform.emulator ? 0 : 1 # it holds nothing but the demand for TLS

  bucket = aws_s3_bucket.inbox.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyOverTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*" # a denial must leave no gap
      Resource  = [aws_s3_bucket.inbox.arn, "${aws_s3_bucket.inbox.arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })

  # Both change the bucket's access rules, which S3 does not do at the same time.
  depends_on = [aws_s3_bucket_public_access_block.inbox]
}

resource "aws_s3_bucket_notification" "inbox" {
  bucket      = aws_s3_bucket.inbox.id
  eventbridge = true
}
