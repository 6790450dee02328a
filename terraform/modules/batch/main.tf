# The batch road in the cloud: a file that lands in the inbox starts one Fargate task, which posts the whole file with the
# same command that an operator would type, and ends.
#
# Nothing here has to happen exactly once. S3 and EventBridge deliver at least once, a task can be killed at any moment,
# and people start it again: a run is known by the content of its file, goes on behind its last committed chunk, and a
# finished one posts nothing.

locals {
  name      = "${var.platform.name_prefix}-batch"
  container = "postrail"

  # Prefixes of the one bucket. Results never start a task, and a task reads nothing but what came in.
  incoming = "incoming/"
  results  = "results/"

  # The only folder that can be written to; the image makes it, with the right owner.
  scratch = "/scratch"

  image = coalesce(var.settings.image, "${aws_ecr_repository.this.repository_url}:${var.settings.image_tag}")

  environment = merge(var.ledger.environment, {
    POSTRAIL_REFERENCE_TABLE      = var.reference_table.name
    POSTRAIL_POSTING_INPUT_FORMAT = var.posting_input_format
    POSTRAIL_LOG_LEVEL            = var.platform.log_level
    POSTRAIL_METRICS_NAMESPACE    = "Postrail/${var.platform.name_prefix}"
  })
}

resource "aws_ecs_cluster" "this" {
  #checkov:skip=CKV_AWS_65:a task of some minutes tells all about itself in its own report

  name = local.name

  # Container Insights counts by service and by hour; a task of some minutes is better told by its own report.
  setting {
    name  = "containerInsights"
    value = "disabled"
  }
}

resource "aws_ecs_cluster_capacity_providers" "this" {
  cluster_name       = aws_ecs_cluster.this.name
  capacity_providers = ["FARGATE"]
}

resource "aws_cloudwatch_log_group" "task" {
  name              = "/aws/ecs/${local.name}"
  retention_in_days = var.platform.log_retention_days
  kms_key_id        = var.platform.logs_key_arn
}

resource "aws_ecs_task_definition" "this" {
  family                   = local.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.settings.cpu
  memory                   = var.settings.memory_mb
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.platform.architecture == "arm64" ? "ARM64" : "X86_64"
  }

  ephemeral_storage {
    size_in_gib = var.settings.ephemeral_storage_gib
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([{
    name      = local.container
    image     = local.image
    essential = true
    # A run that hangs ends like one that is interrupted: it says so, and goes on when it is started again. In the
    # foreground the signal goes to the command alone, which knows how to end its workers.
    entryPoint = ["timeout", "--foreground", "--signal=INT", "--kill-after=60", tostring(var.settings.timeout_minutes * 60), "postrail"]
    # A task that somebody starts without a file explains itself and does nothing.
    command                = ["batch", "run", "--help"]
    environment            = concat([for name, value in local.environment : { name = name, value = value }], [{ name = "TMPDIR", value = local.scratch }])
    user                   = "10001:10001"
    privileged             = false
    readonlyRootFilesystem = true
    mountPoints            = [{ sourceVolume = "scratch", containerPath = local.scratch, readOnly = false }]
    stopTimeout            = 120 # the most that Fargate grants: time to finish the chunk at hand

    linuxParameters = {
      # The first process of a container ignores signals that it does not handle, and must reap its orphans.
      initProcessEnabled = true
      capabilities       = { add = [], drop = ["ALL"] }
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.task.name
        awslogs-region        = var.platform.region
        awslogs-stream-prefix = "run"
        # What happened to each row is in the ledger's database. Posting must not wait for a log line.
        mode            = "non-blocking"
        max-buffer-size = "4m"
      }
    }

    # What the service would add by itself, said here so that plans stay empty.
    cpu            = 0
    portMappings   = []
    systemControls = []
    volumesFrom    = []
  }])
}
