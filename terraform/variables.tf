variable "name_prefix" {
  description = "Starts the name of every resource, so that several copies fit into one account."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,24}$", var.name_prefix))
    error_message = "Use 2 to 25 lower-case letters, digits and hyphens, starting with a letter."
  }
}

variable "region" {
  description = "AWS region."
  type        = string
  default     = "eu-west-2"
}

variable "tags" {
  description = "Tags for every resource, besides Application, Prefix and ManagedBy."
  type        = map(string)
  default     = {}
}

variable "target" {
  description = <<-EOT
    What the target can do. The defaults describe a real AWS account; an emulator says what it lacks.
    emulator: one host for everything, over plain HTTP: path-style S3, and no policy may insist on TLS.
    pipes_run: EventBridge Pipes exist and run. When false no pipe is created; the output `pipes` still defines them.
    tracing: X-Ray is available.
    dependencies_layer: functions take their packages from build/dependencies-layer.zip.
    tasks_run: ECS runs tasks. When false the rule for batch files fills a queue, from which a runner takes the commands.
    alarms_run: CloudWatch has metrics of log groups and queues, raises alarms and keeps queries. When false there are dashboards alone.
    jwt_authorizer: API Gateway checks access tokens against their issuer. When false only the functions do.
    audit_trail: CloudTrail records what is done. When false there is no trail.
    edge: CloudFront and its web application firewall exist. When false the APIs stand alone.
    endpoints_run: a VPC has endpoints and flow logs, and keeps their settings. When false neither is created.
    database_telemetry: RDS hands the logs of a database to CloudWatch, and measures it under a key. When false neither is asked for.
  EOT
  type = object({
    emulator           = optional(bool, false)
    pipes_run          = optional(bool, true)
    tracing            = optional(bool, true)
    dependencies_layer = optional(bool, true)
    tasks_run          = optional(bool, true)
    alarms_run         = optional(bool, true)
    jwt_authorizer     = optional(bool, true)
    audit_trail        = optional(bool, true)
    edge               = optional(bool, true)
    endpoints_run      = optional(bool, true)
    database_telemetry = optional(bool, true)
  })
  default = {}
}

variable "zip_dir" {
  description = "Folder of the function archives that lambdas/build.py makes. Relative paths start at the root module."
  type        = string
  default     = "../build"
}

variable "architecture" {
  description = "Instruction set of the functions; the dependencies layer must be built for the same one."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "Use arm64 or x86_64."
  }
}

variable "log_level" {
  description = "Lowest level that the functions log."
  type        = string
  default     = "INFO"
}

variable "log_retention_days" {
  description = "How long log groups keep their events, in days."
  type        = number
  default     = 30
}

variable "archive_retention_days" {
  description = "How long the bus archive can replay, in days."
  type        = number
  default     = 30
}

variable "archive_everything" {
  description = "The archive keeps every event that Postrail published, also those that can be made again from PaymentAccepted."
  type        = bool
  default     = false
}

variable "parked_retention_days" {
  description = "How long parked events are kept, in days."
  type        = number
  default     = 400
}

variable "parked_lock" {
  description = <<-EOT
    The lock of parked events, by S3 Object Lock.
    mode: COMPLIANCE: nobody shortens the retention of what is written, the account's root included. GOVERNANCE: who has
    s3:BypassGovernanceRetention does, as Terraform needs it to destroy a trial. Use COMPLIANCE where the proof counts.
    days: how long a parked event cannot be deleted; at most `parked_retention_days`, which ends it.
  EOT
  type = object({
    mode = optional(string, "GOVERNANCE")
    days = optional(number, 365)
  })
  default = {}

  validation {
    condition     = contains(["COMPLIANCE", "GOVERNANCE"], var.parked_lock.mode)
    error_message = "mode is COMPLIANCE or GOVERNANCE."
  }

  validation {
    condition     = var.parked_lock.days >= 1 && var.parked_lock.days <= var.parked_retention_days && floor(var.parked_lock.days) == var.parked_lock.days
    error_message = "Lock for 1 day or more, whole days, and not beyond parked_retention_days."
  }
}

variable "dedup_window_hours" {
  description = "How long a payment key is remembered by the duplicate check, in hours."
  type        = number
  default     = 72
}

