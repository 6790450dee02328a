mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  platform = {
    name_prefix        = "postrail-test"
    partition          = "aws"
    account_id         = "111122223333"
    region             = "eu-west-2"
    architecture       = "arm64"
    log_level          = "INFO"
    log_retention_days = 30
  }

  ecosystem = {
    networks = [
      { id = "meridian", listen = { port = 8583 } },
      { id = "solstice", listen = { port = 8584, tls = { certificate_file = "/scratch/tls/solstice.pem" } } },
    ]
    banks = [
      { id = "northgate", networks = ["meridian", "solstice"], listen = { port = 8591 } },
      { id = "harbour", networks = ["meridian"], listen = { port = 8592 } },
    ]
  }

  settings = {
    cpu                = 1024
    memory_mb          = 2048
    tasks_min          = 2
    tasks_max          = 8
    cpu_target_percent = 60
    container_insights = false
    hsm                = "software"
    hsm_key_arns       = []
    image_tag          = "0.1.0"
  }

  place = {
    vpc_id             = "vpc-1"
    subnet_ids         = ["subnet-1", "subnet-2"]
    security_group_ids = ["sg-ledger"]
    acquirer_cidrs     = ["10.1.0.0/16"]
  }

  ledger = {
    statements = [{
      sid       = "ReadLedgerSecret"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = ["arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf"]
      condition = {}
    }]
    environment = { POSTRAIL_LEDGER_SECRET_ARN = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf" }
  }

  card_vault = {
    bank = {
      statements = [{
        sid       = "ReadLookupKey"
        actions   = ["dynamodb:GetItem"]
        resources = ["arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-card-vault"]
        condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = "KEY#lookup#1" } }
      }]
      environment = { POSTRAIL_CARD_VAULT_TABLE = "postrail-test-card-vault" }
    }
    network = {
      statements = [{
        sid       = "KeepMessagesKey"
        actions   = ["dynamodb:GetItem", "dynamodb:PutItem"]
        resources = ["arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-card-vault"]
        condition = { "ForAllValues:StringEquals" = { "dynamodb:LeadingKeys" = "KEY#messages#1" } }
      }]
      environment = { POSTRAIL_CARD_VAULT_TABLE = "postrail-test-card-vault" }
    }
  }

  authorizations_table = { name = "postrail-test-authorizations", arn = "arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-authorizations" }

  reference_table = { name = "postrail-test-reference", arn = "arn:aws:dynamodb:eu-west-2:111122223333:table/postrail-test-reference" }

  tables_key_statement = {
    sid       = "UseTablesKey"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
    resources = ["arn:aws:kms:eu-west-2:111122223333:key/tables"]
    condition = { StringEquals = { "kms:ViaService" = "dynamodb.eu-west-2.amazonaws.com" } }
  }

  switch_key_arn      = "arn:aws:kms:eu-west-2:111122223333:key/switch"
  logs_key_arn        = "arn:aws:kms:eu-west-2:111122223333:key/logs"
  alerts_topic_arn    = "arn:aws:sns:eu-west-2:111122223333:postrail-test-alerts"
  tasks_run           = true
  alarms_run          = true
  deletion_protection = true
}

