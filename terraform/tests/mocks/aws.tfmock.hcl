# What AWS would answer. Mocks know no AWS, and the provider refuses random letters where it expects an ARN.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "111122223333"
  }
}

mock_data "aws_availability_zones" {
  defaults = {
    names = ["eu-west-2a", "eu-west-2b", "eu-west-2c"]
  }
}

mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}

mock_resource "aws_apigatewayv2_api" {
  defaults = {
    id            = "a1b2c3d4e5"
    api_endpoint  = "https://a1b2c3d4e5.execute-api.eu-west-2.amazonaws.com"
    execution_arn = "arn:aws:execute-api:eu-west-2:111122223333:a1b2c3d4e5"
  }
}

mock_resource "aws_cloudfront_distribution" {
  defaults = {
    arn            = "arn:aws:cloudfront::111122223333:distribution/E1EXAMPLE"
    domain_name    = "d111111abcdef8.cloudfront.net"
    hosted_zone_id = "Z2FDTNDATAQYW2"
  }
}

mock_resource "aws_cloudfront_function" {
  defaults = {
    arn = "arn:aws:cloudfront::111122223333:function/edge"
  }
}

mock_resource "aws_cloudfront_key_value_store" {
  defaults = {
    arn = "arn:aws:cloudfront::111122223333:key-value-store/00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_cloudwatch_event_bus" {
  defaults = {
    arn = "arn:aws:events:eu-west-2:111122223333:event-bus/postrail-test-payments"
  }
}

mock_resource "aws_cloudwatch_event_rule" {
  defaults = {
    arn = "arn:aws:events:eu-west-2:111122223333:rule/postrail-test-payments/postrail-test-rule"
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:eu-west-2:111122223333:log-group:group"
  }
}

mock_resource "aws_cloudwatch_log_delivery_destination" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:111122223333:delivery-destination:edge"
  }
}

mock_resource "aws_dynamodb_table" {
  defaults = {
    arn        = "arn:aws:dynamodb:eu-west-2:111122223333:table/table"
    stream_arn = "arn:aws:dynamodb:eu-west-2:111122223333:table/table/stream/2026-01-01T00:00:00.000"
  }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:eu-west-2:111122223333:repository/repository"
    repository_url = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/repository"
  }
}

mock_resource "aws_ecs_cluster" {
  defaults = {
    arn = "arn:aws:ecs:eu-west-2:111122223333:cluster/cluster"
  }
}

mock_resource "aws_ecs_task_definition" {
  defaults = {
    arn                  = "arn:aws:ecs:eu-west-2:111122223333:task-definition/task:1"
    arn_without_revision = "arn:aws:ecs:eu-west-2:111122223333:task-definition/task"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::111122223333:role/role"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn    = "arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-0000-0000-000000000000"
    key_id = "00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn = "arn:aws:lambda:eu-west-2:111122223333:function:function"
  }
}

mock_resource "aws_lambda_layer_version" {
  defaults = {
    arn = "arn:aws:lambda:eu-west-2:111122223333:layer:layer:1"
  }
}

mock_resource "aws_lb" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:eu-west-2:111122223333:loadbalancer/net/switch/0123456789abcdef"
    arn_suffix = "net/switch/0123456789abcdef"
    dns_name   = "switch-0123456789abcdef.elb.eu-west-2.amazonaws.com"
  }
}

mock_resource "aws_lb_target_group" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:eu-west-2:111122223333:targetgroup/party/0123456789abcdef"
    arn_suffix = "targetgroup/party/0123456789abcdef"
  }
}

mock_resource "aws_vpc_endpoint" {
  defaults = {
    prefix_list_id = "pl-0123456789abcdef0"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    arn = "arn:aws:s3:::bucket"
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = {
    arn = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:ledger-AbCdEf"
  }
}

mock_resource "aws_sfn_state_machine" {
  defaults = {
    arn = "arn:aws:states:eu-west-2:111122223333:stateMachine:rules-engine"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:eu-west-2:111122223333:topic"
  }
}

mock_resource "aws_sqs_queue" {
  defaults = {
    arn = "arn:aws:sqs:eu-west-2:111122223333:queue"
    id  = "https://sqs.eu-west-2.amazonaws.com/111122223333/queue"
  }
}

mock_resource "aws_wafv2_web_acl" {
  defaults = {
    arn = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/edge/00000000-0000-0000-0000-000000000000"
  }
}

mock_resource "aws_db_proxy" {
  defaults = {
    arn      = "arn:aws:rds:eu-west-2:111122223333:db-proxy:prx-0123456789abcdef0"
    endpoint = "postrail-test-ledger.proxy-0123456789ab.eu-west-2.rds.amazonaws.com"
  }
}

mock_resource "aws_db_proxy_default_target_group" {
  defaults = {
    name = "default"
  }
}

mock_resource "aws_rds_cluster" {
  defaults = {
    id                 = "postrail-test-ledger"
    arn                = "arn:aws:rds:eu-west-2:111122223333:cluster:postrail-test-ledger"
    endpoint           = "postrail-test-ledger.cluster-0123456789ab.eu-west-2.rds.amazonaws.com"
    master_user_secret = [{ kms_key_id = "arn:aws:kms:eu-west-2:111122223333:key/ledger", secret_arn = "arn:aws:secretsmanager:eu-west-2:111122223333:secret:rds!cluster-1-AbCdEf", secret_status = "active" }]
    port               = 5432
  }
}