variable "sequence_timeout_seconds" {
  description = "After how many seconds an incomplete posting sequence counts as overdue."
  type        = number
  default     = 900
}

variable "posting_input_format" {
  description = "The issuing bank's format of a posting input: json or fixed_width."
  type        = string
  default     = "json"

  validation {
    condition     = contains(["json", "fixed_width"], var.posting_input_format)
    error_message = "Use json or fixed_width."
  }
}

variable "maximum_concurrency" {
  description = "How many copies of one function its queue may start at once, unless `stages` says otherwise. Default: config/stages.yaml."
  type        = number
  default     = null

  validation {
    condition     = var.maximum_concurrency == null ? true : var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "Lambda accepts 2 to 1000."
  }
}

variable "max_receive_count" {
  description = "How often a message is tried before it goes to its dead-letter queue."
  type        = number
  default     = 5

  validation {
    condition     = var.max_receive_count >= 2
    error_message = "One failed attempt, a deployment for instance, must not dead-letter a payment: use 2 or more."
  }
}

variable "stages" {
  description = <<-EOT
    Settings per stage: deduplicate, standardise, enrich, apply_rules, sequence_postings, post, record_outcome.
    delivery: realtime (rule -> function), near_realtime (rule -> queue -> function in batches of 10) or
    batch (rule -> queue -> function, every 1,000 messages or five minutes). `post` and `apply_rules` deviate, see README.
    batch_size, batching_window_seconds: most events in one invocation, and how long they are waited for; more than ten need
    a second. What is left out stands in config/stages.yaml, with docs/decisions/0022-cheapest-sound-configuration.md.
  EOT
  type = map(object({
    delivery                = optional(string)
    memory_mb               = optional(number)
    timeout_seconds         = optional(number)
    batch_size              = optional(number)
    batching_window_seconds = optional(number)
    maximum_concurrency     = optional(number)
    reserved_concurrency    = optional(number)
  }))
  default = {}

  validation {
    condition = alltrue([for name in keys(var.stages) : contains(
      ["deduplicate", "standardise", "enrich", "apply_rules", "sequence_postings", "post", "record_outcome"], name
    )])
    error_message = "Unknown stage."
  }

  validation {
    condition     = alltrue([for stage in values(var.stages) : contains(["realtime", "near_realtime", "batch"], coalesce(stage.delivery, "batch"))])
    error_message = "delivery is realtime, near_realtime or batch."
  }

  validation {
    condition     = try(coalesce(var.stages["post"].delivery), "near_realtime") != "realtime"
    error_message = "Postings are always queued: the queue is what keeps them while the ledger is away."
  }

  validation {
    condition     = alltrue([for stage in values(var.stages) : coalesce(stage.timeout_seconds, 30) >= 1 && coalesce(stage.timeout_seconds, 30) <= 900])
    error_message = "A function runs for 1 to 900 seconds."
  }
}