run "each_party_is_a_service_behind_a_port_of_its_own" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition     = { for id, listener in aws_lb_listener.party : id => listener.port } == { harbour = 8592, meridian = 8583, northgate = 8591, solstice = 8584 }
    error_message = "The ports of the ecosystem."
  }

  assert {
    condition = alltrue([for id, service in aws_ecs_service.party : (
      service.launch_type == "FARGATE"
      && service.network_configuration[0].subnets == toset(["subnet-1", "subnet-2"])
      && contains(service.network_configuration[0].security_groups, "sg-ledger")
      && one(service.load_balancer).container_port == aws_lb_listener.party[id].port
    )])
    error_message = "Fargate tasks in both zones that can reach the database, behind their listener."
  }

  assert {
    condition = alltrue([for id, definition in aws_ecs_task_definition.party : (
      jsondecode(definition.container_definitions)[0].command == [output.switch.parties[id].kind, id]
      && [for mapping in jsondecode(definition.container_definitions)[0].portMappings : mapping.containerPort] == [output.switch.parties[id].port, 8580]
    )])
    error_message = "`postrail switch bank northgate` on its port, and on the port of health checks."
  }

  assert {
    condition = alltrue([for party in values(output.switch.parties) : (
      party.environment.POSTRAIL_LISTEN_HOST == "0.0.0.0"
      && jsondecode(party.environment.POSTRAIL_ECOSYSTEM_HOSTS) == { for id in ["harbour", "meridian", "northgate", "solstice"] : id => "${id}.postrail-test-switch.internal" }
    )])
    error_message = "Parties find each other by names that stay."
  }

  assert {
    condition     = alltrue([for id, record in aws_route53_record.party : record.name == "${id}.postrail-test-switch.internal" && one(record.alias).name == aws_lb.this[0].dns_name]) && one(aws_route53_zone.this[0].vpc).vpc_id == "vpc-1"
    error_message = "The names lead to the load balancer, within the VPC alone."
  }

  assert {
    condition     = [for id, party in output.switch.parties : id if can(party.environment.POSTRAIL_AUTHORIZATIONS_TABLE)] == ["harbour", "northgate"]
    error_message = "Only banks hand approvals to the pipeline."
  }
}

run "nothing_is_reached_from_outside" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition     = aws_lb.this[0].internal && aws_lb.this[0].load_balancer_type == "network" && aws_lb.this[0].enable_deletion_protection && length(aws_lb.this[0].security_groups) == 1
    error_message = "An internal load balancer behind a security group."
  }

  assert {
    condition     = alltrue([for service in values(aws_ecs_service.party) : !service.network_configuration[0].assign_public_ip && !service.enable_execute_command])
    error_message = "No public address, and no shell where card numbers pass."
  }

  assert {
    condition     = [for rule in values(aws_vpc_security_group_ingress_rule.acquirer) : "${rule.cidr_ipv4} ${rule.from_port}-${rule.to_port}"] == ["10.1.0.0/16 8583-8583", "10.1.0.0/16 8584-8584"]
    error_message = "Acquirers reach the networks' ports and no bank's."
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.member) == ["meridian harbour", "meridian northgate", "solstice northgate"] && keys(aws_vpc_security_group_egress_rule.to_member) == ["meridian harbour", "meridian northgate", "solstice northgate"]
    error_message = "A network reaches its members, and a bank reaches nobody."
  }

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.from_load_balancer), values(aws_vpc_security_group_ingress_rule.health)) : rule.cidr_ipv4 == null && rule.referenced_security_group_id == aws_security_group.load_balancer[0].id])
    error_message = "Tasks are called by the load balancer alone."
  }

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_egress_rule.to_task), values(aws_vpc_security_group_egress_rule.health), values(aws_vpc_security_group_egress_rule.to_member)) : rule.cidr_ipv4 == null && rule.referenced_security_group_id != null])
    error_message = "Nobody here calls an address: every way out leads to another group."
  }
}

run "the_container_can_do_nothing_but_its_work" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition = alltrue([for definition in values(aws_ecs_task_definition.party) : (
      jsondecode(definition.container_definitions)[0].readonlyRootFilesystem
      && !jsondecode(definition.container_definitions)[0].privileged
      && jsondecode(definition.container_definitions)[0].user == "10001:10001"
      && jsondecode(definition.container_definitions)[0].linuxParameters.capabilities.drop == ["ALL"]
      && jsondecode(definition.container_definitions)[0].linuxParameters.initProcessEnabled
    )])
    error_message = "Read-only file system, no root, no capabilities."
  }

  assert {
    condition     = alltrue([for definition in values(aws_ecs_task_definition.party) : definition.network_mode == "awsvpc" && definition.runtime_platform[0].cpu_architecture == "ARM64"])
    error_message = "A network interface of its own, on the architecture that the image is built for."
  }

  assert {
    condition     = alltrue([for definition in values(aws_ecs_task_definition.party) : jsondecode(definition.container_definitions)[0].stopTimeout > 25 && jsondecode(definition.container_definitions)[0].stopTimeout <= 120])
    error_message = "Longer than the process takes to finish what it began, and as long as Fargate grants."
  }

  assert {
    condition = alltrue([for definition in values(aws_ecs_task_definition.party) : (
      jsondecode(definition.container_definitions)[0].healthCheck.command == ["CMD", "postrail", "switch", "health", "--port", "8580"]
      && jsondecode(definition.container_definitions)[0].healthCheck.retries <= 10
    )])
    error_message = "The command itself says how it is, and does not say so for ever."
  }
}

