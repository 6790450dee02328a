# The card switch in the cloud: one service for each network and each bank of the ecosystem, behind one internal load balancer.
#
# Every task can end at any moment. What must outlive it (holds, authorizations, messages to be repeated) is in PostgreSQL
# before an answer leaves; connections are built again by whoever opened them.
#
# Where tasks do not run, or no VPC is named yet, everything is made but what runs: no service, load balancer or alarm.

locals {
  name      = "${var.platform.name_prefix}-switch"
  container = "switch"
  runs      = var.tasks_run && var.place != null

  # The only folder that can be written to; the image makes it, with the right owner.
  scratch = "/scratch"
  user    = "10001:10001"

  health_port = 8580

  # Every party by its id: who it is, where it listens, and whether its links need certificates.
  parties = merge(
    { for network in var.ecosystem.networks : network.id => {
      kind      = "network"
      listen    = network.listen
      certified = network.listen.tls != null || anytrue([for bank in var.ecosystem.banks : bank.listen.tls != null if contains(bank.networks, network.id)])
    } },
    { for bank in var.ecosystem.banks : bank.id => { kind = "bank", listen = bank.listen, certified = bank.listen.tls != null } },
  )

  certified = { for id, party in local.parties : id => party if party.certified }

  image = coalesce(var.settings.image, "${aws_ecr_repository.this.repository_url}:${var.settings.image_tag}")

  # Where each is found, whatever the ecosystem says of one machine. Names that stay, so that certificates can bear them.
  domain = "${local.name}.internal"
  hosts  = local.runs ? { for id in keys(local.parties) : id => "${replace(id, "_", "-")}.${local.domain}" } : {}

  environment = {
    for id, party in local.parties : id => merge(
      var.ledger.environment,
      var.card_vault[party.kind].environment,
      {
        POSTRAIL_ECOSYSTEM_HOSTS   = jsonencode(local.hosts)
        POSTRAIL_LISTEN_HOST       = "0.0.0.0"
        POSTRAIL_HEALTH_PORT       = tostring(local.health_port)
        POSTRAIL_HSM               = var.settings.hsm
        POSTRAIL_HSM_KEYS          = aws_secretsmanager_secret.keys[id].arn
        POSTRAIL_LOG_LEVEL         = var.platform.log_level
        POSTRAIL_METRICS_NAMESPACE = "Postrail/${var.platform.name_prefix}"
        AWS_DEFAULT_REGION         = var.platform.region # what boto3 reads; ECS need not have told
        TMPDIR                     = local.scratch
      },
      party.kind == "bank" ? {
        POSTRAIL_AUTHORIZATIONS_TABLE = var.authorizations_table.name
        POSTRAIL_REFERENCE_TABLE      = var.reference_table.name
      } : {},
      contains(keys(local.certified), id) ? { POSTRAIL_TLS_SECRET_ARN = aws_secretsmanager_secret.tls[id].arn } : {},
    )
  }
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:the switch has metrics of its own, and `switch.container_insights` turns these on for whoever pays for them

  name = local.name

  setting {
    name  = "containerInsights"
    value = var.settings.container_insights ? "enabled" : "disabled"
  }

  lifecycle {
    precondition {
      condition     = length(local.parties) == length(var.ecosystem.networks) + length(var.ecosystem.banks)
      error_message = "A bank and a network of the ecosystem have one id: each service needs its own."
    }

    precondition {
      condition     = length(distinct([for party in local.parties : party.listen.port])) == length(local.parties) && alltrue([for party in local.parties : party.listen.port > 0 && party.listen.port != local.health_port])
      error_message = "All parties share one load balancer: each needs a port of its own in the ecosystem, and not ${local.health_port}, which answers health checks."
    }
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE"]
}

resource "aws_cloudwatch_log_group" "party" {
  for_each = local.parties

  name              = "/aws/ecs/${local.name}/${each.key}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.logs_key_arn
}

resource "aws_ecs_task_definition" "party" {
  for_each = local.parties

  family                   = "${local.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.settings.cpu
  memory                   = var.settings.memory_mb
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.party[each.key].arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.platform.architecture == "arm64" ? "ARM64" : "X86_64"
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([{
    name      = local.container
    image     = local.image
    essential = true
    # The image's entry point is `postrail switch`.
    command                = [each.value.kind, each.key]
    environment            = [for name, value in local.environment[each.key] : { name = name, value = value }]
    user                   = local.user
    privileged             = false
    readonlyRootFilesystem = true
    mountPoints            = [{ sourceVolume = "scratch", containerPath = local.scratch, readOnly = false }]
    stopTimeout            = 60 # the process itself gives up after 25 seconds of finishing what was begun

    # Without a shell: the same command, asking the same path, as the load balancer's check.
    healthCheck = {
      command     = ["CMD", "postrail", "switch", "health", "--port", tostring(local.health_port)]
      interval    = 30
      timeout     = 10
      retries     = 3
      startPeriod = 60
    }

    portMappings = [for port in [each.value.listen.port, local.health_port] : {
      containerPort = port
      hostPort      = port
      protocol      = "tcp"
    }]

    linuxParameters = {
      # The first process of a container ignores signals that it does not handle, and must reap its orphans.
      initProcessEnabled = true
      capabilities       = { add = [], drop = ["ALL"] }
    }

    # A connection is a file.
    ulimits = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.party[each.key].name
        awslogs-region        = var.platform.region
        awslogs-stream-prefix = each.value.kind
        # A payment must not wait for a log line.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }

    # What the service would add by itself, said here so that plans stay empty.
    cpu            = 0
    systemControls = []
    volumesFrom    = []
  }])
}
