# The life of an endpoint service and of an endpoint for it, as HashiCorp's provider for AWS makes them.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "zones" {
  type = number
}

variable "consumer_key" {
  type = string
}

variable "consumer_account" {
  type = string
}

locals {
  subnets = slice(["subnet-0aaaaaaaaaaaaaaa1", "subnet-0bbbbbbbbbbbbbbb2", "subnet-0ccccccccccccccc3"], 0, var.zones)
}

provider "aws" {}

provider "aws" {
  alias      = "consumer"
  access_key = var.consumer_key
  secret_key = "sandbox"
}

data "aws_caller_identity" "me" {}

data "aws_vpc" "prod" {
  id = "vpc-0a1b2c3d4e5f60718"
}

resource "aws_security_group" "balancer" {
  name        = "terraform-balancer"
  description = "made by Terraform"
  vpc_id      = data.aws_vpc.prod.id
  tags        = { made-by = "terraform" }
}

resource "aws_vpc_security_group_egress_rule" "out" {
  security_group_id = aws_security_group.balancer.id
  ip_protocol       = "tcp"
  from_port         = 5432
  to_port           = 5432
  cidr_ipv4         = data.aws_vpc.prod.cidr_block
}

resource "aws_vpc_security_group_ingress_rule" "database" {
  security_group_id            = "sg-0ddddddddddddddd4"
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  referenced_security_group_id = aws_security_group.balancer.id
}

resource "aws_lb" "balancer" {
  name                             = "terraform"
  internal                         = true
  load_balancer_type               = "network"
  subnets                          = local.subnets
  security_groups                  = [aws_security_group.balancer.id]
  enable_cross_zone_load_balancing = true

  enforce_security_group_inbound_rules_on_private_link_traffic = "off"
}

resource "aws_lb_target_group" "postgres" {
  name                 = "terraform"
  port                 = 5432
  protocol             = "TCP"
  target_type          = "ip"
  vpc_id               = data.aws_vpc.prod.id
  deregistration_delay = 120

  health_check {
    protocol = "TCP"
    interval = 10
  }
}

resource "aws_lb_target_group_attachment" "postgres" {
  target_group_arn = aws_lb_target_group.postgres.arn
  target_id        = "10.0.0.30"
  port             = 5432
}

resource "aws_lb_listener" "postgres" {
  load_balancer_arn        = aws_lb.balancer.arn
  port                     = 5432
  protocol                 = "TCP"
  tcp_idle_timeout_seconds = 400

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.postgres.arn
  }
}

resource "aws_vpc_endpoint_service" "postgres" {
  acceptance_required        = true
  network_load_balancer_arns = [aws_lb.balancer.arn]
  tags                       = { Name = "terraform" }
}

resource "aws_vpc_endpoint_service_allowed_principal" "consumer" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.postgres.id
  principal_arn           = "arn:aws:iam::${var.consumer_account}:root"
}

resource "aws_vpc_endpoint_connection_notification" "postgres" {
  vpc_endpoint_service_id     = aws_vpc_endpoint_service.postgres.id
  connection_notification_arn = "arn:aws:sns:us-east-1:${data.aws_caller_identity.me.account_id}:privnet-connections"
  connection_events           = ["Connect", "Accept"]
}

data "aws_vpcs" "consumer" {
  provider = aws.consumer
}

data "aws_subnets" "consumer" {
  provider = aws.consumer

  filter {
    name   = "vpc-id"
    values = data.aws_vpcs.consumer.ids
  }
}

resource "aws_vpc_endpoint" "consumer" {
  provider          = aws.consumer
  vpc_id            = data.aws_vpcs.consumer.ids[0]
  service_name      = aws_vpc_endpoint_service.postgres.service_name
  vpc_endpoint_type = "Interface"
  subnet_ids        = [sort(data.aws_subnets.consumer.ids)[0]]
  depends_on        = [aws_vpc_endpoint_service_allowed_principal.consumer]
}

resource "aws_vpc_endpoint_connection_accepter" "consumer" {
  vpc_endpoint_service_id = aws_vpc_endpoint_service.postgres.id
  vpc_endpoint_id         = aws_vpc_endpoint.consumer.id
}