run "keys_are_never_in_plan_state_or_task_definition" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition     = alltrue([for secret in concat(values(aws_secretsmanager_secret.keys), values(aws_secretsmanager_secret.tls)) : secret.kms_key_id == var.switch_key_arn && secret.recovery_window_in_days == 30])
    error_message = "Own key, and a way back."
  }

  assert {
    condition     = keys(aws_secretsmanager_secret.keys) == ["harbour", "meridian", "northgate", "solstice"] && keys(aws_secretsmanager_secret.tls) == ["solstice"]
    error_message = "Each party has a secret for its keys, and those with certificates one for them."
  }

  assert {
    condition = alltrue([for definition in values(aws_ecs_task_definition.party) : (
      !anytrue([for setting in jsondecode(definition.container_definitions)[0].environment : can(regex("(?i)password|dsn", setting.name))])
      && alltrue([for setting in jsondecode(definition.container_definitions)[0].environment : startswith(setting.value, "arn:aws:secretsmanager:") if setting.name == "POSTRAIL_HSM_KEYS"])
    )])
    error_message = "The environment names secrets and holds none."
  }
}

run "a_party_has_its_own_rights_and_no_more" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition = { for id, policy in aws_iam_role_policy.party : id => toset([for statement in jsondecode(policy.policy).Statement : statement.Sid]) } == {
      harbour   = toset(["HandOverAuthorizations", "ReadLookupKey", "ReadLedgerSecret", "ReadOwnKeys", "ReadReferenceData", "UseSwitchKey", "UseTablesKey"])
      meridian  = toset(["KeepMessagesKey", "ReadLedgerSecret", "ReadOwnKeys", "UseSwitchKey"])
      northgate = toset(["HandOverAuthorizations", "ReadLookupKey", "ReadLedgerSecret", "ReadOwnKeys", "ReadReferenceData", "UseSwitchKey", "UseTablesKey"])
      solstice  = toset(["KeepMessagesKey", "ReadLedgerSecret", "ReadOwnKeys", "UseSwitchKey"])
    }
    error_message = "Banks write authorizations, networks seal messages."
  }

  assert {
    condition     = { for id, policy in aws_iam_role_policy.party : id => [for statement in jsondecode(policy.policy).Statement : length(statement.Resource) if statement.Sid == "ReadOwnKeys"][0] } == { harbour = 1, meridian = 1, northgate = 1, solstice = 2 }
    error_message = "Its own secrets, one or two."
  }

  assert {
    condition = alltrue(flatten([for policy in values(aws_iam_role_policy.party) : [
      for statement in jsondecode(policy.policy).Statement :
      !anytrue([for text in concat(statement.Action, statement.Resource) : strcontains(text, "*")])
    ]]))
    error_message = "No action and no resource is a pattern."
  }

  assert {
    condition     = [for statement in jsondecode(aws_iam_role_policy.execution.policy).Statement : statement.Sid if statement.Resource == "*"] == ["LogInToRegistry"]
    error_message = "Only the registry's login knows no resource."
  }

  assert {
    condition     = alltrue([for role in concat([aws_iam_role.execution], values(aws_iam_role.party)) : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"])
    error_message = "No other account can make the service act with these roles."
  }
}

run "keys_in_hardware_are_used_and_never_taken_out" {
  variables {
    settings = {
      cpu                = 1024
      memory_mb          = 2048
      tasks_min          = 2
      tasks_max          = 8
      cpu_target_percent = 60
      container_insights = false
      hsm                = "payment_cryptography"
      hsm_key_arns       = ["arn:aws:payment-cryptography:eu-west-2:111122223333:key/abcdefghijklmnop"]
      image_tag          = "0.1.0"
    }
  }

  module {
    source = "./modules/switch"
  }

  assert {
    condition = alltrue([for policy in values(aws_iam_role_policy.party) : toset(one([
      for statement in jsondecode(policy.policy).Statement : statement.Resource if statement.Sid == "UseHardwareKeys"
    ])) == toset(var.settings.hsm_key_arns)])
    error_message = "The keys that were named."
  }

  assert {
    condition = { for id, policy in aws_iam_role_policy.party : id => toset([
      for action in flatten([for statement in jsondecode(policy.policy).Statement : statement.Action]) : action if startswith(action, "payment-cryptography:")
      ]) } == {
      harbour   = toset(["payment-cryptography:VerifyPinData"])
      meridian  = toset(["payment-cryptography:TranslatePinData"])
      northgate = toset(["payment-cryptography:VerifyPinData"])
      solstice  = toset(["payment-cryptography:TranslatePinData"])
    }
    error_message = "Networks translate PINs, banks verify them; nobody makes, exports or deletes keys."
  }
}

run "images_are_immutable_and_scanned" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition     = aws_ecr_repository.this.image_tag_mutability == "IMMUTABLE" && aws_ecr_repository.this.image_scanning_configuration[0].scan_on_push && !aws_ecr_repository.this.force_delete
    error_message = "A tag means the same bytes for ever, and they are scanned."
  }

  assert {
    condition     = alltrue([for definition in values(aws_ecs_task_definition.party) : endswith(jsondecode(definition.container_definitions)[0].image, ":0.1.0")])
    error_message = "The named image of the switch's own repository."
  }
}

