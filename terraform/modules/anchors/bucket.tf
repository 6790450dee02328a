# A version that is written stays until its retention is over, and then goes on staying: an anchor has about 3 KB, and proves as
# long as the ledger stands.
#
# Bucket names are unique in the whole world, hence the account in the name.
resource "aws_s3_bucket" "anchors" {
  #checkov:skip=CKV_AWS_18:who touches which object is in the audit trail; access logs would tell the same again, at best effort
  #checkov:skip=CKV_AWS_144:the ledger that it proves is in one region; whether data may leave that is for the operator to say
  #checkov:skip=CKV2_AWS_62:nothing reacts to an anchor, and its absence is alarmed by the function's metrics

  bucket              = "${var.platform.name_prefix}-ledger-anchors-${var.platform.account_id}"
  object_lock_enabled = true
  # With the right to bypass it, also over GOVERNANCE. COMPLIANCE knows no such right: the bucket stays with its objects.
  force_destroy = !var.deletion_protection
}

resource "aws_s3_bucket_versioning" "anchors" {
  bucket = aws_s3_bucket.anchors.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "anchors" {
  bucket = aws_s3_bucket.anchors.id

  rule {
    default_retention {
      mode = var.settings.lock_mode
      days = var.settings.lock_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.anchors]
}

# Only what was never written to its end goes.
resource "aws_s3_bucket_lifecycle_configuration" "anchors" {
  bucket = aws_s3_bucket.anchors.id

  rule {
    id     = "unfinished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }

  depends_on = [aws_s3_bucket_versioning.anchors]
}

resource "aws_s3_bucket_public_access_block" "anchors" {
  bucket                  = aws_s3_bucket.anchors.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "anchors" {
  bucket = aws_s3_bucket.anchors.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "anchors" {
  bucket = aws_s3_bucket.anchors.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.anchors_key_arn
    }
  }
}

resource "aws_s3_bucket_policy" "anchors" {
  bucket = aws_s3_bucket.anchors.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        # A delete without a version removes nothing that is locked, but hides it from a listing.
        Sid       = "NobodyHidesAnchors"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:DeleteObject"
        Resource  = "${aws_s3_bucket.anchors.arn}/*"
      }],
      [for statement in [{
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*" # a denial must leave no gap
        Resource  = [aws_s3_bucket.anchors.arn, "${aws_s3_bucket.anchors.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }] : statement if !var.platform.emulator],
    )
  })

  # Both change the bucket's access rules, which S3 does not do at the same time.
  depends_on = [aws_s3_bucket_public_access_block.anchors]
}
