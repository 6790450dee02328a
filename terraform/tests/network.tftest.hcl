mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks"
}

variables {
  platform = {
    name_prefix = "postrail-test"
    partition   = "aws"
    account_id  = "111122223333"
    region      = "eu-west-2"
  }

  settings = {
    create        = true
    cidr          = "10.64.0.0/16"
    zones         = 3
    nat           = false
    flow_log_days = 400
  }

  hardware_keys = false
  logs_key_arn  = "arn:aws:kms:eu-west-2:111122223333:key/logs"
  endpoints_run = true
}

run "three_zones_each_with_its_own_subnets" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = [for subnet in values(aws_subnet.compute) : "${subnet.availability_zone} ${subnet.cidr_block}"] == ["eu-west-2a 10.64.0.0/20", "eu-west-2b 10.64.16.0/20", "eu-west-2c 10.64.32.0/20"]
    error_message = "Functions and tasks in three zones."
  }

  assert {
    condition     = [for subnet in values(aws_subnet.database) : "${subnet.availability_zone} ${subnet.cidr_block}"] == ["eu-west-2a 10.64.240.0/24", "eu-west-2b 10.64.241.0/24", "eu-west-2c 10.64.242.0/24"]
    error_message = "The database in the same zones, in subnets of its own."
  }

  assert {
    condition     = output.network.vpc_id == aws_vpc.this[0].id && length(output.network.subnet_ids) == 3 && length(output.network.database_subnet_ids) == 3
    error_message = "Users of the network are told all of it."
  }

  assert {
    condition     = aws_vpc.this[0].enable_dns_support && aws_vpc.this[0].enable_dns_hostnames
    error_message = "Without both, private names of endpoints do not resolve."
  }
}

run "nothing_is_public" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(aws_internet_gateway.this) == 0 && length(aws_nat_gateway.this) == 0 && length(aws_subnet.public) == 0 && length(aws_route.public) == 0 && length(aws_route.nat) == 0
    error_message = "No way to the internet, and none from there."
  }

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.compute), values(aws_subnet.database)) : !subnet.map_public_ip_on_launch])
    error_message = "No public addresses."
  }

  assert {
    condition     = length(aws_default_security_group.this) == 1 && aws_default_security_group.this[0].vpc_id == aws_vpc.this[0].id
    error_message = "The group that everything gets which has none is taken over, and emptied."
  }
}

run "rules_name_groups_and_never_addresses" {
  module {
    source = "./modules/network"
  }

  assert {
    condition = alltrue([for rule in concat(
      values(aws_vpc_security_group_egress_rule.database), values(aws_vpc_security_group_ingress_rule.database),
      values(aws_vpc_security_group_egress_rule.endpoints), values(aws_vpc_security_group_ingress_rule.endpoints),
    ) : rule.referenced_security_group_id != null && rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.ip_protocol == "tcp" && rule.from_port == rule.to_port])
    error_message = "Every rule leads from one group to another, on one port."
  }

  assert {
    condition     = alltrue([for rule in values(aws_vpc_security_group_egress_rule.gateways) : rule.prefix_list_id == "pl-0123456789abcdef0" && rule.cidr_ipv4 == null && rule.from_port == 443]) && length(aws_vpc_security_group_egress_rule.gateways) == 6
    error_message = "S3 and DynamoDB by their prefix lists, for functions, owners and tasks."
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.internet) == 0 && length(aws_vpc_security_group_egress_rule.outside_database) == 0 && length(output.network.security_group_ids.internet) == 0
    error_message = "No rule names an address."
  }
}

run "the_database_listens_to_its_proxy_and_its_owners" {
  module {
    source = "./modules/network"
  }

  assert {
    condition = toset([
      for rule in values(aws_vpc_security_group_ingress_rule.database) : "${rule.referenced_security_group_id} ${rule.from_port}"
      if rule.security_group_id == one(output.network.security_group_ids.database)
      ]) == toset([
      "${one(output.network.security_group_ids.proxy)} 5432",
      "${one(output.network.security_group_ids.owners)} 5432",
    ])
    error_message = "Statements come through the proxy; migrations and rotations alone go past it."
  }

  assert {
    condition = toset([
      for rule in values(aws_vpc_security_group_ingress_rule.database) : rule.referenced_security_group_id
      if rule.security_group_id == one(output.network.security_group_ids.proxy)
    ]) == toset(concat(output.network.security_group_ids.functions, output.network.security_group_ids.tasks))
    error_message = "The proxy listens to functions and tasks."
  }

  assert {
    condition = alltrue([
      for rule in concat(values(aws_vpc_security_group_ingress_rule.database), values(aws_vpc_security_group_ingress_rule.endpoints)) :
      !contains(concat(output.network.security_group_ids.functions, output.network.security_group_ids.tasks, output.network.security_group_ids.owners), rule.security_group_id)
    ])
    error_message = "Nobody calls functions or owners; tasks are called by rules of the switch alone."
  }
}