variable "network" {
  description = <<-EOT
    Where that lives which needs the ledger: some functions, the tasks of batch and switch, the database.
    create: a VPC with private subnets in several zones is made. `cidr`, `zones`, `nat` and `flow_log_days` are about it.
    cidr: its addresses, a /16 to /20. Choose what does not collide with networks that are ever to be connected.
    zones: in how many zones; `zone_names` says in which, default: the first.
    nat: functions of the APIs reach https addresses on the internet, by a NAT gateway in each zone.
    database_cidrs: where a database is that has a network of its own (`ledger.host`); the routes there are yours to make.
    flow_log_days: how long it is kept who spoke to whom.
    vpc_id, subnet_ids, security_group_ids: with create = false, a network that is there: subnets in two zones at least, and
    groups that functions and tasks get besides ours; they know the ways out, to AWS's services for instance. No vpc_id: no
    network at all. Functions are outside, and no task runs.
  EOT
  type = object({
    create             = optional(bool, true)
    cidr               = optional(string, "10.64.0.0/16")
    zones              = optional(number, 3)
    zone_names         = optional(list(string))
    nat                = optional(bool, false)
    database_cidrs     = optional(list(string), [])
    flow_log_days      = optional(number, 400)
    vpc_id             = optional(string)
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
  })
  default = {}

  validation {
    condition     = can(cidrnetmask(var.network.cidr)) && try(tonumber(split("/", var.network.cidr)[1]) >= 16 && tonumber(split("/", var.network.cidr)[1]) <= 20, false)
    error_message = "cidr is an IPv4 range from /16 to /20."
  }

  validation {
    condition     = var.network.zones >= 2 && var.network.zones <= 6 && (var.network.zone_names == null ? true : length(var.network.zone_names) >= 2 && length(var.network.zone_names) <= 6)
    error_message = "Use 2 to 6 zones: what is paid must outlive the loss of one."
  }

  validation {
    condition     = !var.network.create || (var.network.vpc_id == null && length(var.network.subnet_ids) == 0 && length(var.network.security_group_ids) == 0)
    error_message = "vpc_id, subnet_ids and security_group_ids name a network that is there: they need create = false."
  }

  validation {
    condition     = var.network.vpc_id == null ? length(var.network.subnet_ids) == 0 : length(var.network.subnet_ids) >= 2
    error_message = "A network that is there is named by its vpc_id and two subnets or more, in different zones."
  }

  validation {
    # What CloudWatch Logs takes, from three months on.
    condition     = contains([90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.network.flow_log_days)
    error_message = "CloudWatch Logs keeps for 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "ledger" {
  description = <<-EOT
    The PostgreSQL that holds the ledger, and how functions reach it. By default one is made: Aurora behind a proxy.
    host, port, dbname, username, sslmode: an existing database instead, PostgreSQL 15 or later, and `ledger_password` with it.
    sslmode: verify-full, by public roots; require, where its certificate is the bank's own; disable, on one machine.
    password_version: raise it with another `ledger_password`: Terraform keeps none, and cannot see that it changed.
    migrate: Terraform invokes migrate_ledger whenever its code changes. Set false where somebody else migrates first.
    The rest is about the database that is made. engine_version: Aurora PostgreSQL 16, minor releases come by themselves.
    acu_min, acu_max: between which capacity units (of 2 GiB) each instance grows and shrinks; see docs/database.md.
    readers: instances besides the writer, in other zones; without one the loss of an instance is some ten minutes.
    backup_days: within how many days any second can be restored.
    rotation_days: how old the password of the proxy gets. RDS changes its owner's every week by itself.
  EOT
  type = object({
    host             = optional(string)
    port             = optional(number, 5432)
    dbname           = optional(string, "ledger")
    username         = optional(string)
    sslmode          = optional(string, "verify-full")
    password_version = optional(number, 1)
    migrate          = optional(bool, true)
    engine_version   = optional(string, "16.8")
    acu_min          = optional(number, 1)
    acu_max          = optional(number, 16)
    readers          = optional(number, 1)
    backup_days      = optional(number, 35)
    rotation_days    = optional(number, 30)
  })
  default = {}

  validation {
    condition     = (var.ledger.host == null) == (var.ledger.username == null)
    error_message = "host and username go together: both name an existing database."
  }

  validation {
    condition     = var.ledger.host != null || var.network.create || var.network.vpc_id != null
    error_message = "The database is made in a network: give `network`, or name an existing database as `ledger.host`."
  }

  validation {
    condition     = contains(["disable", "require", "verify-full"], var.ledger.sslmode)
    error_message = "sslmode is verify-full, require or disable."
  }

  validation {
    condition     = var.ledger.rotation_days >= 1 && var.ledger.rotation_days <= 90 && floor(var.ledger.rotation_days) == var.ledger.rotation_days
    error_message = "Rotate within 1 to 90 whole days."
  }
}

variable "ledger_password" {
  description = "Password of the user of an existing database. Give it as TF_VAR_ledger_password, at the plan and at the apply: it is in neither plan nor state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}

variable "anchors" {
  description = <<-EOT
    The anchors of the ledger, in a bucket with Object Lock.
    schedule: when one is taken, rate(...) or cron(...).
    lock_mode: COMPLIANCE: nobody shortens the retention of what is written, the account's root included. GOVERNANCE: who has
    s3:BypassGovernanceRetention does, as Terraform needs it to destroy a trial. Use COMPLIANCE where the proof counts.
    lock_days: how long an anchor cannot be deleted.
    alarm_hours: after how many hours without an anchor people are told; longer than the schedule's pause.
  EOT
  type = object({
    schedule    = optional(string, "rate(1 hour)")
    lock_mode   = optional(string, "GOVERNANCE")
    lock_days   = optional(number, 365)
    alarm_hours = optional(number, 3)
  })
  default = {}

  validation {
    condition     = contains(["COMPLIANCE", "GOVERNANCE"], var.anchors.lock_mode)
    error_message = "lock_mode is COMPLIANCE or GOVERNANCE."
  }

  validation {
    condition     = var.anchors.lock_days >= 1 && var.anchors.lock_days <= 36500 && floor(var.anchors.lock_days) == var.anchors.lock_days
    error_message = "S3 retains for 1 to 36500 whole days."
  }

  validation {
    # CloudWatch looks back over a week at most, hour by hour.
    condition     = var.anchors.alarm_hours >= 2 && var.anchors.alarm_hours <= 168
    error_message = "Use 2 to 168 hours."
  }
}

variable "audit" {
  description = <<-EOT
    The record of who touched what: the card vault's items, and objects of the buckets of anchors, parked events and batch files.
    enabled: false where the account or its organization has a trail that records these already.
    management_events: also everything else that is done in the account, each use of a key included. Without them nobody is
    told of a stranger at the key of card numbers, or of a changed key or trail. A second trail of them costs by the event.
    lock_mode, lock_days: as for `parked_lock`, of the records. retention_days: how long they stay; PCI DSS wants a year.
  EOT
  type = object({
    enabled           = optional(bool, true)
    management_events = optional(bool, true)
    lock_mode         = optional(string, "GOVERNANCE")
    lock_days         = optional(number, 365)
    retention_days    = optional(number, 400)
  })
  default = {}

  validation {
    condition     = contains(["COMPLIANCE", "GOVERNANCE"], var.audit.lock_mode)
    error_message = "lock_mode is COMPLIANCE or GOVERNANCE."
  }

  validation {
    condition     = var.audit.lock_days >= 1 && var.audit.lock_days <= var.audit.retention_days && floor(var.audit.lock_days) == var.audit.lock_days
    error_message = "Lock for 1 day or more, whole days, and not beyond retention_days."
  }
}

variable "expire_holds_schedule" {
  description = "When holds that are due are ended, rate(...) or cron(...). Until then they hold."
  type        = string
  default     = "rate(1 minute)"
}

variable "batch" {
  description = <<-EOT
    The Fargate task that posts a file from the batch inbox.
    cpu, memory_mb: as Fargate pairs them. A million payments fit into the default; see docs/batch-in-aws.md.
    workers: processes that prepare and post; default: one for each processor of the task.
    timeout_minutes: a run that takes longer is ended, and can be continued. alarm_minutes: from when on people are told.
    retention_days: how long files and results stay.
    image: full name of an image from elsewhere; default: `image_tag` in the repository that is created here.
  EOT
  type = object({
    cpu                   = optional(number, 2048)
    memory_mb             = optional(number, 4096)
    ephemeral_storage_gib = optional(number, 30)
    workers               = optional(number)
    timeout_minutes       = optional(number, 60)
    alarm_minutes         = optional(number, 15)
    retention_days        = optional(number, 400)
    image                 = optional(string)
  })
  default = {}
}

variable "batch_image_tag" {
  description = "Which image of the batch task runs; `make image` pushes it and `make deploy` names it."
  type        = string
  default     = "0.1.0"
}

variable "switch" {
  description = <<-EOT
    The card switch: a Fargate service for each network and bank of `ecosystem_file`.
    run: load balancer and tasks run, in `network`. Until then the rest is made: an image and keys must be there first.
    acquirer_cidrs: from where networks are called; default: from nowhere.
    cpu, memory_mb: of each task, as Fargate pairs them.
    tasks_min, tasks_max, cpu_target_percent: how many tasks each party has, and at what load it gets more.
    hsm: where keys are used: software, with keys out of each party's secret, or payment_cryptography, with hsm_key_arns.
    image: full name of an image from elsewhere; default: `switch_image_tag` in the repository that is created here.
  EOT
  type = object({
    run                = optional(bool, false)
    acquirer_cidrs     = optional(list(string), [])
    cpu                = optional(number, 1024)
    memory_mb          = optional(number, 2048)
    tasks_min          = optional(number, 2)
    tasks_max          = optional(number, 8)
    cpu_target_percent = optional(number, 60)
    container_insights = optional(bool, false)
    hsm                = optional(string, "software")
    hsm_key_arns       = optional(list(string), [])
    image              = optional(string)
  })
  default = {}
}

variable "switch_image_tag" {
  description = "Which image of the switch runs; `make image IMAGE=switch` pushes it and `make deploy` names it."
  type        = string
  default     = "0.1.0"
}

variable "ecosystem_file" {
  description = "Networks and banks. The same file is in the switch's image. Relative paths start at the root module."
  type        = string
  default     = "../config/ecosystem.yaml"
}

variable "api" {
  description = <<-EOT
    The HTTP APIs of bank and network.
    requests_per_second, burst: what each takes of all its callers together, before it answers 429.
    memory_mb: of the functions behind them.
  EOT
  type = object({
    requests_per_second = optional(number, 100)
    burst               = optional(number, 200)
    memory_mb           = optional(number, 1024)
  })
  default = {}
}

variable "edge" {
  description = <<-EOT
    CloudFront with a web application firewall before the APIs.
    enabled: false where something of yours stands there already.
    guarded: functions refuse what did not come by the edge. Put its key in first: docs/decisions/0019-edge-in-front-of-the-apis.md.
    requests_per_5_minutes: what one address may send; beyond it is answered 429 until it calms down.
    domains: names of your own, by API (bank, network), each with its certificate in us-east-1. Without them the APIs have names
    of CloudFront's, at which older TLS than 1.2 cannot be refused.
  EOT
  type = object({
    enabled                = optional(bool, true)
    guarded                = optional(bool, false)
    requests_per_5_minutes = optional(number, 20000)
    domains                = optional(map(object({ name = string, certificate_arn = string })), {})
  })
  default = {}

  validation {
    condition     = var.edge.requests_per_5_minutes >= 10 && var.edge.requests_per_5_minutes <= 2000000000
    error_message = "The firewall counts 10 to 2,000,000,000 requests."
  }

  validation {
    condition     = length(setsubtract(keys(var.edge.domains), ["bank", "network"])) == 0 && alltrue([for domain in values(var.edge.domains) : can(regex("^arn:[^:]+:acm:us-east-1:", domain.certificate_arn))])
    error_message = "domains are those of bank and network, with certificates in us-east-1."
  }

  validation {
    condition     = var.edge.enabled || !var.edge.guarded
    error_message = "Without the edge nothing can come by it: guarded wants enabled."
  }
}

variable "token_issuer" {
  description = "Who signs access tokens for the APIs, the claim iss: an https address with .well-known/openid-configuration."
  type        = string
  default     = ""
}

variable "token_audience" {
  description = "For whom access tokens are made out, the claim aud."
  type        = string
  default     = "postrail"
}

variable "token_keys" {
  description = <<-EOT
    Public keys of `token_issuer`: a JWKS document, or its https address; default: .well-known/jwks.json below the issuer.
    Functions in a VPC without `network.nat` reach no address: they need the document, and a deployment when the issuer's keys
    change.
  EOT
  type        = string
  default     = ""

  validation {
    condition     = var.token_issuer == "" || !var.network.create || var.network.nat || startswith(trimspace(var.token_keys), "{")
    error_message = "The functions of the APIs live in a VPC without a way to the internet, and check tokens by the issuer's keys: give the keys themselves, export TF_VAR_token_keys=\"$(curl --fail --silent ISSUER/.well-known/jwks.json)\", or pay for a way out, network = { nat = true }."
  }
}

variable "alert_emails" {
  description = "Addresses that get the alerts. Each has to confirm its subscription."
  type        = set(string)
  default     = []
}

variable "alarm_thresholds" {
  description = "Thresholds that differ from those in config/figures.yaml, by alarm and in the unit named there."
  type        = map(number)
  default     = {}
}

variable "deletion_protection" {
  description = "Tables cannot be deleted, buckets only when empty, and the secret can be restored for 30 days."
  type        = bool
  default     = true
}
