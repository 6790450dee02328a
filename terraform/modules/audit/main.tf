# Who touched what: each use of the card vault, of its key, and of the objects that prove something, kept where nobody changes it.
#
# Digests are signed by CloudTrail each hour: `aws cloudtrail validate-logs --trail-arn ...` finds a record that was changed,
# added or taken away, and the bucket's lock keeps that from happening at all.

locals {
  name      = "${var.platform.name_prefix}-audit"
  trail_arn = "arn:${var.platform.partition}:cloudtrail:${var.platform.region}:${var.platform.account_id}:trail/${local.name}"

  # Management events are account-wide and hold each use of a key. The others are of the named resources alone.
  selectors = concat(
    [for selector in [{
      name   = "Management, each use of a key included"
      fields = [{ field = "eventCategory", equals = ["Management"], starts_with = null }]
    }] : selector if var.settings.management_events],
    [
      {
        name = "Items of the card vault"
        fields = [
          { field = "eventCategory", equals = ["Data"], starts_with = null },
          { field = "resources.type", equals = ["AWS::DynamoDB::Table"], starts_with = null },
          { field = "resources.ARN", equals = [var.vault.table_arn], starts_with = null },
        ]
      },
      {
        name = "Objects that prove something"
        fields = [
          { field = "eventCategory", equals = ["Data"], starts_with = null },
          { field = "resources.type", equals = ["AWS::S3::Object"], starts_with = null },
          { field = "resources.ARN", equals = null, starts_with = [for arn in var.bucket_arns : "${arn}/"] },
        ]
      },
    ],
  )
}

resource "aws_cloudtrail" "this" {
  #checkov:skip=CKV_AWS_252:people are told by alarms on what is in the records, not of each file that arrives

  name                          = local.name
  s3_bucket_name                = aws_s3_bucket.records.id
  kms_key_id                    = var.audit_key_arn
  is_multi_region_trail         = true # what is done elsewhere in the account's name is done to this copy too
  include_global_service_events = true
  enable_log_file_validation    = true
  cloud_watch_logs_group_arn    = "${aws_cloudwatch_log_group.records.arn}:*"
  cloud_watch_logs_role_arn     = aws_iam_role.deliver.arn

  dynamic "advanced_event_selector" {
    for_each = local.selectors

    content {
      name = advanced_event_selector.value.name

      dynamic "field_selector" {
        for_each = advanced_event_selector.value.fields

        content {
          field       = field_selector.value.field
          equals      = field_selector.value.equals
          starts_with = field_selector.value.starts_with
        }
      }
    }
  }

  # CloudTrail tries both before it makes the trail.
  depends_on = [aws_iam_role_policy.deliver, aws_s3_bucket_policy.records]
}

# The bucket keeps; this is for searching, and for the metrics below.
resource "aws_cloudwatch_log_group" "records" {
  name              = "/aws/cloudtrail/${local.name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.audit_key_arn
}

resource "aws_iam_role" "deliver" {
  name        = "${local.name}-delivery"
  description = "Lets the trail write into its log group."

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "cloudtrail.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
    }]
  })
}

resource "aws_iam_role_policy" "deliver" {
  name = "deliver"
  role = aws_iam_role.deliver.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WriteRecords"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.records.arn}:log-stream:${var.platform.account_id}_CloudTrail_*"]
    }]
  })
}