run "aws_is_reached_by_endpoints" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = keys(aws_vpc_endpoint.gateway) == ["dynamodb", "s3"] && keys(aws_vpc_endpoint.interface) == ["ecr.api", "ecr.dkr", "events", "kms", "logs", "secretsmanager", "sns", "sqs"]
    error_message = "One for each service that code in the network calls, and no other: each is paid for by the hour, three times."
  }

  assert {
    condition     = alltrue([for endpoint in values(aws_vpc_endpoint.interface) : endpoint.private_dns_enabled && length(endpoint.subnet_ids) == 3 && endpoint.vpc_endpoint_type == "Interface"]) && alltrue([for endpoint in values(aws_vpc_endpoint.gateway) : length(endpoint.route_table_ids) == 3])
    error_message = "In every zone, by the usual names."
  }

  assert {
    condition = alltrue([for statement in flatten([for endpoint in concat(values(aws_vpc_endpoint.gateway), values(aws_vpc_endpoint.interface)) : jsondecode(endpoint.policy).Statement]) : (
      statement.Effect == "Allow" && !anytrue([for action in statement.Action : strcontains(action, "*")])
      && (statement.Sid == "LayersOfImages" || try(statement.Condition.StringEquals["aws:PrincipalAccount"], "") == "111122223333")
    )])
    error_message = "Named actions, by identities of this account."
  }

  assert {
    condition = toset([
      for statement in flatten([for endpoint in concat(values(aws_vpc_endpoint.gateway), values(aws_vpc_endpoint.interface)) : jsondecode(endpoint.policy).Statement]) :
      statement.Sid if contains(statement.Resource, "*")
    ]) == toset(["PullImages"])
    error_message = "On resources of this account; images alone may come from a registry elsewhere."
  }

  assert {
    condition     = one([for statement in jsondecode(aws_vpc_endpoint.gateway["s3"].policy).Statement : statement if statement.Sid == "LayersOfImages"]).Resource == ["arn:aws:s3:::prod-eu-west-2-starport-layer-bucket/*"]
    error_message = "Layers of images lie in a bucket of ECR's own."
  }
}

run "hardware_keys_have_their_way" {
  variables {
    hardware_keys = true
  }

  module {
    source = "./modules/network"
  }

  assert {
    condition     = output.endpoints["payment-cryptography.dataplane"] == tolist(["payment-cryptography:TranslatePinData", "payment-cryptography:VerifyPinData"])
    error_message = "To the data plane, for work with PINs."
  }
}

run "who_spoke_to_whom_is_kept" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_flow_log.this[0].vpc_id == aws_vpc.this[0].id && aws_flow_log.this[0].log_destination == aws_cloudwatch_log_group.flow[0].arn
    error_message = "What was let through and what was not, of the whole VPC."
  }

  assert {
    condition     = aws_cloudwatch_log_group.flow[0].kms_key_id == var.logs_key_arn && aws_cloudwatch_log_group.flow[0].retention_in_days == 400 && startswith(aws_cloudwatch_log_group.flow[0].name, "/aws/vpc/postrail-test-")
    error_message = "Encrypted with the logs' key, whose policy knows this name, and kept as long as it is said."
  }

  assert {
    condition = alltrue([for statement in jsondecode(aws_iam_role_policy.flow[0].policy).Statement : (
      alltrue([for action in statement.Action : startswith(action, "logs:") && !strcontains(action, "*")])
      && (statement.Sid == "FindLogGroup" ? statement.Action == ["logs:DescribeLogGroups"] : alltrue([for resource in statement.Resource : startswith(resource, aws_cloudwatch_log_group.flow[0].arn)]))
    )])
    error_message = "The service writes to this group and no other."
  }

  assert {
    condition     = jsondecode(aws_iam_role.flow[0].assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "111122223333"
    error_message = "And for this account alone."
  }
}

