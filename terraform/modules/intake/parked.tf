# Parked events are evidence: what was refused as a duplicate or a conflict stays as it was written until its lock is over.
# The lifecycle ends what its retention is over for, and waits for the lock where that is longer.
#
# Bucket names are unique in the whole world, hence the account in the name.
resource "aws_s3_bucket" "parked" {
  #checkov:skip=CKV_AWS_18:who touches which object is in the audit trail; access logs would tell the same again, at best effort
  #checkov:skip=CKV_AWS_144:a parked event is a copy of one that was handled; whether data may leave the region is for the operator to say
  #checkov:skip=CKV2_AWS_62:the event DuplicateParked tells of each object already

  bucket              = "${var.platform.name_prefix}-parked-events-${var.platform.account_id}"
  object_lock_enabled = true
  # With the right to bypass it, also over GOVERNANCE. COMPLIANCE knows no such right: the bucket stays with its objects.
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_public_access_block" "parked" {
  bucket                  = aws_s3_bucket.parked.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "parked" {
  bucket = aws_s3_bucket.parked.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "parked" {
  bucket = aws_s3_bucket.parked.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "parked" {
  bucket = aws_s3_bucket.parked.id

  rule {
    default_retention {
      mode = var.parked_lock.mode
      days = var.parked_lock.days
    }
  }

  depends_on = [aws_s3_bucket_versioning.parked]
}

resource "aws_s3_bucket_server_side_encryption_configuration" "parked" {
  bucket = aws_s3_bucket.parked.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.parked_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "parked" {
  bucket = aws_s3_bucket.parked.id

  rule {
    id     = "retention"
    status = "Enabled"

    filter {}

    expiration {
      days = var.parked_retention_days
    }

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.parked]
}

resource "aws_s3_bucket_policy" "parked" {
  bucket = aws_s3_bucket.parked.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        # A delete without a version removes nothing that is locked, but hides it from a listing.
        Sid       = "NobodyHidesParkedEvents"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:DeleteObject"
        Resource  = "${aws_s3_bucket.parked.arn}/*"
      }],
      [for statement in [{
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*" # a denial must leave no gap
        Resource  = [aws_s3_bucket.parked.arn, "${aws_s3_bucket.parked.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }] : statement if !var.platform.emulator],
    )
  })

  # Both change the bucket's access rules, which S3 does not do at the same time.
  depends_on = [aws_s3_bucket_public_access_block.parked]
}