run "logs_are_encrypted_and_end" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition     = alltrue([for group in values(aws_cloudwatch_log_group.party) : group.kms_key_id == var.logs_key_arn && group.retention_in_days == 30])
    error_message = "Each party's log group has the key of logs, and an end."
  }
}

run "tasks_come_go_and_are_missed" {
  module {
    source = "./modules/switch"
  }

  assert {
    condition = alltrue([for id, group in aws_lb_target_group.party : (
      group.target_type == "ip"
      && group.connection_termination
      && group.deregistration_delay == "60"
      && group.health_check[0].protocol == "HTTP"
      && group.health_check[0].path == "/health"
      && group.health_check[0].port == "8580"
    )])
    error_message = "A task gets payments while it says that it is well, and who is connected to one that goes is told."
  }

  assert {
    condition     = alltrue([for service in values(aws_ecs_service.party) : service.deployment_circuit_breaker[0].enable && service.deployment_circuit_breaker[0].rollback && service.deployment_minimum_healthy_percent == 100])
    error_message = "A deployment takes no task away before its successor is well, and gives up some day."
  }

  assert {
    condition     = alltrue([for target in values(aws_appautoscaling_target.party) : target.min_capacity == 2 && target.max_capacity == 8]) && alltrue([for policy in values(aws_appautoscaling_policy.cpu) : policy.target_tracking_scaling_policy_configuration[0].target_value == 60])
    error_message = "From two tasks to eight, by their processors' load."
  }

  assert {
    condition     = alltrue([for alarm in values(aws_cloudwatch_metric_alarm.alone) : alarm.threshold == 2 && alarm.treat_missing_data == "breaching" && alarm.alarm_actions == toset([var.alerts_topic_arn])])
    error_message = "People hear of a party with too few tasks."
  }
}

run "who_calls_a_certified_bank_has_certificates_too" {
  variables {
    ecosystem = {
      networks = [{ id = "meridian", listen = { port = 8583 } }, { id = "solstice", listen = { port = 8584 } }]
      banks = [
        { id = "northgate", networks = ["meridian"], listen = { port = 8591, tls = { certificate_file = "/scratch/tls/own.pem" } } },
        { id = "harbour", networks = ["meridian", "solstice"], listen = { port = 8592 } },
      ]
    }
  }

  module {
    source = "./modules/switch"
  }

  assert {
    condition     = keys(aws_secretsmanager_secret.tls) == ["meridian", "northgate"] && [for id, party in output.switch.parties : id if can(party.environment.POSTRAIL_TLS_SECRET_ARN)] == ["meridian", "northgate"]
    error_message = "Both ends of a mutual TLS link show a certificate."
  }
}

