# Records are written by CloudTrail alone, read by whoever may, and deleted by nobody before their lock is over.
#
# Bucket names are unique in the whole world, hence the account in the name.
resource "aws_s3_bucket" "records" {
  #checkov:skip=CKV_AWS_18:a trail that recorded its own bucket would never end; its digests tell whether records are whole
  #checkov:skip=CKV_AWS_144:whether records may leave the region is for the operator to say
  #checkov:skip=CKV2_AWS_62:nothing reacts to a file of records: the log group has the same ones sooner

  bucket              = "${local.name}-${var.platform.account_id}"
  object_lock_enabled = true
  # With the right to bypass it, also over GOVERNANCE. COMPLIANCE knows no such right: the bucket stays with its objects.
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_versioning" "records" {
  bucket = aws_s3_bucket.records.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "records" {
  bucket = aws_s3_bucket.records.id

  rule {
    default_retention {
      mode = var.settings.lock_mode
      days = var.settings.lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.records]
}

resource "aws_s3_bucket_public_access_block" "records" {
  bucket                  = aws_s3_bucket.records.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "records" {
  bucket = aws_s3_bucket.records.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "records" {
  bucket = aws_s3_bucket.records.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.audit_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "records" {
  bucket = aws_s3_bucket.records.id

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

  depends_on = [aws_s3_bucket_versioning.records]
}

resource "aws_s3_bucket_policy" "records" {
  bucket = aws_s3_bucket.records.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TrailLooksAtBucket"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:GetBucketAcl"
        Resource  = aws_s3_bucket.records.arn
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "TrailWrites"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = "${aws_s3_bucket.records.arn}/AWSLogs/${var.platform.account_id}/*"
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn, "s3:x-amz-acl" = "bucket-owner-full-control" } }
      },
      {
        Sid       = "NobodyElseWrites"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = ["s3:DeleteObject", "s3:PutObject"]
        Resource  = "${aws_s3_bucket.records.arn}/*"
        Condition = { Bool = { "aws:PrincipalIsAWSService" = "false" } }
      },
      {
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*" # a denial must leave no gap
        Resource  = [aws_s3_bucket.records.arn, "${aws_s3_bucket.records.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })

  # Both change the bucket's access rules, which S3 does not do at the same time.
  depends_on = [aws_s3_bucket_public_access_block.records]
}
