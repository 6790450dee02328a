data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  zip_dir   = startswith(var.zip_dir, "/") ? var.zip_dir : "${path.root}/${var.zip_dir}"
  layer_zip = "${local.zip_dir}/dependencies-layer.zip"

  # Where this copy of Postrail lives; each module takes the part it needs.
  place = {
    name_prefix = var.name_prefix
    partition   = data.aws_partition.current.partition
    account_id  = data.aws_caller_identity.current.account_id
    region      = var.region
    emulator    = var.target.emulator
  }

  platform = merge(local.place, {
    events_key_arn     = module.security.key_arns.events
    rule_arn_prefix    = module.event_bus.rule_arn_prefix
    zip_dir            = local.zip_dir
    architecture       = var.architecture
    layer_arns         = aws_lambda_layer_version.dependencies[*].arn
    tracing            = var.target.tracing
    log_level          = var.log_level
    log_retention_days = var.log_retention_days
    logs_key_arn       = module.security.key_arns.logs
    functions_key_arn  = module.security.key_arns.functions
    max_receive_count  = var.max_receive_count
    # How long a rule keeps trying to reach its target before the event goes to the queue rules-undelivered.
    delivery_retry = { age_seconds = 2 * 3600, attempts = 60 }
  })

  # Apart from the platform: queues take half a minute and need not wait for the bus.
  bus = {
    name            = module.event_bus.name
    arn             = module.event_bus.arn
    undelivered_arn = module.event_bus.undelivered.arn
  }

  # With a customer's key DynamoDB acts in the name of its caller, who needs the key, but through DynamoDB alone.
  tables_key = {
    arn = module.security.key_arns.tables
    statement = {
      sid       = "UseTablesKey"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      resources = [module.security.key_arns.tables]
      condition = { StringEquals = { "kms:ViaService" = "dynamodb.${var.region}.amazonaws.com" } }
    }
  }

  publish = {
    sid       = "Publish"
    actions   = ["events:PutEvents"]
    resources = [module.event_bus.arn]
    condition = {}
  }
}

module "event_bus" {
  source = "./modules/event_bus"

  platform               = local.place
  events_key_arn         = module.security.key_arns.events
  archive_retention_days = var.archive_retention_days
  archive_leaves_out     = var.archive_everything ? [] : local.sizes.archive_leaves_out
}

# The packages that the functions import. An emulator that runs functions in its own interpreter has them already, and
# would trip over a layer built for another one.
resource "aws_lambda_layer_version" "dependencies" {
  count = var.target.dependencies_layer ? 1 : 0

  layer_name               = "${var.name_prefix}-dependencies"
  description              = "Third-party packages of Postrail's functions."
  filename                 = local.layer_zip
  source_code_hash         = fileexists(local.layer_zip) ? filebase64sha256(local.layer_zip) : null
  compatible_runtimes      = ["python3.13"]
  compatible_architectures = [var.architecture]
}

module "intake" {
  source = "./modules/intake"

  platform              = local.platform
  bus                   = local.bus
  settings              = local.stages.deduplicate
  tables_key            = local.tables_key
  parked_key_arn        = module.security.key_arns.parked
  parked_retention_days = var.parked_retention_days
  parked_lock           = var.parked_lock
  dedup_window_hours    = var.dedup_window_hours
  pipes_run             = var.target.pipes_run
  deletion_protection   = var.deletion_protection
}

module "standardise" {
  source = "./modules/stage"

  platform     = local.platform
  bus          = local.bus
  settings     = local.stages.standardise
  name         = "standardise"
  description  = "Turns an accepted payment into an ISO 20022 advice."
  detail_types = ["PaymentAccepted"]
  statements   = [local.publish]
}

module "reference" {
  source = "./modules/table"

  name                = "${var.name_prefix}-reference"
  hash_key            = "pk"
  key_arn             = module.security.key_arns.tables
  deletion_protection = var.deletion_protection
}

module "enrich" {
  source = "./modules/stage"

  platform     = local.platform
  bus          = local.bus
  settings     = local.stages.enrich
  name         = "enrich"
  description  = "Completes the advice with what the issuer knows."
  detail_types = ["PaymentStandardised"]
  environment  = { POSTRAIL_REFERENCE_TABLE = module.reference.name }

  statements = [
    {
      sid       = "ReadReferenceData"
      actions   = ["dynamodb:BatchGetItem"]
      resources = [module.reference.arn]
    },
    local.tables_key.statement,
    local.publish,
  ]
}

module "rules_engine" {
  source = "./modules/rules_engine"

  platform            = local.platform
  bus                 = local.bus
  settings            = local.stages.apply_rules
  tables_key          = local.tables_key
  pipes_run           = var.target.pipes_run
  deletion_protection = var.deletion_protection
}

module "sequence_postings" {
  source = "./modules/stage"

  platform     = local.platform
  bus          = local.bus
  settings     = local.stages.sequence_postings
  name         = "sequence_postings"
  description  = "Splits an approved payment into its postings."
  detail_types = ["PaymentApproved"]
  statements   = [local.publish]
}

module "posting" {
  source = "./modules/posting"

  platform                 = local.platform
  bus                      = local.bus
  settings                 = local.stages.post
  ledger                   = module.ledger.access
  posting_input_format     = var.posting_input_format
  sequence_timeout_seconds = var.sequence_timeout_seconds
  expire_holds_schedule    = var.expire_holds_schedule
}

module "anchors" {
  source = "./modules/anchors"

  platform            = local.platform
  bus_name            = local.bus.name
  settings            = var.anchors
  ledger              = module.ledger.access
  anchors_key_arn     = module.security.key_arns.anchors
  alerts_topic_arn    = module.notifications.topics.alerts
  alarms_run          = var.target.alarms_run
  deletion_protection = var.deletion_protection
}

module "record_outcome" {
  source = "./modules/stage"

  platform     = local.platform
  bus          = local.bus
  settings     = local.stages.record_outcome
  name         = "record_outcome"
  description  = "Keeps the outcome of payments that end outside the ledger, and what issuers reversed."
  detail_types = ["AuthorizationReversed", "DuplicateParked", "PaymentReferred", "PaymentRejected"]
  environment  = module.ledger.access.environment
  statements   = module.ledger.access.statements
  vpc          = module.ledger.access.vpc
}

module "notifications" {
  source = "./modules/notifications"

  platform           = local.platform
  bus                = local.bus
  alert_emails       = var.alert_emails
  alerting_rule_arns = [local.default_bus_rules]
}