run "names_of_target_groups_fit" {
  variables {
    platform = {
      name_prefix        = "postrail-a-rather-longone"
      partition          = "aws"
      account_id         = "111122223333"
      region             = "eu-west-2"
      architecture       = "x86_64"
      log_level          = "INFO"
      log_retention_days = 30
    }
    ecosystem = {
      networks = [{ id = "meridian_international", listen = { port = 8583 } }]
      banks = [
        { id = "northgate_savings_and_loans", networks = ["meridian_international"], listen = { port = 8591 } },
        { id = "northgate_savings_and_more", networks = ["meridian_international"], listen = { port = 8592 } },
      ]
    }
  }

  module {
    source = "./modules/switch"
  }

  assert {
    condition     = alltrue([for group in values(aws_lb_target_group.party) : can(regex("^[a-z0-9][a-z0-9-]{0,30}[a-z0-9]$", group.name))]) && length(distinct([for group in values(aws_lb_target_group.party) : group.name])) == 3
    error_message = "32 letters at most, and no two alike."
  }
}

run "where_tasks_do_not_run_all_but_them_is_made" {
  variables {
    tasks_run  = false
    alarms_run = false
  }

  module {
    source = "./modules/switch"
  }

  assert {
    condition     = length(aws_ecs_service.party) == 0 && length(aws_lb.this) == 0 && length(aws_appautoscaling_target.party) == 0 && length(aws_security_group.task) == 0 && length(aws_cloudwatch_metric_alarm.alone) == 0
    error_message = "No service, load balancer, scaling or alarm."
  }

  assert {
    condition     = length(aws_ecs_task_definition.party) == 4 && length(aws_iam_role.party) == 4 && length(aws_secretsmanager_secret.keys) == 4 && !output.switch.managed
    error_message = "Task definitions, roles and secrets as ever."
  }
}

run "a_network_of_the_same_apply_can_be_planned" {
  command = plan

  variables {
    switch = {
      platform             = var.platform
      ecosystem            = var.ecosystem
      settings             = merge(var.settings, { image = null })
      ledger               = var.ledger
      card_vault           = var.card_vault
      authorizations_table = var.authorizations_table
      reference_table      = var.reference_table
      tables_key_statement = var.tables_key_statement
      switch_key_arn       = var.switch_key_arn
      logs_key_arn         = var.logs_key_arn
      alerts_topic_arn     = var.alerts_topic_arn
    }
  }

  module {
    source = "./tests/fixtures/switch_in_new_vpc"
  }

  assert {
    condition     = output.managed
    error_message = "What is made must not depend on ids that nobody knows yet."
  }
}

run "one_zone_is_refused" {
  command = plan

  variables {
    place = { vpc_id = "vpc-1", subnet_ids = ["subnet-1"] }
  }

  module {
    source = "./modules/switch"
  }

  expect_failures = [aws_lb.this]
}

run "two_parties_on_one_port_are_refused" {
  command = plan

  variables {
    ecosystem = {
      networks = [{ id = "meridian", listen = { port = 8583 } }]
      banks    = [{ id = "northgate", networks = ["meridian"], listen = { port = 8583 } }]
    }
  }

  module {
    source = "./modules/switch"
  }

  expect_failures = [aws_ecs_cluster.this]
}

run "a_size_that_fargate_does_not_have_is_refused" {
  command = plan

  variables {
    settings = {
      cpu                = 1024
      memory_mb          = 512
      tasks_min          = 2
      tasks_max          = 8
      cpu_target_percent = 60
      container_insights = false
      hsm                = "software"
      hsm_key_arns       = []
      image_tag          = "0.1.0"
    }
  }

  module {
    source = "./modules/switch"
  }

  expect_failures = [var.settings]
}

run "hardware_without_named_keys_is_refused" {
  command = plan

  variables {
    settings = {
      cpu                = 1024
      memory_mb          = 2048
      tasks_min          = 2
      tasks_max          = 8
      cpu_target_percent = 60
      container_insights = false
      hsm                = "payment_cryptography"
      hsm_key_arns       = ["arn:aws:payment-cryptography:eu-west-2:111122223333:key/*"]
      image_tag          = "0.1.0"
    }
  }

  module {
    source = "./modules/switch"
  }

  expect_failures = [var.settings]
}