run "nat_opens_a_way_out_for_who_gets_the_group" {
  variables {
    settings = {
      create        = true
      cidr          = "10.64.0.0/16"
      zones         = 2
      nat           = true
      flow_log_days = 400
    }
  }

  module {
    source = "./modules/network"
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-west-2a", "eu-west-2b"] && keys(aws_route.nat) == ["eu-west-2a", "eu-west-2b"]
    error_message = "One gateway in each zone: the loss of one takes no other along."
  }

  assert {
    condition     = alltrue([for subnet in values(aws_subnet.public) : !subnet.map_public_ip_on_launch])
    error_message = "Public subnets hold gateways and give nobody an address."
  }

  assert {
    condition = (
      aws_vpc_security_group_egress_rule.internet[0].from_port == 443 && aws_vpc_security_group_egress_rule.internet[0].to_port == 443
      && aws_vpc_security_group_egress_rule.internet[0].security_group_id == one(output.network.security_group_ids.internet)
      && !contains(output.network.security_group_ids.functions, one(output.network.security_group_ids.internet))
    )
    error_message = "https alone, and for nobody by default."
  }
}

run "a_network_of_the_bank_gets_groups_and_nothing_else" {
  variables {
    settings = {
      create             = false
      cidr               = "10.64.0.0/16"
      zones              = 3
      nat                = false
      flow_log_days      = 400
      vpc_id             = "vpc-bank"
      subnet_ids         = ["subnet-1", "subnet-2"]
      security_group_ids = ["sg-ways-out"]
    }
  }

  module {
    source = "./modules/network"
  }

  assert {
    condition     = length(aws_vpc.this) == 0 && length(aws_subnet.compute) == 0 && length(aws_vpc_endpoint.interface) == 0 && length(aws_flow_log.this) == 0 && length(aws_default_security_group.this) == 0
    error_message = "Nothing of a network that is there is touched."
  }

  assert {
    condition     = alltrue([for group in values(aws_security_group.this) : group.vpc_id == "vpc-bank"]) && keys(aws_security_group.this) == ["database", "functions", "owners", "proxy", "tasks"]
    error_message = "Who speaks to whom is said there as well."
  }

  assert {
    condition = (
      output.network.vpc_id == "vpc-bank" && output.network.subnet_ids == tolist(["subnet-1", "subnet-2"])
      && alltrue([for name in ["functions", "tasks", "owners"] : contains(output.network.security_group_ids[name], "sg-ways-out")])
      && alltrue([for name in ["proxy", "database"] : !contains(output.network.security_group_ids[name], "sg-ways-out")])
    )
    error_message = "Functions and tasks get the bank's groups, which know the ways out; proxy and database call nobody."
  }
}

run "a_database_elsewhere_is_reached_by_its_addresses" {
  variables {
    settings = {
      create         = true
      cidr           = "10.64.0.0/16"
      zones          = 3
      nat            = false
      flow_log_days  = 400
      database_cidrs = ["10.128.0.0/24"]
    }
  }

  module {
    source = "./modules/network"
  }

  assert {
    condition     = [for rule in values(aws_vpc_security_group_egress_rule.outside_database) : "${rule.cidr_ipv4} ${rule.from_port}"] == ["10.128.0.0/24 5432", "10.128.0.0/24 5432", "10.128.0.0/24 5432"]
    error_message = "Functions, owners and tasks, on PostgreSQL's port."
  }
}

run "more_zones_than_there_are_is_refused" {
  command = plan

  variables {
    settings = {
      create        = true
      cidr          = "10.64.0.0/16"
      zones         = 4
      nat           = false
      flow_log_days = 400
    }
  }

  module {
    source = "./modules/network"
  }

  expect_failures = [aws_vpc.this]
}

run "keys_by_address_are_refused_where_no_address_is_reached" {
  command = plan

  variables {
    name_prefix     = "postrail-test"
    ledger          = { host = "ledger.test", username = "postrail" }
    network         = { database_cidrs = ["10.128.0.0/24"] }
    ledger_password = "not-a-real-one"
    token_issuer    = "https://tokens.example.com"
    token_keys      = ""
  }

  expect_failures = [var.token_keys]
}

run "half_a_network_is_refused" {
  command = plan

  variables {
    name_prefix     = "postrail-test"
    ledger          = { host = "ledger.test", username = "postrail" }
    network         = { create = false, vpc_id = "vpc-1", subnet_ids = ["subnet-1"] }
    ledger_password = "not-a-real-one"
    token_issuer    = "https://tokens.example.com"
  }

  expect_failures = [var.network]
}
